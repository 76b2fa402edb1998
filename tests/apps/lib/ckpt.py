# SPDX-License-Identifier: Apache-2.0
"""Drives a real program through checkpoints: start it, dump and restore it, see how it ends.

A script makes one `Checkpointed`, waits for progress in the program's output, calls cycle(), and ends with
finish(). Everything that descends from the script is killed and reaped when the script ends.
"""

import atexit
import ctypes
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36
# For trying a script by itself: the program simply goes on.
NO_CHECKPOINT = bool(os.environ.get("NO_CHECKPOINT"))
BPFCKPT = os.environ.get("BPFCKPT") or NO_CHECKPOINT or sys.exit("BPFCKPT must name the program to test")


failed = False


def fail(text):
    global failed
    failed = True
    print("FAIL:", text, flush=True)
    sys.exit(1)


def skip(feature):
    print("SKIP:", feature, flush=True)
    sys.exit(77)


def need(program):
    """The path of a program, or the test is skipped."""
    return shutil.which(program) or skip(f"program {program}")


# An emulated guest is slow: all that may take its time gets so many times more there.
PATIENCE = max(1, int(os.environ.get("BPFCKPT_TEST_PATIENCE", "1")))


def wait_until(what, condition, timeout_s=60):
    end = time.monotonic() + timeout_s * PATIENCE
    while not condition():
        if time.monotonic() > end:
            fail(f"gave up waiting for {what}")
        time.sleep(0.005)


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def stat_fields(pid):
    """/proc/PID/stat from the state on, or None."""
    text = read(f"/proc/{pid}/stat")
    return text[text.rindex(")") + 2 :].split() if text else None


def descendants(root):
    """Pids below `root`, itself not included."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(name)
            if fields:
                children.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], [root]
    while todo:
        for pid in children.get(todo.pop(), []):
            found.append(pid)
            todo.append(pid)
    return sorted(found)


class Reaper:
    """We are a subreaper: what a killed or restored tree leaves becomes our child."""

    def __init__(self):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.ended = {}

    def reap(self):
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self.ended[pid] = status
        except ChildProcessError:
            pass

    def wait(self, pid, timeout_s=60):
        def is_over():
            self.reap()
            return pid in self.ended

        wait_until(f"the end of pid {pid}", is_over, timeout_s)
        return self.ended.pop(pid)

    def wait_none_left(self):
        def is_empty():
            self.reap()
            return not descendants(os.getpid())

        wait_until("all processes to be gone", is_empty)

    def kill_all(self):
        for _ in range(200):
            left = descendants(os.getpid())
            if not left:
                return
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.reap()
            time.sleep(0.01)


REAPER = Reaper()
DIRECTORY = tempfile.mkdtemp(prefix="bpfckpt-app.")
os.chmod(DIRECTORY, 0o755)


def _clean():
    REAPER.kill_all()
    if os.environ.get("BPFCKPT_KEEP") or failed and os.environ.get("BPFCKPT_KEEP_FAILED"):
        print("kept:", DIRECTORY)
    else:
        shutil.rmtree(DIRECTORY, ignore_errors=True)


atexit.register(_clean)


def _end(number, _):
    """Told to end (ctest is, and its group with it): what the test started would run on for ever."""
    if os.getpid() != OWN_PID:  # a child that the script forked
        os._exit(128 + number)
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda *_: None)
    sys.exit(128 + number)


OWN_PID = os.getpid()
for _number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, _end)


def run(argv, timeout_s=60, **options):
    """Runs a command to its end; (wait status as subprocess gives it, output)."""
    output = tempfile.TemporaryFile()
    # Not through subprocess.run: the subreaper's waitpid(-1) must not race with its own.
    process = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options)
    try:
        status = process.wait(timeout_s * PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        fail(f"{' '.join(argv)} does not end")
    output.seek(0)
    return status, output.read().decode(errors="replace")


def start(argv, output, **options):
    """Starts a program in its own session; stdin /dev/null, stdout and stderr appended to `output`."""
    with open(output, "ab") as out:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **options
        )
    process.returncode = 0  # the Reaper collects it, not the object
    return process.pid


@functools.cache
def options_of(action):
    """Its options as --help lists them: by each of its words, whether a value follows."""
    _, text = run([BPFCKPT, action, "--help"])
    options = {}
    for words, value in re.findall(r"^  (-[^\s,]+(?:, -[^\s,]+)*)( \S+)?", text, re.M):
        options |= dict.fromkeys(words.split(", "), value is not None and value != "")
    return options


def known_to_diagnose(words):
    """What of the words of a dump says what is allowed, not how it is done."""
    known = []
    rest = iter(words)
    for word in rest:
        name = word.replace("--no-", "--", 1)
        joined = name.startswith("--") and "=" in name or re.fullmatch(r"-v\w+", name)
        name = name.split("=")[0] if name.startswith("--") else name[:2]
        if name not in options_of("dump"):
            fail(f"{word}: not an option that dump --help lists")
        value = [next(rest)] if options_of("dump")[name] and not joined else []
        # Of those of every action, the log is the dump's own.
        if name in options_of("diagnose") and name not in ("--json", "-o", "--output", "--log-file"):
            known += [word, *value]
    return known


class Diagnosis:
    """What diagnose says of a tree that is about to be dumped with `words`.

    A tree may be met in the middle of something that the dump, a moment later, finds over: a process that is just ending, a
    descriptor that was closed between two looks. So a no is asked for again, and told if it was of that kind. What is there
    every time is no such moment."""

    ASKED = 3

    def __init__(self, pid, words):
        for turn in range(self.ASKED):
            self.status, self.text = run([BPFCKPT, "diagnose", "--json", "--unsupported", "-t", str(pid), *known_to_diagnose(words)])
            if self.status not in (0, 1):
                self.refusals = []
                return
            report = json.loads(self.text.splitlines()[-1])  # warnings stand before it
            if "error" in report:
                fail(f"diagnose: {self.text}")
            self.refusals = sorted(self._line(process["pid"], item) for process in report["processes"] for item in process["items"])
            if self.status == 0:
                if turn > 0:
                    print("diagnose says no of what is over when it is asked again:", *before, sep="\n  ", flush=True)
                return
            before = self.refusals

    @staticmethod
    def _line(pid, item):
        """As dump says it (diagnose/findings.cc: to_line())."""
        line = f"pid {pid}: "
        if item["subject"] != "process":
            line += item["subject"] + (f" ({item['name']})" if item["name"] else "") + ": "
        return without_holders(line + item["reason"] + (f" ({item['hint']} helps)" if item["hint"] else ""))

    def must_be_yes(self, why):
        if self.status != 0:
            fail(f"diagnose exits with {self.status}, and but for this the tree can be dumped: {why}\n{self.text}")

    def must_agree(self, status, text):
        """With a dump that ended so."""
        if self.status != {3: 1}.get(status, status):
            fail(f"diagnose exits with {self.status}, dump with {status}:\n{self.text}\n{text}")
        refused = sorted(without_holders(line) for line in re.findall(r"^(?:dump: )?(pid \d+: .*)", text, re.M)) if status == 3 else []
        if refused != self.refusals:
            fail("diagnose and dump give different reasons:\n  " + "\n  ".join([*self.refusals, "dump:", *refused, text]))


def without_holders(line):
    """Processes outside of the tree come and go."""
    return re.sub(r"; pid \d+ \(.* has (it|the other end)", "", line)


def dump(pid, images, *words, before=(), spoiled=None, stopped=None, **options):
    """Every dump of a script goes through here: runs `bpfckpt dump`, under the command `before`, and gives its status and
    output. Fails unless diagnose agrees with it: yes where it succeeds, no and for the same reasons where it refuses.
    `spoiled` says what, that is no property of the tree, the script does to the dump, and `stopped` what is refused that
    only a stopped tree shows (docs/diagnose.md has all of it): then diagnose has to say yes."""
    diagnosis = Diagnosis(pid, words)
    status, text = run([*before, BPFCKPT, "dump", "-t", str(pid), "-D", images, *words], **options)
    if stopped is not None:
        diagnosis.must_be_yes(stopped)
        if status != 3:
            fail(f"dump exits with {status}, and should refuse {stopped}: {text}")
    elif spoiled is None:
        diagnosis.must_agree(status, text)
    else:
        diagnosis.must_be_yes(spoiled)
        if status == 3:
            fail(f"dump blames the tree, not what is wrong ({spoiled}): {text}")
    return status, text


def start_dump(pid, images, *words, spoiled, **options):
    """The same for a dump that the script does something to while it runs."""
    Diagnosis(pid, words).must_be_yes(spoiled)
    return subprocess.Popen([BPFCKPT, "dump", "-t", str(pid), "-D", images, *words], **options)


class Checkpointed:
    """A program, running or as images."""

    def __init__(self, argv, **options):
        self.output = os.path.join(DIRECTORY, "output")
        self.pid = start(argv, self.output, **options)
        self.cycles = 0
        self.dump_args = []
        self.restore_args = []

    def text(self):
        return read(self.output)

    def wait_text(self, text, timeout_s=60):
        def is_there():
            REAPER.reap()
            if self.pid in REAPER.ended:
                fail(f"the program ended with status {REAPER.ended[self.pid]}:\n{self.text()}")
            return text in self.text()

        wait_until(f"'{text}' in the output", is_there, timeout_s)

    def tree(self):
        return [self.pid] + descendants(self.pid)

    def images(self):
        path = os.path.join(DIRECTORY, f"images.{self.cycles}")
        os.makedirs(path, exist_ok=True)
        return path

    def dump(self):
        tree = self.tree()
        if NO_CHECKPOINT:
            return tree
        images = self.images()
        status, output = dump(self.pid, images, "-v4", "-o", "dump.log", *self.dump_args)
        if status != 0:
            fail(f"dump exits with {status}: {output}\n{read(images + '/dump.log')}")
        REAPER.wait_none_left()
        if REAPER.ended.pop(self.pid, None) != signal.SIGKILL:
            fail("the root was not killed by dump")
        for pid in tree:
            if os.path.exists(f"/proc/{pid}"):
                fail(f"pid {pid} is still there")
        return tree

    def restore(self):
        if NO_CHECKPOINT:
            return
        images = self.images()
        status, output = run([BPFCKPT, "restore", "-d", "-D", images, "-v4", "-o", "restore.log", *self.restore_args])
        if status != 0:
            fail(f"restore exits with {status}: {output}\n{read(images + '/restore.log')}")

    def cycle(self):
        """One dump and restore."""
        tree = self.dump()
        self.restore()
        # The tree runs: some of it may have ended or be new by now, but nothing else may hang below us.
        wait_until("restore to leave nothing behind but the tree", self.is_alone)
        self.cycles += 1
        print(f"cycle {self.cycles}: {len(tree)} processes", flush=True)

    def is_alone(self):
        REAPER.reap()
        below = set(descendants(os.getpid()))
        return not below - set(self.tree())

    def finish(self, timeout_s=120):
        """Waits for the end, which must be exit status 0; gives the output."""
        status = REAPER.wait(self.pid, timeout_s)
        if status != 0:
            fail(f"the program ended with status {status}:\n{self.text()}")
        return self.text()

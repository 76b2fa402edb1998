# SPDX-License-Identifier: Apache-2.0
"""Drives a real program through checkpoints: start it, dump and restore it, see how it ends.

A script makes one `Checkpointed`, waits for progress in the program's output, calls cycle(), and ends with
finish(). Everything that descends from the script is killed and reaped when the script ends.
"""

import atexit
import ctypes
import os
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

    def diagnose(self):
        """It says yes to what is going to be dumped. It knows the options that allow things, not those that say how. A tree
        that is in the middle of something may be met so, but not again and again."""
        words = []
        rest = iter(self.dump_args)
        for word in rest:
            if word in ("--timeout", "--action-script"):
                next(rest)
            elif word not in ("-R", "--leave-running", "--ghost-fiemap"):
                words.append(word)
        for _ in range(3):
            status, output = run([BPFCKPT, "diagnose", "--unsupported", "-t", str(self.pid), *words])
            if status == 0:
                return
        fail(f"diagnose exits with {status}, and dump is asked for: {output}")

    def dump(self):
        tree = self.tree()
        if NO_CHECKPOINT:
            return tree
        self.diagnose()
        images = self.images()
        status, output = run([BPFCKPT, "dump", "-t", str(self.pid), "-D", images, "-v4", "-o", "dump.log", *self.dump_args])
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

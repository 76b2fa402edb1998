# SPDX-License-Identifier: Apache-2.0
"""Guests: where kernels come from, how one is booted, and what its log says against it."""
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("BPFCKPT_CACHE")
                     or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "bpfckpt"))

# What the tests do not need and what takes an emulated guest long to probe.
NEEDLESS_MODULES = "ahci,cdrom,iTCO_wdt,kvm_amd,kvm_intel,pcspkr,powernow_k8,psmouse,sr_mod"

# What a kernel says of a bug. "[#1]" is the end of an oops' first line, whatever it was ("divide error: 0000 [#1]").
BUG = (r"WARNING: |BUG: |Oops: |kernel BUG at|general protection fault, probably|\[#\d+\]"
       r"|possible (circular|recursive) locking|inconsistent lock state|trying to register non-static key"
       r"|KASAN|UBSAN|KFENCE|unable to handle|scheduling while atomic|suspicious RCU usage|Kernel panic")
# What it says where something took long: a bug, or an emulated machine that was not given a processor.
LONG = (r"INFO: task .* blocked (in I/O wait )?for more than|INFO: rcu.*(stall|detected)|rcu: INFO: .*stall"
        r"|soft lockup|hard LOCKUP|workqueue lockup")
SPLAT = re.compile(f"{BUG}|{LONG}")
TOOK_LONG = re.compile(LONG)

# vmtest/guest writes this to the kernel's log before it does anything.
TESTS_BEGIN = "bpfckpt: the tests begin"

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

# Where each session has its share of the processors (CONFIG_SCHED_AUTOGROUP), a nice value says nothing to others.
BEHIND_OTHERS = ["/bin/sh", "-c", '{ echo 10 >/proc/self/autogroup; } 2>/dev/null; exec nice -n 10 "$@"', "sh"]

# An emulated guest is 10 to 20 times slower than the machine.
BOOT_SECONDS = 600
# With several processors a kernel that patches its own code trips over qemu's emulation of that now and then (an oops
# "int3" at boot).
CPUS = len(os.sched_getaffinity(0))
CPUS_WITH_KVM = min(4, CPUS)
CPUS_EMULATED = 1
EMULATED_CPU = "max"
# Its time goes on while the machine does something else. Nobody attacks it.
EMULATED_KERNEL = ["rcupdate.rcu_cpu_stall_timeout=300", "mitigations=off"]
# What is allowed to take so many times longer: a test that hangs is not worth more than that.
PATIENCE_WITH_KVM = 3
PATIENCE_EMULATED = 30


def say(text):
    print(f"vmtest: {text}", flush=True)


def lines_of(path):
    """The lines of a list: what follows '#' is comment."""
    if not path.exists():
        return []
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def run_group(words, seconds, **how):
    """Runs a program in a session of its own, of which nothing is left when this returns. Its exit status, or None if
    it took longer."""
    child = None
    try:
        # Not in between: a child that runs before we know of it would be left.
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            child = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True,
                                     preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, signals), **how)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()


def end_with_signals():
    """Guests and what boots them end with us, also when we are told so twice (timeout(1) tells a child and its group)."""
    def end(number, _):
        for each in ENDING:
            signal.signal(each, lambda *_: None)  # not SIG_IGN: Python complains of one that is on its way
        sys.exit(128 + number)

    for number in ENDING:
        signal.signal(number, end)


def run_at_once(jobs, most):
    """Runs functions that give a bool, each in a process of its own, `most` at a time. True if all gave True; nothing of
    them is left when this returns."""
    fork = multiprocessing.get_context("fork")
    waiting, running, good = list(jobs), [], True
    try:
        while waiting or running:
            while waiting and len(running) < most:
                job = waiting.pop(0)
                process = fork.Process(target=lambda job=job: sys.exit(0 if job() else 1))
                process.start()
                running.append(process)
            multiprocessing.connection.wait([process.sentinel for process in running])
            for process in [process for process in running if not process.is_alive()]:
                running.remove(process)
                good = process.exitcode == 0 and good
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.join()
    return good


def fetch(*what, seconds=None):
    """The directory of it, or None where it cannot be had, or not in that time."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as answer:
        status = run_group([HERE / "fetch", *what], seconds, stdout=write_end)
        os.close(write_end)
        if status is None:
            say(f"fetching {' '.join(what)} took longer than {seconds:.0f} s")
        return pathlib.Path(answer.read().strip()) if status == 0 else None


def image_in(kernel):
    """The kernel image of an unpacked package, or of a kernel source tree."""
    for pattern in ("boot/vmlinuz-*", "lib/modules/*/vmlinuz", "arch/x86/boot/bzImage"):
        for found in sorted(kernel.glob(pattern)):
            return found
    sys.exit(f"vmtest: {kernel} holds no kernel image")


def memory_mib(guests):
    """Of each of so many guests: 4 GiB, or its share of half of what a small machine has to give."""
    match = re.search(r"MemAvailable: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text())
    return max(1536, min(4096, int(match[1]) // 2048 // guests)) if match else 4096


class Guest:
    """Boots a kernel and runs one shell command in it."""

    def __init__(self, virtme, kvm, most=1):
        self.virtme, self.kvm, self.most = virtme, kvm, most

    def cpus(self):
        return CPUS_WITH_KVM if self.kvm else CPUS_EMULATED

    def at_once(self):
        """So many are booted beside one another, of `most`."""
        return 1 if self.kvm else max(1, min(self.most, CPUS // CPUS_EMULATED))

    def patience(self):
        return PATIENCE_WITH_KVM if self.kvm else PATIENCE_EMULATED

    def run(self, kernel, command, out, log, seconds):
        """True if the guest came to its end in time."""
        kdir = (kernel / ".config").exists()
        words = [*BEHIND_OTHERS, str(HERE / "virtme-run")]
        words += ["--kdir", str(kernel)] if kdir else ["--kimg", str(image_in(kernel))]
        words += ["--mods=auto", "--force-9p", "--disable-microvm", "--show-boot-console",
                  "--busybox", str(self.virtme / "bin/busybox"),
                  "--cpus", str(self.cpus()), "--memory", f"{memory_mib(self.at_once())}M",
                  "--overlay-rwdir", "/etc", "--overlay-rwdir", "/var",
                  "--rwdir", f"{out}={out}", "--script-sh", command,
                  "--kopt", f"module_blacklist={NEEDLESS_MODULES}"]
        if not self.kvm:
            words += [word for option in EMULATED_KERNEL for word in ("--kopt", option)]
            words += ["--disable-kvm", "--qemu-opts", "-cpu", EMULATED_CPU]  # --qemu-opts takes all that follows
        environment = dict(os.environ)
        environment["PYTHONPATH"] = str(self.virtme / "usr/lib/python3/dist-packages")
        environment["TMPDIR"] = str(out)  # virtme-run leaves some behind when it is killed
        environment["PATH"] = f"{self.virtme / 'usr/bin'}:{environment['PATH']}:/usr/sbin:/sbin"
        with open(log, "wb") as console:
            return run_group(words, seconds, cwd="/", env=environment, stdout=console,
                             stderr=subprocess.STDOUT) is not None


def kvm_works(virtme, kernel, scratch, remember=True):
    """Whether a guest boots with KVM; tried once a boot of this machine, since a nested one may just hang. `remember`: of
    a kernel that may not boot anywhere, what was seen says nothing about the next one."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    verdict = CACHE / "vmtest/kvm"
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    if verdict.exists() and verdict.read_text().split()[:1] == [boot]:
        return verdict.read_text().split()[1] == "yes"
    say("trying KVM")
    mark = scratch / "kvm-booted"
    mark.unlink(missing_ok=True)
    Guest(virtme, True).run(kernel, f"touch {shlex.quote(str(mark))}", scratch, scratch / "kvm.log", 60)
    works = mark.exists()
    if works or remember:
        verdict.write_text(f"{boot} {'yes' if works else 'no'}\n")
    say("KVM works" if works else "KVM does not boot a guest here: emulating")
    return works


def judge_kernel(*logs):
    """What the kernel said of bugs that is not allowed: what it said at boot, and since the tests began."""
    allowed = [re.compile(line) for line in lines_of(HERE / "allowed-messages.txt")]
    boot, tests = {}, {}
    for log in logs:
        text = log.read_text(errors="replace") if log.exists() else ""
        seen = boot if TESTS_BEGIN in text else tests
        for line in text.splitlines():
            message = re.sub(r"^\[ *[0-9.]+\]( \[[^]]*\])? ?", "", line.strip())
            if TESTS_BEGIN in message:
                seen = tests
            elif SPLAT.search(message) and not any(pattern.search(message) for pattern in allowed):
                seen[message] = None
    return [message for message in boot if message not in tests], list(tests)


class Run:
    """One boot: a fresh directory for its results, the guest's script in it, and what was wrong."""

    def __init__(self, guest, name, kernel, build, seconds, out=None):
        self.guest, self.name, self.kernel, self.build, self.seconds = guest, name, kernel, build, seconds
        self.out = out or build / "vmtest" / name
        if out is None:
            shutil.rmtree(self.out, ignore_errors=True)
            self.out.mkdir(parents=True)
        self.started = time.monotonic()
        self.wrong = []
        self.boot_messages, self.messages = [], []  # of the kernel, about bugs
        self.late = False  # it was too slow

    def script(self, *words, limit=None):
        """Runs vmtest/guest with these; True if it came to its end, whatever it says itself."""
        (self.out / "status").unlink(missing_ok=True)
        command = " ".join(shlex.quote(str(word))
                           for word in (HERE / "guest", self.build, self.out, self.seconds, self.guest.patience(), *words))
        limit = limit or BOOT_SECONDS + self.seconds
        ended = self.guest.run(self.kernel, command, self.out, self.out / "console.log", limit)
        if not ended:
            self.late = True
            self.wrong.append(f"not ended after {limit:.0f} s; see {self.out}/console.log")
        elif not self.status():
            self.wrong.append(f"the guest did not get as far as its script's end; see {self.out}/console.log")
        self.boot_messages, self.messages = judge_kernel(self.out / "dmesg", self.out / "console.log")
        self.wrong += [f"kernel message: {message}" for message in self.boot_messages + self.messages]
        return ended and self.status() != ""

    def status(self):
        """The script's, or "" where it did not come to its end."""
        status = self.out / "status"
        return status.read_text().strip() if status.exists() else ""

    def began(self):
        """Whether the guest got as far as its script."""
        log = self.out / "guest.log"
        return log.exists() and log.stat().st_size != 0

    def age(self):
        return time.monotonic() - self.started

    def over(self):
        """Tells what was wrong; True if nothing was."""
        say(f"{self.name}: {'FAILED' if self.wrong else 'passed'} after {self.age():.0f} s; results in {self.out}")
        for line in self.wrong:
            say(f"{self.name}:   {line}")
        return not self.wrong

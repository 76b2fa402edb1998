#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-timeout: 600
"""A bpfckpt that gets no processor for a while, at any moment of a dump: the dump succeeds all the same, and the
processes go on as if nothing had happened."""
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

# The others make it longer from one end of a portion of processes to the other. What checks itself comes last.
PROGRAM = """
import os, subprocess, sys
others = [subprocess.Popen(['sleep', '10000']) for i in range(14)]
status = subprocess.call([os.environ['BPFCKPT_SELF_CHECK'], sys.argv[1]])
for other in others:
    other.kill()
    other.wait()
sys.exit(abs(status))
"""
PROCESSES = 17
GATE = "128 "  # rt_sigtimedwait(), in which a target waits for bpfckpt on its way in and out
STOPPED_S = 1.5  # longer than a target waits on its way in

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")


def comes_to_gate(dump, pid, times):
    """Waits until the process is in its gate for the `times`th time; false if the dump ended before."""
    while True:
        for inside in [True] if times == 1 else [True, False]:
            while ckpt.read(f"/proc/{pid}/syscall").startswith(GATE) != inside:
                if dump.poll() is not None:
                    return False
        times -= 1
        if times == 0:
            return True


def comes_to_any_moment(dump):
    time.sleep(rng.uniform(0, length_s))
    return dump.poll() is None


work = ckpt.DIRECTORY
rng = random.Random(11)
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, work])
ckpt.wait_until("all processes", lambda: len(app.tree()) == PROCESSES)
pids = app.tree()


def start_dump(images):
    os.makedirs(images)
    return ckpt.start_dump(
        app.pid, images, "-R", "-v4", "-o", "dump.log", spoiled="it is stopped",
        # A stopped member has the kernel end a process group whose parent goes: not the group of all tests.
        process_group=0, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )


undisturbed = start_dump(os.path.join(work, "first"))
begin = time.monotonic()
if undisturbed.wait() != 0:
    ckpt.fail(f"an undisturbed dump exits with {undisturbed.returncode}: {undisturbed.stderr.read().decode()}")
length_s = time.monotonic() - begin
moments = {
    "on the way in": lambda dump: comes_to_gate(dump, pids[-1], 1),
    "on the way out": lambda dump: comes_to_gate(dump, pids[-1], 2),
    "anywhere": comes_to_any_moment,
}
gone_home = 0
for number in range(30):
    # Some of them come too late: a gate may be left before it was seen.
    if number >= 4 and gone_home != 0:
        break
    for name, comes in moments.items():
        images = os.path.join(work, f"{name} {number}")
        dump = start_dump(images)
        came = comes(dump)
        dump.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S if came else 0)
        dump.send_signal(signal.SIGCONT)
        error = dump.stderr.read().decode(errors="replace")
        if dump.wait() != 0:
            ckpt.fail(f"round {number}, stopped {name}: dump exits with {dump.returncode}: {error}")
        again = ckpt.read(os.path.join(images, "dump.log")).count("went on by itself")
        gone_home += again
        print(f"round {number}: {name if came else 'not'} stopped, caught again {again} times", flush=True)
        status, text = ckpt.run([ckpt.BPFCKPT, "verify", "-D", images])
        if status != 0:
            ckpt.fail(f"round {number}, stopped {name}: {text}")
        subprocess.run(["rm", "-rf", images], check=True)
if gone_home == 0:
    ckpt.fail("no dump was stopped so that a target went home by itself")
if app.tree() != pids:
    ckpt.fail(f"{pids} became {app.tree()}")
open(os.path.join(work, "stop"), "w").close()
app.finish()

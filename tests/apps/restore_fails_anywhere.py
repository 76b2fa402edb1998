#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-lock: sysv-segments
# ctest-timeout: 600
"""Each system call that a restore of a rich tree makes fails, one in a run: the restore says so and leaves no process, no
name and no segment behind, or has done without that call, and the tree is whole."""
import ctypes
import errno
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import forbid
from rich_tree import RichTree

# Without these bpfckpt, or the loader of its program, cannot begin, or cannot end what it began: no restore's business.
NEVER = {"mmap", "munmap", "mprotect", "execve", "exit", "exit_group", "futex", "futex_waitv", "wait4", "waitid", "kill",
         "rt_sigreturn", "close", "write"}
# Without these nobody can.
TAKES_AWAY = {"unlink", "unlinkat", "rmdir", "shmctl"}

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
numbers = forbid.numbers()
tree = RichTree()
tree.app.dump()
names = tree.names()
segment = re.search(r"SEGMENT (\d+)", tree.app.text())[1]
libc = ctypes.CDLL(None)
status, plan = ckpt.run([ckpt.BPFCKPT, "restore", "--plan", "-D", tree.app.images()])
if status != 0:
    ckpt.fail(plan)
calls = sorted(name for name in set(re.findall(r"\b([a-z_0-9]+)\(", plan)) if name in numbers and name not in NEVER)
if len(calls) < 40:
    ckpt.fail(f"the plan makes only these calls: {calls}")
failed, without = [], []
for call in calls:
    token = tree.ask()
    process = subprocess.run([ckpt.BPFCKPT, "restore", "-d", "-D", tree.app.images()], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60 * ckpt.PATIENCE,
                             preexec_fn=lambda: forbid.forbid(numbers[call], errno.EPERM))
    if process.returncode == 0:
        without.append(call)
        # What a program cannot do itself any more it cannot check.
        ckpt.wait_until(f"the tree to be there without {call}", lambda: len(ckpt.descendants(os.getpid())) >= tree.processes)
        tree.kill()
        continue
    failed.append(call)
    if process.returncode < 0 or not process.stderr.strip():
        ckpt.fail(f"{call}: restore ends with {process.returncode}: {process.stderr.decode()}")
    ckpt.REAPER.reap()
    ckpt.wait_until(f"no process to be left ({call})", lambda: ckpt.REAPER.reap() or not ckpt.descendants(os.getpid()), 5)
    # The name of a socket that nobody has any more makes place for the new one.
    more = set(tree.names()) - set(names)
    if call in TAKES_AWAY:
        for name in more:
            path = os.path.join(tree.directory, name)
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
    elif more:
        ckpt.fail(f"{call}: there are {tree.names()}, and were {names}")
    if re.search(rf"^ *\d+ +{segment} ", ckpt.read("/proc/sysvipc/shm"), re.M):
        if call not in TAKES_AWAY:
            ckpt.fail(f"{call}: the System V segment {segment} is left")
        libc.shmctl(int(segment), 0, None)
print(len(failed), "fail it:", *failed)
print(len(without), "do not:", *without)
if len(failed) < 20:
    ckpt.fail("few of them matter")
# And after all of that it still restores.
token = tree.ask()
tree.app.restore()
tree.wait_checked(token)
tree.kill()

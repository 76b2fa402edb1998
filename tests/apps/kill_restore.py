#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-lock: sysv-segments
# ctest-timeout: 900
"""100 times kill -9 of the real `bpfckpt restore` at a random moment: no process of a half-made tree is left, and a new
restore works. A tree that ran already when bpfckpt died is whole: it checks itself, memory, files and sharing."""
import os
import random
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
from rich_tree import RichTree

ROUNDS = int(os.environ.get("KILL_ROUNDS", "100"))


def restore(kill_after_s=None):
    """True, or False if it was killed."""
    process = subprocess.Popen([ckpt.BPFCKPT, "restore", "-d", "-D", tree.app.images()], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        process.send_signal(signal.SIGKILL)
    status = process.wait()
    if status not in (0, -signal.SIGKILL):
        ckpt.fail(f"restore exits with {status}: {process.stderr.read().decode(errors='replace')}")
    process.stderr.close()
    return status == 0


def is_settled():
    ckpt.REAPER.reap()
    return tree.is_checked(token) or not ckpt.descendants(os.getpid())


def expect_whole():
    tree.wait_checked(token)
    if tree.names() != names_with_tree:
        ckpt.fail(f"restored, there are {tree.names()}, and were {names_with_tree}")


def forget_names():
    """A deleted file has its name back for a moment, in which bpfckpt may be killed. Then it is there, and the next restore
    leaves it alone, as it does with whomever's."""
    left = set(tree.names()) - set(names_with_tree)
    if left - {"gone", "place"}:
        ckpt.fail(f"a killed restore leaves {sorted(left)}")
    for name in left:
        path = os.path.join(tree.directory, name)
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
    return len(left)


def segments():
    return sorted(line.split()[1] for line in ckpt.read("/proc/sysvipc/shm").splitlines()[1:])


if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
segments_before = segments()
tree = RichTree()
names_with_tree = tree.names()
# A segment that is not marked as removed again yet stays where bpfckpt is killed. The next restore takes it for its own.
own_segment = re.search(r"SEGMENT (\d+)", tree.app.text())[1]
tree.app.dump()
begin = time.monotonic()
token = tree.ask()
restore()
length = time.monotonic() - begin
expect_whole()
tree.kill()
killed = whole = completed = names = 0
while killed < ROUNDS:
    token = tree.ask()
    begin = time.monotonic()
    may_stay = {own_segment}
    if restore(random.uniform(0, length * 1.1)):
        completed += 1
        may_stay = set()
        length = (length + time.monotonic() - begin) / 2
        expect_whole()
    else:
        killed += 1
        ckpt.wait_until("all of the tree to be there, or nothing of it", is_settled)
        whole += tree.is_checked(token)
        names += forget_names()
    tree.kill()
    if set(segments()) - may_stay != set(segments_before):
        ckpt.fail(f"System V segments: {segments()}, and were {segments_before}")
    if completed > 10 * ROUNDS:
        ckpt.fail(f"only {killed} restores were caught alive")
# The last word is a restore's that nobody kills.
token = tree.ask()
restore()
expect_whole()
tree.kill()
if segments() != segments_before:
    ckpt.fail(f"System V segments: {segments()}, and were {segments_before}")
print(f"{killed} killed, {whole} of them when the tree ran already, {names} left a name, {completed} completed, {length * 1000:.0f} ms a restore")

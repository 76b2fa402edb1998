#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A dump's images are on the disk before its manifest has its name, and that before the tree is killed; of a tree that
runs on, nothing is synced before the last task is let go. strace sees the order. --no-sync syncs nothing."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

CALLS = "fsync,fdatasync,syncfs,sync,openat,renameat,renameat2,ptrace,kill,tgkill,pidfd_send_signal"
PROGRAM = r"""
import os, sys, time
memory = os.urandom(4 << 20)
if os.fork() == 0: time.sleep(1000)
print('READY', flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
os._exit(0)
"""


def traced_dump(*arguments):
    """The calls of a dump, in order, without what failed."""
    log = os.path.join(ckpt.DIRECTORY, "strace")
    command = [ckpt.need("strace"), "-f", "-qq", "-y", "-s", "300", "-o", log, "-e", "trace=" + CALLS]
    status, output = ckpt.dump(app.pid, app.images(), *arguments, before=command)
    if status != 0:
        ckpt.fail(f"dump under strace exits with {status}: {output}")
    return [line for line in ckpt.read(log).splitlines() if not re.search(r" = -1 E", line)]


def places(calls, pattern):
    return [at for at, line in enumerate(calls) if re.search(pattern, line)]


def check_order(calls, older):
    """What holds of each synced dump; `older`: the directory had a checkpoint."""
    directory = re.escape(os.path.realpath(app.images()))
    made = {re.search(rf"= \d+<({directory}/[^>]*)>", calls[at]).group(1) for at in places(calls, r"O_TMPFILE")}
    synced = {}
    for at in places(calls, rf"fsync\(\d+<{directory}/"):
        synced[re.search(r"<([^>]*)>", calls[at]).group(1)] = at
    if made - set(synced):
        ckpt.fail(f"never synced: {sorted(made - set(synced))}")
    named = places(calls, r'renameat\(.*"\.bpfckpt\.')
    exchanged = places(calls, r'renameat2?\(.*"\.bpfckpt\.manifest".*"manifest"')
    whole = places(calls, rf"fsync\(\d+<{directory}>")
    if not named or not exchanged or max(synced.values()) > min(named):
        ckpt.fail(f"a file got its name before all were synced: {synced} {named}")
    if not whole or max(whole) < exchanged[-1]:
        ckpt.fail("the directory is not synced after the manifest got its name")
    images_named = [at for at in named if at not in exchanged]
    if older and not any(max(images_named) < at < exchanged[-1] for at in whole):
        ckpt.fail("the directory is not synced before the manifest takes the older one's place")
    return min(synced.values()), max(whole)


if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
go_on = os.path.join(ckpt.DIRECTORY, "go_on")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, go_on])
app.wait_text("READY")

calls = traced_dump("--leave-running", "--no-sync")
if found := places(calls, r"\b(fsync|fdatasync|syncfs|sync)\("):
    ckpt.fail(f"--no-sync: {calls[found[0]]}")

for older in (False, True):
    if not older:
        app.cycles += 1  # an empty directory
    calls = traced_dump("--leave-running")
    first, _ = check_order(calls, older)
    if max(places(calls, r"PTRACE_DETACH")) > first:
        ckpt.fail("something was synced while the tree stood still")

app.cycles += 1
calls = traced_dump()
_, last = check_order(calls, False)
killed = places(calls, rf"kill\({app.pid}, SIGKILL")
if not killed or min(killed) < last:
    ckpt.fail(f"the tree was killed before its checkpoint was on the disk: {killed} {last}")
ckpt.REAPER.wait_none_left()
ckpt.REAPER.ended.clear()
app.restore()
open(go_on, "w").close()
app.finish()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-lock: sysv-segments
"""What others do to a System V segment between dump and restore: who writes into it is told, and what was written is
replaced; who has it attached, has another segment under its key, or in its place, is named, and the restore refused.
A restore that fails leaves no segment behind."""
import ctypes
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
key, directory = int(sys.argv[1]), sys.argv[2]
segment = libc.shmget(key, 10000, 0o1600)
address = libc.shmat(segment, None, 0)
ctypes.memmove(address, b"as it was", 9)
print("SEGMENT", segment, flush=True)
while not os.path.exists(directory + "/go_on"): time.sleep(0.01)
assert ctypes.string_at(address, 10) == b"as it was\0"
assert ctypes.string_at(address + 9000, 1) == b"\0"
assert libc.shmget(key, 0, 0) == segment
assert libc.shmdt(ctypes.c_void_p(address)) == 0
assert libc.shmctl(segment, 0, None) == 0
print("VERIFIED", flush=True)
"""

KEY = 0x62706677
IPC_PRIVATE, IPC_CREAT, IPC_EXCL, IPC_RMID = 0, 0o1000, 0o2000, 0
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
old = libc.shmget(KEY, 0, 0)
if old >= 0:
    libc.shmctl(old, IPC_RMID, None)

app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, str(KEY), ckpt.DIRECTORY])
app.wait_text("SEGMENT")
segment = int(app.text().split()[1])
app.dump()


def refused(what, *more):
    status, output = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", app.images(), *more])
    if status == 0 or what not in output:
        ckpt.fail(f"restore exits with {status}, not with '{what}': {output}")
    if ckpt.descendants(os.getpid()):
        ckpt.fail("something is left of a failed restore")


if not ckpt.NO_CHECKPOINT:
    address = libc.shmat(segment, None, 0)
    refused(f"the last to come or go was pid {os.getpid()}")
    ctypes.memmove(address, b"changed!!", 9)
    ctypes.memmove(address + 9000, b"!", 1)
    libc.shmdt(ctypes.c_void_p(address))
    # Gone, with its key taken by another.
    libc.shmctl(segment, IPC_RMID, None)
    other = libc.shmget(KEY, 1, IPC_CREAT | IPC_EXCL | 0o600)
    refused(f"its key is that of segment {other} now")
    libc.shmctl(other, IPC_RMID, None)
    # Its place in the kernel's table is taken by another: kernel.shm_next_id gives one that place.
    with open("/proc/sys/kernel/shm_next_id", "w") as file:
        file.write(str((segment + (1 << 15)) & 0x7FFFFFFF))
    other = libc.shmget(IPC_PRIVATE, 1, IPC_CREAT | 0o600)
    if other & 0x7FFF != segment & 0x7FFF:
        ckpt.fail(f"segment {other} has not the place of segment {segment}")
    refused(f"segment {other} has its place")
    libc.shmctl(other, IPC_RMID, None)
    # Made again by a restore that fails afterwards.
    script = os.path.join(ckpt.DIRECTORY, "fails")
    with open(script, "w") as file:
        file.write('#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != post-restore ]\n')
    os.chmod(script, 0o755)
    refused("post-restore", "--action-script", script)
    if libc.shmget(KEY, 0, 0) >= 0:
        ckpt.fail("the segment of a failed restore is still there")
app.cycles = 0
app.restore()
app.cycles = 1
# Dumped again, and written into by somebody who is gone by the restore.
app.dump()
if not ckpt.NO_CHECKPOINT:
    address = libc.shmat(segment, None, 0)
    ctypes.memmove(address, b"changed!!", 9)
    ctypes.memmove(address + 9000, b"!", 1)
    libc.shmdt(ctypes.c_void_p(address))
app.restore()
told = f"pid {os.getpid()} had it attached since the checkpoint"
if not ckpt.NO_CHECKPOINT and told not in ckpt.read(app.images() + "/restore.log"):
    ckpt.fail("nobody says that the segment was attached by another")
open(os.path.join(ckpt.DIRECTORY, "go_on"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where userfaultfd(2) is not to be had (a kernel without it: ENOSYS; a container whose seccomp filter forbids it: EPERM), a
restore puts large memory in place another way. What restores is under such a filter, and so is what it restores."""
import ctypes
import errno
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import forbid

PROGRAM = r"""
import hashlib, mmap, os, sys, time
directory = sys.argv[1]
ordinary = os.urandom(100 << 20)
sparse = mmap.mmap(-1, 256 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, 256 << 20, 3 << 20): sparse[at:at + 300000] = os.urandom(300000)
def sums(): return [hashlib.sha256(part).hexdigest() for part in (ordinary, sparse)]
before = sums()
child = os.fork()
if child == 0: sparse[1 << 20:65 << 20] = os.urandom(64 << 20)  # some of it is shared with its parent, some its own
mine = sums()
print('READY', flush=True)
while not os.path.exists(directory + '/go_on'): time.sleep(0.01)
assert sums() == mine, 'memory'
if child == 0: os._exit(0)
assert mine == before
assert os.waitpid(child, 0)[1] == 0
print('VERIFIED', flush=True)
"""


def without_userfaultfd(error):
    forbid.forbid(number, error)
    if libc.syscall(number, 0o2000000 | 1) != -1 or ctypes.get_errno() != error:
        raise OSError(0, "the filter does not do what it should")


def uses(text):
    return sum("userfaultfd" in line for line in text.splitlines())


def restore(error, *more):
    status, text = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", app.images(), *more],
                            preexec_fn=(lambda: without_userfaultfd(error)) if error else None)
    if status != 0:
        ckpt.fail(f"without userfaultfd ({errno.errorcode.get(error)}) restore exits with {status}: {text}")
    return text


if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
number = forbid.numbers()["userfaultfd"]
libc = ctypes.CDLL(None, use_errno=True)
for error in (errno.ENOSYS, errno.EPERM):
    go_on = os.path.join(ckpt.DIRECTORY, "go_on")
    app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY])
    ckpt.wait_until("both processes", lambda: app.text().count("READY") == 2)
    app.dump()
    plan = uses(restore(0, "--plan"))
    if plan == 0 and "[always]" not in ckpt.read("/sys/kernel/mm/transparent_hugepage/enabled"):
        ckpt.fail("userfaultfd would not be used in the first place")
    if uses(restore(error, "--plan")) != 0:
        ckpt.fail("the plan is to use userfaultfd nevertheless")
    restore(error)
    open(go_on, "w").close()
    if "VERIFIED" not in app.finish():
        ckpt.fail(app.text())
    os.unlink(app.output)
    os.unlink(go_on)
    print("ok:", errno.errorcode[error], f"({plan} operations with userfaultfd otherwise)")

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""memfds in a pid namespace whose vm.memfd_noexec makes those that say nothing not executable: one that may be executed
comes back as such, one that may not as well, with modes and seals."""
import os
import shutil
import sys

SYSCTL = "/proc/sys/vm/memfd_noexec"
if os.environ.get("MEMFD_NAMESPACE") is None:
    unshare = shutil.which("unshare")
    if not unshare or not os.path.exists(SYSCTL):
        print("SKIP: program unshare" if not unshare else "SKIP: machine: vm.memfd_noexec", flush=True)
        sys.exit(77)
    os.environ["MEMFD_NAMESPACE"] = "1"
    os.execv(unshare, [unshare, "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv])

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

with open(SYSCTL, "w") as file:
    file.write("1")

PROGRAM = r"""
import fcntl, os, subprocess, sys, time
EXEC, NO_EXEC, F_GET_SEALS, F_ADD_SEALS = 0x10, 0x8, 1034, 1033
def facts(fd): return os.fstat(fd).st_mode, fcntl.fcntl(fd, F_GET_SEALS), os.pread(fd, 100, 0)
script = b'#!/bin/sh\necho executed\n'
fds = [os.memfd_create('m%d' % i, flags) for i, flags in enumerate((EXEC, EXEC | 2, NO_EXEC, 0, 2))]
for fd in fds: os.write(fd, script)
os.fchmod(fds[1], 0o600)
fcntl.fcntl(fds[4], F_ADD_SEALS, 0xf)
assert [os.fstat(fd).st_mode & 0o111 for fd in fds] == [0o111, 0, 0, 0, 0]
before = [facts(fd) for fd in fds]
print('READY', flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
assert [facts(fd) for fd in fds] == before, (before, [facts(fd) for fd in fds])
assert subprocess.check_output(['/proc/self/fd/%d' % fds[0]], pass_fds=fds) == b'executed\n'
os.fchmod(fds[1], 0o700)
try: os.fchmod(fds[2], 0o700)
except PermissionError: print('VERIFIED', flush=True)
os._exit(0)
"""
go_on = os.path.join(ckpt.DIRECTORY, "go_on")
app = ckpt.Checkpointed([sys.executable, "-c", PROGRAM, go_on])
app.wait_text("READY")
app.cycle()
app.cycle()
open(go_on, "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail("not all was verified: " + app.text())

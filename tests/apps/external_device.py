#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A device that stays behind (--external dev[MAJ/MIN]:NAME): restore takes the descriptor that it is given under that
name, and refuses a path that leads to another device by now."""
import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
node = os.path.join(ckpt.DIRECTORY, "node")
try:
    os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(10, 229))
    os.close(os.open(node, os.O_RDWR))
except OSError:
    ckpt.skip("machine: CAP_MKNOD and FUSE")
program = f"import os, time; f = os.open({node!r}, os.O_RDWR); print('READY', flush=True)\n"
program += "while True:\n time.sleep(0.01)\n"
program += " try: os.write(f, b'line\\n')\n"
program += " except OSError: pass\n"
program = ckpt.Checkpointed([ckpt.need("python3"), "-c", program])
program.wait_text("READY")
program.dump_args = ["--external", "dev[10/229]:connection"]
program.dump()
os.unlink(node)
os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(1, 3))
status, text = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", program.images()])
if status == 0 or f"{node}: is another device" not in text:
    ckpt.fail(f"restore with another device: {status} {text}")
other = os.path.join(ckpt.DIRECTORY, "other")
os.dup2(os.open(other, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 60)
command = [ckpt.BPFCKPT, "restore", "-d", "-D", program.images(), "--inherit-fd", "fd[60]:connection"]
status, text = ckpt.run(command, pass_fds=(60,))
if status != 0:
    ckpt.fail(f"restore: {status} {text}")
ckpt.wait_until("lines in the other file", lambda: "line\n" in ckpt.read(other))

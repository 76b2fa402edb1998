#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A file that stays behind (--external): its contents are not looked at, and restore wants another one by
--inherit-fd."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
log = os.path.join(ckpt.DIRECTORY, "log")
program = f"import os, time; f = open({log!r}, 'a'); os.unlink({log!r}); print('READY', flush=True)\n"
program += "while True: f.write('line\\n'); f.flush(); time.sleep(0.01)"
program = ckpt.Checkpointed([ckpt.need("python3"), "-c", program])
program.wait_text("READY")
mount = [line for line in ckpt.read(f"/proc/{program.pid}/fdinfo/3").splitlines() if line.startswith("mnt_id:")]
resource = f"file[{int(mount[0].split()[1]):x}:{os.stat(f'/proc/{program.pid}/fd/3').st_ino:x}]"
program.dump_args = ["--external", resource]
program.dump()
status, text = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", program.images()])
if status == 0 or resource not in text or "--inherit-fd" not in text:
    ckpt.fail(f"restore without the file: {status} {text}")
other = os.path.join(ckpt.DIRECTORY, "other")
os.dup2(os.open(other, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 60)
command = [ckpt.BPFCKPT, "restore", "-d", "-D", program.images(), "--inherit-fd", f"fd[60]:{resource}"]
status, text = ckpt.run(command, pass_fds=(60,))
if status != 0:
    ckpt.fail(f"restore: {status} {text}")
ckpt.wait_until("lines in the other file", lambda: "line\n" in ckpt.read(other))

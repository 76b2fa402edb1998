#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What inotify watches: unread events are told of before they are lost; a restore that does not find the targets as
they were names all of them and leaves nothing behind; put back, they are watched again."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import ctypes, os, sys, time
top = sys.argv[1]
libc = ctypes.CDLL(None)
fd = libc.inotify_init1(os.O_NONBLOCK)
for name in ('dir', 'file'):
    assert libc.inotify_add_watch(fd, (top + '/' + name).encode(), 0x100 | 0x2) > 0  # IN_CREATE, IN_MODIFY
os.mkdir(top + '/dir/unread')
print('READY', flush=True)
while not os.path.exists(top + '/go_on'): time.sleep(0.01)
try:
    sys.exit('an event that was lost: %r' % os.read(fd, 4096))
except BlockingIOError:
    pass
os.mkdir(top + '/dir/new')
assert os.read(fd, 4096)[:4] == b'\1\0\0\0'
open(top + '/file', 'w').write('x')
assert os.read(fd, 4096)[:4] == b'\2\0\0\0'
print('VERIFIED', flush=True)
"""
if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
top = os.path.join(ckpt.DIRECTORY, "watched")
directory, file = os.path.join(top, "dir"), os.path.join(top, "file")
os.makedirs(directory)
open(file, "w").close()
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, top])
app.wait_text("READY")

status, text = ckpt.run([ckpt.BPFCKPT, "diagnose", "-t", str(app.pid)])
if status != 0 or "1 event that was not read yet will be lost" not in text:
    ckpt.fail(f"diagnose: {status} {text}")
app.dump()
if "1 event that was not read yet will be lost" not in ckpt.read(app.images() + "/dump.log"):
    ckpt.fail("dump does not warn")

shutil.rmtree(directory)
os.unlink(file)
os.mkdir(file)
status, text = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", app.images()])
if status <= 0 or f"{directory}: No such file" not in text or f"{file}: is of another type" not in text:
    ckpt.fail(f"restore: {status} {text}")
ckpt.REAPER.wait_none_left()

os.rmdir(file)
open(file, "w").close()
os.mkdir(directory)
app.restore()
open(os.path.join(top, "go_on"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail("not verified")

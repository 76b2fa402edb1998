#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files on overlayfs: from below, written (copied up), mapped, deleted, in a directory that was removed. And a file over
whose directory something is mounted: dump says so, and names it, before anything is stopped."""
import os
import shutil
import subprocess
import sys

if os.environ.get("OVERLAY_NAMESPACE") is None:
    # Mounts of its own, which go with the script.
    unshare = shutil.which("unshare")
    if not unshare:
        print("SKIP: program unshare", flush=True)
        sys.exit(77)
    os.environ["OVERLAY_NAMESPACE"] = "1"
    os.execv(unshare, [unshare, "-m", "--propagation", "private", sys.executable, *sys.argv])

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import mmap, os, sys, time
top, other, go_on = sys.argv[1:]
def name(x): return os.path.join(top, x)
low = os.open(name('low'), os.O_RDONLY); os.lseek(low, 3, os.SEEK_SET)
fresh = os.open(name('fresh'), os.O_RDWR | os.O_CREAT); os.write(fresh, b'fresh')
copied = os.open(name('copied'), os.O_RDWR); os.pwrite(copied, b'UP', 0)
gone_low = os.open(name('gone_low'), os.O_RDONLY); os.unlink(name('gone_low'))
gone_up = os.open(name('gone_up'), os.O_RDWR); os.pwrite(gone_up, b'X', 0); os.unlink(name('gone_up'))
again = os.open('/proc/self/fd/%d' % gone_up, os.O_RDONLY)
os.mkdir(name('dir')); inside = os.open(name('dir/file'), os.O_RDWR | os.O_CREAT); os.write(inside, b'inside')
os.unlink(name('dir/file')); directory = os.open(name('dir'), os.O_RDONLY); os.rmdir(name('dir'))
with open(name('low'), 'rb') as f: mapped_low = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
mapped_up = mmap.mmap(copied, 0, flags=mmap.MAP_SHARED)
library = os.open(name('library'), os.O_RDONLY)
mapped_library = mmap.mmap(library, 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE); os.unlink(name('library'))
both = os.open(name('both'), os.O_RDWR); mapped_both = mmap.mmap(both, 0, flags=mmap.MAP_SHARED); os.unlink(name('both'))
lone = os.open(name('lone'), os.O_RDWR); mapped_lone = mmap.mmap(lone, 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
os.close(lone); os.unlink(name('lone'))
print('READY', flush=True)
while not os.path.exists(go_on): time.sleep(0.01)
assert os.read(low, 10) == b'content'[3:]
assert os.lseek(fresh, 0, os.SEEK_CUR) == 5 and os.pread(fresh, 9, 0) == b'fresh'
assert os.pread(copied, 9, 0) == b'UPntent'
assert os.pread(gone_low, 9, 0) == b'content' and os.fstat(gone_low).st_nlink == 0
assert os.pread(gone_up, 9, 0) == b'Xontent'
os.pwrite(gone_up, b'Y', 0)
assert os.pread(again, 9, 0) == b'Yontent'
assert os.pread(inside, 9, 0) == b'inside' and os.fstat(directory).st_nlink == 0
assert mapped_low[:] == b'content'
mapped_up[0:1] = b'D'
assert os.pread(copied, 9, 0) == b'DPntent'
assert mapped_library[:] == b'content' and os.read(library, 9) == b'content' and mapped_lone[:] == b'content'
mapped_both[0:1] = b'M'
assert os.pread(both, 9, 0) == b'Montent'
assert sorted(os.listdir(top)) == ['copied', 'fresh', 'low'], os.listdir(top)
print('VERIFIED', flush=True)
os._exit(0)
"""
if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
base = os.path.join(ckpt.DIRECTORY, "overlay")
for name in ("lower", "upper", "work", "top", "other"):
    os.makedirs(os.path.join(base, name))
for name in ("low", "copied", "gone_low", "gone_up", "library", "both", "lone"):
    with open(os.path.join(base, "lower", name), "w") as file:
        file.write("content")
top = os.path.join(base, "top")
options = ",".join(f"{x}dir={base}/{x}" for x in ("lower", "upper", "work"))
if subprocess.call(["mount", "-t", "overlay", "overlay", "-o", options, top]) != 0:
    ckpt.skip("overlayfs")

go_on = os.path.join(ckpt.DIRECTORY, "go_on")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, top, base + "/other", go_on])
app.wait_text("READY")
app.cycle()
app.cycle()
# Something is mounted over its files.
subprocess.check_call(["mount", "-t", "tmpfs", "tmpfs", top])
status, text = ckpt.dump(app.pid, app.images())
if status != 3 or top + "/low" not in text or "something is mounted over it" not in text:
    ckpt.fail(f"dump of covered files exits with {status}: {text}")
subprocess.check_call(["umount", top])
with open(go_on, "w"):
    pass
if ckpt.REAPER.wait(app.pid) != 0 or "VERIFIED" not in app.text():
    ckpt.fail("the program failed: " + app.text())
subprocess.check_call(["umount", top])

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A restore that cannot succeed leaves no process behind and names its reasons: taken pids (all of them), damaged or
missing images, files that are gone or have changed (all of them)."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import os, sys, threading, time
directory = sys.argv[1]
memory = os.urandom(24 << 20)  # more than a small process has: bpfckpt checks it while it puts it into place
data, more, last = [open(directory + '/' + name) for name in ('data', 'more', 'last')]
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
children = [os.fork() for _ in range(1)]
if children[0] == 0:
    time.sleep(1000)
print('READY', flush=True)
while not os.path.exists(directory + '/go_on'): time.sleep(0.01)
os.kill(children[0], 9)
os.waitpid(children[0], 0)
assert data.read() == 'content'
print('VERIFIED', flush=True)
os._exit(0)
"""
if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
for name in ("data", "more", "last"):
    with open(os.path.join(ckpt.DIRECTORY, name), "w") as file:
        file.write("content")
    os.chmod(os.path.join(ckpt.DIRECTORY, name), 0o640)
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY])
app.wait_text("READY")
ckpt.wait_until("both processes", lambda: len(app.tree()) == 2)
tree = app.tree()
images = app.images()


def restore(directory):
    return ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", directory])


def expect_failure(what, directory, *words):
    before = ckpt.descendants(os.getpid())
    status, text = restore(directory)
    if status == 0 or status < 0:
        ckpt.fail(f"{what}: restore exits with {status}")
    for word in words:
        if word not in text:
            ckpt.fail(f"{what}: '{word}' is not in: {text}")

    def nothing_new():
        ckpt.REAPER.reap()
        return ckpt.descendants(os.getpid()) == before

    ckpt.wait_until(f"no process to be left ({what})", nothing_new, 5)
    print("ok:", what, "->", text.strip())


# Taken pids: the tree itself still runs.
status, text = ckpt.dump(app.pid, images, "-R")
if status != 0:
    ckpt.fail(text)
expect_failure("taken pids", images, *(str(pid) for pid in tree))
if app.tree() != tree:
    ckpt.fail("the running tree suffered")

shutil.rmtree(images)
app.dump()

broken = os.path.join(ckpt.DIRECTORY, "broken")
names = os.listdir(images)
for name in names:
    if name.endswith(".log"):
        continue
    shutil.rmtree(broken, ignore_errors=True)
    shutil.copytree(images, broken)
    path = os.path.join(broken, name)
    os.unlink(path)
    expect_failure(f"{name} is missing", broken, name)
    size = os.path.getsize(os.path.join(images, name))
    if size == 0:
        continue
    shutil.copy(os.path.join(images, name), path)
    with open(path, "r+b") as file:
        file.truncate(size - 1)
    expect_failure(f"{name} is cut", broken)
    for place in sorted({0, size // 2, size - 1}):
        shutil.copy(os.path.join(images, name), path)
        with open(path, "r+b") as file:
            file.seek(place)
            byte = file.read(1)
            file.seek(place)
            file.write(bytes([byte[0] ^ 0x40]))
        expect_failure(f"{name} is damaged at {place} of {size}", broken, *(["damaged"] if name.endswith(".img") else []))
data = os.path.join(ckpt.DIRECTORY, "data")
os.rename(data, data + ".away")
expect_failure("an open file is gone", images, data)
with open(data, "w") as file:
    file.write("other content")
expect_failure("an open file has another size", images, data)
more, last = [os.path.join(ckpt.DIRECTORY, name) for name in ("more", "last")]
os.chmod(more, 0o604)
os.rename(last, last + ".away")
os.mkdir(last)
expect_failure("three files have changed", images, f"{data}: has 13 bytes, had 7", f"{more}: has mode 604, had 640", f"{last}: is of another type")
os.rmdir(last)
os.rename(last + ".away", last)
os.chmod(more, 0o640)
os.rename(data + ".away", data)
expect_failure("no images at all", ckpt.DIRECTORY, "manifest")
# And after all of that it still restores.
app.restore()
open(os.path.join(ckpt.DIRECTORY, "go_on"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

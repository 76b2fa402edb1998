#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Names that --link-remap made go with a dump that fails, and after one that was killed with `bpfckpt clean` or the next
dump; those of a complete checkpoint stay, also if bpfckpt was killed right after it was complete."""
import os
import signal
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import os, sys, time
home, away, go_on = sys.argv[1:]
files = []
for n in range(3):
    files.append(os.open(f'{home}/opened{n}', os.O_RDWR | os.O_CREAT, 0o600)); os.write(files[-1], b'content')
    os.link(f'{home}/opened{n}', f'{away}/other{n}'); os.unlink(f'{home}/opened{n}')
print('READY', flush=True)
while not os.path.exists(go_on): time.sleep(0.01)
for n, fd in enumerate(files):
    assert os.fstat(fd).st_ino == os.stat(f'{away}/other{n}').st_ino and os.fstat(fd).st_nlink == 1
    assert os.pread(fd, 9, 0) == b'content'
assert os.listdir(home) == [], os.listdir(home)
print('VERIFIED', flush=True)
"""
PREFIX = ".bpfckpt-link-"
RECORD = ".bpfckpt.links"
if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
strace = ckpt.need("strace")


def directory(name):
    path = os.path.join(ckpt.DIRECTORY, name)
    os.makedirs(path)
    return path


home, away = directory("home"), directory("away")
go_on = os.path.join(ckpt.DIRECTORY, "go_on")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, home, away, go_on])
app.wait_text("READY")
app.dump_args = ["--link-remap"]


def names():
    return sorted(name for name in os.listdir(home) if name.startswith(PREFIX))


def dump(images, *more, before=(), spoiled):
    return ckpt.dump(app.pid, images, "--link-remap", *more, before=before, spoiled=spoiled)


def killed_dump(images):
    """Killed when it has made two of the names: each is followed by putting the directory's times back."""
    kill = ["-e", "trace=utimensat", "-e", "inject=utimensat:signal=SIGKILL:when=2"]
    status, output = dump(images, before=[strace, "-f", "-qq", "-o", "/dev/null", *kill], spoiled="it is killed")
    if status == 0 or len(names()) != 2:
        ckpt.fail(f"the dump was not killed in time: {status}, {names()}: {output}")
    if RECORD not in os.listdir(images) or "manifest" in os.listdir(images):
        ckpt.fail(f"a killed dump left {os.listdir(images)}")


def clean(images, links):
    status, output = ckpt.run([ckpt.BPFCKPT, "clean", "--json", "-D", images])
    if status != 0 or f'"links":{links}' not in output:
        ckpt.fail(f"clean exits with {status}, expected {links} names: {output}")
    if RECORD in os.listdir(images):
        ckpt.fail("clean left the list")


def script(name, text):
    path = os.path.join(ckpt.DIRECTORY, name)
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, stat.S_IRWXU)
    return path


# Killed: clean removes the names, and nothing else.
images = directory("killed")
killed_dump(images)
open(os.path.join(home, PREFIX + "bystander"), "w").close()
taken = os.path.join(home, names()[0])  # somebody else's by now
if taken.endswith("bystander"):
    ckpt.fail(str(names()))
os.rename(taken, taken + ".mine")
open(taken, "w").close()
clean(images, 1)
if len(names()) != 3:
    ckpt.fail(f"not what is left: {names()}")
for name in names():
    os.unlink(os.path.join(home, name))
clean(images, 0)
if sorted(os.listdir(away)) != ["other0", "other1", "other2"]:
    ckpt.fail(f"other names went: {os.listdir(away)}")

# A dump that fails when all is written takes everything back.
images = directory("failed")
status, output = dump(images, "--action-script", script("refuse", '[ "$CRTOOLS_SCRIPT_ACTION" != post-dump ]\n'), spoiled="its script says no")
if status == 0 or names() or RECORD in os.listdir(images):
    ckpt.fail(f"a dump that failed ({status}) left {names()}, {os.listdir(images)}: {output}")

# Killed when the checkpoint was complete: its names are its own.
images = directory("complete")
at_end = script("kill", '[ "$CRTOOLS_SCRIPT_ACTION" != post-dump ] || kill -9 $PPID\n')
status, output = dump(images, "--action-script", at_end, spoiled="it is killed")
if status != -signal.SIGKILL or len(names()) != 3 or RECORD not in os.listdir(images):
    ckpt.fail(f"killed at the end, dump exits with {status}, leaves {names()}, {os.listdir(images)}: {output}")
own = names()
clean(images, 0)
status, output = ckpt.run([ckpt.BPFCKPT, "verify", "-D", images])
if status != 0 or names() != own:
    ckpt.fail(f"clean took the names of a complete checkpoint: {names()}: {output}")
for name in own:
    os.unlink(os.path.join(home, name))

# The next dump into the directory of a killed one removes them as well; its own ones serve the restore.
killed_dump(app.images())
app.cycle()
if names():
    ckpt.fail(f"the restore left {names()}")
open(go_on, "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

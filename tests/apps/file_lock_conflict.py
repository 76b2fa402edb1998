#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Somebody takes what the tree had locked while the tree is gone: restore says which file and who, makes nothing, and
works when the lock is free again. Without --file-locks such a tree is refused, and diagnose says what would help."""
import fcntl
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
NAMES = {"posix": "lockf", "flock": "flock"}
paths = {name: os.path.join(ckpt.DIRECTORY, name) for name in NAMES}
program = f"""
import fcntl, os, time
files = {{name: open(path, 'w+') for name, path in {paths!r}.items()}}
fcntl.lockf(files['posix'], fcntl.LOCK_EX, 10, 5)
fcntl.flock(files['flock'], fcntl.LOCK_SH)
print('READY', flush=True)
while not os.path.exists({ckpt.DIRECTORY!r} + '/go'): time.sleep(0.01)
"""
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", program])
app.wait_text("READY")
status, text = ckpt.run([ckpt.BPFCKPT, "diagnose", "-t", str(app.pid)])
if "file locks are held" not in text or "--file-locks" not in text:
    ckpt.fail(f"diagnose: {status} {text}")
status, text = ckpt.run([ckpt.BPFCKPT, "diagnose", "-l", "-t", str(app.pid)])
if status != 0 or "file locks are held" in text:
    ckpt.fail(f"diagnose -l: {status} {text}")
app.dump_args = ["--file-locks"]
app.dump()


def expect_conflict(name, words):
    other = open(paths[name], "r+")
    getattr(fcntl, NAMES[name])(other, fcntl.LOCK_EX)
    status, text = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", app.images()])
    if status == 0 or paths[name] not in text or words not in text:
        ckpt.fail(f"restore against a lock ({name}): {status} {text}")
    other.close()


expect_conflict("posix", f"pid {os.getpid()}")
expect_conflict("flock", "flock(2)")
app.restore()
other = open(paths["posix"], "r+")
try:
    fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    ckpt.fail("the lock was not taken again")
except OSError:
    pass
open(os.path.join(ckpt.DIRECTORY, "go"), "w").close()
app.finish()

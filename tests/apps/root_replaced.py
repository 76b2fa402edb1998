#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The root ends between the look at it and the freeze, and another process gets its number: that one is left alone."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

# Ends the root and makes processes until one has its number.
REPLACE = """#!{python}
import os, signal, subprocess, sys, time
pid = int(os.environ["CRTOOLS_INIT_PID"])
os.kill(pid, signal.SIGKILL)
while os.path.exists(f"/proc/{{pid}}"):
    time.sleep(.001)
for i in range(10000):
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(pid - 1))
    made = os.fork()
    if made == 0:
        if os.getpid() != pid:
            os._exit(0)
        os.setsid()
        for fd in range(3, 1024):
            try:
                os.close(fd)
            except OSError:
                pass
        os.execvp("sleep", ["sleep", "10000"])
    if made == pid:
        sys.exit(0)
    os.waitpid(made, 0)
sys.exit(1)
"""

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
work = ckpt.DIRECTORY
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", "import time\nprint('READY', flush=True)\ntime.sleep(10000)"])
app.wait_text("READY")
script = os.path.join(work, "replace")
with open(script, "w") as file:
    file.write(REPLACE.format(python=ckpt.need("python3")))
os.chmod(script, 0o755)
with open(os.path.join(work, "said"), "w+") as said:
    dump = ckpt.start_dump(
        app.pid, app.images(), "--action-script", script, spoiled="its root is replaced", stdout=said, stderr=said
    )
    while dump.poll() is None:
        # The root's number is free when we have waited for it.
        try:
            os.waitid(os.P_PID, app.pid, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            pass
        time.sleep(0.001)
text = ckpt.read(os.path.join(work, "said"))
comm = ckpt.read(f"/proc/{app.pid}/comm").strip()
if comm != "sleep":
    ckpt.fail(f"what has the root's number is {comm or 'gone'}: {text}")
if dump.returncode != 4 or "is another process by now" not in text:
    ckpt.fail(f"dump exits with {dump.returncode}: {text}")
if os.path.exists(os.path.join(app.images(), "manifest")):
    ckpt.fail("there is a manifest")

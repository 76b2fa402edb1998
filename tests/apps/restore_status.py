#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""restore without -d waits for the tree and ends as its root did; --pidfile, --plan, --leave-stopped and -R work."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
PROGRAM = r"""
import os, signal, sys, time
print('READY', flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
if sys.argv[2] == 'signal': os.kill(os.getpid(), signal.SIGTERM)
os._exit(int(sys.argv[2]))
"""


def dumped(how):
    go_on = os.path.join(ckpt.DIRECTORY, "go_on." + how)
    if os.path.exists(go_on):
        os.unlink(go_on)  # of an earlier one, which has ended: this one would end at once
    app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, go_on, how])
    ckpt.wait_until("the program", lambda: app.text().count("READY") == dumped.count + 1)
    dumped.count += 1
    app.cycles = dumped.count
    return app, go_on


dumped.count = 0

for how, expected in (("0", 0), ("43", 43), ("signal", 128 + signal.SIGTERM)):
    app, go_on = dumped(how)
    app.dump()
    status, plan = ckpt.run([ckpt.BPFCKPT, "restore", "-D", app.images(), "--plan"])
    if status != 0 or str(app.pid) not in plan or len(plan.splitlines()) < 10:
        ckpt.fail(f"--plan: {status} {plan}")
    if os.path.exists(f"/proc/{app.pid}"):
        ckpt.fail("--plan made the process")
    pidfile = os.path.join(ckpt.DIRECTORY, "pid." + how)
    log = open(os.path.join(ckpt.DIRECTORY, "restore.out"), "wb")
    restore = subprocess.Popen(
        [ckpt.BPFCKPT, "restore", "-D", app.images(), "--pidfile", pidfile], stdout=log, stderr=log, stdin=subprocess.DEVNULL
    )
    ckpt.wait_until("the pidfile", lambda: ckpt.read(pidfile).strip() == str(app.pid) or restore.poll() is not None)
    time.sleep(0.1)
    if restore.poll() is not None:
        ckpt.fail(f"restore did not wait: {restore.returncode} {ckpt.read(log.name)}")
    open(go_on, "w").close()
    status = restore.wait(30)
    if status != expected:
        ckpt.fail(f"restore exits with {status} instead of {expected}: {ckpt.read(log.name)}")
    if os.path.exists(f"/proc/{app.pid}"):
        ckpt.fail("the root is not reaped")

# -s at restore: everything is there, stopped, without a tracer, and SIGCONT starts it.
app, go_on = dumped("0")
app.dump()
app.restore_args = ["-s"]
app.restore()
ckpt.wait_until("the stop", lambda: ckpt.stat_fields(app.pid)[0] == "T")
if "TracerPid:\t0" not in ckpt.read(f"/proc/{app.pid}/status"):
    ckpt.fail("somebody still traces it")
open(go_on, "w").close()
time.sleep(0.1)
os.kill(app.pid, signal.SIGCONT)
app.finish()

# -s at dump: stopped in place.
app, go_on = dumped("0")
images = app.images()
status, text = ckpt.dump(app.pid, images, "-s")
if status != 0:
    ckpt.fail(text)
ckpt.wait_until("the stop", lambda: ckpt.stat_fields(app.pid)[0] == "T")
if not os.path.exists(os.path.join(images, "manifest")):
    ckpt.fail("no manifest")
os.kill(app.pid, signal.SIGCONT)
open(go_on, "w").close()
app.finish()

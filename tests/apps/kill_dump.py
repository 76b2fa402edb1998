#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-timeout: 600
"""200 times kill -9 of the real `bpfckpt dump` at a random moment: the target, which checks itself, goes on as if nothing had
happened, nothing is left in it, and no directory holds a manifest unless its images are complete."""
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

ROUNDS = int(os.environ.get("KILL_ROUNDS", "200"))
if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")


def facts(pids):
    """What must not change in the target: mappings, descriptors, and each thread's tracer and signal state."""
    out = {}
    for pid in pids:
        out[pid, "maps"] = ckpt.read(f"/proc/{pid}/maps")
        out[pid, "fds"] = sorted(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) < 5)
        for tid in os.listdir(f"/proc/{pid}/task"):
            for line in ckpt.read(f"/proc/{pid}/task/{tid}/status").splitlines():
                if line.startswith(("TracerPid", "SigBlk", "SigPnd", "ShdPnd", "SigCgt", "CapEff")):
                    out[pid, tid, line.split(":")[0]] = line
    return out


def beats(pids):
    return [ckpt.read(os.path.join(work, f"beat.{pid}")) for pid in pids]


def dump(images, kill_after_s=None):
    """Starts a dump that lets the tree live; kills it after a while. Its exit status, or None if it was killed, what it said,
    and how long it took."""
    os.makedirs(images)
    process = ckpt.start_dump(
        app.pid, images, "-R", "-v4", "-o", "dump.log", spoiled="it is killed",
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    begin = time.monotonic()
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        process.send_signal(signal.SIGKILL)
    error = process.stderr.read().decode(errors="replace")
    status = process.wait()
    return (None if status == -signal.SIGKILL else status), error, time.monotonic() - begin


def alive(pids, what):
    """All counters of all processes move on."""
    before = beats(pids)

    def go_on():
        ckpt.REAPER.reap()
        if app.pid in ckpt.REAPER.ended:
            ckpt.fail(f"{what}: the target ended: {app.text()}")
        return all(a != b for a, b in zip(before, beats(pids)))

    ckpt.wait_until(f"the target to go on {what}", go_on, 60)


work = ckpt.DIRECTORY
app = ckpt.Checkpointed([os.environ["BPFCKPT_SELF_CHECK"], work, "epoll"])
ckpt.wait_until("the target to start", lambda: len(ckpt.descendants(app.pid)) == 1 and all(beats(app.tree())))
status, error, _ = dump(os.path.join(work, "first"))
if status != 0:
    ckpt.fail(f"an undisturbed dump exits with {status}: {error}")
pids = app.tree()
before = facts(pids)
killed = completed = 0
_, _, length = dump(os.path.join(work, "timed"))
# Whoever else uses the machine makes a dump last now longer, now shorter: it is kills that are counted.
while killed < ROUNDS:
    number = killed + completed
    images = os.path.join(work, f"images.{number}")
    status, error, seconds = dump(images, random.uniform(0, length * 1.1))
    if status is None:
        killed += 1
    elif status == 0:
        completed += 1
        length = (length + seconds) / 2
    else:
        ckpt.fail(f"round {number}: dump exits with {status}: {error}")
    if completed > 10 * ROUNDS:
        ckpt.fail(f"only {killed} dumps were caught alive")
    alive(pids, f"after round {number}")
    # Who stands in its gate takes a second to go home, on its way out ten.
    ckpt.wait_until("the target to be as it was", lambda: facts(pids) == before, 60)
    if os.path.exists(os.path.join(images, "manifest")):
        status, text = ckpt.run([ckpt.BPFCKPT, "verify", "-D", images])
        if status != 0:
            ckpt.fail(f"round {number}: a manifest without complete images: {text}")
    elif status == 0:
        ckpt.fail(f"round {number}: a dump that succeeded left no manifest")
    subprocess.run(["rm", "-rf", images], check=True)
print(f"{killed} killed, {completed} completed, {length * 1000:.1f} ms a dump")
open(os.path.join(work, "stop"), "w").close()
app.finish()

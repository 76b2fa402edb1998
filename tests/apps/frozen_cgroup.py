#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A tree in a frozen control group, as of a paused container: its threads can be stopped and looked at, but run nothing of
ours. It is read from outside, goes on untouched when the group is thawed, and its checkpoint can be restored."""
import atexit
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = """
import os, subprocess, sys
others = [subprocess.Popen(['sleep', '10000']) for i in range(6)]
status = subprocess.call([os.environ['BPFCKPT_SELF_CHECK'], sys.argv[1]])
for other in others:
    other.kill()
    other.wait()
sys.exit(abs(status))
"""
PROCESSES = 9

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
work = ckpt.DIRECTORY
groups = os.path.join(work, "groups")
os.mkdir(groups)
if subprocess.run(["mount", "-t", "cgroup2", "none", groups]).returncode != 0:
    ckpt.skip("machine: control groups of version 2")
atexit.register(subprocess.run, ["umount", "-l", groups], check=True)
group = os.path.join(groups, f"bpfckpt-frozen.{os.getpid()}")
try:
    os.mkdir(group)
except OSError:
    ckpt.skip("machine: control groups of version 2")


def remove_group():
    write("cgroup.freeze", 0)
    ckpt.REAPER.kill_all()
    os.rmdir(group)


atexit.register(remove_group)


def write(name, value):
    with open(os.path.join(group, name), "w") as file:
        file.write(str(value))


def freeze():
    for pid in app.tree():
        write("cgroup.procs", pid)
    write("cgroup.freeze", 1)
    ckpt.wait_until("the group to be frozen", lambda: "frozen 1" in ckpt.read(f"{group}/cgroup.events"))


def facts():
    lines = [
        (pid, line) for pid in app.tree() for line in ckpt.read(f"/proc/{pid}/status").splitlines()
        if line.startswith(("TracerPid", "SigBlk", "SigPnd", "ShdPnd", "SigCgt"))
    ]
    return lines, [ckpt.read(f"/proc/{pid}/maps") for pid in app.tree()]


def beats():
    return [ckpt.read(os.path.join(work, f"beat.{pid}")) for pid in app.tree()[-2:]]


app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, work])
ckpt.wait_until("all processes", lambda: len(app.tree()) == PROCESSES and all(beats()))
freeze()
before = facts()
images = os.path.join(work, "first")
os.makedirs(images)
status, text = ckpt.dump(app.pid, images, "-R")
if status != 0 or text.count("read from outside") != PROCESSES:
    ckpt.fail(f"dump exits with {status}: {text}")
if facts() != before:
    ckpt.fail(f"{before} became {facts()}")
written = beats()
write("cgroup.freeze", 0)
ckpt.wait_until("the tree to go on", lambda: all(a != b for a, b in zip(written, beats())))
freeze()
app.cycle()
write("cgroup.freeze", 0)
written = beats()
ckpt.wait_until("the restored tree to go on", lambda: all(a != b for a, b in zip(written, beats())))
open(os.path.join(work, "stop"), "w").close()
app.finish()

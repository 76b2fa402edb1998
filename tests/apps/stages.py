#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Action scripts run at their stages with what they are promised, and one that fails ends the action with nothing
changed; --status-fd tells when all is ready; -S restores as our own child, --exec-cmd below the command."""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
work = ckpt.DIRECTORY
go_on = os.path.join(work, "go_on")
app = ckpt.Checkpointed(
    [ckpt.need("python3"), "-c", "import os,sys,time\nprint('READY',flush=True)\nwhile not os.path.exists(sys.argv[1]): time.sleep(.01)", go_on]
)
app.wait_text("READY")
heard = os.path.join(work, "heard")


def script(name, text):
    path = os.path.join(work, name)
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


tell = script(
    "tell", f"test -d \"$CRTOOLS_IMAGE_DIR\" || exit 9\n"
    f"if [ -n \"$CRTOOLS_INIT_PID\" ] && [ -d /proc/$CRTOOLS_INIT_PID ]; then root=there; else root=none; fi\n"
    f"echo $CRTOOLS_SCRIPT_ACTION $CRTOOLS_INIT_PID $root >>{heard}\n"
)
fails = {stage: script("fail." + stage, f'[ "$CRTOOLS_SCRIPT_ACTION" != {stage} ]\n') for stage in ("pre-dump", "post-dump", "pre-restore", "post-restore", "pre-resume")}


def tell_tale():
    lines = ckpt.read(heard).splitlines()
    if os.path.exists(heard):
        os.unlink(heard)
    return [line.split() for line in lines]


def state():
    fields = ckpt.stat_fields(app.pid)
    return fields and fields[0]


def expect(condition, text):
    if not condition:
        ckpt.fail(text)


# A script that says no, at dump: the tree runs on, and there are no images.
for stage in ("pre-dump", "post-dump"):
    images = os.path.join(work, "no." + stage)
    os.makedirs(images)
    status, text = ckpt.dump(app.pid, images, "--action-script", fails[stage], spoiled="its script says no")
    expect(status != 0 and fails[stage] in text and stage in text, f"{stage}: {status} {text}")
    expect(state() in ("S", "R"), f"{stage}: the tree does not run: {state()}")
    expect(not os.path.exists(os.path.join(images, "manifest")), f"{stage}: there is a manifest")

app.dump_args = ["--action-script", tell]
app.dump()
pid = str(app.pid)
expect(tell_tale() == [["pre-dump", pid, "there"], ["post-dump", pid, "there"]], "the stages of a dump")

# At restore: nothing stays.
for stage in ("pre-restore", "post-restore", "pre-resume"):
    status, text = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", app.images(), "--action-script", fails[stage]])
    expect(status != 0 and fails[stage] in text and stage in text, f"{stage}: {status} {text}")
    expect(not os.path.exists(f"/proc/{pid}"), f"{stage}: the process is there")

# As a sibling of bpfckpt, which is our child: so the tree is our child, too, and bpfckpt has ended.
ready, ready_there = os.pipe()
os.set_inheritable(ready_there, True)
process = subprocess.Popen(
    [ckpt.BPFCKPT, "restore", "-S", "-D", app.images(), "--action-script", tell, "--status-fd", str(ready_there)],
    pass_fds=[ready_there],
)
os.close(ready_there)
expect(os.read(ready, 100) == b"\0", "--status-fd writes one byte")
expect(os.read(ready, 100) == b"", "--status-fd closes")
expect(state() is not None, "ready, and the root is not there")
expect(process.wait(60) == 0, "restore -S fails")
expect(int(ckpt.stat_fields(app.pid)[1]) == os.getpid(), "not our child")
expect(
    tell_tale() == [["pre-restore", "none"]] + [[stage, pid, "there"] for stage in ("post-restore", "pre-resume", "post-resume")],
    "the stages of a restore",
)

# Below a command that takes the place of bpfckpt, waits for its child and ends as it did.
app.cycles = 1
app.dump_args = []
app.dump()
command = "import os,sys\npid,status=os.wait()\nprint('parent of',pid,'status',status)"
parent = subprocess.Popen(
    [ckpt.BPFCKPT, "restore", "-D", app.images(), "--exec-cmd", "--", sys.executable, "-c", command], stdout=subprocess.PIPE
)
ckpt.wait_until("the tree", lambda: state() in ("S", "R") and int(ckpt.stat_fields(app.pid)[1]) == parent.pid)
open(go_on, "w").close()
out = parent.communicate(timeout=60 * ckpt.PATIENCE)[0].decode()
expect(out == f"parent of {pid} status 0\n", out)

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the CPU of a checkpoint had and this one has not is named before anything is made; who takes that upon himself
restores nevertheless."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
go_on = os.path.join(ckpt.DIRECTORY, "go_on")
program = "import os, sys, time\nprint('READY', flush=True)\nwhile not os.path.exists(sys.argv[1]): time.sleep(.01)"
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", program, go_on])
app.wait_text("READY")
app.dump()
other = app.images() + ".other"
os.makedirs(other)
status, text = ckpt.run([os.environ["BPFCKPT_OTHER_MACHINE"], "cpu", app.images(), other])
if status != 0:
    ckpt.fail(text)


def restore(*words):
    return ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", other, *words])


for words, told in (
    # Each of what no CPU has both of.
    ((), ("tbm", "mpx")),
    (("--cpu-cap=ins",), ("tbm", "mpx")),
    (("--cpu-cap=fpu",), ("MPX registers", "AMX registers")),
    (("--cpu-cap=cpu",), ("the same model",)),
):
    status, text = restore(*words)
    if status != 7 or "this CPU lacks what the one of the checkpoint had" not in text:
        ckpt.fail(f"{words}: restore exits with {status}: {text}")
    if not any(name in text for name in told):
        ckpt.fail(f"{words}: not named: {told} in {text}")
    if ckpt.descendants(os.getpid()):
        ckpt.fail(f"{words}: processes were made")
status, text = restore("--cpu-cap=none")
if status != 0:
    ckpt.fail(f"--cpu-cap=none: restore exits with {status}: {text}")
open(go_on, "w").close()
app.finish()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The README's demonstration runs to its end: the worker is checkpointed, killed, restored, and goes on with its next line."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
if ckpt.PATIENCE > 1:
    ckpt.skip("machine: the demonstration does not wait as long as an emulated one takes")
if not os.path.exists("/usr/bin/python3"):
    ckpt.skip("program /usr/bin/python3")
demo = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../demo/run")
# The orphans of its dead tree are ours to reap, and their numbers taken until then.
said = os.path.join(ckpt.DIRECTORY, "output")
status = ckpt.REAPER.wait(ckpt.start(["bash", demo, ckpt.BPFCKPT], said), timeout_s=90)
output = ckpt.read(said)
if status != 0:
    ckpt.fail(f"the demonstration exits with {status}: {output}")
steps = [r"bpfckpt dump -t \d+", r"Process \d+ and its child are gone", r"bpfckpt show", r"bpfckpt restore",
         r"Process \d+ is back and goes on", r"the child is done, status 0", r"The result is that of an undisturbed run"]
at = 0
for step in steps:
    match = re.compile(step).search(output, at)
    if not match:
        ckpt.fail(f"'{step}' is not there, or not in its turn: {output}")
    at = match.end()
ckpt.REAPER.wait_none_left()

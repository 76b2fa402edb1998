#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""seq | sort | gzip, caught half-way twice: the output is that of an undisturbed run, byte for byte."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

for program in ("seq", "sort", "gzip"):
    ckpt.need(program)
# A small buffer makes sort write temporary files and merge them. Both ends wait for a file, each before its last part:
# the pipeline cannot be over before it was caught twice.
PIPELINE = r"""
wait_for() { until [ -e "$1" ]; do sleep 0.01; done; }
{ seq 1 1000000; wait_for "$1/input"; seq 1000001 1500000; } |
  sort -S 4M -k1.2 -T "$1" | gzip -n |
  { head -c 200000; wait_for "$1/output"; cat; } > "$1/$2.gz"
"""
COUNT = 1_500_000
command = ["/bin/sh", "-c", PIPELINE, "sh", ckpt.DIRECTORY]
environment = dict(os.environ, LC_ALL="C")


def let(name):
    open(os.path.join(ckpt.DIRECTORY, name), "w").close()


let("input")
let("output")
status, text = ckpt.run([*command, "undisturbed"], env=environment)
if status != 0:
    ckpt.fail(text)
os.unlink(os.path.join(ckpt.DIRECTORY, "input"))
os.unlink(os.path.join(ckpt.DIRECTORY, "output"))

app = ckpt.Checkpointed([*command, "checkpointed"], env=environment)


def has_temporary_files():
    return any(name.startswith("sort") for name in os.listdir(ckpt.DIRECTORY))


def has_output():
    return os.path.getsize(os.path.join(ckpt.DIRECTORY, "checkpointed.gz")) > 100_000


ckpt.wait_until("sort to write a temporary file", has_temporary_files)
app.cycle()
let("input")
ckpt.wait_until("gzip to write", has_output)
app.cycle()
let("output")
app.finish()
with open(os.path.join(ckpt.DIRECTORY, "undisturbed.gz"), "rb") as a:
    with open(os.path.join(ckpt.DIRECTORY, "checkpointed.gz"), "rb") as b:
        expected, got = a.read(), b.read()
if expected != got or len(got) < COUNT // 10:
    ckpt.fail(f"{len(got)} bytes instead of {len(expected)}, or other ones")

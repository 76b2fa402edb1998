#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""seq | sort | gzip, caught half-way twice: the output is that of an undisturbed run, byte for byte."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

for program in ("seq", "sort", "gzip"):
    ckpt.need(program)
# A small buffer makes sort write temporary files and merge them.
PIPELINE = 'seq 1 {count} | sort -S 4M -k1.2 -T "$1" | gzip -n > "$1/$2.gz"'
COUNT = 1_500_000
command = ["/bin/sh", "-c", PIPELINE.format(count=COUNT), "sh", ckpt.DIRECTORY]
environment = dict(os.environ, LC_ALL="C")

status, text = ckpt.run([*command, "undisturbed"], env=environment)
if status != 0:
    ckpt.fail(text)

app = ckpt.Checkpointed([*command, "checkpointed"], env=environment)


def cycle_when(what, condition):
    ckpt.wait_until(what, condition)
    app.cycle()
    # The shell and some of its children go on: they were caught in the middle.
    if len(app.tree()) < 2:
        ckpt.fail("the pipeline was over before it could be caught")


def has_temporary_files():
    return any(name.startswith("sort") for name in os.listdir(ckpt.DIRECTORY))


def has_output():
    return os.path.getsize(os.path.join(ckpt.DIRECTORY, "checkpointed.gz")) > 100_000


cycle_when("sort to write a temporary file", has_temporary_files)
cycle_when("gzip to write", has_output)
app.finish()
with open(os.path.join(ckpt.DIRECTORY, "undisturbed.gz"), "rb") as a:
    with open(os.path.join(ckpt.DIRECTORY, "checkpointed.gz"), "rb") as b:
        expected, got = a.read(), b.read()
if expected != got or len(got) < COUNT // 10:
    ckpt.fail(f"{len(got)} bytes instead of {len(expected)}, or other ones")

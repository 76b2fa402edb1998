#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""awk, computing with large arrays and reading from a child by a pipe; its result is that of an undisturbed run."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
BEGIN {
  while (("seq 1 400000" | getline line) > 0) {
    seen[line % 5003] = seen[line % 5003] + line
    text[line % 977] = substr(text[line % 977] line, 1, 60)
    total += length(line)
    if (line % 20000 == 0) { print "line " line; fflush() }
  }
  for (i = 0; i < 5003; i++) sum = (sum * 31 + seen[i]) % 1000003
  for (i = 0; i < 977; i++) print i, text[i]
  print "RESULT", sum, total
}
"""

awk = ckpt.need("awk")
begin = time.monotonic()
status, expected = ckpt.run([awk, PROGRAM])
duration = time.monotonic() - begin
if status != 0 or "RESULT" not in expected:
    ckpt.fail(expected)
app = ckpt.Checkpointed([awk, PROGRAM])
app.wait_text("line 40000\n")
app.cycle()
time.sleep(duration / 8)
if "RESULT" in app.text():
    ckpt.fail("awk was over before it could be caught twice")
app.cycle()
if app.finish() != expected:
    ckpt.fail("the output differs from an undisturbed run")

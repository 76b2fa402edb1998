#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""awk, computing with large arrays and reading from a child by a pipe; its result is that of an undisturbed run.

Before its last lines it asks for a file, so that it cannot be over before it is caught.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
BEGIN {
  while (("seq 1 400000" | getline line) > 0) {
    seen[line % 5003] = seen[line % 5003] + line
    text[line % 977] = substr(text[line % 977] line, 1, 60)
    total += length(line)
    if (line % 20000 == 0) { print "line " line; fflush() }
    if (line == 390000) while ((getline answer < last) < 0) asked++
  }
  for (i = 0; i < 5003; i++) sum = (sum * 31 + seen[i]) % 1000003
  for (i = 0; i < 977; i++) print i, text[i]
  print "RESULT", sum, total
}
"""

awk = ckpt.need("awk")
last = os.path.join(ckpt.DIRECTORY, "last")
command = [awk, "-v", f"last={last}", PROGRAM]


def let_it_end():
    with open(last, "w") as file:
        file.write("yes\n")


let_it_end()
status, expected = ckpt.run(command)
if status != 0 or "RESULT" not in expected:
    ckpt.fail(expected)
os.unlink(last)
app = ckpt.Checkpointed(command)
app.wait_text("line 40000\n")
app.cycle()
app.wait_text("line 120000\n")
app.cycle()
let_it_end()
if app.finish() != expected:
    ckpt.fail("the output differs from an undisturbed run")

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`diagnose` on a terminal: as wide as that is and no wider, in colour unless NO_COLOR says not; in a file neither."""
import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("program bpfckpt")
COLUMNS = 72
PROGRAM = r"""
import fcntl, os, sys, time
file = open(sys.argv[1] + '/' + 'a_long_name_' * 12, 'w')
fcntl.flock(file, fcntl.LOCK_EX)
print('READY', flush=True)
time.sleep(1000)
"""
output = os.path.join(ckpt.DIRECTORY, "output")
pid = ckpt.start([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY], output)
ckpt.wait_until("the program", lambda: "READY" in ckpt.read(output))
# One that is all right: in a mount namespace of the test's own there may be no other.
ckpt.start([ckpt.need("sleep"), "1000"], output)


def on_terminal(*words, **environment):
    """What bpfckpt writes to a terminal of that width, as lines."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    pieces = []

    def read():
        try:
            while piece := os.read(ours, 65536):
                pieces.append(piece)
        except OSError:  # EIO: nobody has the other side open any more
            pass

    reader = threading.Thread(target=read)
    reader.start()
    keep = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    done = subprocess.run([ckpt.BPFCKPT, *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.STDOUT,
                          env={**keep, **environment}, timeout=60 * ckpt.PATIENCE, check=False)
    os.close(theirs)
    reader.join()
    os.close(ours)
    text = b"".join(pieces).decode()
    if done.returncode not in (0, 1):
        ckpt.fail(f"{words}: {done.returncode} {text}")
    return text.replace("\r\n", "\n").splitlines()


PAINT = re.compile("\x1b\\[[0-9]*m")
for words in (["diagnose", "-t", str(pid)], ["diagnose", "--all"]):
    coloured = on_terminal(*words)
    plain = on_terminal(*words, NO_COLOR="1")
    if not any("\x1b[33mneeds option" in line for line in coloured) or not any("\x1b[32mok" in line for line in coloured):
        ckpt.fail(f"{words}: no colours: {coloured}")
    if any("\x1b" in line for line in plain):
        ckpt.fail(f"{words}: colours in spite of NO_COLOR: {plain}")
    wide = [line for line in (PAINT.sub("", line) for line in coloured) if len(line) > COLUMNS]
    if wide:
        ckpt.fail(f"{words}: wider than {COLUMNS} columns: {wide}")
    if not any(line.endswith("…") and len(line) == COLUMNS for line in plain):
        ckpt.fail(f"{words}: nothing was cut: {plain}")
    status, text = ckpt.run([ckpt.BPFCKPT, *words])
    if "\x1b" in text or "…" in text:
        ckpt.fail(f"{words}: a file is no terminal: {text}")

# The reason is told in full where one tree is looked at, in lines that fit.
tree = " ".join(line.strip() for line in on_terminal("diagnose", "-t", str(pid), NO_COLOR="1"))
if "file locks are held" not in tree or "(--file-locks helps)" not in tree:
    ckpt.fail(tree)
# One line a process, below what the columns are.
status, text = ckpt.run([ckpt.BPFCKPT, "diagnose", "--all"])
lines = text.splitlines()
if lines[0].split() != ["PID", "VERDICT", "COMMAND", "WHY"]:
    ckpt.fail(text)
(ours,) = (line for line in lines if line.split()[0] == str(pid))
if ours.index("needs option") != lines[0].index("VERDICT") or "--file-locks" not in ours:
    ckpt.fail(text)

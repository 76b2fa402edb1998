#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A script of these tests that is told to end leaves none of what it started, and no directory."""
import os
import signal
import subprocess
import sys

LIB = os.path.join(os.path.dirname(os.path.realpath(__file__)), "lib")
sys.path.insert(0, LIB)
import ckpt

SCRIPT = f"""
import os, sys, time
sys.path.insert(0, {LIB!r})
import ckpt
if os.fork() == 0:      # a child of the script's own, which has nothing to tidy up
    time.sleep(1000)
pid = ckpt.start(['sh', '-c', 'sleep 1000 & sleep 1000'], os.path.join(ckpt.DIRECTORY, 'output'))
ckpt.wait_until('them', lambda: len(ckpt.descendants(os.getpid())) == 4)
print(ckpt.DIRECTORY, *ckpt.descendants(os.getpid()), flush=True)
while True: time.sleep(0.01)
"""
for number in (signal.SIGTERM, signal.SIGHUP):
    script = subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              start_new_session=True)
    directory, *pids = script.stdout.readline().split()
    if len(pids) != 4 or not os.path.isdir(directory):
        ckpt.fail(f"the script has {directory} {pids}")
    # As timeout(1) does it: the program, and then its whole group.
    os.kill(script.pid, number)
    os.killpg(script.pid, number)
    if script.wait(60 * ckpt.PATIENCE) != 128 + number:
        ckpt.fail(f"the script ends with {script.returncode}")
    if left := [pid for pid in pids if os.path.exists(f"/proc/{pid}/exe")]:
        ckpt.fail(f"signal {number}: left are {left}")
    if os.path.exists(directory):
        ckpt.fail(f"signal {number}: left is {directory}")

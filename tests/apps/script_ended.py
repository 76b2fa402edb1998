#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A script of these tests that is told to end leaves none of what it started, and no directory; nor does the runner of
tests."""
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


def end(program, number):
    # As timeout(1) does it: the program, and then its whole group.
    os.kill(program.pid, number)
    os.killpg(program.pid, number)
    program.wait(60 * ckpt.PATIENCE)


for number in (signal.SIGTERM, signal.SIGHUP):
    script = subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              start_new_session=True)
    directory, *pids = script.stdout.readline().split()
    if len(pids) != 4 or not os.path.isdir(directory):
        ckpt.fail(f"the script has {directory} {pids}")
    end(script, number)
    if script.returncode != 128 + number:
        ckpt.fail(f"the script ends with {script.returncode}")
    if left := [pid for pid in pids if os.path.exists(f"/proc/{pid}/exe")]:
        ckpt.fail(f"signal {number}: left are {left}")
    if os.path.exists(directory):
        ckpt.fail(f"signal {number}: left is {directory}")

# A test that never comes to its checkpoint.
test, pids = os.path.join(ckpt.DIRECTORY, "test"), os.path.join(ckpt.DIRECTORY, "pids")
with open(test, "w") as file:
    file.write(f"""#!/bin/sh
[ "$1" != --cr-options ] || exit 0
sleep 1000 &
echo $$ $! "$1" >{pids}.new
mv {pids}.new {pids}
wait
""")
os.chmod(test, 0o755)
environment = {name: value for name, value in os.environ.items() if name != "BPFCKPT_KEEP_FAILED"}
for number in (signal.SIGTERM, signal.SIGHUP):
    runner = subprocess.Popen([os.environ["CR_RUNNER"], "--no-checkpoint", test], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, start_new_session=True, env=environment)
    ckpt.wait_until("the test", lambda: os.path.exists(pids))
    *started, directory = ckpt.read(pids).split()
    os.unlink(pids)
    end(runner, number)
    if runner.returncode != 1:
        ckpt.fail(f"the runner ends with {runner.returncode}")
    if left := [pid for pid in started if os.path.exists(f"/proc/{pid}/exe")]:
        ckpt.fail(f"signal {number}: of a test are left {left}")
    if os.path.exists(directory):
        ckpt.fail(f"signal {number}: left is {directory}")

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `./dev vmtest` holds against a run: what a kernel says of bugs, tests that are skipped without a reason, jobs that
fail; and that nothing is left of its jobs when it is told to end. No guest is started."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

VMTEST = pathlib.Path(__file__).resolve().parents[2] / "vmtest"
sys.dont_write_bytecode = True
sys.path.insert(0, str(VMTEST))
import guests
import results

HERE = pathlib.Path(ckpt.DIRECTORY)
BAD = """WARNING: CPU: 0 PID: 12 at kernel/bpf/verifier.c:1 f+0x1/0x2
BUG: kernel NULL pointer dereference, address: 0000000000000008
Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI
divide error: 0000 [#1] PREEMPT SMP NOPTI
int3: 0000 [#1] SMP
general protection fault, probably for non-canonical address 0x1: 0000 [#1]
INFO: task x:12 blocked for more than 245 seconds.
INFO: task x:12 blocked in I/O wait for more than 245 seconds.
rcu: INFO: rcu_preempt self-detected stall on CPU
watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [x:12]
WARNING: possible circular locking dependency detected
INFO: trying to register non-static key.
UBSAN: array-index-out-of-bounds in kernel/x.c:1:2
BUG: KASAN: use-after-free in f+0x1/0x2
Kernel panic - not syncing: Attempted to kill init!""".splitlines()
GOOD = """Linux version 6.1.0-50-amd64 (debian-kernel@lists.debian.org)
Spectre V2 : Mitigation: Retpolines
x86/fpu: Supporting XSAVE feature 0x001: 'x87 floating point registers'
clocksource: Switched to clocksource tsc
traps: x[12] general protection fault ip:1 sp:2 error:0 in x[1000+1000]
process 'x' started with executable stack""".splitlines()


def judged(*lines, name="log"):
    path = HERE / name
    path.write_text("\n".join(f"[   {i}.000001] {line}" for i, line in enumerate(lines)) + "\n")
    return guests.judge_kernel(path)


for line in BAD:
    if judged("x", guests.TESTS_BEGIN, line) != ([], [line]):
        ckpt.fail(f"not held against the tests: {line}")
    if judged(line, guests.TESTS_BEGIN, "x") != ([line], []):
        ckpt.fail(f"not seen at boot: {line}")
if judged(guests.TESTS_BEGIN, *GOOD) != ([], []):
    ckpt.fail(f"held against a run: {judged(guests.TESTS_BEGIN, *GOOD)}")
# A guest that did not come to its script.
if judged(BAD[0]) != ([], [BAD[0]]):
    ckpt.fail("what is said before the tests begin is lost where they do not")

(HERE / "check.json").write_text(json.dumps({"features": [{"name": "aio", "there": True}, {"name": "mseal", "there": False}]}))
(HERE / "junit.xml").write_text("""<testsuite>
<testcase name="cr/good" status="run"/>
<testcase name="cr/bad" status="fail"><failure/></testcase>
<testcase name="cr/sealed" status="notrun"><skipped/><system-out>SKIP: mseal</system-out></testcase>
<testcase name="cr/lies" status="notrun"><skipped/><system-out>SKIP: aio</system-out></testcase>
<testcase name="cr/silent" status="notrun"><skipped/><system-out/></testcase>
<testcase name="cr/machine" status="notrun"><skipped/><system-out>SKIP: machine: swap</system-out></testcase>
<testcase name="cr/file_advice" status="notrun"><skipped/><system-out>SKIP: machine: reading ahead</system-out></testcase>
</testsuite>""")
read = results.read_results(HERE)
if (read.passed, read.failed, len(read.skipped)) != (["cr/good"], ["cr/bad"], 5):
    ckpt.fail(f"results: {read}")


def tests_of(lines):
    return sorted({word for line in lines for word in line.split() if word.startswith("cr/")})


for name, expected in (("6.1", ["cr/lies", "cr/machine", "cr/silent"]), ("kdir", ["cr/lies", "cr/silent"])):
    wrong = results.wrong_skips(read, name, HERE, complete=False)
    if tests_of(wrong) != expected:
        ckpt.fail(f"{name}: {wrong}")
if not any("cr/aio_in_flight" in line for line in results.wrong_skips(read, "6.1", HERE, complete=True)):
    ckpt.fail("a list that is stale is not told")
(HERE / "ctest.log").write_text("""      Start  1: cr/good
  1/3 Test  #1: cr/good ..........................   Passed    0.36 sec
  2/3 Test  #2: cr/bad ...........................***Failed    0.50 sec
  3/3 Test  #3: cr/sealed ........................***Skipped   0.34 sec
      Start  4: cr/unfinished
""")
so_far = results.results_so_far(HERE)
if (so_far.passed, so_far.failed, so_far.skipped) != (["cr/good"], ["cr/bad"], ["cr/sealed"]):
    ckpt.fail(f"so far: {so_far}")

# Jobs, one failing in each way that there is.
marks = [HERE / f"mark{i}" for i in range(4)]


def touch(mark, good):
    mark.touch()
    return good


def raising():
    raise OSError("on purpose")


sys.stderr.flush()
stderr = os.dup(2)
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the traceback of the one that raises
for bad in (lambda: False, raising, lambda: sys.exit(3)):
    jobs = [lambda i=i: touch(marks[i], True) for i in range(4)]
    if guests.run_at_once([*jobs, bad], 2) or not all(mark.exists() for mark in marks):
        ckpt.fail("a job that failed is lost, or others are not run")
os.dup2(stderr, 2)
if not guests.run_at_once([lambda: True] * 5, 2):
    ckpt.fail("jobs that went well are said to have failed")

# Told to end, twice and each way, in the middle of jobs that hold programs in sessions of their own.
PROGRAM = f"""
import sys
sys.path.insert(0, {str(VMTEST)!r})
import guests
guests.end_with_signals()
def job(i):
    return guests.run_group(['sh', '-c', f'echo $$ >{HERE}/pid{{i}}; exec sleep 1000'], 900) == 0
guests.run_at_once([lambda i=i: job(i) for i in range(2)], 2)
"""
for number in guests.ENDING:
    pids = [HERE / f"pid{i}" for i in range(2)]
    for path in pids:
        path.unlink(missing_ok=True)
    runner = subprocess.Popen([sys.executable, "-c", PROGRAM], start_new_session=True, stdin=subprocess.DEVNULL)
    ckpt.wait_until("the jobs", lambda: all(path.exists() and path.read_text().strip() for path in pids))
    os.kill(runner.pid, number)
    time.sleep(0.005)
    os.killpg(runner.pid, number)
    if runner.wait(60 * ckpt.PATIENCE) != 128 + number:
        ckpt.fail(f"signal {number}: it ended with {runner.returncode}")
    for path in pids:
        if os.path.exists(f"/proc/{path.read_text().strip()}/exe"):
            ckpt.fail(f"signal {number}: what a job held is left")

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A tree that was taken on a kernel with another vDSO asks this one's for the time, again and again."""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
OTHER_MACHINE = os.environ["BPFCKPT_OTHER_MACHINE"]
PROGRAM = r"""
import os, select, sys, threading, time
stop, count = sys.argv[1], [0, 0, 0]

def ask(slot):
    while not os.path.exists(stop):
        a, b = time.clock_gettime_ns(time.CLOCK_MONOTONIC), time.perf_counter_ns()
        c, d = time.time_ns(), time.clock_gettime_ns(time.CLOCK_REALTIME)
        assert a <= b and c <= d, (a, b, c, d)
        count[slot] += 1
        select.select([], [], [], 0.002)

if os.fork() == 0:
    ask(0)
    os._exit(0)
threads = [threading.Thread(target=ask, args=(i,)) for i in (1, 2)]
for thread in threads: thread.start()
said = 0
while threads[0].is_alive():
    if min(count[1:]) > said + 20:
        said = min(count[1:])
        print('COUNT', said, flush=True)
    select.select([], [], [], 0.01)
# A process that is born now has the same.
if os.fork() == 0:
    os._exit(7 if time.time() > 0 and time.monotonic() > 0 else 1)
assert sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2)) == [0, 7]
print('DONE', flush=True)
"""


def vdso_of(pid):
    """Where the kernel's own vDSO is."""
    (place,) = re.findall(r"^([0-9a-f]+)-[0-9a-f]+ .*\[vdso\]$", ckpt.read(f"/proc/{pid}/maps"), re.M)
    return place


stop = os.path.join(ckpt.DIRECTORY, "stop")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, stop])


def count():
    return int(([0] + re.findall(r"COUNT (\d+)", app.text()))[-1])


ckpt.wait_until("the clocks", lambda: count() > 40)
moved = 0
while moved < 3:
    before = vdso_of(app.pid)
    pids = app.dump()
    images = app.images()
    other = images + ".other"
    os.makedirs(other)
    status, text = ckpt.run([OTHER_MACHINE, "vdso", images, other])
    if status != 0:
        ckpt.fail(text)
    status, text = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", other, "-v4"])
    if status == 7 and "was taken while it ran code of its kernel" in text:
        # In the middle of asking for the time: that was said before anything was made, and here it can go on.
        status, text = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", images])
    else:
        moved += 1
        for pid in pids:
            if status == 0 and vdso_of(pid) == before:
                ckpt.fail(f"pid {pid} has the vDSO of this kernel where that of the other one was")
    if status != 0:
        ckpt.fail(text)
    shutil.rmtree(images)
    shutil.rmtree(other)
    seen = count()
    ckpt.wait_until("more of the clocks", lambda: count() > seen + 40)
open(stop, "w").close()
if "DONE" not in app.finish():
    ckpt.fail(app.text())

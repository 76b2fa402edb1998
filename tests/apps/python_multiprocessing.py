#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""multiprocessing workers fed by queues over pipes, with locks in shared memory: each item is worked on exactly once."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import multiprocessing as mp, os, sys, time
go_on = sys.argv[1]

def worker(tasks, results, counter):
    while (item := tasks.get()) is not None:
        with counter.get_lock(): counter.value += 1
        results.put((item, item * item, os.getpid()))
    results.put(None)

mp.set_start_method('fork')
tasks, results, counter = mp.Queue(50), mp.Queue(), mp.Value('q', 0)
workers = [mp.Process(target=worker, args=(tasks, results, counter)) for _ in range(4)]
for w in workers: w.start()
print('READY', flush=True)
sent, got, ended = 0, {}, 0

def drain():
    global ended
    while not results.empty():
        answer = results.get()
        if answer is None: ended += 1; continue
        item, square, pid = answer
        assert item not in got and square == item * item
        got[item] = pid

while not os.path.exists(go_on):
    tasks.put((sent)); sent += 1
    if sent % 500 == 0:
        drain(); print('sent', sent, flush=True)
for _ in workers: tasks.put(None)
while ended < len(workers): drain(); time.sleep(0.001)
for w in workers:
    w.join()
    assert w.exitcode == 0
assert sorted(got) == list(range(sent)) and counter.value == sent
assert set(got.values()) <= {w.pid for w in workers}
print('VERIFIED', sent, flush=True)
"""

go_on = os.path.join(ckpt.DIRECTORY, "go_on")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, go_on])
app.wait_text("sent 500\n")
app.cycle()
app.wait_text("sent 2000\n")
app.cycle()
app.wait_text("sent 4000\n")
open(go_on, "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

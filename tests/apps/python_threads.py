#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Python with threads that compute, sleep, and hand work to each other; each checks itself at its end."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import hashlib, os, queue, socket, sys, threading, time
go_on = sys.argv[1]
steps = [0] * 4
results = {}
work, done = queue.Queue(maxsize=10), []

def chain(number):
    digest = str(number).encode()
    while not os.path.exists(go_on) or steps[number] < 2000:
        digest = hashlib.sha256(digest).digest()
        steps[number] += 1
        if number % 2: time.sleep(0.001)
    results[number] = digest

def consumer():
    while (item := work.get()) is not None:
        done.append(item)
        time.sleep(0.0005)

def ticker():
    last = time.monotonic()
    while not os.path.exists(go_on):
        time.sleep(0.02)
        now = time.monotonic()
        if now < last + 0.02: print("slept too little", flush=True); os._exit(1)
        last = now

local = threading.local(); local.value = 'main'
threads = [threading.Thread(target=chain, args=(i,)) for i in range(4)]
threads += [threading.Thread(target=consumer), threading.Thread(target=ticker)]
for t in threads: t.start()
before = (os.getpid(), os.getppid(), threading.get_native_id(), [t.native_id for t in threads])
sent = 0
print('READY', flush=True)
while not os.path.exists(go_on):
    work.put(sent); sent += 1
    if sent % 200 == 0: print('sent', sent, flush=True)
work.put(None)
for t in threads: t.join()
for number in range(4):
    digest = str(number).encode()
    for _ in range(steps[number]): digest = hashlib.sha256(digest).digest()
    assert digest == results[number], number
assert done == list(range(sent)), (len(done), sent)
assert local.value == 'main'
assert before == (os.getpid(), os.getppid(), threading.get_native_id(), [t.native_id for t in threads])
assert threading.active_count() == 1
print('VERIFIED', steps, sent, flush=True)
"""

go_on = os.path.join(ckpt.DIRECTORY, "go_on")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, go_on])
app.wait_text("sent 200\n")
app.cycle()
app.wait_text("sent 600\n")
app.cycle()
app.wait_text("sent 1000\n")
open(go_on, "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

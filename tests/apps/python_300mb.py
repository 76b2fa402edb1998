#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-timeout: 300
"""300 MB of objects of all sizes, half of them changed after the first checkpoint; each is checked at the end."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import os, random, sys, time, zlib
directory = sys.argv[1]
def wait_for(name):
    while not os.path.exists(os.path.join(directory, name)): time.sleep(0.01)
rng = random.Random(1)
blobs, sums = {}, {}
total = 0
while total < 250 << 20:
    size = rng.choice([100, 1000, 5000, 70000, 1 << 20])
    blob = rng.randbytes(size)
    blobs[len(blobs)] = blob
    sums[len(sums)] = zlib.crc32(blob)
    total += size
numbers = list(range(10 ** 6))
names = {str(i): (i, [i] * 3) for i in range(100000)}
def check():
    for key, blob in blobs.items(): assert zlib.crc32(blob) == sums[key], key
    assert sum(numbers) == 499999500000
    assert all(names[str(i)] == (i, [i] * 3) for i in range(100000))
with open('/proc/self/statm') as f: resident = int(f.read().split()[1]) * 4096
assert resident > 300 << 20, resident
print('READY', flush=True)
wait_for('second')
check()
for key in list(blobs)[::2]:
    blobs[key] = blobs[key][::-1]
    sums[key] = zlib.crc32(blobs[key])
print('CHANGED', flush=True)
wait_for('last')
check()
print('VERIFIED', len(blobs), flush=True)
"""


def let(name):
    open(os.path.join(ckpt.DIRECTORY, name), "w").close()


app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY])
app.wait_text("READY")
app.cycle()
let("second")
app.wait_text("CHANGED")
app.cycle()
let("last")
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

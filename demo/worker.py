#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's program: two threads work through blocks of data, a child process gathers what they find.

The threads hash the blocks and send (number, digest) through a pipe; the child folds the digests together and prints
its progress. What it prints last depends on every block exactly once, so that a lost or doubled block would show.
`worker.py --expect` prints the right answer without threads, child or pipe.
"""
import hashlib
import os
import struct
import sys
import threading
import time

BLOCKS = 120
RECORD = struct.Struct("<I32s")


def digest(number):
    data = number.to_bytes(4, "little") * 50_000
    return hashlib.sha256(data).digest()


def fold(total, part):
    return bytes(a ^ b for a, b in zip(total, part))


def work(first, pipe):
    for number in range(first, BLOCKS, 2):
        os.write(pipe, RECORD.pack(number, digest(number)))
        time.sleep(0.1)


def gather(pipe):
    total = bytes(32)
    for count in range(1, BLOCKS + 1):
        number, part = RECORD.unpack(pipe.read(RECORD.size))
        total = fold(total, part)
        if count % 5 == 0:
            print(f"pid {os.getpid()}: {count:3} of {BLOCKS} blocks, so far {total.hex()[:16]}", flush=True)
    print(f"result {total.hex()}", flush=True)


def main():
    if "--expect" in sys.argv:
        total = bytes(32)
        for number in range(BLOCKS):
            total = fold(total, digest(number))
        print(f"result {total.hex()}")
        return

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        with os.fdopen(reader, "rb", buffering=RECORD.size) as pipe:
            gather(pipe)
        os._exit(0)
    os.close(reader)
    threads = [threading.Thread(target=work, args=(first, writer)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(writer)
    _, status = os.waitpid(child, 0)
    print(f"pid {os.getpid()}: the child is done, status {status}", flush=True)


main()

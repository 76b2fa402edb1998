#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""memcached, its threads and its client over a unix socket: values, a counter, and requests whose answers are unread."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import os, socket, subprocess, sys, time
directory, server_path = sys.argv[1:]
path = directory + '/memcached.sock'
server = subprocess.Popen([server_path, '-s', path, '-u', 'root', '-m', '64', '-t', '4'])

def connect():
    while True:
        try:
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            return client, client.makefile('rb')
        except OSError:
            time.sleep(0.02)

clients = [connect() for _ in range(10)]
first, answers = clients[0]
for i in range(5000):
    first.sendall(b'set key%d 0 0 8\r\n%08d\r\n' % (i, i * 3))
    assert answers.readline() == b'STORED\r\n'
first.sendall(b'set count 0 0 1\r\n0\r\n')
assert answers.readline() == b'STORED\r\n'
total = 0
for step in range(3):
    for client, _ in clients: client.sendall(b'incr count 1\r\n' * 20)   # the answers are read afterwards
    print('READY', step, flush=True)
    while not os.path.exists(directory + '/go_on.%d' % step): time.sleep(0.01)
    seen = []
    for client, file in clients:
        own = [int(file.readline()) for _ in range(20)]
        assert own == sorted(own)
        seen += own
    assert sorted(seen) == list(range(total + 1, total + 201))
    total += 200
    late, file = connect()
    late.sendall(b'get key%d\r\n' % (step * 1000))
    assert [file.readline() for _ in range(3)][1] == b'%08d\r\n' % (step * 3000)
    late.close()
server.terminate()
assert server.wait() == 0
print('VERIFIED', flush=True)
"""

app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY, ckpt.need("memcached")])
for step in range(3):
    app.wait_text(f"READY {step}\n")
    if step < 2:
        app.cycle()
    open(os.path.join(ckpt.DIRECTORY, f"go_on.{step}"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

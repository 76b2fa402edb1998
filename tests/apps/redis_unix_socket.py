#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""redis-server with its clients, over a unix socket: 10^5 keys with an append-only file; a client in a pipeline whose
answers are still unread, a subscriber, one that waits in BLPOP."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import os, socket, subprocess, sys, time
directory, server_path = sys.argv[1:]
path = directory + '/redis.sock'
server = subprocess.Popen([server_path, '--port', '0', '--unixsocket', path, '--dir', directory, '--appendonly', 'yes',
                           '--save', '', '--daemonize', 'no', '--logfile', directory + '/redis.log'])

class Client:
    def __init__(self):
        while True:
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.02)
        self.file = self.socket.makefile('rb')
    def send(self, *words):
        words = [str(w).encode() for w in words]
        self.socket.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
    def answer(self):
        line = self.file.readline()
        assert line.endswith(b'\r\n'), line
        kind, text = line[:1], line[1:-2]
        if kind == b'*': return [self.answer() for _ in range(int(text))]
        if kind == b'$': return None if int(text) < 0 else self.file.read(int(text) + 2)[:-2]
        if kind == b':': return int(text)
        assert kind == b'+', line
        return text
    def ask(self, *words):
        self.send(*words)
        return self.answer()

def wait_for(name):
    while not os.path.exists(directory + '/' + name): time.sleep(0.01)

main, subscriber, waiter = Client(), Client(), Client()
for base in range(0, 100000, 1000):
    for i in range(base, base + 1000): main.send('SET', 'key:%d' % i, 'value %d' % (i * 7))
    for i in range(1000): assert main.answer() == b'OK'
assert subscriber.ask('SUBSCRIBE', 'news')[0] == b'subscribe'
expected = 0
for step in range(3):
    waiter.send('BLPOP', 'queue', '0')
    for i in range(200): main.send('INCR', 'counter')   # the answers are read afterwards
    print('READY', step, flush=True)
    wait_for('go_on.%d' % step)
    for i in range(200):
        expected += 1
        assert main.answer() == expected
    assert main.ask('PUBLISH', 'news', 'number %d' % step) == 1
    assert subscriber.answer() == [b'message', b'news', b'number %d' % step]
    assert main.ask('RPUSH', 'queue', 'item %d' % step) == 1
    assert waiter.answer() == [b'queue', b'item %d' % step]
    late = Client()
    assert late.ask('GET', 'key:77777') == b'value %d' % (77777 * 7)
    late.socket.close()
assert main.ask('DBSIZE') == 100001
assert main.ask('CONFIG', 'SET', 'appendfsync', 'always') == b'OK'
main.send('SHUTDOWN')
assert server.wait() == 0
again = subprocess.Popen(server.args)   # from the append-only file
check = Client()
while True:
    check.send('DBSIZE')
    line = check.file.readline()
    if line.startswith(b':'): break
    time.sleep(0.05)   # -LOADING
assert line == b':100001\r\n', line
assert check.ask('GET', 'counter') == b'%d' % expected
check.send('SHUTDOWN')
assert again.wait() == 0
print('VERIFIED', flush=True)
"""

server = ckpt.need("redis-server")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY, server])
for step in range(3):
    app.wait_text(f"READY {step}\n")
    if step < 2:
        app.cycle()
    open(os.path.join(ckpt.DIRECTORY, f"go_on.{step}"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

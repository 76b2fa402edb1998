#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nginx and its workers over a unix socket: a keep-alive client, and a download that is half-way, byte-exact."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import nginx_site

PROGRAM = r"""
import hashlib, os, socket, subprocess, sys, time
directory, *command = sys.argv[1:]
server = subprocess.Popen(command)

class Client:
    def __init__(self):
        while True:
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(directory + '/nginx.sock')
                break
            except OSError:
                time.sleep(0.02)
        self.file = self.socket.makefile('rb')
    def ask(self, name):
        self.socket.sendall(b'GET /%s HTTP/1.1\r\nHost: x\r\n\r\n' % name.encode())
    def begin(self):
        assert self.file.readline().startswith(b'HTTP/1.1 200'), self
        length = None
        while (line := self.file.readline()) != b'\r\n':
            if line.lower().startswith(b'content-length:'): length = int(line.split(b':')[1])
        return length

data = open(directory + '/www/large', 'rb').read()
kept, download = Client(), Client()
download.ask('large')
length = download.begin()
assert length == len(data)
digest, at = hashlib.sha256(), 0
for step in range(3):
    for _ in range(50):
        kept.ask('small')
        assert kept.file.read(kept.begin()) == b'a small file\n'
    kept.ask('small')   # the answer is read afterwards
    part = download.file.read(length // 4)
    digest.update(part); at += len(part)
    print('READY', step, flush=True)
    while not os.path.exists(directory + '/go_on.%d' % step): time.sleep(0.01)
    assert kept.file.read(kept.begin()) == b'a small file\n'
    late = Client()
    late.ask('small')
    assert late.file.read(late.begin()) == b'a small file\n'
    late.socket.close()
digest.update(download.file.read(length - at))
assert digest.digest() == hashlib.sha256(data).digest()
server.terminate()
assert server.wait() == 0
print('VERIFIED', flush=True)
"""

command, _ = nginx_site.prepare("listen unix:{d}/nginx.sock;")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY, *command])
for step in range(3):
    app.wait_text(f"READY {step}\n")
    if step < 2:
        app.cycle()
    open(os.path.join(ckpt.DIRECTORY, f"go_on.{step}"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

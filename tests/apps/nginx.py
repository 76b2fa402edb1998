#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-timeout: 300
"""nginx and its workers over TCP, clients outside of the tree: one that keeps its connection, in this namespace and in
another one, and downloads that are half-way, byte-exact."""
import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import network
import nginx_site

PORT = 18080


class Client:
    def __init__(self, host):
        self.socket = network.connect(host, PORT)
        self.file = self.socket.makefile("rb")

    def ask(self, name):
        self.socket.sendall(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def begin(self):
        """The answer's length, which is read next."""
        status = self.file.readline()
        if not status.startswith(b"HTTP/1.1 200"):
            ckpt.fail(f"an answer begins with {status}")
        length = -1
        while (line := self.file.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return length

    def small(self):
        if self.file.read(self.begin()) != nginx_site.SMALL:
            ckpt.fail("the small file is another one")


def can_connect():
    ckpt.REAPER.reap()
    if app.pid in ckpt.REAPER.ended:
        ckpt.fail(app.text() + ckpt.read(os.path.join(ckpt.DIRECTORY, "error.log")))
    try:
        network.connect("127.0.0.1", PORT).close()
        return True
    except ConnectionRefusedError:
        return False


network.enter_own()
elsewhere = network.Elsewhere()
command, data = nginx_site.prepare(f"listen {PORT}; listen [::]:{PORT};")
app = ckpt.Checkpointed(command)
app.dump_args = ["--tcp-established"]
ckpt.wait_until("nginx to listen", can_connect)
kept = [Client("127.0.0.1"), Client("::1"), elsewhere.call(lambda: Client(elsewhere.HERE))]
downloads = [Client("127.0.0.1"), elsewhere.call(lambda: Client(elsewhere.HERE))]
digests = [hashlib.sha256() for _ in downloads]
for client in downloads:
    client.ask("large")
    if client.begin() != len(data):
        ckpt.fail("the large file is of another size")
for cycle in range(2):
    for client in kept:
        for _ in range(50):
            client.ask("small")
            client.small()
        client.ask("small")  # the answer is read afterwards
    for client, digest in zip(downloads, digests):
        digest.update(client.file.read(len(data) // 4))
    app.dump()
    kept[2].ask("small")  # nobody is there
    app.restore()
    app.cycles += 1
    for client in kept:
        client.small()
    kept[2].small()
    late = Client("127.0.0.1")
    late.ask("small")
    late.small()
for client, digest in zip(downloads, digests):
    digest.update(client.file.read(len(data) // 2))
    if digest.digest() != hashlib.sha256(data).digest():
        ckpt.fail("the download is not what the file is")
    client.ask("small")
    client.small()
os.kill(app.pid, 15)
app.finish()
nginx_site.check_errors()
print("downloaded:", len(downloads))

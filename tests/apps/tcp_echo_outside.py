#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-timeout: 300
"""An echo server whose 1,000 clients are outside of the tree, in the same network namespace, and 200 more in another
one behind a pair of veth devices; none of them notices more than a pause, whatever it sends while nobody is there."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import network

CLIENTS, THERE = 1000, 200

PROGRAM = network.ECHO + "import socket; serve(socket.create_server(('0.0.0.0', 0), backlog=1024))"

network.enter_own()
elsewhere = network.Elsewhere()
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM])
app.dump_args = ["--tcp-established"]
app.wait_text("READY")
port = int(app.text().split()[1])
clients = [network.connect("127.0.0.1", port) for _ in range(CLIENTS)]
clients += elsewhere.call(lambda: [network.connect(elsewhere.HERE, port) for _ in range(THERE)])


def echo(turn):
    for number, client in enumerate(clients):
        client.sendall(f"{turn} {number}\n".encode() * (1 + number % 50))
    for number, client in enumerate(clients):
        expected = f"{turn} {number}\n".encode() * (1 + number % 50)
        if network.receive(client, len(expected)) != expected:
            ckpt.fail(f"client {number} gets something else in turn {turn}")


echo(0)
for cycle in range(2):
    # On its way when the tree is taken, and sent while nobody is there.
    for number, client in enumerate(clients):
        client.sendall(b"before %d" % number)
    app.dump()
    for number, client in enumerate(clients[::7]):
        client.sendall(b" meanwhile %d" % number)
    app.restore()
    app.cycles += 1
    for number, client in enumerate(clients):
        expected = b"before %d" % number + (b" meanwhile %d" % (number // 7) if number % 7 == 0 else b"")
        if network.receive(client, len(expected)) != expected:
            ckpt.fail(f"client {number} gets something else than it sent meanwhile")
    echo(cycle + 1)
# A client that leaves is seen to leave, and a new one is served.
clients.pop().close()
newcomer = elsewhere.call(lambda: network.connect(elsewhere.HERE, port))
newcomer.sendall(b"new")
if network.receive(newcomer, 3) != b"new":
    ckpt.fail("a new client is not served")
print("echoed:", len(clients))

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-timeout: 300
"""An echo server and its client with 1,000 connections between them, both in the tree: bytes are on their way in all
of them whenever the tree is taken, and each comes back once and in order. A client in another network namespace has a
connection to the same server all the while."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import network

CONNECTIONS = 1000

PROGRAM = network.ECHO + r"""
import os, socket, sys
server = socket.create_server(('0.0.0.0', 0), backlog=1024)
port = server.getsockname()[1]
if os.fork() == 0:
    server.close()
    clients = [socket.create_connection(('127.0.0.1', port)) for _ in range(int(sys.argv[1]))]
    turn = 0
    while True:
        texts = [b'%d %d\n' % (turn, number) * (1 + number % 50) for number in range(len(clients))]
        for client, text in zip(clients, texts):
            client.sendall(text)
        for number, (client, text) in enumerate(zip(clients, texts)):
            got = bytearray()
            while len(got) < len(text):
                part = client.recv(65536)
                if not part:
                    print('LOST', turn, number, flush=True)
                    os._exit(1)
                got += part
            if got != text:
                print('WRONG', turn, number, flush=True)
                os._exit(1)
        turn += 1
        print('TURN', turn, flush=True)
serve(server)
"""

network.enter_own()
elsewhere = network.Elsewhere()
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, str(CONNECTIONS)])
app.dump_args = ["--tcp-established"]
app.wait_text("TURN 2\n")
words = app.text().split()
port = int(words[words.index("PORT") + 1])
outside = elsewhere.call(lambda: network.connect(elsewhere.HERE, port))


def go_on():
    """Two more turns: one of them began and ended since we asked."""
    turns = app.text().count("TURN")
    ckpt.wait_until("the client to go on", lambda: app.text().count("TURN") >= turns + 2 or "LOST" in app.text() or "WRONG" in app.text())
    if "LOST" in app.text() or "WRONG" in app.text():
        ckpt.fail(app.text())


for cycle in range(2):
    go_on()
    outside.sendall(b"before")
    app.cycle()
    outside.sendall(b"after")
    if network.receive(outside, 11) != b"beforeafter":
        ckpt.fail("the connection from elsewhere gives something else back")
    go_on()
if len(app.tree()) != 2:
    ckpt.fail(app.text())
print("turns:", app.text().count("TURN"))

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""memcached, with clients that hold their connections: one is idle, one in the middle of a command."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import network

PORT = 11911
KEYS = 5000

network.enter_own()
app = ckpt.Checkpointed([ckpt.need("memcached"), "-l", "127.0.0.1", "-p", str(PORT), "-U", "0", "-u", "root", "-t", "4"])
app.dump_args = ["--tcp-established"]


def connected():
    ckpt.REAPER.reap()
    if app.pid in ckpt.REAPER.ended:
        ckpt.fail(app.text())
    try:
        clients.append(network.connect("127.0.0.1", PORT))
        return True
    except ConnectionRefusedError:
        return False


clients = []
ckpt.wait_until("memcached to listen", connected)
idle, halfway = clients[0], network.connect("127.0.0.1", PORT)


def ask(client, command, end=b"\r\n"):
    client.sendall(command)
    answer = b""
    while not answer.endswith(end):
        answer += client.recv(65536)
    return answer


value = lambda i: f"value {i} ".encode() * (1 + i % 40)
for i in range(KEYS):
    idle.sendall(b"set k%d 0 0 %d noreply\r\n%s\r\n" % (i, len(value(i)), value(i)))
for cycle in range(2):
    halfway.sendall(b"set half%d 0 0 10\r\n12345" % cycle)
    app.cycle()
    if ask(halfway, b"67890\r\n") != b"STORED\r\n":
        ckpt.fail("the command that was half sent is not done")
    for i in range(0, KEYS, 7):
        got = ask(idle, b"get k%d\r\n" % i, b"END\r\n")
        if got != b"VALUE k%d 0 %d\r\n%s\r\nEND\r\n" % (i, len(value(i)), value(i)):
            ckpt.fail(f"key {i}: {got[:80]}")
    if ask(network.connect("127.0.0.1", PORT), b"get half%d\r\n" % cycle, b"END\r\n").split(b"\r\n")[1] != b"1234567890":
        ckpt.fail("a new client does not see what was stored")
print("keys:", KEYS)

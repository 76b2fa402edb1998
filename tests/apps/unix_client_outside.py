#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients outside of the tree, of streams, records and datagrams, by a listener and by socketpair(2): their connections
outlive the tree's processes by the ends that somebody keeps, with what was on its way in both directions."""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import keep

PROGRAM = r"""
import os, select, socket, sys
path = sys.argv[1]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
sockets = [socket.socket(fileno=int(n)) for n in sys.argv[2:]]
print('READY', flush=True)
child = os.fork()  # has them as well
if child == 0:
    os.read(sockets[0].fileno(), 0)
    import signal
    signal.pause()
for _ in range(2): sockets.append(listener.accept()[0])
print('ACCEPTED', flush=True)
poll = select.epoll()
for s in sockets: poll.register(s, select.EPOLLIN)
by_number = {s.fileno(): s for s in sockets}
go_on = path + '.go_on'
import time
while by_number:
    # Only when it is told to: what comes before waits in the queues.
    if not os.path.exists(go_on): time.sleep(0.005); continue
    for number, event in poll.poll(0.05):
        s = by_number[number]
        text = s.recv(65536)
        if text in (b'', b'end'):
            poll.unregister(s); del by_number[number]; continue
        s.send(b'<' + text + b'>')
os.kill(child, 9)
os.wait()
print('VERIFIED', flush=True)
"""

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
path = ckpt.DIRECTORY + "/service"
pairs = [socket.socketpair(socket.AF_UNIX, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM)]
there = [pair[1].fileno() for pair in pairs]
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, path, *map(str, there)], pass_fds=there)
ours = [pair[0] for pair in pairs]
for pair in pairs:
    pair[1].close()
app.wait_text("READY\n")
for _ in range(2):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    ours.append(client)
app.wait_text("ACCEPTED\n")


def let(run):
    if run:
        open(path + ".go_on", "w").close()
    else:
        os.unlink(path + ".go_on")


def ask(what):
    for number, end in enumerate(ours):
        end.send(b"%s %d" % (what, number))


def expect(what):
    for number, end in enumerate(ours):
        end.settimeout(60 * ckpt.PATIENCE)
        got = end.recv(65536)
        if got != b"<%s %d>" % (what, number):
            ckpt.fail(f"end {number} gets {got} instead of {what}")


let(True)
for step in range(2):
    ask(b"before")
    # Answered, and the answers not read yet.
    for end in ours:
        end.settimeout(60 * ckpt.PATIENCE)
        end.recv(65536, socket.MSG_PEEK)
    let(False)
    kept = keep.cycle(app, lambda: expect(b"before") or ask(b"meanwhile"))
    if kept != len(ours):
        ckpt.fail(f"{kept} ends were kept")
    let(True)
    expect(b"meanwhile")
    ask(b"after")
    expect(b"after")
for end in ours:
    end.send(b"end")
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())
# Nobody else has the tree's ends.
for number, end in enumerate(ours):
    if end.type != socket.SOCK_DGRAM and end.recv(10) != b"":
        ckpt.fail(f"the other end of {number} is still there")

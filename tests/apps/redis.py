#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-timeout: 300
"""redis-server with 100,000 keys and its append-only file: a client in the middle of a pipeline, a subscriber, and
one that waits in BLPOP."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import network

PORT = 16399
KEYS = 100_000

network.enter_own()
data = os.path.join(ckpt.DIRECTORY, "redis")
os.makedirs(data)
app = ckpt.Checkpointed(
    [ckpt.need("redis-server"), "--port", str(PORT), "--bind", "127.0.0.1", "--dir", data, "--appendonly", "yes",
     "--appendfsync", "everysec", "--save", "", "--daemonize", "no", "--logfile", ""]
)
app.dump_args = ["--tcp-established"]
app.wait_text("eady to accept connections")


def command(*words):
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Client:
    def __init__(self):
        self.socket = network.connect("127.0.0.1", PORT)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        self.socket.sendall(command(*words))

    def answer(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            ckpt.fail(f"the connection ended: {line}")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            ckpt.fail(rest.decode())
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest

    def ask(self, *words):
        self.send(*words)
        return self.answer()


writer, pipeline, subscriber, waiter = (Client() for _ in range(4))
for begin in range(0, KEYS, 1000):
    writer.socket.sendall(b"".join(command("SET", f"key:{i}", f"value {i}") for i in range(begin, begin + 1000)))
    for _ in range(1000):
        writer.answer()
if subscriber.ask("SUBSCRIBE", "news") != [b"subscribe", b"news", 1]:
    ckpt.fail("no subscription")
for cycle in range(2):
    waiter.send("BLPOP", f"list{cycle}", "0")
    # Answers wait for their client, and half of a command for its rest.
    requests = b"".join(command("INCR", "counter") for _ in range(5000))
    pipeline.socket.sendall(requests[:-7])
    app.cycle()
    pipeline.socket.sendall(requests[-7:])
    answers = [pipeline.answer() for _ in range(5000)]
    if answers != list(range(cycle * 5000 + 1, cycle * 5000 + 5001)):
        ckpt.fail(f"the pipeline's answers are not in order: {answers[:3]} ... {answers[-3:]}")
    if writer.ask("RPUSH", f"list{cycle}", "element") != 1:
        ckpt.fail("RPUSH")
    if waiter.answer() != [b"list%d" % cycle, b"element"]:
        ckpt.fail("BLPOP")
    if writer.ask("PUBLISH", "news", f"message {cycle}") != 1:
        ckpt.fail("nobody is subscribed")
    if subscriber.answer() != [b"message", b"news", b"message %d" % cycle]:
        ckpt.fail("the subscriber")
    if writer.ask("DBSIZE") != KEYS + 1:
        ckpt.fail(f"keys are missing: {writer.ask('DBSIZE')}")
    for i in range(0, KEYS, 997):
        if writer.ask("GET", f"key:{i}") != b"value %d" % i:
            ckpt.fail(f"key {i}")
# The append-only file has it all.
writer.send("SHUTDOWN")
app.finish()
again = ckpt.Checkpointed(
    [ckpt.need("redis-server"), "--port", str(PORT + 1), "--bind", "127.0.0.1", "--dir", data, "--appendonly", "yes",
     "--save", "", "--logfile", os.path.join(ckpt.DIRECTORY, "again.log")]
)
ckpt.wait_until("the log to be loaded", lambda: "eady to accept" in ckpt.read(os.path.join(ckpt.DIRECTORY, "again.log")))
PORT += 1
if Client().ask("DBSIZE") != KEYS + 1:
    ckpt.fail("the append-only file lacks keys")
print("keys:", KEYS)

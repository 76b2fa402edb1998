#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-timeout: 300
"""40 times kill -9 of a `bpfckpt dump` of an echo server and its child with clients outside of the tree, half of them
while the network lock is being kept and the tree killed. Afterwards there is either the whole tree, and all connections go
on, or none of it and a complete checkpoint, from which all go on. In the end `bpfckpt clean` removes the lock of a
checkpoint that nobody restores, and the clients hear that there is nobody."""
import ctypes
import glob
import os
import random
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import network

ROUNDS = int(os.environ.get("KILL_ROUNDS", "40"))
CLIENTS = 30
PINS = "/sys/fs/bpf/bpfckpt"
CLONE_NEWNS, MS_PRIVATE, MS_REC = 0x20000, 1 << 18, 1 << 14

# The child has one end of a connection to its parent, which the lock has to take, too.
PROGRAM = (
    "import os, socket, sys\n"
    + network.ECHO
    + r"""
server = socket.create_server(('127.0.0.1', 0), backlog=64)
if os.fork() == 0:
    inner = socket.create_connection(server.getsockname())
    server.close()
    turn = 0
    while True:
        text = b'%d\n' % turn
        inner.sendall(text)
        got = b''
        while len(got) < len(text):
            part = inner.recv(len(text) - len(got))
            if not part:
                sys.exit(f'the connection to the parent ended in turn {turn}')
            got += part
        if got != text:
            sys.exit(f'{got} came back instead of {text}')
        turn += 1
serve(server)
"""
)
if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
network.enter_own()
# Pins of our own: `clean` ends locks of whatever is pinned.
libc = ctypes.CDLL(None, use_errno=True)
if (
    libc.unshare(CLONE_NEWNS) != 0
    or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) != 0
    or libc.mount(b"bpffs", b"/sys/fs/bpf", b"bpf", 0, None) != 0
):
    ckpt.skip("machine: a BPF file system of its own")


def locks():
    return glob.glob(PINS + "/lock-*")


def dump(images):
    os.makedirs(images)
    return ckpt.start_dump(
        app.pid, images, "--tcp-established", "-v4", "-o", "dump.log", spoiled="it is killed",
        stdout=subprocess.DEVNULL,
        stderr=open(os.path.join(images, "error"), "wb"),
    )


def settle():
    """When nobody of bpfckpt is left: is the tree there? It is there as a whole, or not at all."""

    def only_the_tree():
        ckpt.REAPER.reap()
        return set(ckpt.descendants(os.getpid())) <= set(pids)

    ckpt.wait_until("bpfckpt's processes to end", only_the_tree)
    there = [pid for pid in pids if (ckpt.stat_fields(pid) or "Z")[0] not in "ZX"]
    if there and there != pids:
        ckpt.fail(f"of {pids} only {there} are there: {app.text()}")
    return bool(there)


def restore(images):
    status, text = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", images, "-v4", "-o", "restore.log"])
    if status != 0:
        ckpt.fail(f"restore exits with {status}: {text}")
    ckpt.REAPER.reap()
    ckpt.REAPER.ended.clear()
    if app.tree() != pids:
        ckpt.fail(f"restored: {app.tree()} instead of {pids}: {app.text()}")


def collect(number, what):
    for index, client in enumerate(clients):
        expected = b"%d %d\n" % (number, index) * (1 + index)
        try:
            got = network.receive(client, len(expected))
        except OSError as error:
            ckpt.fail(f"{what}: client {index}: {error}")
        if got != expected:
            ckpt.fail(f"{what}: client {index} gets something else")


app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM])
app.wait_text("READY")
port = int(app.text().split()[1])
ckpt.wait_until("the child", lambda: len(app.tree()) == 2)
pids = app.tree()
clients = [network.connect("127.0.0.1", port) for _ in range(CLIENTS)]
work = ckpt.DIRECTORY

# The first run loads what the others find pinned.
for name in ("first", "timed"):
    images = os.path.join(work, name)
    process = dump(images)
    begin = time.monotonic()
    if process.wait() != 0:
        ckpt.fail(f"an undisturbed dump fails: {ckpt.read(images + '/error')}")
    length = time.monotonic() - begin
    if settle() or len(locks()) != 1:
        ckpt.fail(f"after a dump there are {locks()} and {app.tree()}")
    restore(images)
    if locks():
        ckpt.fail(f"after a restore there are {locks()}")

killed = alive = completed = early = 0
number = 0
while killed < ROUNDS:
    number += 1
    images = os.path.join(work, f"images.{number}")
    for index, client in enumerate(clients):
        client.sendall(b"%d %d\n" % (number, index) * (1 + index))
    process = dump(images)
    begin = time.monotonic()
    if number % 2:
        time.sleep(random.uniform(0, length * 1.1))
    else:
        while not locks() and process.poll() is None:
            pass
        time.sleep(random.uniform(0, 0.004))
    process.send_signal(signal.SIGKILL)
    status = process.wait()
    if status == 0:
        completed += 1
        length = (length + time.monotonic() - begin) / 2
    elif status == -signal.SIGKILL:
        killed += 1
    elif "has not come home yet" in ckpt.read(images + "/error"):
        early += 1  # the killed one was there a moment ago
    else:
        ckpt.fail(f"dump exits with {status}: {ckpt.read(images + '/error')}")
    if completed + early > 10 * ROUNDS:
        ckpt.fail(f"only {killed} dumps were caught alive")
    if settle():
        alive += 1
        if status == 0:
            ckpt.fail("the tree lives although the dump is complete")
    else:
        code, text = ckpt.run([ckpt.BPFCKPT, "verify", "-D", images])
        if code != 0:
            ckpt.fail(f"the tree is gone without a complete checkpoint: {text}")
        if len(locks()) != 1:
            ckpt.fail(f"the tree is gone, and its locks are {locks()}")
        restore(images)
    if locks():
        ckpt.fail(f"a tree runs with {locks()}")
    collect(number, f"round {number}, killed after {time.monotonic() - begin:.4f} s")
    subprocess.run(["rm", "-rf", images], check=True)
print(f"{killed} killed: {alive} trees went on, {killed + completed + early - alive} were restored; {completed} completed, {early} came too early")

for attempt in range(50):
    last = os.path.join(work, f"last.{attempt}")
    status = dump(last).wait()
    if "has not come home yet" not in ckpt.read(last + "/error"):
        break
    time.sleep(0.1)
for tid in re.findall(r"task (\d+) has not come home", ckpt.read(last + "/error")):
    print(f"task {tid}:", *(ckpt.read(f"/proc/{tid}/{name}") for name in ("syscall", "stack", "status", "maps")))
if status != 0 or settle() or len(locks()) != 1:
    ckpt.fail(f"the last dump exits with {status}, and leaves {locks()}: {ckpt.read(last + '/error')}")
clients[0].sendall(b"is anybody there?")
status, text = ckpt.run([ckpt.BPFCKPT, "clean"])
if status != 0 or locks():
    ckpt.fail(f"clean exits with {status}, and leaves {locks()}: {text}")
try:
    ckpt.fail(f"a client gets {clients[0].recv(100)} from nobody")
except ConnectionResetError:
    pass

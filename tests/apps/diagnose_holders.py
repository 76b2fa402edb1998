#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""diagnose names the process outside of a tree that shares a lock with it, or has the other end of its pipe, its unix socket
or its TCP connection over loopback; who has it inside of the tree is nobody to be named."""
import fcntl
import json
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
read_end, write_end = os.pipe()
locked = os.open(os.path.join(ckpt.DIRECTORY, "data"), os.O_CREAT | os.O_RDWR)
fcntl.flock(locked, fcntl.LOCK_EX)
output = os.path.join(ckpt.DIRECTORY, "output")
pid = ckpt.start([ckpt.need("sleep"), "1000"], output, pass_fds=[write_end, locked])
os.close(write_end)
ckpt.wait_until("sleep", lambda: ckpt.read(f"/proc/{pid}/comm") == "sleep\n")
process = subprocess.run([ckpt.BPFCKPT, "diagnose", "--json", "--file-locks", "-t", str(pid)], capture_output=True,
                         text=True)
if process.returncode != 1:
    ckpt.fail(f"{process.returncode} {process.stdout} {process.stderr}")
items = {item["subject"]: item for item in json.loads(process.stdout)["processes"][0]["items"] if item["code"]}
us = f"pid {os.getpid()} ({ckpt.read('/proc/self/comm').strip()}) has it"
for subject, code in ((f"fd {write_end}", "pipe-outside"), (f"fd {locked}", "file-lock-shared")):
    item = items.get(subject)
    if item is None or item["code"] != code or us not in item["reason"]:
        ckpt.fail(f"{subject} should be {code}, of {us}: {items}")
    if item.get("holders") != [{"pid": os.getpid(), "command": ckpt.read("/proc/self/comm").strip()}]:
        ckpt.fail(f"{subject}: its holders: {item}")
# The same of the whole machine; who shares a lock there may be of the same tree.
process = subprocess.run([ckpt.BPFCKPT, "diagnose", "--json", "--file-locks", "--all"], capture_output=True, text=True)
(found,) = [it for it in json.loads(process.stdout)["processes"] if it["pid"] == pid]
items = {item["subject"]: item for item in found["items"] if item["code"]}
if os.getpid() not in [holder["pid"] for holder in items.get(f"fd {write_end}", {}).get("holders", [])]:
    ckpt.fail(f"--all: its holders: {items}")
# When nobody else has them any more, there is nothing to be told.
os.close(read_end)
os.close(locked)
process = subprocess.run([ckpt.BPFCKPT, "diagnose", "--json", "--file-locks", "-t", str(pid)], capture_output=True,
                         text=True)
codes = {item["code"] for item in json.loads(process.stdout)["processes"][0]["items"]}
if process.returncode != 0 or codes & {"pipe-outside", "file-lock-shared"}:
    ckpt.fail(f"{process.returncode} {process.stdout}")

# Sockets, of IPv4 and of IPv6, of a server that takes both; the program's other end is that of a child of ours.
PROGRAM = r"""
import os, socket, sys, time
port = int(sys.argv[1])
pair = socket.socket(fileno=int(sys.argv[2]))
server = socket.create_server(('127.0.0.1', 0))
held = [socket.create_connection(('127.0.0.1', port)), socket.create_connection(('::1', port)),
        socket.create_connection(server.getsockname())]
held.append(server.accept()[0])
print('READY', *(s.fileno() for s in held), flush=True)
time.sleep(1000)
"""
try:
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
except OSError:
    ckpt.skip("machine: IPv6")
ours, theirs = socket.socketpair()
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, str(listener.getsockname()[1]), str(theirs.fileno())],
                        pass_fds=[theirs.fileno()])
pair_fd = theirs.fileno()
theirs.close()
accepted = [listener.accept()[0] for _ in range(2)]
app.wait_text("\n")
v4, v6, inner, inner_server = app.text().split()[1:]
me = {"pid": os.getpid(), "command": ckpt.read("/proc/self/comm").strip()}
for words in (["-t", str(app.pid)], ["--all"]):
    process = subprocess.run([ckpt.BPFCKPT, "diagnose", "--json", *words], capture_output=True, text=True)
    (found,) = [it for it in json.loads(process.stdout)["processes"] if it["pid"] == app.pid]
    items = {item["subject"]: item for item in found["items"] if item["code"]}
    for fd, code in ((pair_fd, "unix-outside"), (v4, "tcp-established"), (v6, "tcp-established")):
        item = items[f"fd {fd}"]
        if item["code"] != code or item.get("holders") != [me] or str(os.getpid()) not in item["reason"]:
            ckpt.fail(f"{words}: fd {fd} should be {code}, of {me}: {item}")
    for fd in (inner, inner_server):
        if items[f"fd {fd}"].get("holders"):
            ckpt.fail(f"{words}: fd {fd} is connected within the tree: {items[f'fd {fd}']}")

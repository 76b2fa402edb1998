#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""diagnose names the process outside of a tree that shares a lock with it, or has the other end of its pipe."""
import fcntl
import json
import os
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

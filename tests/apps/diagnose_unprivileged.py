#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""diagnose as another user with CAP_BPF and CAP_PERFMON alone says of root's process what it says as root."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
SETPRIV = ckpt.need("setpriv")
if os.geteuid() != 0:
    ckpt.skip("machine: root")
PROGRAM = r"""
import fcntl, mmap, os, select, socket, sys, threading, time
held = [select.epoll(), os.eventfd(3), os.memfd_create('m'), *os.pipe(), open(sys.argv[1] + '/data', 'w')]
held[0].register(held[1])
fcntl.flock(held[-1], fcntl.LOCK_EX)
shared = mmap.mmap(-1, 1 << 20)
threading.Thread(target=time.sleep, args=(1000,)).start()
print('READY', flush=True)
"""
NOBODY = "65534"
os.environ["HOME"] = "/nonexistent"  # ours cannot be read by others
BPFCKPT = os.path.abspath(ckpt.BPFCKPT)


def diagnose(*before):
    process = subprocess.run([*before, BPFCKPT, "diagnose", "--json", "-t", str(pid)], capture_output=True,
                             text=True, cwd="/")
    if process.returncode not in (0, 1):
        ckpt.fail(f"{before}: {process.returncode} {process.stderr}")
    report = json.loads(process.stdout)
    for item in report["processes"][0]["items"]:
        # The suffix of a shared mapping without a name is the kernel's.
        item["name"] = item["name"].removesuffix(" (deleted)")
    return process.returncode, report


output = os.path.join(ckpt.DIRECTORY, "output")
pid = ckpt.start([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY], output)
ckpt.wait_until("the program", lambda: "READY" in ckpt.read(output))
as_root = diagnose()
capabilities = "+bpf,+perfmon"
as_nobody = diagnose(SETPRIV, "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps", capabilities,
                     "--ambient-caps", capabilities, "--bounding-set", "-all," + capabilities)
if as_root != as_nobody:
    for a, b in zip(as_root[1]["processes"][0]["items"], as_nobody[1]["processes"][0]["items"]):
        if a != b:
            print(a, b)
    ckpt.fail("it differs")
items = as_nobody[1]["processes"][0]["items"]
if as_nobody[0] != 1 or [it["code"] for it in items if it["verdict"] != "ok"] != ["file-locks"]:
    ckpt.fail(f"{items}")
# Neither alone is enough, and that is said.
for one in ("+bpf", "+perfmon"):
    process = subprocess.run([SETPRIV, "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps", one,
                              "--ambient-caps", one, "--bounding-set", "-all," + one, BPFCKPT, "diagnose", "-t",
                              str(pid)], capture_output=True, text=True, cwd="/")
    if process.returncode != 6 or "CAP_BPF and CAP_PERFMON" not in process.stderr:
        ckpt.fail(f"with {one}: {process.returncode} {process.stderr}")

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What diagnose says as JSON is what docs/diagnose.schema.json promises, with codes of docs/diagnose.md, for a tree that
holds much of what is refused, for what is refused only, and for the whole machine. It stops nobody."""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

try:
    import jsonschema
except ImportError:
    ckpt.skip("program python3-jsonschema")
if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PROGRAM = r"""
import ctypes, fcntl, mmap, os, socket, sys, time
number = int(sys.argv[1])
held = [socket.socket(fileno=os.dup(number)), open(sys.argv[2] + '/lock', 'w')]   # the other end is outside
fcntl.flock(held[1], fcntl.LOCK_EX)
listener = socket.create_server(('127.0.0.1', 0))
held.append(socket.create_connection(listener.getsockname()))
held.append(ctypes.CDLL(None).syscall(444, ctypes.byref(ctypes.c_uint64(1)), 8, 0))     # a Landlock ruleset
held.append(os.memfd_create('in memory'))
held.append(mmap.mmap(-1, 1 << 20))
held.append(os.eventfd(3))
if os.fork() == 0 and os.fork() == 0:
    os.setsid()
print('READY', flush=True)
time.sleep(1000)
"""
schema = json.loads((DOCS / "diagnose.schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
documented = set(re.findall(r"`([a-z0-9-]+)`", (DOCS / "diagnose.md").read_text()))

ours, theirs = socket.socketpair()
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, str(theirs.fileno()), ckpt.DIRECTORY], pass_fds=[theirs.fileno()])
app.wait_text("READY")
codes = set()
for words in (["-t", str(app.pid)], ["-t", str(app.pid), "--unsupported"], ["--all"], ["--all", "--unsupported"]):
    calls = os.path.join(ckpt.DIRECTORY, "calls")
    process = subprocess.run(
        [ckpt.need("strace"), "-f", "-qq", "-o", calls, "-e", "trace=ptrace,kill,tkill,tgkill,pidfd_send_signal",
         ckpt.BPFCKPT, "diagnose", "--json", *words],
        capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if process.returncode not in (0, 1):
        ckpt.fail(f"diagnose {words}: {process.returncode} {process.stderr}")
    if "(" in ckpt.read(calls):
        ckpt.fail(f"diagnose {words} makes calls that may disturb others: {ckpt.read(calls)}")
    report = json.loads(process.stdout)
    for error in validator.iter_errors(report):
        ckpt.fail(f"diagnose {words}: {'/'.join(map(str, error.absolute_path))}: {error.message}")
    if report["dumpable"] != (process.returncode == 0):
        ckpt.fail(f"diagnose {words} exits with {process.returncode}, and says dumpable: {report['dumpable']}")
    items = [item for process in report["processes"] for item in process["items"]]
    codes |= {item["code"] for item in items if item["code"]}
    if "--unsupported" in words and any(item["verdict"] == "ok" for item in items):
        ckpt.fail(f"diagnose {words} shows what is ok")
kinds = tuple(code.removesuffix("KIND") for code in re.findall(r"`([a-z0-9-]+-KIND)`", (DOCS / "diagnose.md").read_text()))
unknown = {code for code in codes - documented if not code.startswith(kinds)}
if unknown:
    ckpt.fail(f"codes that docs/diagnose.md does not have: {sorted(unknown)}")
if not {"unix-outside", "tcp-established", "file-locks"} <= codes:
    ckpt.fail(f"only these were met: {sorted(codes)}")
print(len(codes), "codes:", *sorted(codes))

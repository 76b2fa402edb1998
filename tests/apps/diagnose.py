#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What diagnose says of a running tree is what dump does with it; and it disturbs nothing."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
PYTHON = ckpt.need("python3")
WAIT = "; print('READY', flush=True); time.sleep(1000)"
# What is run, and what may be held against it: diagnose names at least one of these, or nothing at all.
WORKLOADS = {
    "sleep": [ckpt.need("sleep"), "1000"],
    "python": [PYTHON, "-c", "import time" + WAIT],
    "epoll": [PYTHON, "-c", "import select, time; e = select.epoll()" + WAIT],
    "socket": [PYTHON, "-c", "import socket, time; s = socket.socketpair()" + WAIT],
    "ruleset": [PYTHON, "-c", "import ctypes, time; rights = ctypes.c_uint64(1)\n"
                "fd = ctypes.CDLL(None).syscall(444, ctypes.byref(rights), 8, 0)" + WAIT],  # Landlock
}


def diagnose(pid, *options):
    process = subprocess.run([ckpt.BPFCKPT, "diagnose", *options, "-t", str(pid)], capture_output=True, text=True)
    if process.stderr or process.returncode not in (0, 1):
        ckpt.fail(f"diagnose: {process.returncode} {process.stderr}")
    return process.returncode, process.stdout


for name, argv in WORKLOADS.items():
    output = os.path.join(ckpt.DIRECTORY, name)
    pid = ckpt.start(argv, output)
    if name == "sleep":
        ckpt.wait_until("sleep", lambda: ckpt.read(f"/proc/{pid}/comm") == "sleep\n")
    else:
        ckpt.wait_until(name, lambda: "READY" in ckpt.read(output))
    status, text = diagnose(pid)
    json_status, report = diagnose(pid, "--json")
    report = json.loads(report)
    if json_status != status or report["dumpable"] != (status == 0) or report["root"] != pid:
        ckpt.fail(f"{name}: {report} {text}")
    (process,) = report["processes"]
    items = {item["subject"]: item for item in process["items"]}
    fds = {f"fd {fd}" for fd in os.listdir(f"/proc/{pid}/fd")}
    if fds != {subject for subject in items if subject.startswith("fd ")}:
        ckpt.fail(f"{name}: descriptors {fds}: {sorted(items)}")
    areas = ckpt.read(f"/proc/{pid}/maps").count("\n")
    shown = sum(subject.startswith("mapping ") for subject in items)
    if not areas - 1 <= shown <= areas:  # vsyscall is nobody's
        ckpt.fail(f"{name}: {shown} mappings shown, {areas} there")
    obstacles = [item for item in items.values() if item["verdict"] != "ok"]
    if any(not item["code"] or not item["reason"] for item in obstacles):
        ckpt.fail(f"{name}: an obstacle without code or reason: {obstacles}")
    if name in ("sleep", "python") and obstacles:
        ckpt.fail(f"{name}: {obstacles}")
    if name == "ruleset" and "fd 3" in items and not obstacles:
        ckpt.fail("a ruleset was not noticed")
    if ckpt.stat_fields(pid)[0] not in "SR":
        ckpt.fail(f"{name}: not as it was")

    images = os.path.join(ckpt.DIRECTORY, name + ".images")
    os.makedirs(images)
    dump_status, dump_text = ckpt.dump(pid, images, "-R")
    if (dump_status == 0) != (status == 0):
        ckpt.fail(f"{name}: diagnose exits with {status}, dump with {dump_status}:\n{text}\n{dump_text}")
    if dump_status != 0 and not all(item["reason"] in dump_text for item in obstacles):
        ckpt.fail(f"{name}: {obstacles}, but dump says {dump_text}")
    print(name, "dumpable" if status == 0 else [item["code"] for item in obstacles])

process = subprocess.run([ckpt.BPFCKPT, "diagnose", "--all", "--json"], capture_output=True, text=True)
report = json.loads(process.stdout)
if os.getpid() not in [it["pid"] for it in report["processes"]] or report["root"] is not None:
    ckpt.fail("--all does not show us")
if subprocess.run([ckpt.BPFCKPT, "diagnose", "-t", "999999999"], capture_output=True).returncode != 4:
    ckpt.fail("a process that is not there")

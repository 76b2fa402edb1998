#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""diagnose as another user with CAP_BPF and CAP_PERFMON alone says of root's process what it says as root, of one and of
all; of what takes more (where a path leads) it says that it was not seen, and for want of what."""
import json
import os
import shutil
import subprocess
import sys

if os.environ.get("UNPRIVILEGED_NAMESPACE") is None:
    # Mounts of its own, which go with the script.
    unshare = shutil.which("unshare")
    if not unshare or os.geteuid() != 0:
        print("SKIP: machine: root" if unshare else "SKIP: program unshare", flush=True)
        sys.exit(77)
    os.environ["UNPRIVILEGED_NAMESPACE"] = "1"
    os.execv(unshare, [unshare, "-m", "--propagation", "private", sys.executable, *sys.argv])

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
SETPRIV = ckpt.need("setpriv")
PROGRAM = r"""
import fcntl, mmap, os, select, socket, sys, threading, time
held = [select.epoll(), os.eventfd(3), os.memfd_create('m'), *os.pipe(), open(sys.argv[1] + '/data', 'w')]
held[0].register(held[1])
fcntl.flock(held[-1], fcntl.LOCK_EX)
shared = mmap.mmap(-1, 1 << 20)
threading.Thread(target=time.sleep, args=(1000,)).start()
print('READY', flush=True)
"""
# Who has a file under what is going to be mounted over it, or behind a door.
ONE_FILE = r"""
import mmap, os, sys, time
file = open(sys.argv[1], 'r')
if sys.argv[2] == 'mapped':
    memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    os.closerange(3, 100)  # Python keeps a duplicate
print('READY', flush=True)
time.sleep(1000)
"""
WATCH = r"""
import ctypes, sys, time
libc = ctypes.CDLL(None)
assert libc.inotify_add_watch(libc.inotify_init1(0), sys.argv[1].encode(), 0x100) > 0
print('READY', flush=True)
time.sleep(1000)
"""
NOBODY = "65534"
os.environ["HOME"] = "/nonexistent"  # ours cannot be read by others
BPFCKPT = os.path.abspath(ckpt.BPFCKPT)
CAPABILITIES = "+bpf,+perfmon"


def as_nobody(capabilities):
    return [SETPRIV, "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps", capabilities,
            "--ambient-caps", capabilities, "--bounding-set", "-all," + capabilities]


def run(words, before):
    process = subprocess.run([*before, BPFCKPT, "diagnose", *words], capture_output=True, text=True, cwd="/")
    if process.returncode not in (0, 1):
        ckpt.fail(f"{before}: {process.returncode} {process.stderr}")
    return process.returncode, process.stdout


def diagnose(words, before=()):
    status, text = run(["--json", *words], before)
    report = json.loads(text)
    for process in report["processes"]:
        for item in process["items"]:
            # The suffix of a shared mapping without a name is the kernel's.
            item["name"] = item["name"].removesuffix(" (deleted)")
    return status, report


def start(name, program, *arguments):
    output = os.path.join(ckpt.DIRECTORY, name)
    pid = ckpt.start([ckpt.need("python3"), "-c", program, *arguments], output)
    ckpt.wait_until("the program", lambda: "READY" in ckpt.read(output))
    return pid


def path(*names):
    return os.path.join(ckpt.DIRECTORY, *names)


pid = start("output", PROGRAM, ckpt.DIRECTORY)
seen = diagnose(["-t", str(pid)])
by_nobody = diagnose(["-t", str(pid)], as_nobody(CAPABILITIES))
# Where the file system tells other numbers than it has (overlayfs), each file leaves a doubt.
unseen = by_nobody[1].pop("unseen", [])
if any(it["code"] != "covered" for it in unseen) or "unseen" in seen[1]:
    ckpt.fail(f"unseen: {unseen}, {seen}")
if seen != by_nobody:
    for a, b in zip(seen[1]["processes"][0]["items"], by_nobody[1]["processes"][0]["items"]):
        if a != b:
            print(a, b)
    ckpt.fail("it differs")
items = by_nobody[1]["processes"][0]["items"]
if by_nobody[0] != 1 or [it["code"] for it in items if it["verdict"] != "ok"] != ["file-locks"]:
    ckpt.fail(f"{items}")


def of_all(before=()):
    (found,) = [it for it in diagnose(["--all"], before)[1]["processes"] if it["pid"] == pid]
    return found


if of_all() != of_all(as_nobody(CAPABILITIES)):
    ckpt.fail(f"--all: it differs: {of_all()} {of_all(as_nobody(CAPABILITIES))}")

# The only obstacle is one that takes more than these two.
covered = path("covered")
os.mkdir(covered)
for name in ("opened", "mapped"):
    with open(os.path.join(covered, name), "w") as file:
        file.write("content")
pids = {name: start(f"output.{name}", ONE_FILE, os.path.join(covered, name), name) for name in ("opened", "mapped")}
if subprocess.call(["mount", "-t", "tmpfs", "tmpfs", covered]) != 0:
    ckpt.skip("machine: mounting a tmpfs")
for name, lacking in (("opened", {"CAP_SYS_PTRACE"}),
                      ("mapped", {"CAP_SYS_PTRACE", "CAP_CHECKPOINT_RESTORE", "CAP_DAC_READ_SEARCH"})):
    tree = ["-t", str(pids[name])]
    status, report = diagnose(tree)
    codes = [it["code"] for it in report["processes"][0]["items"] if it["verdict"] != "ok"]
    if status != 1 or codes != ["covered"] or "unseen" in report:
        ckpt.fail(f"{name}, as root: {status} {codes}")
    for words in (tree, ["--all"]):
        _, report = diagnose(words, as_nobody(CAPABILITIES))
        (found,) = [it for it in report["processes"] if it["pid"] == pids[name]]
        told = {it["code"]: it for it in report.get("unseen", [])}
        if any(it["code"] == "covered" for it in found["items"]) or "covered" not in told:
            ckpt.fail(f"{name}, {words}: {report.get('unseen')} {found}")
        if not lacking <= set(told["covered"]["lacking"]) or told["covered"]["things"] < 1:
            ckpt.fail(f"{name}, {words}: {told}")
        last = run(words, as_nobody(CAPABILITIES))[1].splitlines()[-1]
        if not last.startswith("Not seen, for want of CAP_") or "covered (" not in last or "CAP_SYS_PTRACE" not in last:
            ckpt.fail(f"{name}, {words}: the last line is '{last}'")
    # With what is lacking, it is seen.
    more = CAPABILITIES + "".join(",+" + name.removeprefix("CAP_").lower() for name in lacking)
    status, report = diagnose(tree, as_nobody(more))
    codes = [it["code"] for it in report["processes"][0]["items"] if it["verdict"] != "ok"]
    if status != 1 or codes != ["covered"]:
        ckpt.fail(f"{name}, with {more}: {status} {codes} {report.get('unseen')}")
subprocess.check_call(["umount", covered])

# What is behind a door is no obstacle, but not seen.
os.mkdir(path("closed"), mode=0o700)
os.mkdir(path("closed", "watched"))
watcher = start("output.watcher", WATCH, path("closed", "watched"))
if diagnose(["-t", str(watcher)])[0] != 0:
    ckpt.fail("a watch, as root")
status, report = diagnose(["-t", str(watcher)], as_nobody(CAPABILITIES))
(item,) = [it for it in report["processes"][0]["items"] if it["kind"] == "inotify"]
told = {it["code"]: it for it in report.get("unseen", [])}
if status != 0 or item["verdict"] != "ok" or item["code"] != "watched-unseen" or "watched-unnamed" not in told:
    ckpt.fail(f"a watch: {status} {item} {told}")
if told["watched-unnamed"] != {"code": "watched-unnamed", "things": 1, "lacking": ["CAP_DAC_READ_SEARCH"]}:
    ckpt.fail(f"a watch: {told}")

# Neither of the two alone is enough, and that is said.
for one in ("+bpf", "+perfmon"):
    process = subprocess.run([*as_nobody(one), BPFCKPT, "diagnose", "-t", str(pid)], capture_output=True, text=True,
                             cwd="/")
    if process.returncode != 6 or "CAP_BPF and CAP_PERFMON" not in process.stderr:
        ckpt.fail(f"with {one}: {process.returncode} {process.stderr}")

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`diagnose --all` says of each process what `diagnose -t` says of the tree that it is the root of: what it shares with its
children is inside, with its parent outside, and what is not all right below it is held against it, too."""
import atexit
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("program bpfckpt")
PROGRAM = r"""
import ctypes, fcntl, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def child(what):
    pid = os.fork()
    if pid == 0:
        what()
        print('READY', flush=True)
        time.sleep(1000)
    return pid
what = sys.argv[1]
if what == 'shared':
    a, b = socket.socketpair()
    lock = open(sys.argv[2] + '/lock', 'w')
    fcntl.flock(lock, fcntl.LOCK_EX)
    segment = libc.shmget(0, 8192, 0o600)
    libc.shmat.restype = ctypes.c_void_p
    libc.shmat(segment, None, 0)
    libc.shmctl(segment, 0, None)
    child(lambda: (a.close(), child(lambda: None)))
    b.close()
elif what == 'below':
    child(lambda: child(lambda: libc.syscall(444, ctypes.byref(ctypes.c_uint64(1)), 8, 0)))     # a Landlock ruleset
elif what == 'memory':
    def map_other_names():
        path = sys.argv[2] + '/mapped'
        with open(path, 'wb') as file:
            file.write(bytes(8192))
        os.link(path, path + '.too')
        file = os.open(path, os.O_RDONLY)
        libc.mmap(None, ctypes.c_size_t(8192), 1, 2, file, ctypes.c_long(0))                    # and no descriptor
        os.unlink(path)
        os.close(file)
    child(lambda: child(map_other_names))
elif what == 'names':
    path = sys.argv[2] + '/opened'
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    os.truncate(path, 8192)
    os.link(path, path + '.too')
    kept = os.open(path, os.O_RDONLY)
    os.unlink(path)
    def map_the_other():
        os.close(kept)
        file = os.open(path + '.too', os.O_RDONLY)
        libc.mmap(None, ctypes.c_size_t(8192), 1, 2, file, ctypes.c_long(0))
        os.close(file)
    child(map_the_other)
elif what == 'covered':
    def map_file():
        path = sys.argv[2] + '/place/file'
        file = os.open(path, os.O_CREAT | os.O_RDWR)
        os.truncate(path, 8192)
        libc.mmap(None, ctypes.c_size_t(8192), 1, 2, file, ctypes.c_long(0))
        os.close(file)
        child(lambda: None)                                                                     # which has the same mapping
    child(map_file)
elif what == 'lock':
    path = sys.argv[2] + '/locked'
    file = os.open(path, os.O_CREAT | os.O_RDWR)
    os.truncate(path, 8192)
    fcntl.flock(file, fcntl.LOCK_EX)
    libc.mmap(None, ctypes.c_size_t(8192), 1, 2, file, ctypes.c_long(0))
    child(lambda: os.close(file))
elif what == 'namespace':
    child(lambda: libc.unshare(0x04000000))                                                     # CLONE_NEWUTS
elif what == 'session':
    child(os.setsid)
print('READY', flush=True)
time.sleep(1000)
"""
EXPECTED = {"shared": 3, "below": 3, "memory": 3, "names": 2, "covered": 3, "lock": 2, "namespace": 2, "session": 2}
roots = {}
place = os.path.join(ckpt.DIRECTORY, "place")
os.mkdir(place)
for name, count in EXPECTED.items():
    output = os.path.join(ckpt.DIRECTORY, name)
    roots[name] = ckpt.start([ckpt.need("python3"), "-c", PROGRAM, name, ckpt.DIRECTORY], output)
    ckpt.wait_until(name, lambda output=output, count=count: ckpt.read(output).count("READY") == count)
covers = subprocess.run(["mount", "-t", "tmpfs", "over", place]).returncode == 0
if covers:
    atexit.register(subprocess.run, ["umount", "-l", place], check=True)


def diagnose(*words):
    status, text = ckpt.run([ckpt.BPFCKPT, "diagnose", "--json", "--unsupported", *words])
    if status not in (0, 1):
        ckpt.fail(f"diagnose {words}: {status} {text}")
    return status, json.loads(text)["processes"]


def found(pid, item):
    return item.get("pid", pid), item["subject"], item["verdict"], item["code"]


machine = {process["pid"]: process for process in diagnose("--all")[1]}
seen = set()
for name, root in roots.items():
    for pid in [root, *ckpt.descendants(root)]:
        status, tree = diagnose("-t", str(pid))
        there = sorted(found(process["pid"], item) for process in tree for item in process["items"])
        entry = machine[pid]
        here = sorted(found(pid, item) for item in entry["items"] + entry.get("below", []))
        if (entry["verdict"] == "ok") != (status == 0) or here != there:
            ckpt.fail(f"{name}: pid {pid}: --all: {entry['verdict']} {here}; -t: {status} {there}")
        seen |= {(name, pid == root, code) for _, _, _, code in here}
for one in (("shared", True, "file-locks"), ("shared", False, "file-lock-shared"), ("shared", False, "unix-outside"),
            ("shared", False, "sysv-shm-outside"), ("below", True, "landlock-ruleset"), ("memory", True, "link-remap"),
            ("memory", False, "link-remap"), ("covered", True, "covered"), ("covered", False, "covered"),
            ("namespace", True, "namespaces")):
    if one not in seen and (covers or one[0] != "covered"):
        ckpt.fail(f"{one} was not met: {sorted(seen)}")
for one in (("names", True, "link-remap"), ("lock", True, "file-lock-shared"), ("shared", True, "file-lock-shared"),
            ("shared", True, "unix-outside"), ("shared", True, "sysv-shm-outside")):
    if one in seen:
        ckpt.fail(f"{one}: what is shared inside of a tree: {sorted(seen)}")

# Who has it, too, is told of those outside of the tree: not the child that has it as well.
child, _ = ckpt.descendants(roots["shared"])
(lock,) = (item for item in machine[child]["items"] if item["code"] == "file-lock-shared")
if [holder["pid"] for holder in lock["holders"]] != [roots["shared"]]:
    ckpt.fail(f"the lock of {child} is shared with {roots['shared']}: {lock}")

ours = machine.get(os.getpid())
if not ours or [item["code"] for item in ours["items"]] != ["bpfckpt"] or "below" in ours:
    ckpt.fail(f"bpfckpt was below this test: {ours}")
status, text = ckpt.run([ckpt.BPFCKPT, "diagnose", "--all"])
(line,) = (line for line in text.splitlines() if line.split()[0] == str(roots["below"]))
(ruleset,) = (item for item in machine[roots["below"]]["below"] if item["code"] == "landlock-ruleset")
if f"pid {ruleset['pid']} {ruleset['subject']}: " not in line:
    ckpt.fail(f"the line does not name what is below: {line}")
if not covers:
    ckpt.skip("machine: mounting a tmpfs")

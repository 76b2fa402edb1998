#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A process that AppArmor confines comes back confined: by the same profile, each thread by its own, also after a chroot
and without privileges. A profile that is gone meanwhile is named before anything is made."""
import atexit
import ctypes
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

POLICY = "/sys/kernel/security/apparmor"
PROFILES = {"bpfckpt-test": 0, "bpfckpt-test-thread": 1}  # enforce, complain
# The leader's own change is the last thing it can do with files by name.
PROGRAM = r"""
import os, sys, threading, time
directory, chroot = sys.argv[1:]
path = '/proc/thread-self/attr/apparmor/current'
ready, again = threading.Event(), threading.Event()
def confine(fd, name):
    os.write(fd, ('changeprofile ' + name).encode())
    os.close(fd)
def thread():
    confine(os.open(path, os.O_RDWR), 'bpfckpt-test-thread')
    ready.set()
    again.wait()
other = threading.Thread(target=thread)
other.start()
ready.wait()
mine = os.open(path, os.O_RDWR)
go_on = os.open(directory + '/go_on', os.O_RDONLY)
users = os.open('/etc/passwd', os.O_RDONLY)
if chroot == 'chroot':
    os.chroot(directory)
    os.chdir('/')
    os.setgroups([])
    os.setresgid(1234, 1234, 1234)
    os.setresuid(1234, 1234, 1234)
confine(mine, 'bpfckpt-test')
def denied():
    try:
        os.open('/', os.O_RDONLY)
        return 'nothing is denied'
    except PermissionError:
        return 'names are denied'
print('READY', denied(), flush=True)
while os.pread(go_on, 1, 0) != b'y': time.sleep(0.01)
again.set()
other.join()
print('AGAIN', denied(), 'and what is open is read:', len(os.pread(users, 10, 0)), flush=True)
os._exit(0)
"""


def text(value):
    data = value.encode() + b"\0"
    return b"\x05" + struct.pack("<H", len(data)) + data


def number(value):
    return b"\x02" + struct.pack("<I", value)


def name(value):
    data = value.encode() + b"\0"
    return b"\x04" + struct.pack("<H", len(data)) + data


def policy(profile, mode):
    """A compiled profile without a rule (security/apparmor/policy_unpack.c): nothing is allowed."""
    out = name("version") + number(5) + name("profile") + b"\x07" + text(profile)
    out += name("flags") + b"\x07" + number(0) + number(mode) + number(0) + b"\x08"
    return out + number(0) * 4 + b"\x08"


def load(directory, what):
    with open(os.path.join(POLICY, directory), "wb", buffering=0) as file:
        file.write(what)


def label_of(tid):
    return ckpt.read(f"/proc/{tid}/attr/apparmor/current").strip()


def write_go_on(what):
    with open(os.path.join(ckpt.DIRECTORY, "go_on"), "w") as file:
        file.write(what)


if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
if not label_of("self"):
    ckpt.skip("machine: AppArmor is not at work")
if label_of("self") != "unconfined":
    ckpt.skip("machine: this test is confined itself")
if not os.path.exists(POLICY):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.unshare(0x00020000)
    libc.mount(None, b"/", None, 0x4000 | 0x40000, None)
    libc.mount(b"securityfs", b"/sys/kernel/security", b"securityfs", 0, None)
if not os.path.exists(POLICY):
    ckpt.skip("machine: securityfs cannot be mounted")

for profile, mode in PROFILES.items():
    load(".replace", policy(profile, mode))
    atexit.register(load, ".remove", profile.encode() + b"\0")
for chroot in ("no", "chroot"):
    write_go_on("n")
    app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY, chroot])
    app.wait_text("READY")
    if "READY names are denied" not in app.text():
        ckpt.fail(app.text())

    def labels():
        return {tid: label_of(tid) for tid in os.listdir(f"/proc/{app.pid}/task")}

    before = labels()
    if sorted(before.values()) != ["bpfckpt-test (enforce)", "bpfckpt-test-thread (complain)"]:
        ckpt.fail(f"confined as {before}")
    for _ in range(2):
        app.cycle()
        if labels() != before:
            ckpt.fail(f"confined as {labels()}, and was as {before}")
    if chroot == "chroot":
        app.dump()
        load(".remove", b"bpfckpt-test\0")
        status, output = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", app.images()])
        if status != 7 or "'bpfckpt-test (enforce)': AppArmor has no profile" not in output:
            ckpt.fail(f"without the profile restore exits with {status}: {output}")
        ckpt.REAPER.wait_none_left()
        load(".replace", policy("bpfckpt-test", 0))
        app.restore()
    write_go_on("y")
    said = app.finish().splitlines()[-1]
    if said != "AGAIN names are denied and what is open is read: 10":
        ckpt.fail(said)
    print("ok:", chroot, said)
    os.unlink(app.output)

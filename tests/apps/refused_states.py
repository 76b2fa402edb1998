#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""States of a process that cannot be carried are refused by name (exit status 3), before anything is stopped: other
namespaces than bpfckpt's, 32-bit mode, a local descriptor table."""
import os
import signal
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
READY = os.path.join(ckpt.DIRECTORY, "ready")


def expect_refusal(what, argv, words, wait_for_file=True):
    if os.path.exists(READY):
        os.unlink(READY)
    pid = ckpt.start(argv, os.path.join(ckpt.DIRECTORY, "output"))
    if wait_for_file:
        ckpt.wait_until(f"{what} to be ready", lambda: os.path.exists(READY))
    else:
        ckpt.wait_until(f"{what} to sleep", lambda: (ckpt.stat_fields(pid) or [""])[0] == "S")
    images = os.path.join(ckpt.DIRECTORY, "images")
    os.makedirs(images, exist_ok=True)
    status, text = ckpt.dump(pid, images)
    if status != 3 or not all(word in text for word in words):
        ckpt.fail(f"{what}: dump exits with {status}: {text}")
    if os.listdir(images):
        ckpt.fail(f"{what}: left behind: {os.listdir(images)}")
    if "TracerPid:\t0" not in ckpt.read(f"/proc/{pid}/status"):
        ckpt.fail(f"{what}: it is traced")
    for victim in [pid, *ckpt.descendants(pid)]:
        os.kill(victim, signal.SIGKILL)
    ckpt.REAPER.wait_none_left()
    print("ok:", what, "->", text.strip())


def script(body):
    return [ckpt.need("python3"), "-c", f"import ctypes, time\n{body}\nopen({READY!r}, 'w').close()\ntime.sleep(100)"]


def namespaces(name, flag):
    expect_refusal(f"{name} namespace", [ckpt.need("unshare"), flag, *script("")], ["namespaces", f"({name})"])


namespaces("uts", "--uts")
namespaces("net", "--net")
namespaces("mnt", "--mount")
thread = "import threading\nlibc = ctypes.CDLL(None, use_errno=True)\nok = []\n"
thread += "def leave(): ok.append(libc.unshare(0x04000000)); ready.set(); time.sleep(100)\n"
thread += "ready = threading.Event()\nthreading.Thread(target=leave, daemon=True).start()\nready.wait()\nassert ok == [0]"
expect_refusal("a thread's uts namespace", script(thread), ["namespaces", "(uts)"])

if os.uname().machine == "x86_64":
    # struct user_desc: entry 3, base, limit, 32-bit
    table = "d = (ctypes.c_uint * 4)(3, 0x10000, 0xfff, 1)\nassert ctypes.CDLL(None).syscall(154, 0x11, d, 16) == 0"
    expect_refusal("a local descriptor table", script(table), ["local-descriptor-table"])

    # A static ELF32 that does nothing but pause(2), again and again: mov $29,%eax; int $0x80; jmp
    code = b"\xb8\x1d\x00\x00\x00\xcd\x80\xeb\xf7"
    base, size = 0x8048000, 52 + 32 + len(code)
    header = b"\x7fELF\x01\x01\x01" + bytes(9)
    header += struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base + 84, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    header += struct.pack("<IIIIIIII", 1, 0, base, base, size, size, 5, 0x1000)
    path = os.path.join(ckpt.DIRECTORY, "program32")
    with open(path, "wb") as file:
        file.write(header + code)
    os.chmod(path, 0o755)
    try:
        expect_refusal("32-bit mode", [path], ["32-bit"], wait_for_file=False)
    except OSError:
        print("without 32-bit mode: this kernel does not run such programs")

# SPDX-License-Identifier: Apache-2.0
"""System calls that fail, by a seccomp filter: for the preexec_fn of what is started, whose children are under it, too."""
import ctypes
import os
import re
import struct

import ckpt

ARCHITECTURES = {"x86_64": (0xC000003E, "asm/unistd_64.h"), "aarch64": (0xC00000B7, "asm-generic/unistd.h")}


def numbers():
    """System call numbers by name, of the headers; the test is skipped where there are none."""
    machine = os.uname().machine
    _, header = ARCHITECTURES.get(machine) or ckpt.skip("machine: its system call numbers are not known here")
    for place in (f"/usr/include/{machine}-linux-gnu/", "/usr/include/"):
        text = ckpt.read(place + header)
        if text:
            return {name: int(number) for name, number in re.findall(r"#define __NR3?2?6?4?_(\w+)\s+(\d+)", text)}
    ckpt.skip("program linux-libc-dev")


def forbid(number, error):
    """Has that system call fail with that error in the calling process and its children."""
    arch, _ = ARCHITECTURES[os.uname().machine]
    # ld arch; jne allow; ld nr; jne allow; ret ERRNO; allow: ret ALLOW
    code = [(0x20, 0, 0, 4), (0x15, 0, 3, arch), (0x20, 0, 0, 0), (0x15, 0, 1, number),
            (0x06, 0, 0, 0x00050000 | error), (0x06, 0, 0, 0x7FFF0000)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    block = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(program)))
    if ctypes.CDLL(None, use_errno=True).prctl(22, 2, block, 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "seccomp")

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where there is no place for loaded programs that is bpfckpt's alone, they are loaded each time, which is said, and all
works as it does with them; where bpffs is not mounted, a private one is, and the second run finds its programs there."""
import ctypes
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = "import os,sys,time\nprint('READY',flush=True)\nwhile not os.path.exists(sys.argv[1]): time.sleep(.01)"
LOADED = "BPF programs are loaded each time"
libc = ctypes.CDLL(None, use_errno=True)


def mount(kind, place, options=b""):
    if libc.mount(kind, place, kind, 0, options) != 0:
        ckpt.skip("machine: mounting in a mount namespace of its own")


if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
# For this script and what it starts: the mounts of the machine stay as they are.
if libc.unshare(0x00020000) != 0 or libc.mount(None, b"/", None, 0x4000 | 0x40000, None) != 0:
    ckpt.skip("machine: a mount namespace of its own")
mount(b"tmpfs", b"/run", b"mode=0755")
if os.path.isdir("/sys/fs/bpf"):
    mount(b"tmpfs", b"/sys/fs/bpf", b"mode=0755")


def cycle(expect_loaded):
    go_on = os.path.join(ckpt.DIRECTORY, "go_on")
    app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, go_on])
    app.wait_text("READY")
    for _ in range(2):
        app.cycle()
        log = ckpt.read(os.path.join(ckpt.DIRECTORY, f"images.{app.cycles - 1}", "dump.log"))
        if (LOADED in log) != expect_loaded:
            ckpt.fail(f"'{LOADED}' is {'not ' if expect_loaded else ''}in: {log}")
    open(go_on, "w").close()
    app.finish()
    os.unlink(go_on)
    os.unlink(app.output)


os.mkdir("/run/bpfckpt")
os.chmod("/run/bpfckpt", 0o777)  # others may enter
cycle(expect_loaded=True)
if os.listdir("/run/bpfckpt"):
    ckpt.fail(f"pins where others may enter: {os.listdir('/run/bpfckpt')}")
os.rmdir("/run/bpfckpt")
cycle(expect_loaded=False)
pins = [len(names) for _, _, names in os.walk("/run/bpfckpt/bpf/bpfckpt")]
if sum(pins) < 10:
    ckpt.fail(f"the programs are not kept: {list(os.walk('/run/bpfckpt'))}")
status, output = ckpt.run([ckpt.BPFCKPT, "clean"])
if status != 0 or any(names for _, _, names in os.walk("/run/bpfckpt/bpf/bpfckpt")):
    ckpt.fail(f"clean exits with {status} and leaves programs: {output}")

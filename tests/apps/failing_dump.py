#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A dump that cannot write its images (full disk, read-only or missing directory, a directory that is a file) says so
clearly, leaves no manifest, no litter, and a tree that runs on."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import os, sys, threading, time
data = os.urandom(32 << 20)
threading.Thread(target=lambda: [time.sleep(0.01) for _ in iter(lambda: not os.path.exists(sys.argv[1]), False)]).start()
print('READY', flush=True)
n = 0
while not os.path.exists(sys.argv[1]):
    n += 1
    print('step', n, flush=True)
    time.sleep(0.01)
print('VERIFIED', flush=True)
"""
if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
go_on = os.path.join(ckpt.DIRECTORY, "go_on")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, go_on])
app.wait_text("READY")


def facts():
    lines = ckpt.read(f"/proc/{app.pid}/maps"), sorted(os.listdir(f"/proc/{app.pid}/fd"))
    return *lines, "TracerPid:\t0" in ckpt.read(f"/proc/{app.pid}/status")


def expect_refusal(what, directory, words):
    before, steps = facts(), app.text().count("step")
    status, text = ckpt.dump(app.pid, directory, spoiled=what)
    if status == 0 or status < 0:
        ckpt.fail(f"{what}: dump exits with {status}")
    if not any(word in text for word in words):
        ckpt.fail(f"{what}: the error does not say so: {text}")
    if len(text.strip().splitlines()) != 1:
        ckpt.fail(f"{what}: more than one line of error: {text}")
    if os.path.isdir(directory):
        left = os.listdir(directory)
        if "manifest" in left or any(name != "dump.log" for name in left):
            ckpt.fail(f"{what}: left behind: {left}")
    if facts() != before:
        ckpt.fail(f"{what}: the target is not as it was")
    ckpt.wait_until(f"the target to go on ({what})", lambda: app.text().count("step") > steps)
    print("ok:", what, "->", text.strip())


def with_mount(options, body):
    directory = os.path.join(ckpt.DIRECTORY, "mounted")
    os.makedirs(directory, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", directory]).returncode != 0:
        ckpt.skip("machine: mounting a tmpfs")
    try:
        body(directory)
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


with_mount("size=8m", lambda path: expect_refusal("full disk while writing pages", path, ["No space left"]))
with_mount("size=64k", lambda path: expect_refusal("full disk early", path, ["No space left"]))
with_mount("size=4k,nr_inodes=2", lambda path: expect_refusal("no inode left", path, ["No space left"]))
with_mount("size=64m,ro", lambda path: expect_refusal("read-only directory", path, ["Read-only"]))
expect_refusal("missing directory", os.path.join(ckpt.DIRECTORY, "none"), ["No such file"])
expect_refusal("a file instead of a directory", app.output, ["Not a directory"])

# An older checkpoint in the directory survives a failed one, or is gone; it never stays half.
images = os.path.join(ckpt.DIRECTORY, "images")
os.makedirs(images)
status, text = ckpt.dump(app.pid, images, "-R")
if status != 0:
    ckpt.fail(text)
status, text = ckpt.dump(999999999, images)
if status == 0 or "999999999" not in text:
    ckpt.fail(f"a pid that does not exist: {status} {text}")
if os.path.exists(os.path.join(images, "manifest")):
    status, text = ckpt.run([ckpt.BPFCKPT, "verify", "-D", images])
    if status != 0:
        ckpt.fail(text)
open(go_on, "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

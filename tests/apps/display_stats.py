#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `--display-stats` counts is what is there, as text, as JSON, and in the image."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import os, threading, time
data = os.urandom(5 << 20)
if os.fork() == 0: time.sleep(1000)
for _ in range(3): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
print('READY', flush=True)
time.sleep(1000)
"""
if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM])
app.wait_text("READY")
ckpt.wait_until("the child", lambda: len(app.tree()) == 2)


def dump(*more):
    status, output = ckpt.dump(app.pid, app.images(), "-R", "--display-stats", *more)
    if status != 0:
        ckpt.fail(output)
    return output


mappings = sum(len(ckpt.read(f"/proc/{pid}/maps").splitlines()) for pid in app.tree())
text = dump()
match = re.search(r"freezing ([\d.]+) ms, frozen ([\d.]+) ms .*total ([\d.]+) ms\n(\d+) processes, (\d+) threads, (\d+) mappings, "
                  r"\d+ files, (\d+) pages written", text)
if not match:
    ckpt.fail(text)
frozen, total = float(match[2]), float(match[3])
if not 0 < frozen < total:
    ckpt.fail(f"frozen for {frozen} of {total} ms")
# [vsyscall] is listed for each process and is nobody's.
if (int(match[4]), int(match[5])) != (2, 5) or abs(int(match[6]) - mappings) > 2 or not 1280 <= int(match[7]) < 20000:
    ckpt.fail(f"there are 2 processes, 5 threads, {mappings} mappings: {text}")
stats = json.loads(dump("--json"))
if (stats["processes"], stats["threads"]) != (2, 5) or not 0 < int(stats["frozen_us"]) < int(stats["total_us"]):
    ckpt.fail(f"{stats}")
status, output = ckpt.run([ckpt.BPFCKPT, "show", "--json", "-D", app.images()])
if status != 0 or json.loads(output)["manifest"]["stats"]["threads"] != 5:
    ckpt.fail(output[:2000])
app.dump()
status, output = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "--display-stats", "--json", "-D", app.images()])
if status != 0 or json.loads(output)["root_pid"] != app.pid or not json.loads(output)["total_us"] > 0:
    ckpt.fail(f"restore exits with {status}: {output}")

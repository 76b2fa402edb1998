#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""dump and restore read none of /proc's texts about tasks: strace sees every path that they open or look at."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

# Binary interfaces that the design allows; everything else below /proc/PID is text or a way around the kernel's objects.
# ns: bpfckpt's own, which have no text either. attr: what a security module calls a task, one word that is only compared,
# and has no other way out.
ALLOWED = {"pagemap", "map_files", "mem", "ns", "attr"}
CALLS = "open,openat,openat2,readlink,readlinkat,stat,lstat,newfstatat,statx,access,faccessat,faccessat2,execve,execveat"
TASK_FILE = re.compile(r'"/proc/(?:\d+|self|thread-self)(?:/task/\d+)?/([a-z_]+)')
PROGRAM = r"""
import os, sys, threading, time
files = [open('/dev/zero') for _ in range(3)]
pipe = os.pipe()
for _ in range(3): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
if os.fork() == 0: time.sleep(1000)
print('READY', flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
os._exit(0)
"""


def traced(action):
    """Dumps or restores under strace and checks what bpfckpt touched."""
    log = os.path.join(ckpt.DIRECTORY, action + ".strace")
    # restore's children are the tree, which restore itself has to trace: there only bpfckpt's own calls are seen.
    follow = ["-f"] if action == "dump" else []
    command = [ckpt.need("strace"), *follow, "-qq", "-s", "300", "-o", log, "-e", "trace=" + CALLS]
    if action == "dump":
        status, output = ckpt.dump(app.pid, app.images(), before=command)
    else:
        status, output = ckpt.run([*command, ckpt.BPFCKPT, action, "-d", "-D", app.images()])
    if status != 0:
        ckpt.fail(f"{action} under strace exits with {status}: {output}")
    lines = ckpt.read(log).splitlines()
    if not any("manifest" in line for line in lines):
        ckpt.fail(f"strace saw nothing of {action}")
    # Task files opened relative to a directory descriptor would hide: no such directory may be opened either.
    for line in lines:
        match = TASK_FILE.search(line)
        # Settings that have no interface but a file of one number.
        if action == "restore" and match and match.group(1) in {"oom_score_adj", "coredump_filter"}:
            continue
        # Opening one's own descriptor again reads no text and concerns no other task.
        if match and match.group(1) not in ALLOWED and not re.search(r'"/proc/self/fd/\d+"', line):
            ckpt.fail(f"{action} touched a forbidden file: {line}")
        if re.search(r'"/proc(/(\d+|self|thread-self)(/task(/\d+)?)?)?/?"', line):
            ckpt.fail(f"{action} opened a directory of tasks: {line}")
        if re.search(r'"(fd|fdinfo|maps|smaps|status|stat|task|mounts|mountinfo|limits)(/|")', line):
            ckpt.fail(f"{action} opened a task's file by a relative path: {line}")


if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
go_on = os.path.join(ckpt.DIRECTORY, "go_on")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, go_on])
app.wait_text("READY")
traced("dump")
ckpt.REAPER.wait_none_left()
ckpt.REAPER.ended.clear()
traced("restore")
open(go_on, "w").close()
app.finish()

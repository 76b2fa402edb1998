#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Standard streams that lead outside: pipes to other programs, given back at restore by --inherit-fd as other pipes."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
PROGRAM = r"""
import os, sys
sys.stderr.write('READY\n'); sys.stderr.flush()
for line in sys.stdin:
    print('got', line.strip(), flush=True)
print('end of input', flush=True)
"""


def expect(fd, text):
    seen = b""
    while not seen.endswith(text.encode()):
        part = os.read(fd, 4096)
        seen += part
        if not part:
            ckpt.fail(f"got {seen!r} instead of {text!r}")


to_program, from_program = os.pipe(), os.pipe()
output = os.path.join(ckpt.DIRECTORY, "stderr")
pid = os.fork()
if pid == 0:
    os.setsid()
    os.dup2(to_program[0], 0)
    os.dup2(from_program[1], 1)
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.closerange(3, 100)
    os.execv(ckpt.need("python3"), ["python3", "-c", PROGRAM])
ckpt.wait_until("the program", lambda: "READY" in ckpt.read(output))
os.close(to_program[0])
os.close(from_program[1])
os.write(to_program[1], b"one\n")
expect(from_program[0], "got one\n")
resources = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1)]
images = os.path.join(ckpt.DIRECTORY, "images")
os.makedirs(images)
status, text = ckpt.dump(pid, images)
if status != 0:
    ckpt.fail(f"dump: {status} {text}")
if not all(f"({resource})" in text for resource in resources):
    ckpt.fail(f"dump does not warn of pipes that lead outside: {text}")
ckpt.REAPER.wait(pid)

new_in, new_out = os.pipe(), os.pipe()
os.dup2(new_in[0], 50)
os.dup2(new_out[1], 51)
command = [ckpt.BPFCKPT, "restore", "-d", "-D", images]
command += ["--inherit-fd", f"fd[50]:{resources[0]}", "--inherit-fd", f"fd[51]:{resources[1]}"]
status, text = ckpt.run(command, pass_fds=(50, 51))
if status != 0:
    ckpt.fail(f"restore: {status} {text}")
for fd in (50, 51, new_in[0], new_out[1]):
    os.close(fd)
os.write(new_in[1], b"two\n")
expect(new_out[0], "got two\n")
os.close(new_in[1])
expect(new_out[0], "end of input\n")
if ckpt.REAPER.wait(pid) != 0:
    ckpt.fail(ckpt.read(output))
# Nobody else holds the pipe: the program's end was the last.
if os.read(new_out[0], 1) != b"":
    ckpt.fail("something else writes")

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A program in a terminal, whose session leader is outside of the tree: refused without --shell-job, and with it
restored into the terminal of the restoring session, where it goes on talking."""
import os
import pty
import select
import signal
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
PROGRAM = r"""
import os, sys
print('READY', os.getpid(), 'NOW', flush=True)
count = 0
for line in sys.stdin:
    count += 1
    print('answer', count, line.strip().upper(), os.isatty(0), os.tcgetpgrp(0) == os.getpgrp(), flush=True)
"""


class Terminal:
    """A new session with a pty; `argv` runs as a foreground job of a session leader that only waits for it."""

    def __init__(self, argv):
        self.leader, self.master = pty.fork()
        if self.leader == 0:
            # ctest leaves its growing log open for whom it starts.
            os.closerange(3, 1 << 16)
            job = os.fork()
            if job == 0:
                os.setpgid(0, 0)
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
                os.tcsetpgrp(0, os.getpgrp())
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTTOU])
                os.execv(argv[0], argv)
            _, status = os.waitpid(job, 0)
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
        self.seen = b""

    def wait_text(self, text):
        end = time.monotonic() + 30
        while text.encode() not in self.seen:
            if time.monotonic() > end:
                ckpt.fail(f"'{text}' does not come; seen: {self.seen!r}")
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 4096)
                except OSError:
                    ckpt.fail(f"the terminal was closed; seen: {self.seen!r}")

    def say(self, line):
        os.write(self.master, line.encode() + b"\n")


first = Terminal([ckpt.need("python3"), "-c", PROGRAM])
first.wait_text("NOW")
first.say("one")
first.wait_text("answer 1 ONE True True")
pid = int(first.seen.split(b"READY ")[1].split()[0])
images = os.path.join(ckpt.DIRECTORY, "images")
os.makedirs(images)
status, text = ckpt.dump(pid, images)
if status == 0 or "shell-job" not in text:
    ckpt.fail(f"dump without --shell-job: {status} {text}")
first.say("two")
first.wait_text("answer 2 TWO True True")
status, text = ckpt.dump(pid, images, "--shell-job")
if status != 0:
    ckpt.fail(f"dump --shell-job: {status} {text}")
ckpt.REAPER.wait(first.leader)

second = Terminal([ckpt.BPFCKPT, "restore", "-D", images, "--shell-job"])
second.say("three")
second.wait_text("answer 3 THREE True")
second.say("four")
second.wait_text("answer 4 FOUR True")
fields = ckpt.stat_fields(pid)
if int(fields[3]) != second.leader or int(fields[4]) == 0:
    ckpt.fail(f"session {fields[3]}, terminal {fields[4]}, of the restored program")
attributes = termios.tcgetattr(second.master)
os.write(second.master, attributes[6][termios.VEOF])
if os.waitstatus_to_exitcode(ckpt.REAPER.wait(second.leader)) != 0:
    ckpt.fail(f"the restored job did not end well: {second.seen!r}")

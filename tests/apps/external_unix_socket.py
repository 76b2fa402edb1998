#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Unix sockets whose other end is outside of the tree: refused with the process that has it; connected again by name
(--ext-unix-sk, --external unix[INO]); given back (--inherit-fd socket:[INO])."""
import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import os, socket, sys, time
directory, inherited = sys.argv[1], socket.socket(fileno=int(sys.argv[2]))
def wait_for(name):
    while not os.path.exists(directory + '/' + name): time.sleep(0.01)
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); log.connect(directory + '/log')
stream = socket.socket(socket.AF_UNIX); stream.connect(directory + '/stream')
print('READY', flush=True)
for step in range(3):
    wait_for('go_on.%d' % step)
    log.send(b'log %d' % step)
    stream.sendall(b'stream %d' % step)
    inherited.sendall(b'inherited %d' % step)
    assert inherited.recv(100) == b'answer %d' % step
    print('DONE', step, flush=True)
print('VERIFIED', flush=True)
"""


def let(name):
    open(os.path.join(ckpt.DIRECTORY, name), "w").close()


log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind(ckpt.DIRECTORY + "/log")
service = socket.socket(socket.AF_UNIX)
service.bind(ckpt.DIRECTORY + "/stream")
service.listen()
ours, theirs = socket.socketpair()
number = os.fstat(theirs.fileno()).st_ino
app = ckpt.Checkpointed(
    [ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY, str(theirs.fileno())], pass_fds=[theirs.fileno()]
)
theirs.close()
app.wait_text("READY\n")


def exchange(step):
    connection, _ = service.accept()
    let(f"go_on.{step}")
    for what, end in (("log", log), ("stream", connection), ("inherited", ours)):
        got = end.recv(100)
        if got != f"{what} {step}".encode():
            ckpt.fail(f"{what}: {got}")
    ours.sendall(f"answer {step}".encode())
    app.wait_text(f"DONE {step}\n")
    return connection


connections = [exchange(0)]
if not ckpt.NO_CHECKPOINT:
    images = app.images()
    status, text = ckpt.dump(app.pid, images)
    if status == 0 or text.count("is outside of the tree") != 3 or f"of process {os.getpid()} (" not in text:
        ckpt.fail(f"dump exits with {status}: {text}")
    if "--ext-unix-sk helps" not in text or f"--external socket:[{number}] helps" not in text:
        ckpt.fail(text)

    keep = f"socket:[{number}]"
    app.dump_args = ["--ext-unix-sk", "--external", keep]
    for step in (1, 2):
        app.dump()
        # The other end went with the tree: a new pair takes its place.
        ours, theirs = socket.socketpair()
        number = os.fstat(theirs.fileno()).st_ino
        os.set_inheritable(theirs.fileno(), True)
        status, text = ckpt.run(
            [ckpt.BPFCKPT, "restore", "-d", "-D", app.images(), "--ext-unix-sk", "--inherit-fd",
             f"fd[{theirs.fileno()}]:{keep}"],
            pass_fds=[theirs.fileno()],
        )
        if status != 0:
            ckpt.fail(f"restore exits with {status}: {text}")
        theirs.close()
        app.cycles += 1
        connections.append(exchange(step))
        numbers = [
            re.search(r"\d+", os.readlink(f"/proc/{app.pid}/fd/{fd}")).group()
            for fd in os.listdir(f"/proc/{app.pid}/fd")
            if os.readlink(f"/proc/{app.pid}/fd/{fd}").startswith("socket:")
        ]
        # By the number of each from now on.
        keep = f"socket:[{number}]"
        app.dump_args = ["--external", keep] + [a for n in numbers if f"socket:[{n}]" != keep for a in ("--external", f"unix[{n}]")]
else:
    sys.exit(0)
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

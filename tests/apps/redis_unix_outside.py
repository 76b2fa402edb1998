#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""redis over a unix socket that leads out of the tree. redis-cli in the tree, the server outside: refused with the name of
the server's process, and connected again by --ext-unix-sk, as a new client for the server. The server in the tree,
redis-cli outside: refused with the name of the client's, as that has no name to connect to."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import os, subprocess, sys, time
directory, cli = sys.argv[1:]
client = subprocess.Popen([cli, '-s', directory + '/redis.sock'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def ask(text):
    client.stdin.write(text.encode() + b'\n'); client.stdin.flush()
    return client.stdout.readline().decode().strip()
def wait_for(name):
    while not os.path.exists(directory + '/' + name): time.sleep(0.01)
assert ask('set key value') == 'OK'
first = ask('client id')
print('READY', first, flush=True)
wait_for('go_on.0')
for step in (1, 2):
    assert ask('get key') == 'value'
    assert ask('incr count') == str(step)
    print('STEP', step, ask('client id'), flush=True)
    wait_for('go_on.%d' % step)
client.stdin.close()
assert client.wait() == 0
print('VERIFIED', flush=True)
"""


def let(name):
    open(os.path.join(ckpt.DIRECTORY, name), "w").close()


def serve(directory):
    return [ckpt.need("redis-server"), "--port", "0", "--unixsocket", directory + "/redis.sock", "--dir", directory,
            "--save", "", "--daemonize", "no", "--logfile", directory + "/redis.log"]


def refused(app, *words):
    status, text = ckpt.dump(app.pid, app.images())
    if status != 3:
        ckpt.fail(f"dump exits with {status}: {text}")
    for word in words:
        if word not in text:
            ckpt.fail(f"'{word}' is not in: {text}")
    print("ok:", text.strip())


def cycle(app):
    """The server, which is a child of ours as well, stays."""
    status, text = ckpt.dump(app.pid, app.images(), "--ext-unix-sk")
    if status != 0:
        ckpt.fail(f"dump exits with {status}: {text}")
    ckpt.REAPER.wait(app.pid)
    status, text = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", app.images(), "--ext-unix-sk"])
    if status != 0:
        ckpt.fail(f"restore exits with {status}: {text}")
    app.cycles += 1


def wait_for_server(directory):
    ckpt.wait_until("the server", lambda: os.path.exists(directory + "/redis.sock"))


if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
cli = ckpt.need("redis-cli")
server = subprocess.Popen(serve(ckpt.DIRECTORY), start_new_session=True)
try:
    wait_for_server(ckpt.DIRECTORY)
    app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY, cli])
    app.wait_text("READY")
    refused(app, f"of process {server.pid} (redis-server), is outside of the tree", "redis.sock", "--ext-unix-sk helps")
    for step in (1, 2):
        cycle(app)
        let(f"go_on.{step - 1}")
        app.wait_text(f"STEP {step} ")
    let("go_on.2")
    text = app.finish()
    ids = [line.split()[-1] for line in text.splitlines() if line.startswith(("READY", "STEP"))]
    if "VERIFIED" not in text or len(set(ids)) != 3:
        ckpt.fail(text)
finally:
    server.kill()
    server.wait()

# The other way round.
inside = os.path.join(ckpt.DIRECTORY, "inside")
os.mkdir(inside)
app = ckpt.Checkpointed(serve(inside))
wait_for_server(inside)
client = subprocess.Popen([cli, "-s", inside + "/redis.sock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
try:
    client.stdin.write(b"set key value\n")
    client.stdin.flush()
    if client.stdout.readline() != b"OK\n":
        ckpt.fail("the client is not answered")
    refused(app, f"of process {client.pid} (redis-cli), is outside of the tree, and has no name to connect to again",
            "--external socket:[")
    client.stdin.write(b"get key\nshutdown nosave\n")
    client.stdin.close()
    if client.stdout.readline() != b"value\n":
        ckpt.fail("the client lost its server")
    client.wait(60)  # it tells the server to end
finally:
    client.kill()
    client.wait()
app.finish()

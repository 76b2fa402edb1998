#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A connection that is in flight in a unix socket's queue, and open nowhere, is refused when the tree stands still; diagnose
tells that there is something. It arrives, and works."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import network

PROGRAM = r"""
import os, socket, sys, time
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
here, there = socket.socketpair()
socket.send_fds(here, [b'x'], [server.fileno()])
server.close()
print('READY', flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
_, (fd,), _, _ = socket.recv_fds(there, 1, 1)
server = socket.socket(fileno=fd)
client.sendall(b'ping')
assert server.recv(4) == b'ping'
server.close()
assert client.recv(1) == b''
"""

network.enter_own()
go_on = os.path.join(ckpt.DIRECTORY, "go_on")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, go_on])
app.wait_text("READY")
# A look into a queue (MSG_PEEK) is nothing to be done to a program that runs.
status, output = ckpt.dump(app.pid, app.images(), "--tcp-established", stopped="what is in flight")
if "in flight in a socket's queue" not in output:
    ckpt.fail(f"dump ends with {status}: {output}")
status, output = ckpt.run([ckpt.BPFCKPT, "diagnose", "-t", str(app.pid), "--tcp-established"])
if "a descriptor is in flight to it, which no process has open" not in output:
    ckpt.fail(f"diagnose says nothing of it: {output}")
open(go_on, "w").close()
app.finish()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A connection that is in flight in a unix socket's queue, and open nowhere, is refused; it arrives, and works."""
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
status, output = ckpt.run([ckpt.BPFCKPT, "dump", "-t", str(app.pid), "-D", app.images(), "--tcp-established"])
if status != 3 or "in flight in a socket's queue" not in output:
    ckpt.fail(f"dump ends with {status}: {output}")
open(go_on, "w").close()
app.finish()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server that is often caught with a connection that it has not accepted yet: it is let go, and caught at a better moment."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import network

DUMPS = 15
MOST_DUMPS = 300  # until at least one came at a bad moment
PROGRAM = r"""
import os, select, socket, sys, threading, time
listener = socket.create_server(('127.0.0.1', 0))

def serve():
    while True:
        select.select([listener], [], [])
        time.sleep(0.001)
        connection, _ = listener.accept()
        connection.sendall(connection.recv(100))
        connection.close()

threading.Thread(target=serve, daemon=True).start()
count = 0
while not os.path.exists(sys.argv[1]):
    client = socket.create_connection(listener.getsockname())
    client.sendall(b'%d' % count)
    assert client.recv(100) == b'%d' % count
    assert client.recv(1) == b''
    client.close()
    count += 1
    if count == 10: print('READY', flush=True)
    time.sleep(0.008)
"""

network.enter_own()
go_on = os.path.join(ckpt.DIRECTORY, "go_on")
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, go_on])
app.dump_args = app.restore_args = ["--tcp-established"]
app.wait_text("READY")
again = number = 0
while not ckpt.NO_CHECKPOINT and (number < DUMPS or (again == 0 and number < MOST_DUMPS)):
    number += 1
    images = os.path.join(ckpt.DIRECTORY, f"running.{number}")
    os.makedirs(images)
    status, output = ckpt.dump(app.pid, images, "-R", "--tcp-established", "-v4")
    if status != 0:
        ckpt.fail(f"dump {number} ends with {status}: {output}")
    again += output.count("caught again")
    shutil.rmtree(images)
if again == 0 and not ckpt.NO_CHECKPOINT:
    ckpt.fail(f"none of {number} dumps came at a bad moment")
print(f"{number} dumps, caught again {again} times")
app.cycle()
open(go_on, "w").close()
app.finish()

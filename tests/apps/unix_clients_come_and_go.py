#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that connect, pass files and leave all the time: whatever moment a checkpoint comes at, no answer is lost."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import array, multiprocessing, os, socket, sys, threading, time
directory = sys.argv[1]
path, stop = directory + '/service', directory + '/stop'

def answer(connection):
    while True:
        text, control, _, _ = connection.recvmsg(4096, 1024)
        if not text: break
        for _, _, data in control:
            fds = array.array('i')
            fds.frombytes(data)
            for fd in fds: os.close(fd)
        connection.sendall(text)
    connection.close()

def server():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()

def client(number):
    count = 0
    while not os.path.exists(stop):
        connection = socket.socket(socket.AF_UNIX)
        while True:
            try:
                connection.connect(path)
                break
            except OSError:
                time.sleep(0.01)
        for i in range(3):
            text = b'%d %d %d' % (number, count, i)
            reader, writer = os.pipe()
            # Not with the first: nobody may have accepted the connection yet.
            if i == 0: connection.sendall(text)
            else: socket.send_fds(connection, [text], [reader])
            os.close(reader)
            os.close(writer)
            got = b''
            while len(got) < len(text):
                part = connection.recv(100)
                assert part, 'closed'
                got += part
            assert got == text, (got, text)
        connection.close()
        count += 1
    assert count > 0

multiprocessing.set_start_method('fork')
main = multiprocessing.Process(target=server)
main.start()
clients = [multiprocessing.Process(target=client, args=(i,)) for i in range(4)]
for one in clients: one.start()
print('READY', flush=True)
for one in clients:
    one.join()
    assert one.exitcode == 0
main.terminate()
main.join()
print('VERIFIED', flush=True)
"""

app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY])
app.wait_text("READY\n")
for _ in range(8):
    time.sleep(0.2)
    app.cycle()
open(os.path.join(ckpt.DIRECTORY, "stop"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

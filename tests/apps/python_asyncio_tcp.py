#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-timeout: 300
"""An asyncio server that is in the middle of large answers, over IPv4 and IPv6: first nobody reads them, then both
clients read as fast as they can while it is taken. Each byte comes, once and in order."""
import fcntl
import os
import struct
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import network

PROGRAM = r"""
import asyncio
async def serve(reader, writer):
    while line := await reader.readline():
        seed, count = map(int, line.split())
        for i in range(0, count, 10):
            writer.write(b''.join(b'%d %d\n' % (seed, k) for k in range(i, i + 10)))
            await writer.drain()
async def main():
    server = await asyncio.start_server(serve, ['127.0.0.1', '::1'], 0)
    print('PORTS', *[s.getsockname()[1] for s in server.sockets], 'READY', flush=True)
    async with server:
        await server.serve_forever()
asyncio.run(main())
"""

COUNT = 2_000_000  # some 17 MB, more than all queues hold

network.enter_own()
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM])
app.dump_args = ["--tcp-established"]
app.wait_text("READY")
clients = []
for port in map(int, app.text().split()[1:-1]):
    for host in ("127.0.0.1", "::1"):
        try:
            clients.append(network.connect(host, port))
        except ConnectionRefusedError:
            pass
if len(clients) < 2:
    ckpt.fail("the server has not both addresses")
results = [0] * len(clients)


def read(number):
    expected = b"".join(b"%d %d\n" % (number, i) for i in range(COUNT))
    results[number] = network.receive(clients[number], len(expected)) == expected


for number, client in enumerate(clients):
    client.sendall(b"%d %d\n" % (number, COUNT))


def waiting(client):
    return struct.unpack("i", fcntl.ioctl(client, termios.FIONREAD, bytes(4)))[0]


def are_full():
    before = [waiting(client) for client in clients]
    time.sleep(0.3)
    return all(before) and before == [waiting(client) for client in clients]


# Nobody reads: both are in the middle when no more comes.
ckpt.wait_until("full queues", are_full)
app.cycle()
threads = [threading.Thread(target=read, args=(number,)) for number in range(len(clients))]
for thread in threads:
    thread.start()
app.dump()
if any(results):
    ckpt.fail("an answer was complete before the tree was taken")
app.restore()
app.cycles += 1
for thread in threads:
    thread.join()
if not all(results):
    ckpt.fail(f"not all bytes came: {results}")
print("complete:", len(clients))

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An asyncio server and clients in other processes, over a unix socket: each request is answered once, in order."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
import asyncio, multiprocessing, os, sys
directory = sys.argv[1]
path = directory + '/service'
go_on = directory + '/go_on'

async def serve(ready):
    async def handle(reader, writer):
        while line := await reader.readline():
            writer.write(b'answer to ' + line)
            await writer.drain()
        writer.close()
    server = await asyncio.start_unix_server(handle, path)
    ready.set()
    async with server: await server.serve_forever()

def server(ready):
    try: asyncio.run(serve(ready))
    except KeyboardInterrupt: pass

async def talk(number):
    reader, writer = await asyncio.open_unix_connection(path)
    count = 0
    while not os.path.exists(go_on) or count % 50:
        writer.write(b'%d %d %s\n' % (number, count, b'x' * (count % 3000)))
        assert await reader.readline() == b'answer to %d %d %s\n' % (number, count, b'x' * (count % 3000))
        count += 1
        if count % 100 == 0 and number % 10 == 0: print('client', number, count, flush=True)
    writer.close()
    return count

async def talk_all(first): return await asyncio.gather(*(talk(first + i) for i in range(10)))

def clients(first):
    counts = asyncio.run(talk_all(first))
    assert all(count > 0 for count in counts)

multiprocessing.set_start_method('fork')
ready = multiprocessing.Event()
main = multiprocessing.Process(target=server, args=(ready,)); main.start(); ready.wait()
others = [multiprocessing.Process(target=clients, args=(first,)) for first in (0, 10, 20)]
for o in others: o.start()
for o in others: o.join(); assert o.exitcode == 0
main.terminate(); main.join()
print('VERIFIED', flush=True)
"""

app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY])
app.wait_text("client 20 200\n")
app.cycle()
app.wait_text("client 20 600\n")
app.cycle()
app.wait_text("client 20 1000\n")
open(os.path.join(ckpt.DIRECTORY, "go_on"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

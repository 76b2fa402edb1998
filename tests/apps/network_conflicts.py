#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A restore where the network has no room says so before it makes anything, all of it at once: ports that others have,
names of unix sockets, an address that the machine lacks, a connection that is there already or lies in TIME_WAIT. When
there is room again it succeeds."""
import os
import re
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import network

PROGRAM = r"""
import os, socket, sys, time
directory = sys.argv[1]
def bound(kind, host, family=socket.AF_INET):
    s = socket.socket(family, kind); s.bind((host, 0)); return s
one, two = bound(socket.SOCK_STREAM, '127.0.0.1'), bound(socket.SOCK_STREAM, '::', socket.AF_INET6)
one.listen(); two.listen()
datagrams = bound(socket.SOCK_DGRAM, '127.0.0.1')
far = bound(socket.SOCK_STREAM, '10.98.0.1'); far.listen()
lite = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136) if sys.argv[2] == 'lite' else bound(socket.SOCK_DGRAM, '127.0.0.1')
if sys.argv[2] == 'lite': lite.bind(('127.0.0.1', 0))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253); raw.bind(('10.98.0.2', 0))
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); echo.bind(('127.0.0.1', 4242))
device = bound(socket.SOCK_DGRAM, '127.0.0.1'); device.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'dummy98')
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); netlink.bind((0x40004711, 0))
named = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); named.bind('\0bpfckpt-conflict-%d' % os.getpid())
server = bound(socket.SOCK_STREAM, '127.0.0.1'); server.listen()
client = socket.create_connection(server.getsockname()); accepted = server.accept()[0]
print('PORTS', *[s.getsockname()[1] for s in (one, two, datagrams, far, server, client, lite)], 'READY', flush=True)
while not os.path.exists(directory + '/go_on'): time.sleep(0.01)
client.sendall(b'through'); assert accepted.recv(100) == b'through'
socket.create_connection(one.getsockname()); one.accept()
print('VERIFIED', flush=True)
"""
if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
ckpt.need("ip")
network.enter_own()


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def make_links():
    for address in ("10.98.0.1/32", "10.98.0.2/32"):
        ip("addr", "add", address, "dev", "lo")
    ip("link", "add", "dummy98", "type", "veth", "peer", "name", "dummy99")


make_links()
with open("/proc/sys/net/ipv4/ping_group_range", "w") as groups:
    groups.write("0 65535")
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136).close()
    LITE = "lite"
except OSError:
    LITE = "none"  # UDP-Lite is not in every kernel
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, ckpt.DIRECTORY, LITE])
app.wait_text("READY\n")
one, two, datagrams, far, server, client, lite = [int(n) for n in re.search(r"PORTS ([\d ]+) READY", app.text())[1].split()]
app.dump_args = ["--tcp-established"]
app.dump()
size = os.path.getsize(app.output)


def expect_failure(*words):
    before = ckpt.descendants(os.getpid())
    status, text = ckpt.run([ckpt.BPFCKPT, "restore", "-d", "-D", app.images(), "--tcp-established"])
    if status <= 0:
        ckpt.fail(f"restore exits with {status}")
    for word in words:
        if word not in text:
            ckpt.fail(f"'{word}' is not in: {text}")
    ckpt.REAPER.reap()
    if ckpt.descendants(os.getpid()) != before:
        ckpt.fail("something was made")
    print("ok:", text.strip())


def take(kind, host, port, family=socket.AF_INET, protocol=0, reuse=1):
    taken = socket.socket(family, kind, protocol)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    taken.bind((host, port))
    if kind == socket.SOCK_STREAM:
        taken.listen()
    return taken


# All at once.
others = [
    take(socket.SOCK_STREAM, "127.0.0.1", one),
    take(socket.SOCK_STREAM, "::", two, socket.AF_INET6),
    take(socket.SOCK_DGRAM, "127.0.0.1", datagrams),
]
for address in ("10.98.0.1/32", "10.98.0.2/32"):
    ip("addr", "del", address, "dev", "lo")
ip("link", "del", "dummy98")
others_too = [take(socket.SOCK_DGRAM, "127.0.0.1", 4242, protocol=socket.IPPROTO_ICMP, reuse=0)]
others_too.append(take(socket.SOCK_DGRAM, "127.0.0.1", lite, protocol=136 if LITE == "lite" else 0))
others_too.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
others_too[-1].bind((0x40004711, 0))
expect_failure(
    "this machine does not have the address of 10.98.0.2:0",
    "this machine does not have the interface dummy98 of 127.0.0.1:",
    "the identifier of ICMP echoes of 127.0.0.1:4242 is taken",
    f"the {'UDP-Lite' if LITE == 'lite' else 'UDP'} port of 127.0.0.1:{lite} is taken",
    f"the netlink port {0x40004711} of protocol 0 is taken",
    f"the port of 127.0.0.1:{one} is taken",
    f"the port of [::]:{two} is taken",
    f"the UDP port of 127.0.0.1:{datagrams} is taken",
    f"does not have the address of 10.98.0.1:{far}",
    *(f"socket:[{os.fstat(s.fileno()).st_ino}]" for s in others),
)
for other in others + others_too:
    other.close()
make_links()

# A name.
named = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
named.bind(f"\0bpfckpt-conflict-{app.pid}")
expect_failure(f"@bpfckpt-conflict-{app.pid} is the name of a socket that another process has")
named.close()

# There is room again.
open(os.path.join(ckpt.DIRECTORY, "go_on"), "w").close()
app.restore()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

os.truncate(app.output, size)
# Its connection ended a moment ago, and whatever is left of that on its way might come to a new one.
expect_failure(f"the connection 127.0.0.1:{client} -> 127.0.0.1:{server} is there already (TIME-WAIT, for another")

# SPDX-License-Identifier: Apache-2.0
"""A network for tests: namespaces of their own, clients that hold their connections over dump and restore."""
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading

import ckpt

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def enter_own():
    """The calling thread, and what it starts, is in a new namespace with nothing but a loopback device."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        ckpt.skip("machine: network namespaces")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


class Elsewhere:
    """Another network namespace, joined to ours by a pair of veth devices: 10.99.0.1 here, 10.99.0.2 there."""

    HERE, THERE = "10.99.0.1", "10.99.0.2"

    def __init__(self):
        self.ready, self.over = threading.Event(), threading.Event()
        self.jobs, self.done = [], threading.Semaphore(0)
        self.wake = threading.Semaphore(0)
        threading.Thread(target=self._live, daemon=True).start()
        self.ready.wait()
        there = f"/proc/{os.getpid()}/task/{self.tid}/ns/net"
        ckpt.need("ip")
        for words in (
            f"link add veth0 type veth peer name veth1 netns {there}",
            f"addr add {self.HERE}/24 dev veth0",
            "link set veth0 up",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        self.call(lambda: subprocess.run(["ip", "addr", "add", f"{self.THERE}/24", "dev", "veth1"], check=True))
        self.call(lambda: subprocess.run(["ip", "link", "set", "veth1", "up"], check=True))

    def _live(self):
        enter_own()
        self.tid = threading.get_native_id()
        self.ready.set()
        while True:
            self.wake.acquire()
            self.result = self.jobs.pop()()
            self.done.release()

    def call(self, function):
        """Runs it there; sockets that it makes stay there."""
        self.jobs.append(function)
        self.wake.release()
        self.done.acquire()
        return self.result


def receive(connection, length):
    data = bytearray()
    while len(data) < length:
        part = connection.recv(min(1 << 16, length - len(data)))
        if not part:
            ckpt.fail(f"the connection ended after {len(data)} of {length} bytes")
        data += part
    return bytes(data)


def connect(host, port):
    connection = socket.create_connection((host, port))
    connection.settimeout(60 * ckpt.PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


# Programs put it before their own text, and call serve() with a socket that listens.
ECHO = r"""
import selectors
def serve(server):
    poll = selectors.DefaultSelector()
    poll.register(server, selectors.EVENT_READ)
    print('PORT', server.getsockname()[1], 'READY', flush=True)
    while True:
        for key, _ in poll.select():
            if key.fileobj is server:
                connection, _ = server.accept()
                poll.register(connection, selectors.EVENT_READ)
                continue
            data = key.fileobj.recv(65536)
            if data:
                key.fileobj.sendall(data)
            else:
                poll.unregister(key.fileobj)
                key.fileobj.close()
"""

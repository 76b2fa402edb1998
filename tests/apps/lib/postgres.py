# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL cluster in the test's directory, and a client of its wire protocol. No part of it is a test."""
import glob
import os
import pwd
import socket
import struct
import subprocess
import time

import ckpt


class Failed(Exception):
    """An error that the server reported."""


def programs():
    """The newest server's folder of programs, or None."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return os.path.dirname(found[-1]) if found else None


def as_user():
    """What subprocess wants, to run a program as the server's user: it does not run as root."""
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        return None
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def make_cluster(directory):
    """A new cluster that trusts everybody; the path of its data."""
    data = os.path.join(directory, "data")
    os.mkdir(data, 0o700)
    os.chown(data, as_user()["user"], as_user()["group"])
    words = [programs() + "/initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, **as_user())
    return data


def command(data, directory, port, *settings):
    words = [programs() + "/postgres", "-D", data, "-k", directory, "-p", str(port)]
    for setting in settings:
        words += ["-c", setting]
    return words


class Client:
    """One connection. Queries are texts of the simple protocol; values come back as texts."""

    def __init__(self, address, patience_s=60):
        end = time.monotonic() + patience_s * ckpt.PATIENCE
        while True:
            self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
            self.socket.settimeout(120 * ckpt.PATIENCE)
            try:
                self.socket.connect(address)
                self.file = self.socket.makefile("rb")
                words = b"user\0postgres\0database\0postgres\0\0"
                self.socket.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
                self.notices = []
                self.rows()
                return
            except (OSError, Failed):
                if time.monotonic() > end:
                    raise
                self.socket.close()
                time.sleep(0.05)

    def send(self, query):
        text = query.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", len(text) + 4) + text)

    def message(self):
        head = self.file.read(5)
        if len(head) != 5:
            raise ConnectionError("the connection ended")
        return head[:1], self.file.read(struct.unpack("!i", head[1:])[0] - 4)

    def rows(self):
        """Reads up to the end of an answer."""
        rows, error = [], None
        while True:
            kind, body = self.message()
            if kind == b"D":
                at, row = 2, []
                for _ in range(struct.unpack_from("!h", body)[0]):
                    length = struct.unpack_from("!i", body, at)[0]
                    at += 4
                    row.append(None if length < 0 else body[at : at + length].decode())
                    at += max(length, 0)
                rows.append(row)
            elif kind == b"E":
                error = body.decode(errors="replace").replace("\0", " ")
                if not self.file.peek(1):
                    raise Failed(error)
            elif kind == b"A":
                self.notices.append(body[4:].split(b"\0")[:2])
            elif kind == b"Z":
                if error:
                    raise Failed(error)
                return rows

    def ask(self, query):
        self.send(query)
        return self.rows()

    def value(self, query):
        return self.ask(query)[0][0]

    def close(self):
        self.file.close()
        self.socket.close()

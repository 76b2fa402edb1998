# SPDX-License-Identifier: Apache-2.0
"""A tree of what a restore makes for a moment, or beyond its processes: names of files without a name, a socket's name, a
segment of System V, pages that are copied from outside, helpers for a session whose leader is gone, a zombie. It checks
itself when it is asked."""
import os
import signal

import ckpt

PROGRAM = r"""
import ctypes, fcntl, hashlib, mmap, os, signal, socket, sys, termios, threading, time
directory = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
memory = os.urandom(40 << 20)
shared = mmap.mmap(-1, 2 << 20)
shared.write(os.urandom(2 << 20))
sums = [hashlib.sha1(memory).digest(), hashlib.sha1(shared[:]).digest()]
gone = open(directory + '/gone', 'w+b', 0)
gone.write(b'of a deleted file')
os.unlink(directory + '/gone')
listener = socket.socket(socket.AF_UNIX)
listener.bind(directory + '/socket')
listener.listen(5)
left, right = socket.socketpair()
left.send(b'in a queue')
out, into = os.pipe()
os.write(into, b'in a pipe')
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(0, 1 << 20, 0o1600)
address = libc.shmat(segment, None, 0)
libc.shmctl(segment, 0, None)  # IPC_RMID: it goes with the last process
ctypes.memmove(address, b'in a segment', 12)
os.mkdir(directory + '/place')
os.chdir(directory + '/place')
os.rmdir(directory + '/place')
threads = [threading.Thread(target=time.sleep, args=(100000,), daemon=True) for _ in range(3)]
for thread in threads: thread.start()
lock = open(directory + '/lock', 'w')
fcntl.flock(lock, fcntl.LOCK_EX)

def verify():
    assert [hashlib.sha1(memory).digest(), hashlib.sha1(shared[:]).digest()] == sums, 'memory'
    assert os.pread(gone.fileno(), 100, 0) == b'of a deleted file', 'deleted file'
    assert right.recv(100, socket.MSG_PEEK) == b'in a queue', 'socket'
    unread = bytearray(4)
    fcntl.ioctl(out, termios.FIONREAD, unread)
    assert int.from_bytes(unread, 'little') == 9, 'pipe'
    assert ctypes.string_at(address, 12) == b'in a segment', 'segment'
    assert os.fstat(os.open('.', os.O_RDONLY)).st_nlink == 0, 'directory'
    assert len(os.listdir('/proc/self/task')) == (4 if who == 'root' else 1), 'threads'

def live():
    last = None
    while True:
        try:
            with open(directory + '/ask') as file: asked = file.read()
        except FileNotFoundError:
            asked = ''
        if asked and asked != last:
            last = asked
            try:
                verify()
                answer = asked
            except BaseException as error:
                answer = repr(error)
            with open(directory + '/' + who + '.new', 'w') as file: file.write(answer)
            os.rename(directory + '/' + who + '.new', directory + '/' + who)
        time.sleep(0.005)

libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
for who in ('child', 'session', 'orphan'):
    if os.fork() == 0:
        if who != 'child': os.setsid()
        if who == 'orphan' and os.fork() != 0: os._exit(0)  # its session has no leader
        live()
# The orphan's parent is waited for, and one is left as a zombie.
while os.wait()[1] != 0: pass
if os.fork() == 0: os._exit(7)
who = 'root'
print('SEGMENT', segment, 'READY', flush=True)
live()
"""
WHO = ("root", "child", "session", "orphan")


class RichTree:
    """The tree, in a directory of its own; `app` drives it."""

    processes = len(WHO) + 1  # a zombie

    def __init__(self):
        self.directory = os.path.join(ckpt.DIRECTORY, "work")
        os.mkdir(self.directory)
        self.asked = 0
        self.app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, self.directory])
        self.app.dump_args = ["--file-locks"]
        self.app.wait_text("READY")
        self.wait_checked(self.ask())

    def ask(self):
        """Asks all processes, whenever they are there, to check themselves; a token to ask for the answers by."""
        self.asked += 1
        token = f"{self.asked:08}"  # of one length: the tree may be caught with the file open
        path = os.path.join(self.directory, "ask")
        with open(path + ".new", "w") as file:
            file.write(token)
        os.rename(path + ".new", path)
        return token

    def is_checked(self, token):
        """Whether all have, and found all as it was."""
        texts = [ckpt.read(os.path.join(self.directory, who)) for who in WHO]
        for who, text in zip(WHO, texts):
            if text and not text.isdigit():
                ckpt.fail(f"{who}: {text}")
        return all(text == token for text in texts)

    def wait_checked(self, token):
        ckpt.wait_until("the tree to check itself", lambda: self.is_checked(token))

    def names(self):
        """In its directory, but for those by which it is asked."""
        return sorted(name for name in os.listdir(self.directory) if not name.endswith(".new") and name not in {"ask", *WHO})

    def kill(self):
        for pid in ckpt.descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        ckpt.REAPER.wait_none_left()
        ckpt.REAPER.ended.clear()

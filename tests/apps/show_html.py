#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-timeout: 240
"""`show --html` in a browser: every process is drawn, what is shared is told, and no name becomes markup."""
import html.parser
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
if os.environ.get("BPFCKPT_TEST_PATIENCE"):
    ckpt.skip("machine: one that is fast enough for a browser")
CHROMIUM = ckpt.need("chromium")
HOSTILE = "<img src=x onerror=document.title='taken'>&amp;\"'"
PROGRAM = r"""
import ctypes, mmap, os, sys, time
hostile = sys.argv[1]
libc = ctypes.CDLL(None)
shared = os.open(sys.argv[2] + '/' + hostile, os.O_CREAT | os.O_RDWR)
ends = os.pipe()
anonymous = mmap.mmap(-1, 1 << 20)
anonymous[:12288] = b'a' * 12288
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(0, 1 << 16, 0o600)
address = libc.shmat(segment, None, 0)
libc.shmctl(segment, 0, None)  # IPC_RMID: it goes with us
ctypes.memset(address, 115, 8192)
# Python's mmap keeps a descriptor; this file is reached by its mapping alone.
closed = os.open(sys.argv[2] + '/closed & mapped', os.O_CREAT | os.O_RDWR)
os.ftruncate(closed, 16384)
libc.mmap.restype = ctypes.c_void_p
libc.mmap(None, ctypes.c_size_t(16384), 3, 1, closed, ctypes.c_long(0))
os.close(closed)
for i in range(3):
    if os.fork() == 0:
        libc.prctl(15, hostile[:15].encode(), 0, 0, 0)
        if i == 0 and os.fork() == 0: pass
        break
else:
    if os.fork() == 0: os._exit(3)
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
print('READY', flush=True)
time.sleep(1000)
"""

app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, HOSTILE, ckpt.DIRECTORY])
ckpt.wait_until("five processes", lambda: app.text().count("READY") == 5)
zombie = [pid for pid in app.tree() if ckpt.stat_fields(pid)[0] == "Z"]
if len(zombie) != 1:
    ckpt.fail(f"zombies: {zombie}")
pids = app.dump()
page = os.path.join(ckpt.DIRECTORY, "page.html")
status, text = ckpt.run([ckpt.BPFCKPT, "show", "--html", "-D", app.images()])
if status != 0:
    ckpt.fail(text)
with open(page, "w", encoding="utf-8") as file:
    file.write(text)


class Page(html.parser.HTMLParser):
    """Counts elements, and keeps the texts of drawn processes, and of the rows of tables by the table's id."""

    def __init__(self):
        super().__init__()
        self.tags, self.pids, self.rows, self.table, self.pid = {}, {}, {}, None, None

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        attrs = dict(attrs)
        if "data-pid" in attrs:
            self.pid = int(attrs["data-pid"])
            self.pids[self.pid] = ""
        if tag == "table":
            self.table = attrs.get("id")
        if tag == "tr" and self.table:
            self.rows.setdefault(self.table, []).append([])
        if tag in ("td", "th") and self.table:
            self.rows[self.table][-1].append("")
        if any(name.startswith("on") or name in ("src", "href") for name in attrs):
            ckpt.fail(f"an attribute that acts: {tag} {attrs}")

    def handle_endtag(self, tag):
        if tag == "table":
            self.table = None
        if tag == "g":
            self.pid = None

    def handle_data(self, data):
        if self.pid:
            self.pids[self.pid] += data
        if self.table and self.rows[self.table][-1:] and self.rows[self.table][-1]:
            self.rows[self.table][-1][-1] += data

    def text(self, table):
        return "\n".join(" | ".join(row) for row in self.rows.get(table, []))


def browse(*words):
    profile = os.path.join(ckpt.DIRECTORY, "profile")
    return ckpt.run([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--no-first-run", f"--user-data-dir={profile}", "--virtual-time-budget=2000", *words,
                     f"file://{page}"], 150, env={**os.environ, "HOME": ckpt.DIRECTORY})


status, dom = browse("--dump-dom")
if status != 0 or "<html" not in dom:
    ckpt.fail(f"chromium: {status} {dom[-3000:]}")
dom = dom[dom.index("<html"):]
parsed = Page()
parsed.feed(dom)
if set(parsed.pids) != set(pids):
    ckpt.fail(f"drawn are {parsed.pids}, there are {pids}")
if [pid for pid, text in parsed.pids.items() if "zombie" in text] != zombie:
    ckpt.fail(f"{zombie} is the zombie, drawn are {parsed.pids}")
for tag in ("img", "script", "iframe", "link"):
    if tag in parsed.tags:
        ckpt.fail(f"the page has a {tag}")
if parsed.tags.get("svg", 0) < 2:
    ckpt.fail(f"drawings are missing: {parsed.tags}")
title = re.search(r"<title>(.*?)</title>", dom, re.S)[1]
if not title.startswith(f"checkpoint of {app.pid} "):
    ckpt.fail(f"the title is {title}")
shared = parsed.text("shared")
if "pipe:[" not in shared or HOSTILE not in shared or "copy-on-write" not in shared:
    ckpt.fail(f"shared: {shared}")
# Each once, by all that live, and where.
for kind, name, size in (("anonymous memory", "", "1 MiB, 12 KiB of it in the images"),
                         ("System V segment", "no key, removed", "64 KiB, 8 KiB of it in the images"),
                         ("mapped file", f"{ckpt.DIRECTORY}/closed & mapped", "16 KiB, nothing of it in the images")):
    rows = [row for row in parsed.rows["shared"] if row[1] == kind and name in row[2] and row[3] == size]
    if len(rows) != 1 or any(str(pid) not in rows[0][4] for pid in pids if pid not in zombie):
        ckpt.fail(f"{kind} is not told: {shared}")
    if " rw at 0x" not in rows[0][4] or str(zombie[0]) in rows[0][4]:
        ckpt.fail(f"who has {kind} where is not told: {rows[0]}")
memory = parsed.text("memory")
if "anonymous" not in memory or "file, private" not in memory:
    ckpt.fail(f"memory: {memory}")
# With each process, and in all once.
for kind, taken in (("anonymous, shared", "12 KiB"), ("file, shared", "8 KiB")):
    rows = [row for row in parsed.rows["memory"] if row[1] == kind]
    if len(rows) != len(pids) or any(row[3] != taken for row in rows) or "once" not in rows[-1][0]:
        ckpt.fail(f"memory of kind {kind}: {memory}")
timings = parsed.text("timings")
if "collect" not in timings or " ms" not in timings:
    ckpt.fail(f"timings: {timings}")

picture = os.path.join(ckpt.DIRECTORY, "page.png")
status, text = browse(f"--screenshot={picture}", "--window-size=1200,900")
with open(picture, "rb") as file:
    if status != 0 or file.read(8) != b"\x89PNG\r\n\x1a\n" or os.path.getsize(picture) < 5000:
        ckpt.fail(f"no picture: {status} {text[-2000:]}")

status, graph = ckpt.run([ckpt.BPFCKPT, "show", "--dot", "-D", app.images()])
nodes = {int(pid) for pid in re.findall(r"^  p(\d+) \[label=", graph, re.M)}
if status != 0 or nodes != set(pids) or graph.count("{") != 1 or not graph.endswith("}\n"):
    ckpt.fail(f"--dot: {graph}")

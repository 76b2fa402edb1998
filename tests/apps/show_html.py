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
import ctypes, os, sys, time
hostile = sys.argv[1]
shared = os.open(sys.argv[2] + '/' + hostile, os.O_CREAT | os.O_RDWR)
ends = os.pipe()
for i in range(3):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, hostile[:15].encode(), 0, 0, 0)
        if i == 0 and os.fork() == 0: pass
        break
print('READY', flush=True)
time.sleep(1000)
"""

app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, HOSTILE, ckpt.DIRECTORY])
ckpt.wait_until("five processes", lambda: app.text().count("READY") == 5)
pids = app.dump()
page = os.path.join(ckpt.DIRECTORY, "page.html")
status, text = ckpt.run([ckpt.BPFCKPT, "show", "--html", "-D", app.images()])
if status != 0:
    ckpt.fail(text)
with open(page, "w", encoding="utf-8") as file:
    file.write(text)


class Page(html.parser.HTMLParser):
    """Counts elements, and keeps the texts of tables by their id."""

    def __init__(self):
        super().__init__()
        self.tags, self.pids, self.cells, self.table = {}, set(), {}, None

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        attrs = dict(attrs)
        if "data-pid" in attrs:
            self.pids.add(int(attrs["data-pid"]))
        if tag == "table":
            self.table = attrs.get("id")
        if any(name.startswith("on") or name in ("src", "href") for name in attrs):
            ckpt.fail(f"an attribute that acts: {tag} {attrs}")

    def handle_endtag(self, tag):
        if tag == "table":
            self.table = None

    def handle_data(self, data):
        if self.table:
            self.cells.setdefault(self.table, []).append(data)


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
if parsed.pids != set(pids):
    ckpt.fail(f"drawn are {parsed.pids}, there are {pids}")
for tag in ("img", "script", "iframe", "link"):
    if tag in parsed.tags:
        ckpt.fail(f"the page has a {tag}")
if parsed.tags.get("svg", 0) < 2:
    ckpt.fail(f"drawings are missing: {parsed.tags}")
title = re.search(r"<title>(.*?)</title>", dom, re.S)[1]
if not title.startswith(f"checkpoint of {app.pid} "):
    ckpt.fail(f"the title is {title}")
shared = " ".join(parsed.cells.get("shared", []))
if "pipe:[" not in shared or HOSTILE not in shared or "copy-on-write" not in shared:
    ckpt.fail(f"shared: {shared}")
memory = " ".join(parsed.cells.get("memory", []))
if "anonymous" not in memory or "file, private" not in memory:
    ckpt.fail(f"memory: {memory}")
timings = " ".join(parsed.cells.get("timings", []))
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

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`show --dot` through graphviz: each process is drawn with its name, below its parent, and tied to what it shares."""
import json
import os
import sys
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
DOT = ckpt.need("dot")
HOSTILE = "\"];x->y;}//\\\n<b>&amp;&eacute;&#65;"
SHOWN = "\"];x->y;}__\\x5c\\x0a<b>&amp;&eacute;&#65;"  # of the file
PROGRAM = r"""
import ctypes, os, sys, time
ends = os.pipe()
os.open(sys.argv[2] + '/' + sys.argv[1].replace('/', '_'), os.O_CREAT | os.O_RDWR)
for i in range(2):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, sys.argv[1][:15].encode(), 0, 0, 0)
        break
print('READY', flush=True)
time.sleep(1000)
"""
app = ckpt.Checkpointed([ckpt.need("python3"), "-c", PROGRAM, HOSTILE, ckpt.DIRECTORY])
ckpt.wait_until("three processes", lambda: app.text().count("READY") == 3)
pids = app.dump()
source = os.path.join(ckpt.DIRECTORY, "checkpoint.dot")
status, text = ckpt.run([ckpt.BPFCKPT, "show", "--dot", "-D", app.images()])
if status != 0:
    ckpt.fail(text)
with open(source, "w", encoding="utf-8") as file:
    file.write(text)

status, text = ckpt.run([DOT, "-Tjson0", source])
if status != 0:
    ckpt.fail(f"dot: {text}")
graph = json.loads(text)
names = {node["_gvid"]: node["name"] for node in graph["objects"]}
processes = {node["name"]: node["label"] for node in graph["objects"] if node["name"].startswith("p")}
if set(processes) != {f"p{pid}" for pid in pids}:
    ckpt.fail(f"drawn are {processes}, there are {pids}")
others = [node for node in graph["objects"] if node["name"] not in processes]
if any(not node["name"].startswith("s") for node in others):
    ckpt.fail(f"a name became a node: {others}")
pipe = [node["name"] for node in others if "pipe:[" in node["label"]]
edges = {(names[edge["tail"]], names[edge["head"]]) for edge in graph["edges"]}
for child in pids[1:]:
    if (f"p{pids[0]}", f"p{child}") not in edges:
        ckpt.fail(f"{child} does not hang below {pids[0]}: {edges}")
if not pipe or any((f"p{pid}", pipe[0]) not in edges for pid in pids):
    ckpt.fail(f"who has the pipe is not told: {edges} {others}")

drawing = os.path.join(ckpt.DIRECTORY, "checkpoint.svg")
status, text = ckpt.run([DOT, "-Tsvg", "-o", drawing, source])
if status != 0 or "<svg" not in ckpt.read(drawing) or text:
    ckpt.fail(f"dot -Tsvg: {status} {text}")
# graphviz takes entities of HTML in labels for what they stand for: what is read in the drawing counts.
lines = [element.text or "" for element in xml.etree.ElementTree.parse(drawing).iter("{http://www.w3.org/2000/svg}text")]
if f"{ckpt.DIRECTORY}/{SHOWN}" not in [line.replace("\xa0", " ") for line in lines]:
    ckpt.fail(f"the file is not drawn by its name: {lines}")

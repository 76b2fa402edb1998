#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Node.js program: the event loop with timers, a worker thread and messages to it, a child process on pipes, a watched
directory, files in the thread pool, a big Map."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

PROGRAM = r"""
const { Worker, isMainThread, parentPort } = require('worker_threads');
const { spawn } = require('child_process');
const fs = require('fs');

if (!isMainThread) {
  parentPort.on('message', n => parentPort.postMessage(n + 1));
} else {
  const directory = process.argv[2];
  const squares = new Map();
  for (let i = 0; i < 100000; i++) squares.set(i, i * i);
  let ticks = 0, watched = 0, expected = 1, from_child = 0, rest = '';
  const timer = setInterval(() => ticks++, 2);
  const watcher = fs.watch(directory, (kind, name) => { if (name === 'touched') watched++; });
  const child = spawn('cat', [], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdout.on('data', data => {
    const lines = (rest + data).split('\n');
    rest = lines.pop();
    for (const line of lines) if (Number(line) !== from_child++) throw new Error('line ' + line);
  });
  const worker = new Worker(__filename);
  worker.on('message', async n => {
    if (n !== expected++) throw new Error('message ' + n);
    child.stdin.write(n - 1 + '\n');
    if (n % 10 === 0) await fs.promises.writeFile(directory + '/touched', String(n));
    if (n % 50 === 0) console.log('message ' + n);
    if (!fs.existsSync(directory + '/last')) {
      setTimeout(() => worker.postMessage(n), 1);
      return;
    }
    clearInterval(timer);
    watcher.close();
    await worker.terminate();
    child.stdin.end();
    child.on('close', status => {
      for (let i = 0; i < 100000; i++) if (squares.get(i) !== i * i) throw new Error('map');
      if (status !== 0 || from_child !== n || ticks === 0 || watched === 0) throw new Error('state');
      console.log('VERIFIED ' + n);
    });
  });
  worker.postMessage(0);
}
"""

node = ckpt.need("node")
source = os.path.join(ckpt.DIRECTORY, "program.js")
with open(source, "w") as file:
    file.write(PROGRAM)
app = ckpt.Checkpointed([node, source, ckpt.DIRECTORY])
app.wait_text("message 100\n", 120)
for _ in range(2):
    app.cycle()
    seen = app.text().count("message")
    ckpt.wait_until("it to go on", lambda: app.text().count("message") > seen + 1)
open(os.path.join(ckpt.DIRECTORY, "last"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-lock: sysv-segments
# ctest-timeout: 300
"""PostgreSQL and a psql over its unix socket, both in the tree: a transaction is open in psql. Once the server's System V
segment stays there meanwhile; once it goes, and is made again under its key and its id."""
import os
import subprocess
import sys

LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib")
sys.path.insert(0, LIB)
import ckpt
import postgres

PROGRAM = r"""
import os, subprocess, sys, time
directory, data, lib = sys.argv[1:]
sys.path.insert(0, lib)
import postgres
server = subprocess.Popen(postgres.command(data, directory, 15433, "listen_addresses="))
path = directory + "/.s.PGSQL.15433"
other = postgres.Client(path)
other.ask("create table t (n int)")
psql = subprocess.Popen([postgres.programs() + "/psql", "-h", directory, "-p", "15433", "-U", "postgres", "-Atq"],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

def ask(query):
    psql.stdin.write(query.encode() + b"\n")
    return psql.stdout.readline().decode().strip()

def wait_for(name):
    while not os.path.exists(directory + "/" + name): time.sleep(0.01)

total = 0
for step in range(2):
    assert ask("begin; insert into t select generate_series(1, 1000); select count(*) from t;") == str(total + 1000)
    # psql is in the middle of a transaction, and its answer to this is not read yet.
    psql.stdin.write(b"declare c cursor for select n from t order by n; fetch 1 from c;\n")
    print("READY", step, flush=True)
    wait_for("go_on.%d" % step)
    assert psql.stdout.readline() == b"1\n"
    assert ask("move forward 1 in c; select 'still here';") == "still here"
    assert other.value("select count(*) from t") == str(total)
    assert ask("commit; select count(*) from t;") == str(total + 1000)
    total += 1000
    assert other.value("select count(*) from t") == str(total)
psql.stdin.close()
assert psql.wait() == 0
other.close()
server.terminate()
assert server.wait() == 0
print("VERIFIED", flush=True)
"""

if postgres.programs() is None or postgres.as_user() is None:
    ckpt.skip("program postgres")
data = postgres.make_cluster(ckpt.DIRECTORY)
os.chown(ckpt.DIRECTORY, postgres.as_user()["user"], -1)
app = ckpt.Checkpointed(["/usr/bin/python3", "-c", PROGRAM, ckpt.DIRECTORY, data, LIB], **postgres.as_user())
for step in range(2):
    app.wait_text(f"READY {step}\n")
    # data/postmaster.pid: its last but one line has key and id.
    key, shmid = ckpt.read(data + "/postmaster.pid").splitlines()[6].split()
    app.dump()
    if step == 1:
        subprocess.run([ckpt.need("ipcrm"), "-m", shmid], check=True)
    app.restore()
    app.cycles += 1
    status, text = ckpt.run([ckpt.need("ipcs"), "-m"])
    if not any(line.split()[1:2] == [shmid] and int(line.split()[0], 16) == int(key) for line in text.splitlines()):
        ckpt.fail(f"segment {shmid} with key {int(key):#x} is not there:\n{text}")
    open(os.path.join(ckpt.DIRECTORY, f"go_on.{step}"), "w").close()
if "VERIFIED" not in app.finish():
    ckpt.fail(app.text())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-lock: sysv-segments
# ctest-timeout: 300
"""PostgreSQL whose clients are outside of the tree, over its unix socket: a psql in the middle of a transaction, and one that
listens for notices. Their connections outlive the server's processes, since somebody keeps the server's ends of them."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import ckpt
import keep
import postgres

if ckpt.NO_CHECKPOINT:
    ckpt.skip("a checkpoint")
if postgres.programs() is None or postgres.as_user() is None:
    ckpt.skip("program postgres")
data = postgres.make_cluster(ckpt.DIRECTORY)
os.chown(ckpt.DIRECTORY, postgres.as_user()["user"], -1)
app = ckpt.Checkpointed(postgres.command(data, ckpt.DIRECTORY, 15434, "listen_addresses="), **postgres.as_user())
path = ckpt.DIRECTORY + "/.s.PGSQL.15434"
listener = postgres.Client(path)
listener.ask("create table t (n int)")
listener.ask("listen news")
psql = subprocess.Popen(
    [postgres.programs() + "/psql", "-h", ckpt.DIRECTORY, "-p", "15434", "-U", "postgres", "-Atq"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
)


def send(query):
    psql.stdin.write(query.encode() + b"\n")


def expect(answer):
    got = psql.stdout.readline().decode().strip()
    if got != answer:
        ckpt.fail(f"psql gets '{got}' instead of '{answer}'")


def ask(query, answer):
    send(query)
    expect(answer)


send("select pg_backend_pid();")
backend = psql.stdout.readline()
status, text = ckpt.dump(app.pid, app.images())
if status != 3 or f"of process {psql.pid} (psql)" not in text:
    ckpt.fail(f"dump exits with {status}: {text}")
for step in range(2):
    ask(f"begin; insert into t select generate_series(1, 1000); select count(*) from t;", str(1000 * (step + 1)))
    ask("declare c cursor for select n from t order by n; fetch 1 from c;", "1")
    # While there is no server.
    kept = keep.cycle(app, lambda: send("move forward 10 in c; select 'still here';"))
    if kept != 2:
        ckpt.fail(f"{kept} ends were kept")
    expect("still here")
    if listener.value("select count(*) from t") != str(1000 * step):
        ckpt.fail("what was not committed is seen")
    ask(f"notify news, 'turn {step}'; commit; select count(*) from t;", str(1000 * (step + 1)))
    send("select pg_backend_pid();")
    if psql.stdout.readline() != backend:
        ckpt.fail("psql was connected anew")
    listener.ask("select 1")
    if listener.notices[-1:] != [[b"news", b"turn %d" % step]]:
        ckpt.fail(f"notices: {listener.notices}")
psql.stdin.close()
if psql.wait() != 0:
    ckpt.fail("psql")
listener.close()
os.kill(app.pid, 15)
app.finish()

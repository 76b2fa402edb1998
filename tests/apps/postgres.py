#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ctest-lock: sysv-segments
# ctest-timeout: 300
"""PostgreSQL with clients over TCP that are no part of the tree: an open transaction, one that waits for its lock, a
prepared statement, a commit on its way, a query by parallel workers, a listener. The server is killed by each dump, and
once more in the end; what was committed is there."""
import contextlib
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt
import network
import postgres

PORT = 15432
ROWS = 60

if postgres.programs() is None or postgres.as_user() is None:
    ckpt.skip("program postgres")
network.enter_own()
data = postgres.make_cluster(ckpt.DIRECTORY)
os.chown(ckpt.DIRECTORY, postgres.as_user()["user"], -1)
settings = ["listen_addresses=127.0.0.1", "max_parallel_workers_per_gather=2", "parallel_setup_cost=0",
            "parallel_tuple_cost=0", "min_parallel_table_scan_size=0",
            "parallel_leader_participation=off", "autovacuum_naptime=1s"]
app = ckpt.Checkpointed(postgres.command(data, ckpt.DIRECTORY, PORT, *settings), **postgres.as_user())
app.dump_args = ["--tcp-established"]
app.wait_text("ready to accept connections")


def client():
    return postgres.Client(("127.0.0.1", PORT))


def expect(what, is_so):
    if not is_so:
        ckpt.fail(what)


def has_parallel_workers():
    return any("parallel worker" in ckpt.read(f"/proc/{pid}/cmdline") for pid in app.tree())


writer, owner, waiter, committer, reader, listener = (client() for _ in range(6))
for query in (
    "create table log (n int primary key)",
    "create table counters (name text primary key, value int)",
    "insert into counters values ('a', 0)",
    # Few rows a page: workers share a table by its pages.
    "create table slow (n int, padding text) with (parallel_workers = 2)",
    "alter table slow alter padding set storage plain",
    f"insert into slow select n, repeat('x', 3000) from generate_series(1, {ROWS}) as n",
    "analyze slow",
):
    writer.ask(query)
listener.ask("listen news")
reader.ask("prepare square(int) as select $1 * $1")
owner_pid = owner.value("select pg_backend_pid()")
written = 0
for cycle in range(2):
    # A transaction that has changed something, and one that waits for it.
    owner.ask("begin isolation level repeatable read")
    owner.ask("update counters set value = value + 1 where name = 'a'")
    owner.ask("savepoint here")
    owner.ask(f"select pg_advisory_lock({cycle})")
    waiter.send("update counters set value = value + 10 where name = 'a' returning value")
    for _ in range(100):
        writer.ask(f"insert into log values ({written})")
        written += 1
    reader.send("select count(*) from slow where pg_sleep(0.1)::text is not null")
    ckpt.wait_until("parallel workers", has_parallel_workers)
    committer.send(f"insert into log values ({written}); notify news, 'cycle {cycle}'")
    written += 1
    app.cycle()
    committer.rows()
    expect("the query of the workers", reader.rows() == [[str(ROWS)]])
    expect("the prepared statement", reader.value("execute square(12)") == "144")
    expect("the transaction's own view", owner.value("select value from counters") == str(cycle * 11 + 1))
    expect("a transaction that is not committed shows", writer.value("select value from counters") == str(cycle * 11))
    expect("the advisory lock", writer.value(f"select pg_try_advisory_lock({cycle})") == "f")
    owner.ask("rollback to here")
    owner.ask("commit")
    expect("who waited for the lock", waiter.rows() == [[str(cycle * 11 + 11)]])
    listener.ask("select 1")
    expect(f"notifications: {listener.notices}", listener.notices[-1:] == [[b"news", b"cycle %d" % cycle]])
    expect("committed rows are missing", writer.value("select count(*) from log") == str(written))
    expect("the backend is another", owner.value("select pg_backend_pid()") == owner_pid)
    late = client()
    expect("a new client", late.value("select max(n) from log") == str(written - 1))
    late.close()
# As after a power failure; the segment that nobody has attached tells the next server that it may start.
owner.ask("begin")
owner.ask("delete from log")
workers = ckpt.descendants(app.pid)
expect("the server has no workers", bool(workers))
for pid in [app.pid, *workers]:
    # One may have come to its end just now.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
ckpt.REAPER.wait_none_left()
again = ckpt.Checkpointed(postgres.command(data, ckpt.DIRECTORY, PORT, *settings), **postgres.as_user())
check = client()
expect("committed rows are missing after a crash", check.value("select count(*) from log") == str(written))
expect("the counter after a crash", check.value("select value from counters") == "22")
check.close()
os.kill(again.pid, signal.SIGINT)
again.finish()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The sqlite3 shell in the middle of a transaction on a file: open journal, cached pages, and the lock that says so.

What was inserted before and after the checkpoints is committed together, nobody else could write meanwhile, and the
database passes its own integrity check.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
import ckpt

sqlite = ckpt.need("sqlite3")
database = os.path.join(ckpt.DIRECTORY, "data.db")
SCRIPT = r"""
wait_for() { while [ ! -e "$1" ]; do sleep 0.02; done; }
{
  echo "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT);"
  echo "INSERT INTO t VALUES (0, 'committed before');"
  echo "PRAGMA cache_size = 20;"
  echo "BEGIN;"
  echo "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO t SELECT i, printf('row %d %s', i, hex(zeroblob(100))) FROM n;"
  echo "SELECT 'INSERTED ' || count(*) FROM t;"
  wait_for "$1/second"
  echo "UPDATE t SET text = 'updated' WHERE id % 10 = 3;"
  echo "SELECT 'UPDATED ' || count(*) FROM t;"
  wait_for "$1/last"
  echo "COMMIT;"
  echo "SELECT 'FINAL ' || count(*) || ' ' || sum(id) || ' ' || (SELECT count(*) FROM t WHERE text = 'updated') FROM t;"
  echo "PRAGMA integrity_check;"
} | "$2" "$1/data.db"
"""


def let(name):
    open(os.path.join(ckpt.DIRECTORY, name), "w").close()


app = ckpt.Checkpointed(["/bin/bash", "-c", SCRIPT, "bash", ckpt.DIRECTORY, sqlite])
app.dump_args = ["--file-locks"]
app.restore_args = ["--file-locks"]


def expect_locked():
    status, text = ckpt.run([sqlite, database, "INSERT INTO t VALUES (-1, 'intruder');"])
    if status == 0 or "locked" not in text:
        ckpt.fail(f"the transaction's lock is not held: {status} {text}")


app.wait_text("INSERTED 5001")
expect_locked()
app.cycle()
expect_locked()
let("second")
app.wait_text("UPDATED 5001")
app.cycle()
expect_locked()
let("last")
text = app.finish()
if "FINAL 5001 12502500 500" not in text or "\nok\n" not in text:
    ckpt.fail(text)

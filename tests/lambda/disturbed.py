#!/usr/bin/env python3
"""A function that is killed at any instant, over and over: states and rows are those of an undisturbed run.

usage: disturbed.py BOOTSTRAP SQLITE_PLUGIN [KILLS]

Two processes share a cache directory and a spill store, as nothing in Lambda does, and take the events by turns of chance.
Windows spill; a part of the events ends them. Each answer's state must be, byte for byte, the one that an undisturbed
process gives, and in the end so must every row in the database."""

import json
import os
import random
import sqlite3
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sandbox import Sandbox, event, record  # noqa: E402
from harness import Workspace, check, difference  # noqa: E402

SPEC = {"group_by": ["kind"], "bad_records": "divert",
        "aggregates": [{"name": "n", "function": "count"}, {"name": "total", "function": "sum", "field": "amount"},
                       {"name": "users", "function": "distinct", "field": "user"},
                       {"name": "last", "function": "last", "field": "user"}]}
BATCH, BATCHES, GROUPS, START = 60, 6, 400, 1607497440000


def environment(work, database, plugin):
    return {"TUMBLE_SPILL": "file:" + work.file("spill"), "TUMBLE_INLINE_STATE_LIMIT": "2000", "TUMBLE_PLUGINS": plugin,
            "TUMBLE_STATE_DIR": work.file("cache"), "TUMBLE_LOG_LEVEL": "error",
            "TUMBLE_OUTPUTS": "sqlite:%s file:%s" % (database, work.file("rows-%s.ndjson" % random.random()))}


def batch(window, number, state, final):
    records = []
    for i in range(0 if final and window % 2 else BATCH):
        n = (window * BATCHES + number) * BATCH + i + 1
        payload = {"kind": "kind %d" % (n * 7919 % GROUPS), "amount": n % 97 / 4, "user": "u%d" % (n % 53)}
        records.append(record(n, b"{" if n % 41 == 0 else payload, START + window * 60000 + i))
    return event(records, state, START + window * 60000, final=final)


def rows(database):
    with sqlite3.connect(database) as db:
        return "\n".join(sorted(repr(row) for row in db.execute("select * from rows"))).encode()


def main():
    bootstrap, plugin = sys.argv[1:3]
    wanted_kills = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    rng = random.Random(11)
    with Workspace("calm") as calm, Workspace("disturbed") as work, \
            Sandbox(bootstrap, calm, SPEC, **environment(calm, calm.file("rows.db"), plugin)) as quiet, \
            Sandbox(bootstrap, work, SPEC, **environment(work, work.file("rows.db"), plugin)) as one, \
            Sandbox(bootstrap, work, SPEC, **environment(work, work.file("rows.db"), plugin)) as two:
        kills, window, spilled = 0, 0, False
        while kills < wanted_kills:
            state = {}
            for number in range(BATCHES):
                final = number == BATCHES - 1
                this = batch(window, number, state, final)
                began = time.monotonic()
                wanted = quiet.respond(this)["state"]
                took = time.monotonic() - began
                while rng.random() < 0.6:
                    sandbox = rng.choice((one, two))
                    if sandbox.process.poll() is not None:
                        sandbox.start()
                        sandbox.wait_for_next()
                    sandbox.api.offer(json.dumps(this).encode())
                    time.sleep(rng.random() * took * 1.2)
                    sandbox.kill()
                    while not sandbox.api.answers.empty():
                        sandbox.api.answers.get()
                    kills += 1
                got = rng.choice((one, two)).respond(this)["state"]
                check(got == wanted, "window %d, event %d: another state\n%s" % (
                    window, number, difference("state", json.dumps(got).encode(), json.dumps(wanted).encode())))
                state = got
                spilled = spilled or os.path.isdir(work.file("spill"))
            window += 1
        check(spilled, "nothing was ever spilled")
        got, wanted = rows(work.file("rows.db")), rows(calm.file("rows.db"))
        check(wanted and got == wanted, difference("rows", got, wanted))
        print("%d kills, %d windows, %d rows" % (kills, window, len(got.splitlines())))


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""Outputs as plug-ins, driven through the command.

    run.py --suite refuse|examples|outbox|faults BUILD [--seed S] [--kills N]

refuse: plug-ins that are wrong are refused by name. examples: the two of examples/, loaded and linked. outbox: an output that is
down holds its rows and not the others'. faults: rows under injected faults and kill -9 stand in SQLite exactly once."""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
from harness import Failed, Workspace, check, read, run, shown  # noqa: E402

SPEC = {"window": {"seconds": 2}, "timestamp": {"field": "timestamp"}, "bad_records": "divert", "group_by": ["userId"],
        "aggregates": [{"name": "n", "function": "count"}, {"name": "sum", "function": "sum", "field": "amount"},
                       {"name": "last", "function": "last", "field": "eventId"}]}
FEW = b"".join(json.dumps({"timestamp": 1700000000 + i // 4, "userId": f"u{i % 7}", "amount": i / 4, "eventId": i}).encode() + b"\n"
               for i in range(100))


class Setting:
    def __init__(self, work, build):
        self.work, self.build = work, build
        self.tumble = os.path.join(build, "bin", "tumble")
        self.spec = work.write("spec.json", json.dumps(SPEC))
        self.few = work.write("few.ndjson", FEW)

    def plugin(self, name):
        return os.path.join(self.build, "plugins", name + ".so")

    def replay(self, *more, source=None, plugins=()):
        command = [self.tumble, "replay", "--spec", self.spec, "-q"]
        for name in plugins:
            command += ["--plugin", self.plugin(name)]
        return command + list(more) + [source or self.few]

    def expect(self, command, code, *words):
        done = run(command)
        text = done.text()
        check(done.code == code, f"{shown(command)}\nended with {done.code}, not {code}:\n{text}")
        for word in words:
            check(word in text, f"{shown(command)}\ndoes not say \"{word}\":\n{text}")
        check("/*" not in text, text)
        return done


def table(path, name="rows"):
    """Every row of a table, by its key."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return sorted(db.execute(f"SELECT * FROM {name}").fetchall())


# ---- refuse

LOADING = {"wrong_version": "version 99", "no_table": "no output for this tumble's version", "no_write": "no function \"write\"",
           "small_table": "a table of 24 bytes", "name_taken": "called file already", "bad_name": "no name that could begin a URI",
           "no_help": "has no help", "bad_default": "level \"very\" is not a whole number", "no_options": "there is no table",
           "no_words": "has no words", "twice": "stands in its table twice"}
RUNNING = {"bad_outcome": "answered 77 for a row, which is no outcome", "no_answer": "left a row without an answer",
           "bad_code": "answered 4242 to write, which is no code", "long_checkpoint": "checkpoint of 65 bytes",
           "no_reason": "gave no reason to reject"}


def suite_refuse(at, _):
    for name, words in LOADING.items():
        path = at.plugin("broken_" + name)
        for command in ([at.tumble, "outputs", "--plugin", path], at.replay("-o", "broken:x", "--plugin", path)):
            at.expect(command, 2, path, words)
    path = at.plugin("no_symbol")
    at.expect([at.tumble, "outputs", "--plugin", path], 2, path, "does not export tumble_output_plugin")
    at.expect([at.tumble, "outputs", "--plugin", "minimal.so"], 2, "minimal.so", "absolute path")
    at.expect([at.tumble, "outputs", "--plugin", "/nowhere/x.so"], 2, "/nowhere/x.so", "No such file")
    at.expect([at.tumble, "outputs", "--plugin", at.spec], 2, at.spec, "invalid ELF header")
    twice = ["--plugin", at.plugin("minimal")] * 2
    at.expect([at.tumble, "outputs"] + twice, 2, "called minimal already")
    for name, words in RUNNING.items():
        began = time.monotonic()
        done = at.expect(at.replay("-o", "broken:x", "--failures", "file:" + at.work.file("f"), plugins=["broken_" + name]), 4, words)
        check("broken:x" in done.text(), done.text())
        check(time.monotonic() - began < 30, "nonsense was waited for")
    uri = "minimal:" + at.work.file("rows")
    at.expect(at.replay("-o", uri + "?prefixx=a", plugins=["minimal"]), 2, "unknown option \"prefixx\": did you mean \"prefix\"?")
    at.expect(at.replay("-o", uri + "?prefix=%zz", plugins=["minimal"]), 2, "%25")
    at.expect(at.replay("-o", "minimal2:x", plugins=["minimal"]), 2, "did you mean \"minimal\"?")
    at.expect(at.replay("-o", "sqlite:x?synchronous=half", plugins=["sqlite"]), 2, "it is full, normal or off")
    at.expect(at.replay("-o", "sqlite:x?timeout=2h", plugins=["sqlite"]), 2, "not between 0 and 600000 ms")
    spec = dict(SPEC, outputs=["sqlite:x?timeout=soon"])
    at.expect([at.tumble, "check", at.work.write("s.json", json.dumps(spec)), "--plugin", at.plugin("sqlite")], 2, "outputs[0]: ",
              "timeout \"soon\" is not a duration")


# ---- examples

def suite_examples(at, _):
    listed = at.expect([at.tumble, "outputs", "-f", "json", "--plugin", at.plugin("sqlite"), "--plugin", at.plugin("minimal")], 0)
    outputs = {output["name"]: output for output in json.loads(listed.out)}
    check(outputs["file"]["plugin"] is None and outputs["sqlite"]["plugin"] == at.plugin("sqlite"), str(outputs))
    check([o["type"] for o in outputs["sqlite"]["options"]] == ["string", "enum", "duration"], str(outputs["sqlite"]))
    text = at.expect([at.tumble, "outputs", "--plugin", at.plugin("minimal")], 0).out.decode()
    check("minimal:PATH\n" in text and "prefix=string (default \"\")" in text and "stands before every row" in text, text)

    log, plain, db = at.work.file("log"), at.work.file("plain"), at.work.file("rows.db")
    at.expect(at.replay("-o", f"minimal:{log}?prefix=row%20%26%20", "-o", "file:" + plain, "-o", f"sqlite:{db}?table=o%22k",
                        "--state", at.work.file("state"), plugins=["minimal", "sqlite"]), 0)
    rows = read(plain).splitlines()
    check(len(rows) > 50 and read(log).splitlines() == [b"row & " + row for row in rows], "the log does not hold the rows")
    stored = table(db, '"o""k"')
    wanted = sorted(tuple(json.loads(row).values()) for row in rows)
    check(sorted(row[1:] for row in stored) == wanted, f"the table does not hold the rows:\n{stored[:3]}\n{wanted[:3]}")
    # A second run with another state upserts the same keys.
    at.expect(at.replay("-o", f"sqlite:{db}?table=o%22k", "--state", at.work.file("again"), plugins=["sqlite"]), 0)
    check(table(db, '"o""k"') == stored, "the same rows stand there twice")
    # A table with other columns is refused at once.
    with sqlite3.connect(at.work.file("other.db")) as other:
        other.execute("CREATE TABLE rows (x)")
    at.expect(at.replay("-o", "sqlite:" + at.work.file("other.db"), plugins=["sqlite"]), 2, "other columns")

    linked, linked_db = at.work.file("linked"), at.work.file("linked.db")
    program = os.path.join(at.build, "bin", "static_outputs")
    at.expect([program, f"minimal:{linked}?prefix=-", "sqlite:" + linked_db], 0)
    check([json.loads(line[1:])["k"] for line in read(linked).splitlines()] == ["a", "b", 'c "quoted"'], str(read(linked)))
    check(sorted(row[6:8] for row in table(linked_db)) == [("a", 1.5), ("b", 2), ('c "quoted"', 3)], str(table(linked_db)))
    at.expect([program, "file:x"], 1, "no output is called \"file\"")


# ---- outbox

def inspect(at, state):
    done = at.expect([at.tumble, "inspect", "--state", state, "--outbox", "-f", "ndjson"], 0)
    return {line["output"]: line for line in map(json.loads, done.out.splitlines())}


def suite_outbox(at, _):
    db, plain, state, bad = (at.work.file(name) for name in ("rows.db", "plain", "state", "failures"))
    flaky = f"flaky:{db}"
    at.work.write("rows.db.down", "")
    command = [w for w in at.replay("-o", flaky, "-o", "file:" + plain, "--state", state, "--output-timeout", "1", plugins=["flaky"])
               if w != "-q"]
    done = at.expect(command, 4, "took nothing for 1 s; its rows are kept", f"tumble drain --state {state}", "(flaky: down)", "is in trouble",
                     "its rows wait")
    check(done.text().count("is in trouble") == 1, done.text())
    rows = read(plain).splitlines()
    check(len(rows) > 50, "the other output was held too")
    waiting = inspect(at, state)
    check(waiting[flaky]["rows"] == len(rows) and waiting["file:" + plain]["rows"] == 0, str(waiting))
    check(waiting[flaky]["attempts"] > 1 and "flaky: down" in waiting[flaky]["last_error"], str(waiting))
    first = json.loads(rows[0])["window_start"]
    check(waiting[flaky]["oldest_window_start"] == first, str(waiting))
    text = at.expect([at.tumble, "inspect", "--state", state, "--outbox"], 0).out.decode()
    check(f"{len(rows)} rows wait" in text and first in text and "attempts failed: flaky: down" in text, text)
    printed = at.expect([at.tumble, "inspect", "--state", state, "--outbox-rows"], 0).out.splitlines()
    check(printed == rows, "the rows that wait are not the rows")

    # The same command again, still down: the input is complete, only the rows are tried.
    at.expect(command, 4, "tumble drain")
    check(read(plain).splitlines() == rows, "the other output was written again")
    drain = [at.tumble, "drain", "--state", state]
    at.expect(drain, 2, "no output is called \"flaky\"")
    drain += ["--plugin", at.plugin("flaky")]
    at.expect(drain + ["-o", "flaky:other"], 2, "knows no output \"flaky:other\"", flaky)
    at.expect(drain + ["-o", plain], 0, "0 rows delivered", f"{len(rows)} still wait")
    at.expect(drain + ["--output-timeout", "1"], 4, "tumble drain")
    check(inspect(at, state)[flaky]["rows"] == len(rows), "rows left an outbox whose output was down")
    os.unlink(db + ".down")
    at.expect(drain + ["-o", flaky], 0, f"{len(rows)} rows delivered")
    check(len(table(db)) == len(rows), "the table does not hold the rows")
    check(inspect(at, state)[flaky] == {"output": flaky, "kind": "rows", "rows": 0, "bytes": 0, "oldest_window_start": None,
                                        "attempts": 0, "last_error": None}, str(inspect(at, state)))
    at.expect(drain, 0, "0 rows delivered")
    at.expect([at.tumble, "drain", "--state", at.work.file("none")], 5)
    at.expect([at.tumble, "drain"], 2, "--state DIR")

    # It comes back while the run waits for it.
    db2 = at.work.file("late.db")
    at.work.write("late.db.down", "")
    process = subprocess.Popen([w for w in at.replay("-o", "flaky:" + db2, plugins=["flaky"]) if w != "-q"], stderr=subprocess.PIPE)
    time.sleep(1)
    check(process.poll() is None, "the run did not wait for its output")
    os.unlink(db2 + ".down")
    _, text = process.communicate(timeout=60)
    check(process.returncode == 0 and b"works again" in text, text.decode())
    check([row[1:] for row in table(db2)] == [row[1:] for row in table(db)] or len(table(db2)) == len(rows), "rows differ")

    # A signal ends the wait; the state goes on.
    at.work.write("late.db.down", "")
    state3 = at.work.file("state3")
    process = subprocess.Popen(at.replay("-o", "flaky:" + db2, "--state", state3, plugins=["flaky"]), stderr=subprocess.PIPE)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    _, text = process.communicate(timeout=60)
    check(process.returncode == 128 + signal.SIGTERM, f"{process.returncode}: {text.decode()}")
    check(inspect(at, state3)["flaky:" + db2]["rows"] == len(rows), "rows are missing")

    # Past the limit reading waits; nothing is lost when it ends there.
    state4, db4, plain4 = at.work.file("state4"), at.work.file("limit.db"), at.work.file("plain4")
    at.work.write("limit.db.down", "")
    limited = at.replay("-o", "flaky:" + db4, "-o", "file:" + plain4, "--state", state4, "--output-timeout", "1", "--outbox-limit", "2K",
                        plugins=["flaky"])
    at.expect([w for w in limited if w != "-q"], 4, "--outbox-limit", "tumble drain")
    some = len(read(plain4).splitlines())
    check(0 < some < len(rows), f"{some} rows of {len(rows)}: the limit did not hold the run")
    os.unlink(db4 + ".down")
    at.expect(limited, 0)
    check(len(table(db4)) == len(rows) and read(plain4).splitlines() == rows, "rows are missing after the limit")

    # Rows that are rejected go to failures, once each; without failures they end the run.
    at.expect(at.replay("-o", f"flaky:{at.work.file('r.db')}?reject=5", plugins=["flaky"]), 1, "rejected a row (its key is not liked)",
              "--failures")
    kept = at.work.file("r2.db")
    at.expect(at.replay("-o", f"flaky:{kept}?reject=5&rate=30&seed=4", "--failures", "file:" + bad, plugins=["flaky"]), 0)
    refused = [json.loads(line) for line in read(bad).splitlines()]
    check(len(refused) > 3 and len(refused) + len(table(kept)) == len(rows), f"{len(refused)} + {len(table(kept))} of {len(rows)}")
    check(len({json.dumps(f["row"]) for f in refused}) == len(refused), "a failure stands there twice")
    check({f["reason"] for f in refused} == {"its key is not liked"}, str(refused[0]))


# ---- faults

def suite_faults(at, args):
    rng = random.Random(args.seed)
    print(f"seed {args.seed}")
    generate = os.path.join(at.build, "bin", "tumble-generate")
    data = subprocess.run([generate, "--records", "60000", "--seed", "7", "--rate", "1000", "--groups", "40", "--users", "400",
                           "--out-of-order", "1000"], stdout=subprocess.PIPE, check=True).stdout
    source = at.work.write("records.ndjson", data)
    whole = at.work.file("whole.db")
    options = ["--allowed-lateness", "3", "--batch-size", "2000", "--shards", "2", "--partition-key", "userId", "--durability", "none"]
    at.expect(at.replay(*options, "-o", "sqlite:" + whole, "--state", at.work.file("w"), plugins=["sqlite"], source=source), 0)
    wanted = table(whole)
    check(len(wanted) >= 10000, f"only {len(wanted)} rows")
    kills, runs, began = 0, 0, time.monotonic()
    while kills < args.kills:
        runs += 1
        killed, plain, state = (at.work.file(f"{name}{runs}") for name in ("killed", "plain", "state"))
        command = at.replay(*options, "-o", f"flaky:{killed}?rate=20&synchronous=off&seed={args.seed + runs}", "-o", "file:" + plain, "--state", state,
                            "--output-timeout", "120", plugins=["flaky"], source=source)
        kills += kill_until_complete(at, command, state, args.kills - kills, args.longest, rng)
        at.expect(command, 0)
        got = table(killed)
        check([row[0] for row in got] == [row[0] for row in wanted], f"{len(got)} keys, wanted {len(wanted)}")
        check(got == wanted, "rows differ from those of the undisturbed run")
        lines = read(plain).splitlines()
        check(len(lines) == len(wanted) and len(set(lines)) == len(lines), f"the file beside it holds {len(lines)} lines")
        check(runs < args.kills, "kills came too late in every run")
    print(f"{len(wanted)} rows, {kills} kills in {runs} runs, {time.monotonic() - began:.1f} s")
    # All of them held, then drained under faults and kills.
    held, state = at.work.file("held"), at.work.file("held-state")
    at.work.write("held.down", "")
    at.expect(at.replay(*options, "-o", f"flaky:{held}?rate=20&synchronous=off&seed={args.seed}", "--state", state, "--output-timeout", "1",
                        plugins=["flaky"], source=source), 4, "tumble drain")
    os.unlink(held + ".down")
    drain = [at.tumble, "drain", "-q", "--state", state, "--plugin", at.plugin("flaky"), "--output-timeout", "120"]
    kills = kill_until_complete(at, drain, state, args.kills // 5, args.longest, rng)
    at.expect(drain, 0)
    check(table(held) == wanted, f"drained: {len(table(held))} rows of {len(wanted)}, after {kills} kills")
    print(f"drained, {kills} kills")


def kill_until_complete(at, command, state, most, longest, rng):
    kills = 0
    while kills < most:
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            _, text = process.communicate(timeout=rng.uniform(0.02, longest))
            check(process.returncode == 0, f"{shown(command)} ended with {process.returncode}:\n{text.decode()}")
            return kills
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
        if kills % 10 == 5 and os.path.exists(os.path.join(state, "data.mdb")):
            looked = run([at.tumble, "inspect", "--state", state, "--outbox"])
            check(looked.code in (0, 5), looked.text())  # 5: killed before the first commit
    return kills


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--suite", required=True, choices=["refuse", "examples", "outbox", "faults"])
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--longest", type=float, default=0.6, help="seconds before a kill, at most")
    args = parser.parse_args()
    with Workspace("plugins") as work:
        globals()["suite_" + args.suite](Setting(work, os.path.abspath(args.build)), args)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))

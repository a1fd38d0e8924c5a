#!/usr/bin/python3
"""Payloads as NDJSON, already decoded: `tumble replay` against DuckDB's query and the usual tools; two cores against
one; what shuffled members and sketches cost."""

import os
import shlex
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from figures import COLUMNS, GOALS, LIMITS  # noqa: E402
from measure import (AGGREGATES, Case, RATE, WINDOW, check_answers, flags, interleaved, machine, middle, parse_arguments, ratios,  # noqa: E402
                     run_part, say, spec, spread, table, verdict)

NAMES = {"eventType": "12 groups", "userId": "100,000 users"}
DUCKDB_GOALS = {"eventType": 4, "userId": 3}
SAME_COLUMNS = "DuckDB, rows of the same columns"
SKETCHES = {"distinct": [("distinct", "distinct", "userId")], "quantile": [("quantile", "quantile", "amount", {"q": [0.5, 0.99]})]}
SHUFFLED = {"synced": "eventType", "memory": "eventType", "users": "userId"}
LEFT = 0.7  # of each figure
SKETCHES["both"] = SKETCHES["distinct"] + SKETCHES["quantile"]


def replay(settings, name, group, inputs, *more, cores=1, rows=None):
    rows = rows or os.path.join(settings.disk, "rows-" + name)
    summary = os.path.join(settings.memory, "summary-" + name)
    return Case(name, [settings.program("tumble"), "replay", "--window", WINDOW, *flags(group), "--durability", "none", "--format", "ndjson", "--quiet",
                       "--summary", summary, *more, *inputs], rows=rows, rows_on_stdout=True, summary=summary, cores=cores)


def payloads(settings, group, records):
    """Ours in-process and DuckDB in-query count from the file to the rows written; the others are whole processes. A row of
    ours also names its window's end, shard and sequence numbers, three times the bytes: where there are many rows, DuckDB
    is measured with rows of both kinds."""
    say(f"== ingest: {records:,} payloads as NDJSON, by {group}")
    path = settings.generate("payloads", "--rate", RATE, "--records", records)

    def rows(name):
        return os.path.join(settings.disk, f"rows-{name}")

    def ours():
        return replay(settings, "tumble", group, [path], "--timestamp", "timestamp", "--batch-size", 10000)

    def compared(cases, rounds):
        results = interleaved(settings, cases, rounds, lambda: check_answers(group, cases[0].rows, {case.name: case.rows for case in cases[1:]}))
        for one in results["tumble"]:
            one["wall"] = one["inner"]
        for name, times in results.items():
            if name not in found["times"]:
                found["times"][name] = {clock: middle([one[clock] for one in times]) for clock in ("wall", "cpu")}
            if name != "tumble":
                found["ratios"][name] = {clock: ratios(times, results["tumble"], clock) for clock in ("wall", "cpu")}

    found = {"records": records, "times": {}, "ratios": {}}
    if settings.has_duckdb():
        def duckdb(name, columns):
            return Case(name, [settings.node(), settings.peer("duckdb.mjs"), settings.tools, "ndjson", path, group, rows("duckdb-" + columns), 1, columns],
                        rows=rows("duckdb-" + columns), inner=True)

        compared([ours(), duckdb("DuckDB", "few")] + ([duckdb(SAME_COLUMNS, "ours")] if group == "userId" else []), settings.rounds)
    slower = [Case(name, command, rows=rows(program), rows_on_stdout=True) for name, program, command in
              (("mawk, by position", "mawk", ["mawk", "-v", f"group={group}", "-f", settings.peer("ndjson.awk"), path]),
               ("SQLite", "sqlite3", ["sh", settings.peer("ndjson_sqlite.sh"), path, group]),
               ("jq", "jq", ["jq", "-nc", "--arg", "group", group, "-f", settings.peer("ndjson.jq"), path]),
               ("Miller", "mlr", ["sh", settings.peer("ndjson_miller.sh"), path, group]))
              if shutil.which(program) and not (name in ("jq", "Miller") and group == "userId")]  # minutes of it
    compared([ours()] + slower, min(3, settings.rounds))
    return found


def beside(settings, case, other):
    """What the machine allows: the same command on another core at the same time."""
    free = sorted(os.sched_getaffinity(0) - {settings.core})
    if not free:
        return []
    command = shlex.join(str(part) for part in case.command)
    command_of_other = f"taskset -c {free[-1]} {shlex.join(str(part) for part in other.command)} > {shlex.quote(other.rows)}"
    return [Case(case.name, ["sh", "-c", f"{command_of_other} & taskset -c {settings.core} {command}; wait"], rows=case.rows, rows_on_stdout=True,
                 summary=case.summary, cores=2)]


def cores(settings, records):
    say("== ingest: two cores against one")
    events = settings.events("events-16-1000", records, 1000, "--shards", 16)
    path = settings.generate("payloads", "--rate", RATE, "--records", records)
    found = {}
    for name, inputs, more in (("events of 16 shards", [events], []), ("payloads of one", [path], ["--timestamp", "timestamp", "--batch-size", 10000])):
        cases = [replay(settings, "1 thread", "eventType", inputs, *more), replay(settings, "2 threads", "eventType", inputs, *more, "--threads", 2, cores=2)]
        cases += beside(settings, replay(settings, "beside another", "eventType", inputs, *more), replay(settings, "another", "eventType", inputs, *more))
        results = interleaved(settings, cases, check=lambda: check_answers("eventType", cases[0].rows, {"2 threads": cases[1].rows}, exact={"2 threads"}))
        found[name] = ratios(results["1 thread"], results["2 threads"], "inner")
        if "beside another" in results:
            alike = ratios(results["1 thread"], results["beside another"], "inner")
            found[name + ", as two processes that share nothing"] = {key: 2 * value for key, value in alike.items()}
    return found


def events_case(settings, name, group, events, aggregates=AGGREGATES, durable=False, more=()):
    rows, state = os.path.join(settings.disk, "rows-" + name), os.path.join(settings.disk, name)
    command = [settings.program("tumble-events"), "--spec", spec(group, aggregates), "--window", WINDOW, "--rows", rows, *more]
    return Case(name, command + (["--state", state] if durable else []) + [events], rows=rows, inner=True, fresh=state if durable else None)


def shuffled(settings, records):
    """How much of each speed is left where no record's members come in the order of the one before it; and, the other way
    to read that figure, how the main figures stand with such records, handlers and limits having the same file."""
    say("== ingest: members in random order")
    files = {"": settings.events("events-6mb", records, 10000), ", shuffled": settings.events("events-shuffled", records, 10000, "--shuffle-keys")}
    cases, own = [], {"eventType": [], "userId": []}
    for suffix, path in files.items():
        for column, group in SHUFFLED.items():
            cases.append(events_case(settings, column + suffix, group, path, durable=column != "memory", more=["--preload"] if column == "memory" else ["--pipelined"]))
            own[group].append(cases[-1])
    path = files[", shuffled"]
    peers = {}
    for group in own:
        rows = os.path.join(settings.memory, "rows-python-" + group)
        peers[group] = Case("CPython, " + group, ["/usr/bin/python3", settings.peer("handler_python.py"), path, group], rows=rows, rows_on_stdout=True)
    limits = [Case("memcpy", [settings.program("tumble-limits"), "memcpy", path], inner=True)]
    if settings.program("tumble-simdjson"):
        limits.append(Case("simdjson", [settings.program("tumble-simdjson"), path], inner=True))

    def check():
        for group, (first, *others) in own.items():
            check_answers(group, first.rows, {case.name: case.rows for case in others + [peers[group]]}, exact={case.name for case in others})

    results = interleaved(settings, cases + list(peers.values()) + limits, check=check)
    found = {"left": {}, "of goals": {}}
    for column, group in SHUFFLED.items():
        ours = results[column + ", shuffled"]
        found["left"][column] = {clock: ratios(results[column], ours, clock) for clock in ("wall", "cpu")}
        for name, (must, _) in GOALS[column].items():
            theirs = results.get(name if name in LIMITS else f"{name}, {group}")
            if theirs:
                above, below = (ours, theirs) if name in LIMITS else (theirs, ours)
                found["of goals"][f"{column}|{name}"] = {"must": round(must / LEFT if name in LIMITS else must * LEFT, 2),
                                                         **{clock: ratios(above, below, clock) for clock in ("wall", "cpu")}}
    return found


def sketches(settings, records):
    """Over the four aggregates; "its field" is what a count of the same field takes over them: finding it in every record."""
    say("== ingest: sketches at 12 groups")
    events = settings.events("events-6mb", records, 10000)
    lists = {"four aggregates": [], "its field": [("users", "count", "userId")], **SKETCHES}
    cases = [events_case(settings, name + suffix, "eventType", events, AGGREGATES + more, durable=bool(suffix), more=["--pipelined"] if suffix else [])
             for suffix in ("", ", synced") for name, more in lists.items()]
    results = interleaved(settings, cases)
    return {name + suffix: {clock: ratios(results[name + suffix], results["four aggregates" + suffix], clock) for clock in ("wall", "cpu")}
            for suffix in ("", ", synced") for name in lists if name != "four aggregates"}


def measure(settings):
    records = settings.args.records
    return {"machine": machine(settings), "workload": f"{records:,} records", "payloads": {group: payloads(settings, group, records) for group in ("eventType", "userId")},
            "cores": cores(settings, records), "shuffled": shuffled(settings, records), "sketches": sketches(settings, records)}


def report(result):
    lines = ["# Payloads, cores, members in random order, sketches", ""]
    rows = []
    for group, one in result["payloads"].items():
        ours = one["times"]["tumble"]
        rows.append((NAMES[group], "tumble replay", f"{ours['wall']['median'] / one['records'] * 1e9:.0f}", f"{ours['cpu']['median'] / one['records'] * 1e9:.0f}", "", "", ""))
        for name, ratio in one["ratios"].items():
            goal = verdict(ratio["wall"]["median"], DUCKDB_GOALS[group], None, True) if name in ("DuckDB", SAME_COLUMNS) else ""
            times = one["times"][name]
            rows.append((NAMES[group], name, f"{times['wall']['median'] / one['records'] * 1e9:.0f}", f"{times['cpu']['median'] / one['records'] * 1e9:.0f}",
                         spread(ratio["wall"]), spread(ratio["cpu"]), goal))
    lines += table(("by", "program", "ns a record", "ns of processor time", "theirs / ours", "by processor time", "goal"), rows)
    rows = [(f"two cores over one, {name}", spread(one), "", "the machine's limit" if "processes" in name else verdict(one["median"], 1.6, None, True))
            for name, one in result["cores"].items()]
    rows += [(f"members in random order, {COLUMNS[name]}: speed that is left", spread(one["wall"]), spread(one["cpu"]), verdict(one["wall"]["median"], LEFT, None, True))
             for name, one in result["shuffled"]["left"].items()]
    for key, one in result["shuffled"]["of goals"].items():
        column, name = key.split("|")
        rows.append((f"members in random order, {COLUMNS[column]}, against {name}: {LEFT:g} of its goal", spread(one["wall"]), spread(one["cpu"]),
                     verdict(one["wall"]["median"], one["must"], None, name not in LIMITS)))
    rows += [(f"{name}: time over that without", spread(one["wall"]), spread(one["cpu"]),
              "" if name.startswith("its field") else verdict(one["wall"]["median"], 1.05, None, False))
             for name, one in result["sketches"].items()]
    return lines + table(("what", "measured", "by processor time", "goal"), rows)


def main():
    run_part(parse_arguments(__doc__), "ingest", measure, report)


if __name__ == "__main__":
    main()

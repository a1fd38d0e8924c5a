#!/usr/bin/python3
"""The main figures: Lambda events in, state committed, response out, against handlers as one writes them, DuckDB, and
what the machine can do with the same bytes at all."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from measure import (Case, WINDOW, check_answers, flags, interleaved, machine, middle, parse_arguments, plot_bars, pythons, ratios, run_part, say,  # noqa: E402
                     shown, spec, spread, table, verdict)

# what it is against: (must, after); a handler's and DuckDB's time over ours, ours over a limit's
GOALS = {
    "synced": {"CPython": (30, 45), "Node": (15, 24), "DuckDB": (14, 20), "simdjson": (1.4, 0.9), "memcpy": (4.5, 3)},
    "memory": {"CPython": (45, 65), "Node": (22, 33), "DuckDB": (20, 28), "simdjson": (1.0, 0.65), "memcpy": (3.3, 2.1)},
    "users": {"CPython": (45, 65), "Node": (33, 45), "DuckDB": (8, 12), "simdjson": (2.7, 1.7), "memcpy": (8.5, 5.5)},
}
COLUMNS = {"synced": "12 groups, synced", "memory": "12 groups, in memory", "users": "100,000 users, synced, rows written"}
LIMITS = ("simdjson", "memcpy")
TITLES = {**COLUMNS, "synced, one event after the other": "12 groups, synced, one event after the other", "read, not synced": "12 groups, read, not synced",
          "invoke": "12 groups, by tumble_engine_invoke", **{"replay, " + key: "tumble replay, " + title for key, title in COLUMNS.items()},
          "replay, users": "tumble replay, 100,000 users, synced"}


def title_of(program):
    """The same name in every table and plot."""
    return TITLES.get(program, program.replace(", eventType", ", 12 groups").replace(", userId", ", 100,000 users"))


def cases_of(settings, events):
    disk = settings.disk

    def rows(name):
        return os.path.join(disk, "rows-" + name)

    cases, own, peers = [], {"eventType": [], "userId": []}, {"eventType": [], "userId": []}

    def add(name, group, command, ours=False, peer=False, **more):
        case = Case(name, command, **more)
        cases.append(case)
        if ours:
            own[group].append(case)
        if peer:
            peers[group].append(case)

    for group, column in (("eventType", "synced"), ("eventType", "memory"), ("userId", "users")):
        program = [settings.program("tumble-events"), "--spec", spec(group), "--window", WINDOW, "--rows", rows(column)]
        state = os.path.join(disk, column)
        if column == "memory":
            add(column, group, program + ["--preload", events], ours=True, rows=rows(column), inner=True)
            program[-1] = rows("read")
            add("read, not synced", group, program + [events], ours=True, rows=rows("read"))
            program[-1] = rows("invoke")
            add("invoke", group, program + ["--invoke", events], ours=True, rows=rows("invoke"))
        else:
            add(column, group, program + ["--pipelined", "--state", state, events], ours=True, rows=rows(column), fresh=state)
        if column == "synced":
            state += "-alone"
            program[-1] = rows("alone")
            add("synced, one event after the other", group, program + ["--state", state, events], ours=True, rows=rows("alone"), fresh=state)
        replay = [settings.program("tumble"), "replay", "--window", WINDOW, *flags(group), "--batch-size", 10000, "--format", "ndjson", "--quiet"]
        state = os.path.join(disk, "replay-" + column)
        replay += ["--durability", "none", events] if column == "memory" else ["--durability", "commit", "--state", state, events]
        add("replay, " + column, group, replay, ours=True, rows=rows("replay-" + column), rows_on_stdout=True, fresh=None if column == "memory" else state)
    for group in ("eventType", "userId"):
        for name, python in pythons().items():
            add(f"{name}, {group}", group, [python, settings.peer("handler_python.py"), events, group], peer=True,
                rows=rows(f"python-{len(cases)}"), rows_on_stdout=True)
        if settings.node():
            add(f"Node, {group}", group, [settings.node(), settings.peer("handler_node.mjs"), events, group], peer=True, rows=rows("node-" + group),
                rows_on_stdout=True)
        if settings.has_duckdb():
            path = rows("duckdb-" + group)
            add(f"DuckDB, {group}", group, [settings.node(), settings.peer("duckdb.mjs"), settings.tools, "events", events, group, path], peer=True,
                rows=path, inner=True)
    if settings.program("tumble-simdjson"):
        add("simdjson", None, [settings.program("tumble-simdjson"), events], inner=True)
    add("memcpy", None, [settings.program("tumble-limits"), "memcpy", events], inner=True)
    return cases, own, peers


def measure(settings):
    records = settings.args.records
    say(f"== figures: {records:,} records in 6 MB events")
    events = settings.events("events-6mb", records, 10000)
    cases, own, peers = cases_of(settings, events)

    def check():
        for group in ("eventType", "userId"):
            first, *others = own[group]
            check_answers(group, first.rows, {case.name: case.rows for case in others + peers[group]}, exact={case.name for case in others})

    results = interleaved(settings, cases, check=check)
    compared = {}
    for ours in [name for name in results if name in GOALS or name.startswith(("replay", "read,", "synced,", "invoke"))]:
        column = next((key for key in GOALS if key in ours), "memory")
        group = "userId" if column == "users" else "eventType"
        for other in results:
            if other in LIMITS:
                compared[f"{ours}|{other}"] = {clock: ratios(results[ours], results[other], clock) for clock in ("wall", "cpu")}
            elif other.endswith(", " + group):
                compared[f"{ours}|{other[:-len(group) - 2]}"] = {clock: ratios(results[other], results[ours], clock) for clock in ("wall", "cpu")}
    bars = [(f"{COLUMNS[column]}: than {name}", compared[f"{column}|{name}"]["wall"]["median"], must) for column, goals in GOALS.items()
            for name, (must, _) in goals.items() if name not in LIMITS and f"{column}|{name}" in compared]
    workload = f"{records:,} records ({os.path.getsize(events) / 1e6:.0f} MB) in events of up to 6 MB"
    plot_bars(settings, "figures", workload, "times as quick", [("measured", "#1f77b4")], bars, goal="goal")
    return {"machine": machine(settings), "workload": workload, "records": records, "bytes": os.path.getsize(events), "compared": compared,
            "times": {name: {clock: middle([one[clock] for one in rounds]) for clock in ("wall", "cpu")} for name, rounds in results.items()}}


def report(result):
    lines = ["# Main figures", "",
             "Count, exact sum, least and greatest. Ratios are formed inside each round: median (least–greatest). Neighbours disturb processor time less, and "
             "waiting for the disk is not counted in it.", ""]
    rows = []
    for column, goals in GOALS.items():
        for name, (must, after) in goals.items():
            one = result["compared"].get(f"{column}|{name}")
            if one:
                rows.append((COLUMNS[column], name, spread(one["wall"]), spread(one["cpu"]), verdict(one["wall"]["median"], must, after, name not in LIMITS)))
    lines += table(("ours", "against", "× (peers: theirs / ours; limits: ours / theirs)", "× by processor time", "goal: must / after"), rows)
    others = [(title_of(key.split("|")[0]), key.split("|")[1], spread(one["wall"]), spread(one["cpu"])) for key, one in result["compared"].items()
              if key.split("|")[0] not in GOALS or key.split("|")[1] not in GOALS[key.split("|")[0]]]
    lines += ["Other ways of ours, and other interpreters:", ""] + table(("ours", "against", "×", "× by processor time"), others)
    times = [(title_of(name), spread({key: value * 1e3 for key, value in one["wall"].items()}), f"{one['wall']['median'] / result['records'] * 1e9:.0f}",
              shown(one["cpu"]["median"] * 1e3), f"{one['cpu']['median'] / result['records'] * 1e9:.0f}") for name, one in result["times"].items()]
    return lines + table(("program", "ms", "ns a record", "ms of processor time", "ns of it a record"), times)


def main():
    run_part(parse_arguments(__doc__), "figures", measure, report)


if __name__ == "__main__":
    main()

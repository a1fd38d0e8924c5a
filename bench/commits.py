#!/usr/bin/python3
"""Durable commits: many shards in one transaction, a lone small batch against LMDB by itself, and few of many groups."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from measure import (Case, WINDOW, check_answers, flags, interleaved, machine, middle, parse_arguments, pythons, ratios, run, run_part, say, spec,  # noqa: E402
                     spread, table, verdict)

SHARDS = 16
GROUP_COMMIT_GOALS = {1000: 33, 100: 14}


def group_commit(settings, batch, records):
    """Batches of 16 shards, one durable commit for each 16 of them, the next 16 applied meanwhile."""
    say(f"== commits: batches of {batch}, {SHARDS} shards in flight")
    events = settings.events(f"events-{SHARDS}-{batch}", records, batch, "--shards", SHARDS)

    def rows(name):
        return os.path.join(settings.disk, f"rows-{batch}-{name}")

    def ours(name, every):
        state = os.path.join(settings.disk, name)
        return Case(name, [settings.program("tumble-events"), "--spec", spec("eventType"), "--window", WINDOW, "--rows", rows(name), "--commit-every", every,
                           *(["--pipelined"] if every > 1 else []), "--state", state, events], rows=rows(name), fresh=state)

    state = os.path.join(settings.disk, "replay")
    cases = [ours("group commit", SHARDS), ours("a commit a batch", 1),
             Case("replay", [settings.program("tumble"), "replay", "--window", WINDOW, *flags("eventType"), "--batch-size", batch, "--format", "ndjson",
                             "--quiet", "--state", state, events], rows=rows("replay"), rows_on_stdout=True, fresh=state),
             *(Case(name, [python, settings.peer("handler_python.py"), events, "eventType"], rows=rows(name.replace("/", "-")), rows_on_stdout=True)
               for name, python in pythons().items())]
    if settings.node():
        cases.append(Case("Node", [settings.node(), settings.peer("handler_node.mjs"), events, "eventType"], rows=rows("node"), rows_on_stdout=True))
    results = interleaved(settings, cases, check=lambda: check_answers(
        "eventType", cases[0].rows, {case.name: case.rows for case in cases[1:]}, exact={"a commit a batch", "replay"}))
    return {"records": records, "times": {name: middle([one["wall"] for one in rounds]) for name, rounds in results.items()},
            "ratios": {f"{own}|{peer}": {clock: ratios(results[peer], results[own], clock) for clock in ("wall", "cpu")}
                       for own in ("group commit", "a commit a batch", "replay") for peer in results if peer.startswith(("CPython", "Node"))}}


def lone_batch(settings):
    """One shard, a durable commit after each 100 records, against LMDB committing as many bytes; medians of each round."""
    say("== commits: a lone synced batch of 100")
    count = 100 if settings.quick else 300
    events = settings.events("events-100", count * 100, 100)
    state, bare = os.path.join(settings.disk, "lone"), os.path.join(settings.disk, "bare")
    rounds = []
    for number in range(settings.rounds + 1):
        ours = run(settings, Case("lone", [settings.program("tumble-events"), "--spec", spec("eventType"), "--window", WINDOW, "--state", state, events],
                                  fresh=state))["printed"]
        size = max(1, int(ours["commit_bytes"]["p50"]))
        lmdb = run(settings, Case("lmdb", [settings.program("tumble-limits"), "lmdb", bare, size, count], fresh=bare))["printed"]
        if number:
            rounds.append({"event_p50": ours["event_us"]["p50"], "commit_p50": ours["commit_us"]["p50"], "event_p99": ours["event_us"]["p99"],
                           "lmdb_p50": lmdb["p50_us"], "lmdb_p99": lmdb["p99_us"], "bytes": size})
    return {"rounds": rounds, **{key: middle([one[key] for one in rounds]) for key in rounds[0]},
            "difference": middle([one["event_p50"] - one["lmdb_p50"] for one in rounds])}


def few_of_many(settings):
    """1,000,000 groups alive; each commit holds 10,000 records of nearly as many of them."""
    say("== commits: 10,000 of 1,000,000 groups")
    first = settings.events("events-all", 1000000, 5000, "--users", 1000000, "--users-in-turn", "--rate", 1000000)
    second = settings.events("events-some", 100000 if settings.quick else 200000, 5000, "--users", 1000000, "--rate", 1000000, "--first", 1000000)
    events = os.path.join(settings.memory, "events-many")
    with open(events, "wb") as out:
        count = 0
        for path in (first, second):
            with open(path, "rb") as file:
                for line in file:
                    out.write(line)
                    count += path == first
            os.unlink(path)
    state, bare = os.path.join(settings.disk, "many"), os.path.join(settings.disk, "append")
    rounds = []
    for number in range(min(settings.rounds, 5) + 1):
        ours = run(settings, Case("many", [settings.program("tumble-events"), "--spec", spec("userId"), "--window", WINDOW, "--state", state, "--commit-every",
                                           2, "--skip-events", count, events], fresh=state))["printed"]
        size = int(ours["commit_bytes"]["p50"])
        limit = run(settings, Case("append", [settings.program("tumble-limits"), "append", bare, size, ours["commits"]], fresh=bare))["printed"]
        if number:
            rounds.append({"commit_p50": ours["commit_us"]["p50"], "commit_p90": ours["commit_us"]["p90"], "append_p50": limit["p50_us"],
                           "bytes": size, "ratio": ours["commit_us"]["p50"] / limit["p50_us"]})
    os.unlink(events)
    return {"rounds": rounds, **{key: middle([one[key] for one in rounds]) for key in rounds[0]}}


def measure(settings):
    records = settings.args.records
    return {"machine": machine(settings), "workload": f"{records:,} records in batches of {SHARDS} shards", "group_commit": {batch: group_commit(settings, batch, records) for batch in (1000, 100)},
            "lone": lone_batch(settings), "few_of_many": few_of_many(settings)}


def report(result):
    lines = ["# Commits", "", f"Batches of {SHARDS} shards in flight, every commit synced; rows written. Group commit: one "
             f"durable commit for a batch of each of the {SHARDS} shards, while the next batches are applied; \"a commit a batch\" waits for each one.", ""]
    rows = []
    for batch, one in result["group_commit"].items():
        for pair, ratio in one["ratios"].items():
            own, peer = pair.split("|")
            goal = GROUP_COMMIT_GOALS[int(batch)] if peer.startswith("CPython") and own == "group commit" else None
            rows.append((batch, own, peer, spread(ratio["wall"]), spread(ratio["cpu"]), verdict(ratio["wall"]["median"], goal, None, True) if goal else ""))
    lines += table(("batch", "ours", "against", "theirs / ours", "by processor time", "goal"), rows)
    lone, many = result["lone"], result["few_of_many"]
    lines += table(("what", "measured", "goal"), [
        ("a lone synced batch of 100 records: p50 of the event, µs", spread(lone["event_p50"]), ""),
        (f"LMDB by itself, one value of {lone['bytes']['median']:.0f} bytes: p50, µs", spread(lone["lmdb_p50"]), ""),
        ("the one less the other, µs", f"{lone['difference']['median']:.1f} ({lone['difference']['min']:.1f}–{lone['difference']['max']:.1f})",
         verdict(lone["difference"]["median"], 30, None, False)),
        ("10,000 of 1,000,000 groups: p50 of a commit, µs", spread(many["commit_p50"]), ""),
        (f"append and fdatasync of its {many['bytes']['median']:,.0f} bytes: p50, µs", spread(many["append_p50"]), ""),
        ("the one over the other", spread(many["ratio"]), verdict(many["ratio"]["median"], 3, None, False))])
    return lines


def main():
    run_part(parse_arguments(__doc__), "commits", measure, report)


if __name__ == "__main__":
    main()

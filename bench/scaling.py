#!/usr/bin/python3
"""Time a record, with more and more records, and with more and more groups. The generator writes payloads into a pipe, so
nothing has to fit anywhere; what counts is the processor time of the replay, less that of one of a single record."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from measure import Case, RATE, WINDOW, flags, interleaved, machine, middle, parse_arguments, plot, run_part, say, spread, table, verdict  # noqa: E402


def piped(settings, name, group, records, window, *options):
    summary = os.path.join(settings.memory, "summary-" + name)
    return Case(name, [settings.program("tumble"), "replay", "--window", window, *flags(group), "--durability", "none", "--format", "ndjson", "--quiet",
                       "--summary", summary, "--timestamp", "timestamp", "--batch-size", 10000, "--input-format", "ndjson", "-"],
                rows=os.path.join(settings.memory, "rows"), rows_on_stdout=True, summary=summary,
                stdin=[settings.program("tumble-generate"), "--records", records, *options])


def measured(settings, cases, sizes, rounds):
    """{size: ns of processor time a record}"""
    results = interleaved(settings, [piped(settings, "none", "eventType", 1, WINDOW)] + cases, rounds)
    found = {}
    for case, (size, records) in zip(cases, sizes):
        for one in results[case.name]:
            if one["printed"]["records"] != records:
                raise SystemExit(f"{case.name}: {one['printed']['records']} records arrived of {records}")
        found[size] = middle([(one["cpu"] - none["cpu"]) / records * 1e9 for one, none in zip(results[case.name], results["none"])])
    return found


def by_records(settings):
    sizes = [100000, 1000000] if settings.quick else [100000, 300000, 1000000, 3000000, 10000000]
    sizes += [100000000] if settings.long else []
    say(f"== scaling: up to {sizes[-1]:,} records")
    cases = [piped(settings, f"{size}", "eventType", size, WINDOW, "--rate", RATE) for size in sizes]
    return measured(settings, cases, [(size, size) for size in sizes], min(3, settings.rounds))


def by_groups(settings):
    records = 500000 if settings.quick else 2000000
    sizes = [10, 1000, 10000, 100000] if settings.quick else [10, 1000, 10000, 100000, 1000000]
    sizes += [10000000] if settings.long else []
    say(f"== scaling: up to {sizes[-1]:,} groups")
    counts = [max(records, size) for size in sizes]
    cases = [piped(settings, f"{size}", "userId", count, 86400, "--rate", 1000000, "--users", size, *(["--users-in-turn"] if size > records else []))
             for size, count in zip(sizes, counts)]
    return measured(settings, cases, list(zip(sizes, counts)), min(3, settings.rounds))


def measure(settings):
    result = {"machine": machine(settings), "workload": "records and groups as the tables say", "records": by_records(settings), "groups": by_groups(settings)}
    for name, one in (("records", result["records"]), ("groups", result["groups"])):
        plot(settings, "scaling-" + name, f"Time a record, by {name}", f"set logscale x\nset format x '%.0s %c'\nset xrange [{min(one) / 1.3:g}:{max(one) * 1.3:g}]\n"
             f"set xlabel '{name}'\nset ylabel 'ns a record (processor time)'\nset yrange [0:*]\nset key bottom right\n"
             "plot $data using 1:2:3:4 with yerrorlines lw 2 pt 7 lc rgb '#1f77b4' title 'tumble replay, payloads through a pipe'",
             [(size, time["median"], time["min"], time["max"]) for size, time in one.items()])
    return result


def report(result):
    lines = ["# Scaling", ""]
    for name, goal in (("records", 1.3), ("groups", None)):
        times = {int(size): time for size, time in result[name].items()}
        least = min(time["median"] for time in times.values())
        first = times[min(times)]["median"]
        lines += table((name, "ns of processor time a record", "over the first"),
                       [(f"{size:,}", spread(time), f"{time['median'] / first:.2f}") for size, time in times.items()])
        if goal:
            most = max(time["median"] for time in times.values()) / least
            lines += [f"The most over the least: {most:.2f}; {verdict(most, goal, None, False)}", ""]
    return lines


def main():
    run_part(parse_arguments(__doc__), "scaling", measure, report)


if __name__ == "__main__":
    main()

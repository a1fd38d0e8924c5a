#!/usr/bin/python3
"""Latency under open load: events come when they come, however far behind the engine is. An event's latency counts from
the time at which it was to come (no coordinated omission) to its response, state committed."""

import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from measure import Case, WINDOW, machine, parse_arguments, plot, run, run_part, say, shown, spec, table  # noqa: E402

LOADS = (0.3, 0.5, 0.7, 0.85)
PERCENTILES = ("p50", "p90", "p99", "p999", "max")


def one(settings, events, durable, rate=0):
    state = os.path.join(settings.disk, "latency")
    command = [settings.program("tumble-events"), "--spec", spec("eventType"), "--window", WINDOW, *(["--state", state] if durable else []),
               *(["--rate", f"{rate:.3f}"] if rate else []), events]
    return run(settings, Case("latency", command, fresh=state))["printed"]


def measure(settings):
    found = []
    rounds = 1 if settings.quick else 3
    for batch in (100, 1000):
        events = settings.events(f"events-latency-{batch}", (1000 if settings.quick else 3000) * batch // (1 if batch == 100 else 4), batch)
        for durable in (True, False):
            say(f"== latency: batches of {batch}, {'synced' if durable else 'in memory'}")
            closed = [one(settings, events, durable) for _ in range(3)]
            capacity = statistics.median(each["events"] / each["seconds"] for each in closed)
            for load in LOADS:
                runs = [one(settings, events, durable, capacity * load)["event_us"] for _ in range(rounds)]
                found.append({"batch": batch, "synced": durable, "capacity": capacity, "load": load, "events_per_second": capacity * load,
                              **{name: statistics.median(each[name] for each in runs) for name in PERCENTILES}})
    data = [(each["load"] * 100, each["p50"], each["p99"], each["p999"]) for each in found if each["batch"] == 1000 and each["synced"]]
    plot(settings, "latency", "Open load, events of 1,000 records, synced", f"set logscale y\nset xrange [25:90]\nset yrange [{min(each[1] for each in data) / 1.5:g}:{max(each[3] for each in data) * 2:g}]\n"
         "set ytics (100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000)\nset xlabel 'load, % of what it can take'\n"
         "set ylabel 'µs from the time an event was to come'\n"
         "plot $data using 1:4 with linespoints lw 2 pt 7 title 'p99.9', '' using 1:3 with linespoints lw 2 pt 7 title 'p99', "
         "'' using 1:2 with linespoints lw 2 pt 7 title 'p50'", data)
    return {"machine": machine(settings), "workload": "events of 100 and of 1,000 records", "runs": found}


def report(result):
    return ["# Latency under open load", "", "From the time an event was to come to its response, one shard, one core, µs. Load is a part of the capacity: what it "
            "takes where each event comes when the one before it is answered, median of three runs.", ""] + table(
        ("batch", "commits", "capacity, events a second", "load", "events a second", *("p99.9" if name == "p999" else name for name in PERCENTILES)),
        [(each["batch"], "synced" if each["synced"] else "in memory", shown(each["capacity"]), f"{each['load'] * 100:.0f} %", shown(each["events_per_second"]),
          *(shown(each[name]) for name in PERCENTILES)) for each in result["runs"]])


def main():
    run_part(parse_arguments(__doc__), "latency", measure, report)


if __name__ == "__main__":
    main()

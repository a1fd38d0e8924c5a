#!/usr/bin/python3
"""Workloads of every kind: how many groups, how large a batch and a payload, mixed shapes, escapes, text beyond ASCII,
aggregates of the Kinesis Producer Library; and the ways in which an invocation can come."""

import base64
import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from measure import (Case, RATE, WINDOW, check_answers, flags, interleaved, machine, middle, parse_arguments, plot_bars, ratios, run_part, say, shown,  # noqa: E402
                     spec, spread, table)

# name: (group, batch, part of the records to take, options of the generator)
WORKLOADS = {f"{groups:,} groups, batch {batch:,}": (group, batch, 1, options) for groups, group, options in
             ((8, "eventType", ("--groups", 8)), (10000, "userId", ("--users", 10000)), (1000000, "userId", ("--users", 1000000)))
             for batch in (100, 1000, 10000)}
WORKLOADS.update({f"payload of {size}": ("eventType", 1000, part, ("--payload-bytes", count))
                  for size, count, part in (("100 B", 0, 1), ("1 KB", 1000, 0.5), ("10 KB", 10000, 0.1))})
WORKLOADS.update({"mixed shapes": ("eventType", 1000, 1, ("--mixed", 0.3)), "escapes": ("eventType", 1000, 1, ("--escapes", 0.2)),
                  "text beyond ASCII": ("eventType", 1000, 1, ("--non-ascii", 0.5)), "members in random order": ("eventType", 1000, 1, ("--shuffle-keys",))})


def workload(settings, name, group, batch, records, options):
    say(f"== matrix: {name}")
    events = settings.events("events-matrix", records, batch, *options)
    rows = {who: os.path.join(settings.disk, "rows-matrix-" + who) for who in ("tumble", "python", "node")}
    cases = [Case("tumble", [settings.program("tumble-events"), "--spec", spec(group), "--window", WINDOW, "--rows", rows["tumble"], events],
                  rows=rows["tumble"]),
             Case("CPython", ["/usr/bin/python3", settings.peer("handler_python.py"), events, group], rows=rows["python"], rows_on_stdout=True)]
    if settings.node():
        cases.append(Case("Node", [settings.node(), settings.peer("handler_node.mjs"), events, group], rows=rows["node"], rows_on_stdout=True))
    results = interleaved(settings, cases, min(3, settings.rounds),
                          lambda: check_answers(group, cases[0].rows, {case.name: case.rows for case in cases[1:]}))
    size = os.path.getsize(events)
    os.unlink(events)
    return {"records": records, "bytes": size, "ns": middle([one["cpu"] / records * 1e9 for one in results["tumble"]]),
            "mb_per_second": middle([size / 1e6 / one["cpu"] for one in results["tumble"]]),
            "ratios": {case.name: {clock: ratios(results[case.name], results["tumble"], clock) for clock in ("wall", "cpu")} for case in cases[1:]}}


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def aggregated(payloads):
    """One Kinesis record as the producer library makes it: a protobuf message between a magic number and its MD5."""
    message = b"\x0a\x04user"
    for payload in payloads:
        record = b"\x08\x00\x1a" + varint(len(payload)) + payload
        message += b"\x1a" + varint(len(record)) + record
    return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()


def kpl(settings, records):
    """The same payloads, one a record and 100 a record; ours by `tumble replay`, which takes both apart."""
    say("== matrix: aggregates of the producer library")
    payloads = settings.generate("payloads-kpl", "--rate", RATE, "--records", records)
    plain = settings.events("events-plain", records, 1000)
    path = os.path.join(settings.memory, "events-kpl")
    with open(payloads, "rb") as lines, open(path, "w", encoding="ascii") as out:
        chunk, number = [], 0
        for line in lines:
            chunk.append(line.rstrip(b"\n"))
            number += 1
            if len(chunk) < 100 and number < records:
                continue
            arrival = json.loads(chunk[-1])["timestamp"] / 1000
            sequence = f"495903382714902566085596925000{number:026d}"
            out.write(json.dumps({"Records": [{"kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": "user", "sequenceNumber": sequence, "data":
                      base64.b64encode(aggregated(chunk)).decode(), "approximateArrivalTimestamp": arrival}, "eventSource": "aws:kinesis",
                      "eventVersion": "1.0", "eventID": "shardId-000000000000:" + sequence, "eventName": "aws:kinesis:record", "awsRegion": "us-east-1",
                      "invokeIdentityArn": "arn:aws:iam::123456789012:role/clicks",
                      "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/clicks"}]}, separators=(",", ":")) + "\n")
            chunk = []
    # one window for all: where an aggregate lies across a window's end, it counts as a whole
    cases = [Case(name, [settings.program("tumble"), "replay", "--window", 86400, *flags("eventType"), "--durability", "none", "--format", "ndjson", "--quiet",
                         events], rows=os.path.join(settings.disk, "rows-" + name), rows_on_stdout=True)
             for name, events in (("plain", plain), ("aggregated", path))]
    results = interleaved(settings, cases, min(3, settings.rounds), lambda: check_answers(
        "eventType", cases[0].rows, {"aggregated": cases[1].rows}, exact={"aggregated"}))
    return {name: middle([one["cpu"] / records * 1e9 for one in rounds]) for name, rounds in results.items()}


def ways(settings, records):
    """The same batches as structs, as events, and through the Runtime API to a program: ours, and Node's."""
    say("== matrix: by struct, by event, through the Runtime API")
    events = settings.events("events-plain", records, 1000)
    rows = {name: os.path.join(settings.disk, "rows-ways-" + name) for name in ("struct", "event", "bootstrap", "node")}
    base = [settings.program("tumble"), "replay", "--window", WINDOW, "--batch-size", 1000, "--quiet"]
    aggregates = [*flags("eventType"), "--format", "ndjson"]
    fast = ["--timeout", 60, "--function-duration", 1]
    cases = [Case("by struct", base + aggregates + ["--invoke", "direct", events], rows=rows["struct"], rows_on_stdout=True),
             Case("by event", base + aggregates + ["--invoke", "event", events], rows=rows["event"], rows_on_stdout=True)]
    bootstrap = settings.program("bootstrap")
    environment = f"TUMBLE_SPEC='{spec('eventType')}' TUMBLE_OUTPUTS=file:{rows['bootstrap']} TUMBLE_STATE_DIR={settings.disk}/cache"
    log = ["--function-log", os.path.join(settings.memory, "function.log")]
    if bootstrap:
        cases.append(Case("Runtime API, ours", base + fast + log + ["--function", f"rm -f {rows['bootstrap']}; {environment} TUMBLE_METRICS_NAMESPACE=none "
                                                                   f"exec {bootstrap}", events], rows=rows["bootstrap"]))
    if settings.node():
        cases.append(Case("Runtime API, Node", base + fast + log + ["--function", f"rm -f {rows['node']}; exec {settings.node()} "
                                                                   f"{settings.peer('runtime_node.mjs')} eventType {rows['node']}", events], rows=rows["node"]))
    results = interleaved(settings, cases, min(3, settings.rounds), lambda: check_answers(
        "eventType", cases[0].rows, {case.name: case.rows for case in cases[1:]}, exact={"by event", "Runtime API, ours"}))
    return {name: {clock: middle([one[clock] / records * 1e9 for one in rounds]) for clock in ("wall", "cpu")} for name, rounds in results.items()}


def measure(settings):
    records = 30000 if settings.quick else 100000
    found = {name: workload(settings, name, group, batch, int(records * part), options) for name, (group, batch, part, options) in WORKLOADS.items()}
    peers = [("CPython", "#1f77b4"), ("Node", "#ff7f0e")][:2 if settings.node() else 1]
    plot_bars(settings, "matrix", f"{records:,} records", "times as quick (processor time)", [(f"than {peer}", colour) for peer, colour in peers],
              [(name, *(one["ratios"][peer]["cpu"]["median"] for peer, _ in peers)) for name, one in found.items()])
    return {"machine": machine(settings), "workload": f"{records:,} records", "workloads": found, "kpl": kpl(settings, records), "ways": ways(settings, records)}


def report(result):
    rows = [(name, shown(one["ns"]["median"]), shown(one["mb_per_second"]["median"]),
             *(spread(one["ratios"][peer][clock]) if peer in one["ratios"] else "" for peer in ("CPython", "Node") for clock in ("wall", "cpu")))
            for name, one in result["workloads"].items()]
    lines = ["# Workloads", "", "`tumble-events`, in memory; ns and MB/s of processor time, whole process:", ""]
    lines += table(("workload", "ns a record", "MB/s of events", "CPython / ours", "by processor time", "Node / ours", "by processor time"), rows)
    lines += ["Records of the Kinesis Producer Library, by `tumble replay`:", ""]
    lines += table(("records", "ns of processor time a record"), [(name, spread(one)) for name, one in result["kpl"].items()])
    lines += ["Ways to invoke, batches of 1,000, by the emulated event source mapping (its own time included; the processor time of both processes):", ""]
    return lines + table(("way", "ns a record", "ns of processor time"), [(name, spread(one["wall"]), spread(one["cpu"])) for name, one in result["ways"].items()])


def main():
    run_part(parse_arguments(__doc__), "matrix", measure, report)


if __name__ == "__main__":
    main()

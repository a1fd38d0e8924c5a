#!/usr/bin/env python3
"""Warm invocations through the emulator's Runtime API: the bootstrap against a Node handler of the same rows under AWS's own
runtime client (npm aws-lambda-ric), and both against a function that does nothing.

    runtime_api.py [--tumble FILE] [--bootstrap FILE] [--rounds N] [--invocations N] [--json FILE]

A round runs each function once, in turn, over the same capture in the same batches; a figure is the run's Duration as AWS counts
it: from the event's first byte to the response's last, the start of the process left out. Ratios are of one round, so that a
neighbour who takes the machine for a while takes it from both; what is printed are the medians over all rounds."""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "reference"))
sys.path.insert(0, os.path.join(ROOT, "tests", "servers"))
import servers  # noqa: E402
from harness import Workspace, read  # noqa: E402

SPEC = {"group_by": ["kind"], "timestamp": {"field": "ts"},
        "aggregates": [{"name": "n", "function": "count"}, {"name": "total", "function": "sum", "field": "amount"}]}
HANDLERS = {
    "node": """
    const groups = { ...event.state };
    for (const record of event.Records) {
        const payload = JSON.parse(Buffer.from(record.kinesis.data, "base64"));
        const [n, total] = groups[payload.kind] ?? [0, 0];
        groups[payload.kind] = [n + 1, total + payload.amount];
    }
    if (event.isFinalInvokeForWindow)
        for (const [kind, [n, total]] of Object.entries(groups))
            appendFileSync(process.env.ROWS, JSON.stringify({ window_start: event.window.start, kind, n, total }) + "\\n");
    return { state: groups };
""",
    "node_nothing": "    return { state: {} };\n"}


def capture(work, records):
    draw, lines = random.Random(1), []
    for number in range(records):
        lines.append(json.dumps({"ts": 1700000040000 + number * 10, "kind": draw.choice("abcd"), "amount": draw.randrange(1000),
                                 "user": "u%d" % draw.randrange(300), "filler": "x" * 60}))
    return work.write("capture.ndjson", "\n".join(lines) + "\n")


def functions(work, bootstrap):
    """name → (command, environment)"""
    ric = " ".join(servers.lambda_ric())
    found = {"bootstrap": ("exec " + bootstrap, {"TUMBLE_SPEC": json.dumps(SPEC), "TUMBLE_OUTPUTS": "file:" + work.file("rows.bootstrap"),
                                                "TUMBLE_STATE_DIR": work.file("cache")})}
    for name, body in HANDLERS.items():
        os.mkdir(work.file(name))
        work.write(name + "/index.mjs", 'import { appendFileSync } from "node:fs";\nexport async function handler(event) {\n%s}\n' % body)
        found[name] = ("exec " + ric, {"LAMBDA_TASK_ROOT": work.file(name), "_HANDLER": "index.handler", "ROWS": work.file("rows." + name)})
    return found


def duration_ms(tumble, work, function, inputs, batch):
    command, variables = function
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TUMBLE_", "AWS_"))}
    subprocess.run([tumble, "replay", "-q", "-t", "ts", "-w", "60", "--batch-size", str(batch), "--timeout", "30", "--function", command,
                    "--function-log", work.file("log"), "--summary", work.file("summary"), inputs], check=True, env={**env, **variables})
    figures = json.loads(read(work.file("summary")))
    if figures["Errors"]:
        sys.exit("a function failed; its log:\n" + read(work.file("log")).decode()[-2000:])
    return figures["Duration"]["Average"]


def sums(path):
    return sorted((row["window_start"], row["kind"], row["n"], row["total"]) for row in map(json.loads, read(path).splitlines()))


def measure(args, batch):
    with Workspace("bench") as work:
        inputs = capture(work, args.invocations * batch)
        all_of = functions(work, os.path.abspath(args.bootstrap))
        rounds = []
        for number in range(args.rounds):
            order = list(all_of) if number % 2 == 0 else list(all_of)[::-1]
            rounds.append({name: duration_ms(args.tumble, work, all_of[name], inputs, batch) for name in order})
            if number == 0 and sums(work.file("rows.bootstrap")) != sums(work.file("rows.node")):
                sys.exit("the two functions do not give the same rows")
    figures = {name + "_ms": statistics.median(each[name] for each in rounds) for name in all_of}
    figures["node_over_bootstrap"] = statistics.median(each["node"] / each["bootstrap"] for each in rounds)
    figures["node_nothing_over_bootstrap"] = statistics.median(each["node_nothing"] / each["bootstrap"] for each in rounds)
    return figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tumble", default=os.path.join(ROOT, "build/release/bin/tumble"))
    parser.add_argument("--bootstrap", default=os.path.join(ROOT, "build/release/bin/bootstrap"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--invocations", type=int, default=500)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--json")
    args = parser.parse_args()
    figures = {}
    for batch in args.batches:
        figures[batch] = measure(args, batch)
        print("records of a batch: %d" % batch)
        for name, value in figures[batch].items():
            print("  %-30s %.3f" % (name, value), flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=2)


if __name__ == "__main__":
    main()

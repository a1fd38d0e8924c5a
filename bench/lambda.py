#!/usr/bin/env python3
"""The bootstrap's figures, under a Runtime API on loopback.

    lambda.py [--bootstrap FILE] [--starts N] [--invocations N] [--json FILE]

start: from fork to the first `next`, and the same less what /bin/true takes; start_cpu: time on a CPU until then, which
neighbours do not stretch. warm: one invocation of 100 records, from
the event's first byte sent to the response's last one received; less the engine's own time it is the overhead, the
Python of this API included. memory: peak RSS after batches of 10,000 records and events of 6 MB."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "lambda"))
from sandbox import Sandbox, Shard, event, record  # noqa: E402
from harness import Workspace  # noqa: E402


def of(values):
    ordered = sorted(values)
    return {"min": ordered[0], "p50": statistics.median(ordered), "p90": ordered[len(ordered) * 9 // 10], "max": ordered[-1]}


def starts(bootstrap, count):
    true, boot, cpu = [], [], []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run(["/bin/true"], check=True)
        true.append((time.perf_counter() - began) * 1e3)
        with Workspace("bench") as work, Sandbox(bootstrap, work, start=False, TUMBLE_LOG_LEVEL="info") as sandbox:
            began = time.perf_counter()
            sandbox.start()
            sandbox.wait_for_next()
            boot.append((time.perf_counter() - began) * 1e3)
            with open("/proc/%d/schedstat" % sandbox.process.pid, encoding="ascii") as file:
                cpu.append(int(file.read().split()[0]) / 1e6)
    return {"start_ms": of(boot), "start_cpu_ms": of(cpu), "fork_exec_ms": of(true), "start_beyond_fork_exec_ms": statistics.median(boot) - statistics.median(true)}


def warm(bootstrap, count):
    whole, engine = [], []
    with Workspace("bench") as work, Sandbox(bootstrap, work, TUMBLE_LOG_LEVEL="info") as sandbox:
        shard = Shard()
        for i in range(count + 50):
            answer = sandbox.invoke(json.dumps(shard.batch(100)).encode())
            shard.state = json.loads(answer.body)["state"]
            if i >= 50:
                whole.append((answer.done - answer.sent) * 1e3)
            if i % 100 == 99:
                sandbox.respond(shard.final())
                shard.next_window()
        engine = [line["BatchDuration"] for line in sandbox.metrics() if line["RecordsApplied"] == 100][50:]
    overhead = [a - b for a, b in zip(whole, engine)]
    return {"warm_100_records_ms": of(whole), "warm_engine_ms": of(engine), "warm_overhead_ms": of(overhead)}


def memory(bootstrap):
    start = 1607497440000
    with Workspace("bench") as work, Sandbox(bootstrap, work) as sandbox:
        shard, records, size = Shard(), [], 0
        for _ in range(5):
            shard.state = sandbox.respond(shard.batch(10000))["state"]
        while size < 6200000:
            shard.number += 1
            records.append(record(shard.number, {"kind": "k1", "amount": 0, "filler": "y" * 20000}, start + 59000))
            size += len(json.dumps(records[-1])) + 2
        for _ in range(3):
            sandbox.invoke(event(records, shard.state, start))
        with open("/proc/%d/status" % sandbox.process.pid, encoding="ascii") as file:
            peak = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
    return {"peak_rss_mb": peak / 1e6}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", default=os.path.join(ROOT, "build/release/bin/bootstrap"))
    parser.add_argument("--starts", type=int, default=40)
    parser.add_argument("--invocations", type=int, default=1000)
    parser.add_argument("--json")
    args = parser.parse_args()
    figures = {**starts(args.bootstrap, args.starts), **warm(args.bootstrap, args.invocations), **memory(args.bootstrap)}
    for name, value in figures.items():
        print("%-28s %s" % (name, "  ".join("%s %.3f" % pair for pair in value.items()) if isinstance(value, dict) else "%.3f" % value))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=2)


if __name__ == "__main__":
    main()

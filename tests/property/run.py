#!/usr/bin/python3
"""Random specs and streams: tumble's rows against the reference's, byte for byte, and against themselves.

    run.py TUMBLE [--cases N] [--seed S]     N cases from seed S on
    run.py TUMBLE --only SEED                one case again (printed by a failure)"""

import argparse
import concurrent.futures
import gzip
import json
import os
import sys
import traceback
from decimal import Decimal

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
import reference  # noqa: E402
from harness import Failed, Workspace, check, difference, read, run, shown  # noqa: E402

import cases  # noqa: E402

BATCH_SIZES = (1, 7, 100, 10000)


def expected(case, path):
    spec = reference.DECODER.decode(json.dumps(case.spec))
    if case.format == "array":
        payloads = reference.DECODER.decode(read(path).decode("utf-8"))
        records = [reference.Record(payload, i + 1) for i, payload in enumerate(payloads)]
    else:
        records = reference.read([path], case.format)
    rows, fates = reference.replay(spec, records, case.shards or 1, case.lateness, case.partition_key,
                                   "ts" if case.overrides_time else None, case.sort)
    return "".join(row + "\n" for row in rows).encode("utf-8"), fates


ADDITIVE = {"count", "sum", "min", "max"}


def without_partials(case, out, where):
    """Rows of several shards carry partials if some aggregate is not additive, rows of one do not."""
    needed = (case.format == "lambda" or (case.shards or 1) > 1) and any(a["function"] not in ADDITIVE for a in case.spec["aggregates"])
    rows = []
    for row in out.splitlines(keepends=True):
        at = row.rfind(b',"_partials":{')
        check((at >= 0) == needed, f"{where}: partials {'are missing' if needed else 'are not needed'}: {row.decode('utf-8')}")
        rows.append(row[:at] + row[row.rfind(b',"records":'):] if needed else row)
    return b"".join(rows)


def one_case(tumble, seed):
    case = cases.Case(seed)
    rng = case.rng
    with Workspace(f"property-{seed}") as work:
        spec = work.write("spec.json", json.dumps(case.spec, ensure_ascii=rng.random() < 0.5))
        plain = work.write("input.json", case.text)
        wanted, fates = expected(case, plain)
        work.write("wanted.ndjson", wanted)
        for batch_size in BATCH_SIZES:
            path = plain
            if rng.random() < 0.2:
                path = work.write("input.gz", gzip.compress(case.text.encode("utf-8")))
            summary, failures = work.file("summary.json"), work.file(f"failures-{batch_size}.ndjson")
            command = [tumble, "replay", "--spec", spec, "--batch-size", str(batch_size), "--threads", str(rng.randint(1, 4)),
                       "--allowed-lateness", str(case.lateness), "--format", "ndjson", "--input-format", case.format,
                       "--summary", summary, "--failures", "file:" + failures, "--state", work.file(f"state-{batch_size}")]
            if rng.random() < 0.5:
                command = command[:-2]
            if case.shards:
                command += ["--shards", str(case.shards)]
            if case.partition_key:
                command += ["--partition-key", case.partition_key]
            if case.overrides_time:
                command += ["--timestamp", "ts"]
            if case.sort:
                command += ["--sort"]
            got = run(command + [path])
            check(got.code == 0, f"{shown(command + [path])}\nended with {got.code}:\n{got.text()}")
            out = without_partials(case, got.out, shown(command + [path]))
            if out != wanted:
                work.write("got.ndjson", got.out)
                raise Failed(difference(shown(command + [path]), out, wanted))
            with open(summary, encoding="utf-8") as file:
                counted = json.load(file)
            counted = {fate: counted[fate] for fate in fates}
            check(counted == fates, f"{shown(command + [path])}\n{counted}, wanted {fates}")
            lines = read(failures).splitlines() if os.path.exists(failures) else []
            check(len(lines) == fates["late"] + fates["bad"], f"{len(lines)} failures, wanted {fates['late']} late and {fates['bad']} bad")
            for line in lines:
                json.loads(line)


def merged(out):
    """Rows of all shards, merged by hand."""
    total = {}
    for line in out.splitlines():
        row = json.loads(line, parse_float=Decimal, parse_int=Decimal)
        key = (row["window_start"], repr(row["k"]))
        n, v, low, high, records = total.get(key, (0, Decimal(0), None, None, 0))
        total[key] = (n + row["n"], v + (row["v"] or 0), row["low"] if low is None or row["low"] is not None and row["low"] < low else low,
                      row["high"] if high is None or row["high"] is not None and row["high"] > high else high, records + row["records"])
    return total


def shards_merge(tumble, seed):
    """Counts, sums, extremes of each window and group do not depend on the number of shards. Input in order."""
    case = cases.Case(f"merge-{seed}")
    case.format, case.wild, case.trouble, case.count, case.payload_time = "ndjson", False, 0, 300, True
    times = sorted(case.times(1762732800000))
    lines = "\n".join(cases.spell(case.payload(ms), case.rng, False) for ms in times)
    spec = {"window": {"seconds": case.window}, "timestamp": {"field": "ts"}, "group_by": ["k"], "aggregates": [
        {"name": "n", "function": "count"}, {"name": "v", "function": "sum", "field": "v"},
        {"name": "low", "function": "min", "field": "v"}, {"name": "high", "function": "max", "field": "v"}]}
    with Workspace(f"merge-{seed}") as work:
        path, spec_path = work.write("input.ndjson", lines), work.write("spec.json", json.dumps(spec))
        wanted = None
        for shards in range(1, 9):
            command = [tumble, "replay", "--spec", spec_path, "--shards", str(shards), "--partition-key", "user", "--format", "ndjson",
                       "--batch-size", str(case.rng.choice(BATCH_SIZES)), "--threads", str(case.rng.randint(1, 4)), path]
            got = run(command)
            check(got.code == 0, f"{shown(command)} ended with {got.code}:\n{got.text()}")
            total = merged(got.out)
            wanted = wanted or total
            check(total == wanted, f"{shown(command)}: merged by hand, the rows are not those of one shard")


def sorting(tumble, seed):
    """--sort gives the rows of input that was sorted before."""
    case = cases.Case(f"sort-{seed}")
    case.format, case.trouble, case.count, case.payload_time = "ndjson", 0, 200, True
    times = list(case.times(1762732800000))
    case.rng.shuffle(times)
    lines = [(ms, cases.spell(case.payload(ms), case.rng, False)) for ms in times]
    spec = {key: value for key, value in case.spec.items() if key != "where"}
    spec["timestamp"] = {"field": "ts"}
    with Workspace(f"sort-{seed}") as work:
        spec_path = work.write("spec.json", json.dumps(spec))
        shuffled = work.write("shuffled.ndjson", "\n".join(line for _, line in lines))
        ordered = work.write("sorted.ndjson", "\n".join(line for _, line in sorted(lines, key=lambda pair: pair[0])))
        command = [tumble, "replay", "--spec", spec_path, "--failures", "file:" + work.file("failures"), "--format", "ndjson",
                   "--partition-key", "user", "--shards", "3"]
        got, wanted = run(command + ["--sort", shuffled]), run(command + [ordered])
        check(got.code == 0 and wanted.code == 0, f"{shown(command)}:\n{got.text()}{wanted.text()}")
        check(got.out == wanted.out, difference(shown(command + ["--sort", shuffled]), got.out, wanted.out))


KINDS = {"case": one_case, "merge": shards_merge, "sort": sorting}


def attempt(tumble, kind, seed):
    try:
        KINDS[kind](tumble, seed)
        return None
    except Failed as error:
        return str(error)
    except Exception:  # a fault of the test itself must not pass for success
        return traceback.format_exc()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tumble")
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", metavar="KIND:SEED")
    args = parser.parse_args()
    factor = 10 if os.environ.get("LONG") else 1
    if args.only:
        kind, seed = args.only.split(":")
        todo = [(kind, int(seed))]
    else:
        todo = [("case", args.seed + i) for i in range(args.cases * factor)]
        todo += [(kind, args.seed + i) for kind in ("merge", "sort") for i in range(max(1, args.cases * factor // 20))]
    failed = 0
    with concurrent.futures.ProcessPoolExecutor(max_workers=2) as pool:
        jobs = [(kind, seed, pool.submit(attempt, args.tumble, kind, seed)) for kind, seed in todo]
        for kind, seed, job in jobs:
            text = job.result()
            if text is not None:
                failed += 1
                print(f"{kind} {seed} failed: {text}\nrepeat: {sys.argv[0]} {args.tumble} --only {kind}:{seed}\n", flush=True)
                if failed == 5:
                    for _, _, rest in jobs:
                        rest.cancel()
                    break
    print(f"{len(todo)} cases, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

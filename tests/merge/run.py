#!/usr/bin/python3
"""Random specs over every aggregate: rows of any number of shards, batches and threads, shuffled, delivered twice and
merged, are byte for byte the merged rows of one shard; coarser windows too. And the same rows come out of a state that is
opened again in mid-window.

    run.py TUMBLE [--cases N] [--seed S] [--only SEED]"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

COUNTS = re.compile(rb'"shards":\d+,"fragments":\d+,')  # tell how the records were spread, so they differ


def aggregates(rng):
    """A list of aggregates; top keeps every key it can meet, for only then it obeys the law."""
    number = lambda: rng.choice(["v", "w", "deep.x"])
    scalar = lambda: rng.choice(["v", "user", "flag", "deep.x"])
    makers = [
        lambda: {"function": "count"},
        lambda: {"function": "count", "field": scalar()},
        lambda: {"function": rng.choice(["sum", "mean", "min", "max"]), "field": number()},
        lambda: {"function": rng.choice(["min", "max"]), "field": "user", "type": "string"},
        lambda: {"function": rng.choice(["first", "last"]), "field": scalar()},
        lambda: {"function": rng.choice(["variance", "stddev"]), "field": number(), "type": rng.choice(["population", "sample"])},
        lambda: {"function": rng.choice(["arg_min", "arg_max"]), "field": scalar(), "by": number()},
        lambda: {"function": "distinct", "field": scalar(), "error": rng.choice([0.01, 0.1])},
        lambda: {"function": "quantile", "field": number(), "q": rng.choice([[0.5], [0, 0.25, 0.99, 1]]),
                 "relative_error": rng.choice([0.01, 0.05])},
        lambda: {"function": "histogram", "field": number(), "bounds": rng.choice([[0], [-10, 0, 10.5, 1e6]])},
        lambda: {"function": "collect", "field": scalar(), "cap": rng.choice([1, 5, 1000])},
        lambda: {"function": "top", "field": "user", "k": 3, "capacity": 400},
    ]
    made = []
    for i in range(rng.randint(1, 8)):
        one = dict(rng.choice(makers)(), name=f"c{i}")
        if rng.random() < 0.2:
            one["where"] = {"user": [{"prefix": "u1"}]}
        made.append(one)
    return made


def spec_of(rng):
    groups = rng.choice([[], ["k"], ["k", {"field": "flag", "as": "f"}]])
    return {"window": {"seconds": 60}, "timestamp": {"field": "t"}, "partials": True, "group_by": groups,
            "aggregates": aggregates(rng)}


def value(rng):
    kind = rng.random()
    if kind < 0.05:
        return None
    if kind < 0.6:
        return round(rng.uniform(-50, 50), rng.choice([0, 1, 2, 5]))
    if kind < 0.8:
        return rng.randint(-10**6, 10**6)
    return rng.choice([0, 1e-9, -1e12, 123456789012345678901234567, 0.1, 19.99])


def records_of(rng):
    users = rng.choice([3, 40, 300])
    at = 1762732800000 + rng.randint(0, 10**6)
    lines = []
    for _ in range(rng.choice([1, 40, 600])):
        at += rng.randint(0, 900)
        lines.append(json.dumps({"t": at, "k": rng.choice("abc"), "user": f"u{rng.randrange(users)}", "v": value(rng),
                                 "w": value(rng), "flag": rng.choice([True, False, None]), "deep": {"x": value(rng)}}))
    return "\n".join(lines) + "\n"


def run(command, **more):
    done = subprocess.run(command, capture_output=True, check=False, **more)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}\nended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def first_difference(a, b):
    for i, (x, y) in enumerate(zip(a.splitlines(), b.splitlines())):
        if x != y:
            return f"line {i + 1}\n  one shard {x.decode()[:1500]}\n  merged    {y.decode()[:1500]}"
    return f"{len(a.splitlines())} lines, {len(b.splitlines())} lines"


def case(tumble, seed):
    rng = random.Random(seed)
    work = tempfile.mkdtemp(prefix=f"tumble-merge-{seed}-")
    spec, data = os.path.join(work, "spec.json"), os.path.join(work, "in.ndjson")
    with open(spec, "w", encoding="utf-8") as file:
        json.dump(spec_of(rng), file)
    with open(data, "w", encoding="utf-8") as file:
        file.write(records_of(rng))
    replay = [tumble, "replay", "-q", "--spec", spec, "--format", "ndjson", "--partition-key", "user"]
    try:
        one = run(replay + [data])
        again = run(replay + ["--batch-size", str(rng.choice([1, 7, 100])), "--threads", str(rng.randint(1, 4)),
                              "--state", os.path.join(work, "state"), "--memory-limit", "1", data])
        if one != again:
            raise AssertionError("rows differ by batch size, threads or memory: " + first_difference(one, again))
        rows = run(replay + ["--shards", str(rng.randint(2, 8)), "--batch-size", str(rng.choice([1, 13, 10000])), data])
        lines = rows.splitlines(keepends=True)
        lines += [line for line in lines if rng.random() < 0.3]
        rng.shuffle(lines)
        for window in ([], ["--window", "60"], ["--window", "120"], ["--window", "3600"]):
            merged = [COUNTS.sub(b"", run([tumble, "merge", "-q"] + window + ["-"], input=rows))
                      for rows in (one, b"".join(lines))]
            if not merged[0]:
                raise AssertionError(f"merge {' '.join(window)}: no rows")
            if merged[0] != merged[1]:
                raise AssertionError(f"merge {' '.join(window)}: " + first_difference(*merged))
    except AssertionError as failure:
        print(f"seed {seed} failed: {failure}\nfiles kept in {work}\nrepeat: {sys.argv[0]} {tumble} --only {seed}\n")
        return False
    shutil.rmtree(work)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tumble")
    parser.add_argument("--cases", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    seeds = [options.only] if options.only is not None else range(options.seed, options.seed + options.cases)
    failed = sum(not case(options.tumble, seed) for seed in seeds)
    print(f"{len(list(seeds))} cases, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Aggregates that another library made, and the records that went into them, against what kpl_print finds in them.

    compare.py KPL_PRINT aggregates.ndjson             those recorded here
    compare.py KPL_PRINT --made-by NODE NODE_MODULES   fresh ones of a new seed: make_aggregates.mjs"""

import base64
import json
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "reference"))
from harness import check, read, run  # noqa: E402


def made(arguments):
    if arguments[0] != "--made-by":
        return read(arguments[0])
    seed = random.randrange(1, 2**31)
    print(f"seed {seed}")
    done = run([arguments[1], os.path.join(HERE, "make_aggregates.mjs"), arguments[2], str(seed), "300"])
    check(done.code == 0, done.text())
    return done.out


def main():
    aggregates = [json.loads(line) for line in made(sys.argv[2:]).splitlines()]
    check(aggregates, "there are no aggregates")
    # Every aggregate, and every record's own data, which is none.
    lines, wanted = [], []
    for aggregate in aggregates:
        lines.append(aggregate["data"])
        wanted.append(aggregate["records"])
        lines.append(aggregate["records"][0]["data"])
        wanted.append(None)
    lines.append(base64.b64encode(base64.b64decode(aggregates[0]["data"])[:-1]).decode())
    wanted.append(None)
    done = run([sys.argv[1]], input="".join(line + "\n" for line in lines).encode())
    check(done.code == 0, done.text())
    got = [json.loads(line) for line in done.out.splitlines()]
    check(len(got) == len(wanted), f"{len(got)} lines came back, not {len(wanted)}")
    for i, (a, b) in enumerate(zip(got, wanted)):
        check(a == b, f"line {i + 1}:\n  got    {json.dumps(a)[:2000]}\n  wanted {json.dumps(b)[:2000]}")
    print(f"{len(aggregates)} aggregates of {sum(len(a['records']) for a in aggregates)} records")


if __name__ == "__main__":
    main()

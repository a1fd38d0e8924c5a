#!/usr/bin/python3
"""Measures the outputs on real servers of this machine against a bare libcurl loop with the same bytes.

    outputs.py DELIVER [--rounds N]

Goal: at least 90 % of the bare loop's rate. Rounds are interleaved; medians count."""

import argparse
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "servers"))
import servers  # noqa: E402


def measured(deliver, name, server, where, rounds, count):
    done = subprocess.run([deliver, name, server.endpoint, where, str(rounds), str(count)], env=servers.environment(server), check=True,
                          stdout=subprocess.PIPE)
    print(done.stdout.decode(), end="", flush=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("deliver", nargs="?", default=os.path.join(ROOT, "build", "release", "bin", "tumble-deliver"))
    parser.add_argument("--rounds", type=int, default=18)
    args = parser.parse_args()
    with servers.start("dynalite") as server:
        server.client().create_table("bench", key="pk", sort="sk")
        measured(args.deliver, "dynamodb", server, "bench", args.rounds, 40)
    with servers.start("radosgw") as server:
        server.client().s3("PUT", "/bench-rows")
        measured(args.deliver, "s3", server, "bench-rows", args.rounds, 8)


if __name__ == "__main__":
    main()

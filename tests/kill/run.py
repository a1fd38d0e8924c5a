#!/usr/bin/python3
"""kill -9 at random instants, then the same command again: the output is that of a run nobody disturbed.

    run.py TUMBLE GENERATE [--kills N] [--seed S]

After every kill the output so far must be the beginning of the undisturbed one; in the end both are equal byte for byte."""

import argparse
import base64
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
import kpl  # noqa: E402
from harness import Failed, Workspace, check, difference, read, run, shown  # noqa: E402

SPEC = {"window": {"seconds": 5}, "timestamp": {"field": "timestamp"}, "bad_records": "divert", "group_by": ["eventType"],
        "aggregates": [{"name": "n", "function": "count"}, {"name": "sum", "function": "sum", "field": "amount"},
                       {"name": "mean", "function": "mean", "field": "amount"}, {"name": "low", "function": "min", "field": "amount"},
                       {"name": "first", "function": "first", "field": "eventId"}, {"name": "last", "function": "last", "field": "userId"}]}

# name, format, compressed, through a pipe, options
SCENARIOS = [
    ("synced", "ndjson", False, False, ["--durability", "commit", "--batch-size", "100"]),
    ("not synced", "ndjson", False, False, ["--durability", "none", "--batch-size", "50"]),
    ("threads", "ndjson", False, False, ["--durability", "none", "--shards", "4", "--threads", "2", "--partition-key", "userId",
                                         "--batch-size", "100"]),
    ("gzip", "ndjson", True, False, ["--durability", "none", "--batch-size", "70"]),
    ("lambda events", "lambda", False, False, ["--durability", "commit", "--batch-size", "500", "--timestamp", "timestamp"]),
    ("aggregates", "aggregates", False, False, ["--durability", "commit", "--batch-size", "50", "--timestamp", "timestamp"]),
    ("pipe", "ndjson", False, True, ["--durability", "none", "--batch-size", "100"]),
    ("sorted", "ndjson", False, False, ["--durability", "none", "--sort", "--batch-size", "100"]),
    ("every 10th synced", "ndjson", True, True, ["--durability", "every=10", "--batch-size", "200"]),
]


def aggregated(events, rng):
    """Every few records of Lambda events as one that the Kinesis Producer Library aggregated, a few single ones between them."""
    records = [record for event in events.splitlines() for record in json.loads(event)["Records"]]
    packed, at = [], 0
    while at < len(records):
        some = records[at:at + rng.randrange(1, 60)]
        at += len(some)
        if len(some) > 3:
            pairs = [(record["kinesis"]["partitionKey"], base64.b64decode(record["kinesis"]["data"])) for record in some]
            some[0]["kinesis"]["data"] = base64.b64encode(kpl.aggregate(pairs)).decode()
            del some[1:]
        packed += some
    return json.dumps({"Records": packed}).encode()


class Scenario:
    def __init__(self, tumble, generate, work, index, seed, records):
        self.name, form, compressed, self.piped, options = SCENARIOS[index % len(SCENARIOS)]
        self.work, self.prefix = work, f"{index:03d}-"
        data = subprocess.run([generate, "--records", str(records), "--seed", str(seed), "--rate", "1000", "--groups", "40", "--users",
                               "300", "--out-of-order", "4000", "--null-rate", "0.05", "--escapes", "0.05", "--format", "lambda" if form == "aggregates" else form],
                              stdout=subprocess.PIPE, check=True).stdout
        if form == "ndjson":  # some records that cannot be applied
            lines = data.splitlines()
            lines[::997] = [line.replace(b'"amount":', b'"amount":"x","was":') for line in lines[::997]]
            data = b"\n".join(lines) + b"\n"
        if form == "aggregates":
            data = aggregated(data, random.Random(seed))
        self.input = work.write(self.prefix + "input", gzip.compress(data, 1) if compressed else data)
        self.spec = work.write("spec.json", json.dumps(SPEC))
        self.command = [tumble, "replay", "--spec", self.spec, "--allowed-lateness", "2", "--format", "ndjson"] + options

    def full(self, directory):
        return self.command + ["--state", self.work.file(self.prefix + directory), "--output", "file:" + self.out(directory),
                               "--failures", "file:" + self.failures(directory), "-" if self.piped else self.input]

    def out(self, directory):
        return self.work.file(self.prefix + directory + ".out")

    def failures(self, directory):
        return self.work.file(self.prefix + directory + ".failures")

    def stdin(self):
        """For a pipe: a cat of our own, so that nothing seeks."""
        if not self.piped:
            return None
        return subprocess.Popen(["cat", self.input], stdout=subprocess.PIPE)

    def undisturbed(self):
        began = time.monotonic()
        cat = self.stdin()
        done = run(self.full("whole"), stdin=cat.stdout if cat else subprocess.DEVNULL)
        if cat:
            cat.stdout.close()
            cat.wait()
        check(done.code == 0, f"{shown(self.full('whole'))} ended with {done.code}:\n{done.text()}")
        return time.monotonic() - began

    def killed_after(self, seconds):
        """True when it was killed, False when it had ended well before."""
        cat = self.stdin()
        process = subprocess.Popen(self.full("killed"), stdin=cat.stdout if cat else subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        if cat:
            cat.stdout.close()
        try:
            _, text = process.communicate(timeout=seconds)
            killed = False
            check(process.returncode == 0, f"{shown(self.full('killed'))} ended with {process.returncode}:\n{text.decode()}")
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed = process.returncode == -signal.SIGKILL
            check(killed or process.returncode == 0, f"{shown(self.full('killed'))} ended with {process.returncode}")
        if cat:
            cat.kill()
            cat.wait()
        return killed

    def has_log(self):
        return os.path.exists(os.path.join(self.work.file(self.prefix + "killed"), "redo.log"))

    def compare(self, complete):
        wanted, got = read(self.out("whole")), read(self.out("killed")) if os.path.exists(self.out("killed")) else b""
        if complete:
            check(got == wanted, difference(self.name, got, wanted))
            lost, twice = read(self.failures("whole")), read(self.failures("killed"))
            check(sorted(twice.splitlines()) == sorted(lost.splitlines()), f"{self.name}: the failures are not those of the undisturbed run")
            check(len(lost.splitlines()) > 0, f"{self.name}: there was nothing to fail")
        else:
            check(wanted.startswith(got), difference(self.name + " (killed)", got, wanted[:len(got)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tumble")
    parser.add_argument("generate")
    parser.add_argument("--kills", type=int, default=200 if os.environ.get("LONG") else 30)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--records", type=int, default=60000)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    print(f"seed {args.seed}")
    kills = index = resumed = logged = 0
    with Workspace("kill") as work:
        while kills < args.kills or index < len(SCENARIOS):
            scenario = Scenario(args.tumble, args.generate, work, index, args.seed + index, args.records)
            seconds = scenario.undisturbed()
            if seconds < 0.3:  # so quick that kills would mostly come too late
                more = int(args.records * min(8, 0.4 / seconds))
                scenario = Scenario(args.tumble, args.generate, work, index, args.seed + index, more)
                os.unlink(scenario.out("whole"))
                os.unlink(scenario.failures("whole"))
                shutil.rmtree(scenario.work.file(scenario.prefix + "whole"))
                seconds = scenario.undisturbed()
            mine = 0
            try:
                # A few kills in a scenario, of a fresh run and of resumed ones, then to the end.
                while mine < 8 and scenario.killed_after(rng.uniform(0, seconds / (1 if mine < 2 else 3))):
                    mine += 1
                    logged += scenario.has_log()
                    scenario.compare(False)
                while scenario.killed_after(600):
                    pass
                scenario.compare(True)
                before = os.stat(scenario.out("killed"))
                again = run(scenario.full("killed"), stdin=open(scenario.input, "rb"))
                check(again.code == 0 and again.err, f"a complete state: exit {again.code}\n{again.text()}")
                after = os.stat(scenario.out("killed"))
                check((before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns), "a complete state was written again")
            except Failed as error:
                print(f"{scenario.name} failed after {mine} kills: {error}\n  {shown(scenario.full('killed'))}\n"
                      f"repeat: {sys.argv[0]} {args.tumble} {args.generate} --seed {args.seed} --kills {args.kills}")
                raise
            print(f"{scenario.name}: {mine} kills, {seconds:.2f} s undisturbed", flush=True)
            kills, index, resumed = kills + mine, index + 1, resumed + (mine > 0)
            for name in os.listdir(work.path):
                if name.startswith(scenario.prefix):
                    shutil.rmtree(work.file(name)) if os.path.isdir(work.file(name)) else os.unlink(work.file(name))
            check(index < 20 * len(SCENARIOS), "the runs end before they can be killed: give more --records")
    check(logged > 0, "no kill left a redo log: give more --records")
    print(f"{kills} kills in {index} runs, {resumed} of them resumed, {logged} with commits in a redo log: every output as undisturbed")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(str(error))

#!/usr/bin/python3
"""Holds the hot path to its cost: instructions per record, counted by callgrind, against a baseline in the tree.

    gate.py TUMBLE GENERATE [--accept] [--only CASE]

Every case is run with so many records and with twice as many, and what counts is the difference, so that starting up and
ending count for nothing. Instructions are the same whatever else a machine does; they depend on the compiler, so the
baseline names the one it was made with, and with another one nothing is compared. More than 3 % above the baseline
fails; --accept (./dev instructions --accept) makes what was counted the new baseline."""

import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BASELINE = os.path.join(HERE, "baseline.json")
TOLERANCE = 0.03
RECORDS = 6000
SKIPPED = 77

FOUR = ["-a", "n=count()", "-a", "sum=sum(amount)", "-a", "min=min(amount)", "-a", "max=max(amount)"]
EVENTS = ["--format", "lambda", "--batch", "1000"]

# name: (arguments of the generator, arguments of replay)
CASES = {
    "events, 12 groups": (EVENTS, ["-g", "eventType"] + FOUR),
    "events, a group a user": (EVENTS, ["-g", "userId"] + FOUR),
    "events, keys in any order": (EVENTS + ["--shuffle-keys"], ["-g", "eventType"] + FOUR),
    "events, escapes": (EVENTS + ["--escapes", "1"], ["-g", "eventType"] + FOUR),
    "events, two fields, a filter": (EVENTS, ["-g", "eventType", "-g", "userId", "--where", '{"amount":[{"numeric":[">",1]}]}'] + FOUR),
    "events, sketches": (EVENTS, ["-g", "eventType", "-a", "u=distinct(userId)", "-a", "p=quantile(amount, q=0.5, q=0.99)"]),
    "payloads, 12 groups": ([], ["-t", "timestamp", "-g", "eventType"] + FOUR),
    "payloads, four shards": ([], ["-t", "timestamp", "--shards", "4", "--partition-key", "userId", "-g", "eventType"] + FOUR),
    "get-records": (["--format", "get-records"], ["-g", "eventType"] + FOUR),
    "events through a mapping": (EVENTS, ["--invoke", "event", "-g", "eventType"] + FOUR),
}


ACCEPT = "./dev instructions --accept makes what is counted here the baseline"


def compiler(tumble):
    read = subprocess.run(["readelf", "-p", ".comment", tumble], capture_output=True, text=True, check=False)
    found = re.search(r"\]\s+(.*)", read.stdout)
    if not found:
        sys.exit(f"{tumble} does not say which compiler made it\n{read.stderr}".rstrip())
    return found.group(1).strip()


def read_baseline():
    """None: there is none that can be read."""
    try:
        with open(BASELINE, encoding="utf-8") as file:
            baseline = json.load(file)
        return baseline if {"compiler", "machine", "instructions_per_record"} <= baseline.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def instructions(command, directory):
    # Vectors as wide as valgrind knows, the same hash tables, and nothing of the caller's environment.
    environment = {"PATH": os.environ["PATH"], "TUMBLE_CPU": "avx2", "TUMBLE_HASH_SEED": "1", "LC_ALL": "C"}
    out = os.path.join(directory, "callgrind.out")
    run = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out] + command, env=environment,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not found:
        sys.exit(f"{' '.join(command)}: exit {run.returncode}\n{run.stderr[-2000:]}")
    return int(found.group(1))


def measure(tumble, generate, case, directory):
    of_generator, of_replay = CASES[case]
    counts = []
    for records in (RECORDS, 2 * RECORDS):
        path = os.path.join(directory, f"{records}.json")
        with open(path, "wb") as file:
            # 100 a second: a window of 60 seconds every 6,000 records
            subprocess.run([generate, "--records", str(records), "--rate", "100", "--users", "2000"] + of_generator, stdout=file, check=True)
        counts.append(instructions([tumble, "replay", "--window", "60"] + of_replay + [path], directory))
    return round((counts[1] - counts[0]) / RECORDS, 1)


def main():
    arguments = sys.argv[1:]
    accept = "--accept" in arguments
    only = arguments[arguments.index("--only") + 1] if "--only" in arguments[:-1] else None
    if only not in (None, *CASES):
        sys.exit(f"gate.py: there is no case \"{only}\"; there are {'; '.join(CASES)}")
    if len(arguments) < 2:
        sys.exit("Usage: gate.py TUMBLE GENERATE [--accept] [--only CASE]")
    tumble, generate = arguments[:2]
    made_with = compiler(tumble)
    baseline = read_baseline()
    if not accept and not baseline:
        print(f"nothing to compare: {BASELINE} is not there or no baseline; {ACCEPT}")
        return SKIPPED
    if not accept and (made_with != baseline["compiler"] or os.uname().machine != baseline["machine"]):
        print(f"nothing to compare: the baseline was made by {baseline['compiler']} for {baseline['machine']}, "
              f"this is {made_with} for {os.uname().machine}; {ACCEPT}")
        return SKIPPED
    baseline = baseline or {"instructions_per_record": {}}
    failed = []
    new = []
    counted = {}
    with tempfile.TemporaryDirectory() as directory:
        for case in CASES:
            if only and case != only:
                continue
            now = counted[case] = measure(tumble, generate, case, directory)
            before = baseline["instructions_per_record"].get(case)
            change = now / before - 1 if before else 0
            print(f"{case:34} {now:9.1f} instructions a record" + (f", {change:+.1%} of {before}" if before else ", new: not in the baseline"))
            if not accept and not before:
                new.append(case)
            elif not accept and change > TOLERANCE:
                failed.append(case)
            elif before and change < -TOLERANCE:
                print(f"{'':34} quicker: make it the baseline with ./dev instructions --accept")
    if accept:
        comparable = (baseline.get("compiler"), baseline.get("machine")) == (made_with, os.uname().machine)
        figures = dict(baseline["instructions_per_record"]) if only and comparable else {}
        figures.update(counted)
        with open(BASELINE, "w", encoding="utf-8") as file:
            json.dump({"compiler": made_with, "machine": os.uname().machine, "instructions_per_record": figures}, file, indent=2)
            file.write("\n")
        print(f"{BASELINE} holds these now")
    if failed:
        print(f"more than {TOLERANCE:.0%} above the baseline: {'; '.join(failed)}\n"
              "if that is what the change is worth: ./dev instructions --accept, and say why in the commit")
    if new:
        print(f"not in the baseline yet: {'; '.join(new)}\n{ACCEPT}")
    return 1 if failed or new else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""A power cut at any moment: nothing that was acknowledged is lost, and rows are in the end as if nothing had happened.

    run.py BUILD [--runs N] [--cuts N] [--seed S]

A run's writes and syncs are recorded (record_writes.c). For a cut somewhere in the record, what had been synced by then
is on the disk; of what had not, each piece may be or not, writes in pieces and in any order, and a file may be as long
as they made it while it has zeros there. The same command goes on from that. Names of files are on the disk once their
directory or any file was synced after, which is how ext4, XFS and Btrfs do it. Some of the recorded runs were killed
before, so that they, too, went on from something."""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
from harness import Failed, Workspace, check, difference, read, run, shown  # noqa: E402

AGGREGATES = [[{"name": "n", "function": "count"}, {"name": "sum", "function": "sum", "field": "amount"},
               {"name": "least", "function": "min", "field": "amount"}],
              [{"name": "n", "function": "count"}, {"name": "half", "function": "quantile", "field": "amount", "q": [0.5]},
               {"name": "users", "function": "distinct", "field": "userId"}, {"name": "last", "function": "last", "field": "eventId"}]]
GROUPS = ["eventType", "userId"]
POLICIES = ["none", "all", "pages", "pages", "sectors", "first", "zeros"]  # which bytes that were not synced are on the disk
WINDOW = 5

Record = collections.namedtuple("Record", "type operation a b path data")


def read_record(path):
    """Records of a log, in their order."""
    data, at, records = read(path), 0, []
    while at < len(data):
        kind, operation, a, b, length, data_length = struct.unpack_from("<cIQQHI", data, at)
        at += 27
        name = data[at:at + length].decode()
        at += length
        records.append(Record(kind.decode(), operation, a, b, name, data[at:at + data_length]))
        at += data_length
    return records


class Cut:
    """What a disk may hold when the power fails just before records[moment]."""

    def __init__(self, records, moment, rng):
        self.records, self.moment, self.rng = records, moment, rng
        self.policy = rng.choice(POLICIES)
        self.ends = {r.operation: (i, r.a, r.b) for i, r in enumerate(records[:moment]) if r.type in "wf"}
        self.ended_ever = {r.operation for r in records if r.type == "w"}  # others may have been killed before they wrote
        self.files, self.names, self.directories = collections.defaultdict(list), {}, []
        self.follow_names()

    def synced(self, index):
        """Whether the sync that begins there had ended well."""
        return self.ends.get(self.records[index].operation, (0, 1, 0))[1] == 0

    def follow_names(self):
        """files: the records of each file, whatever it is called; names: those that the disk has."""
        changes = [i for i in range(self.moment) if self.records[i].type in "CMRU"]
        last_sync = max((i for i in range(self.moment) if self.records[i].type == "F" and self.synced(i)), default=-1)
        open_changes = [i for i in changes if i > last_sync]
        lost = set(open_changes[self.rng.randrange(len(open_changes) + 1):])
        current = {}
        for i in range(self.moment):
            record = self.records[i]
            if record.type == "C":
                current[record.path] = i
            elif record.type == "R":
                current[record.data.decode()] = current.pop(record.path)
            elif record.type == "U":
                current.pop(record.path, None)
            elif record.type in "WTAF" and record.path in current:
                self.files[current[record.path]].append(i)
            if record.type in "CMRU" and i not in lost:
                self.change_name(record, current)

    def change_name(self, record, current):
        if record.type == "C":
            self.names[record.path] = current[record.path]
        elif record.type == "M":
            self.directories.append(record.path)
        elif record.type == "R" and record.path in self.names:
            self.names[record.data.decode()] = self.names.pop(record.path)
        elif record.type == "U":
            self.names.pop(record.path, None)

    def is_durable(self, index, last_sync):
        record = self.records[index]
        if record.type != "W":
            return index < last_sync
        ended, _, unsynced = self.ends.get(record.operation, (self.moment, 0, 0))
        return ended < last_sync or (record.b == 1 and ended < self.moment and not unsynced)

    def contents(self, file):
        steps = self.files[file]
        last_sync = max((i for i in steps if self.records[i].type == "F" and self.synced(i)), default=-1)
        steps = [i for i in steps if self.records[i].type in "TA" or self.records[i].operation in self.ended_ever]
        first = self.rng.randrange(len(steps) + 1)
        data = bytearray()
        for number, i in enumerate(steps):
            record = self.records[i]
            taken = self.is_durable(i, last_sync) or self.policy == "all" or (self.policy == "first" and number < first)
            if record.type in "TA":
                if taken or self.rng.random() < 0.5:
                    data.extend(bytes(max(0, record.a - len(data))))
                    if record.type == "T":
                        del data[record.a:]
                continue
            written = record.data[:self.ends.get(record.operation, (0, len(record.data), 0))[1]]
            if taken:
                put(data, record.a, written)
            elif self.policy in ("pages", "sectors"):
                self.put_some(data, record.a, written, 4096 if self.policy == "pages" else 512)
            elif self.policy == "zeros":
                data.extend(bytes(max(0, record.a + len(written) - len(data))))
        return bytes(data)

    def put_some(self, data, begin, written, size):
        at = begin
        while at < begin + len(written):
            end = min((at // size + 1) * size, begin + len(written))
            if self.rng.random() < 0.5:
                put(data, at, written[at - begin:end - begin])
            at = end

    def write(self, root):
        for name in [root] + self.directories:
            os.makedirs(name, exist_ok=True)
        for name, file in self.names.items():
            os.makedirs(os.path.dirname(name), exist_ok=True)
            with open(name, "wb") as out:
                out.write(self.contents(file))


def put(data, at, written):
    data.extend(bytes(max(0, at + len(written) - len(data))))
    data[at:at + len(written)] = written


class Scenario:
    """One way to run consumer or the command, its record, and the rows it ought to write."""

    def __init__(self, build, work, rng):
        self.build, self.work, self.rng = build, work, rng
        self.root = work.file("recorded")
        self.is_consumer = rng.random() < 0.7
        spec = {"window": {"seconds": WINDOW}, "group_by": [rng.choice(GROUPS)], "aggregates": rng.choice(AGGREGATES)}
        self.spec = work.write("spec.json", json.dumps(spec))
        self.input = work.write("events", subprocess.run(
            [build + "/bin/tumble-generate", "--records", str(rng.choice([2000, 8000, 30000])), "--batch", "100", "--window", str(WINDOW),
             "--format", "lambda", "--shards", str(rng.choice([1, 3])), "--users", "2000", "--seed", str(rng.randrange(1000))],
            stdout=subprocess.PIPE, check=True).stdout)
        self.every, self.how = rng.choice(["1", "1", "3"]), rng.choice(["plain", "pipelined", "pipelined"])

    def command(self, durability="commit"):
        root = self.root
        if self.is_consumer:
            return [self.build + "/bin/powercut_consumer", self.spec, root + "/state", root + "/rows", root + "/acknowledged",
                    str(WINDOW), durability, self.every, self.how, self.input]
        return [self.build + "/bin/tumble", "replay", "--quiet", "--spec", self.spec, "--state", root + "/state", "--durability", durability,
                "--batch-size", "100", "--output", "file:" + root + "/rows", self.input]

    def rows(self):
        return b"\n".join(sorted(read(self.root + "/rows").splitlines())) + b"\n"

    def record(self):
        log = self.work.file("log")
        environment = dict(os.environ, LD_PRELOAD=self.build + "/bin/record_writes.so", RECORD_LOG=log, RECORD_ROOT=self.root)
        os.mkdir(self.root)
        for _ in range(self.rng.choice([0, 1, 2])):
            killed = subprocess.run(self.command(), env=dict(environment, RECORD_KILL=str(self.rng.randrange(1, 600))),
                                    stderr=subprocess.PIPE, check=False)
            check(killed.returncode in (0, -signal.SIGKILL), f"{shown(killed.args)}: {killed.returncode}\n{killed.stderr.decode()}")
        done = run(self.command(), env=environment)
        check(done.code == 0, f"{shown(self.command())}: {done.code}\n{done.text()}")
        records = read_record(log)
        os.unlink(log)
        mapped = {r.path for r in records if r.type == "m" and not r.path.endswith("/lock.mdb")}
        check(not mapped, f"written through memory, which is not recorded: {mapped}")
        check(any(r.type == "F" for r in records), "nothing was recorded: is the command one of the sanitizers'?")
        self.wanted = self.rows()
        return records

    def go_on(self, records, moment, rng):
        cut, to = Cut(records, moment, rng), self.root
        shutil.rmtree(to)
        cut.write(to)
        told = [r.data for r in records[:moment] if r.type == "W" and r.path == self.root + "/acknowledged"]
        if self.is_consumer and told:  # others heard of it: no power cut takes that back
            with open(to + "/acknowledged", "wb") as file:
                file.write(told[-1])
        before = self.work.file("before")
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(to, before)
        done = run(self.command("none"))
        what = f"{cut.policy}, record {moment} of {len(records)}; the disk as it was: {before}\n{shown(self.command('none'))}"
        check(done.code == 0, f"exit {done.code} after the cut ({what})\n{done.text()}")
        check(self.rows() == self.wanted, difference(what, self.rows(), self.wanted))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    is_long = bool(os.environ.get("LONG"))
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=60 if is_long else 8)
    parser.add_argument("--cuts", type=int, default=100 if is_long else 20)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    args = parser.parse_args()
    print(f"seed {args.seed}")
    for number in range(args.runs):
        rng = random.Random(f"{args.seed} {number}")
        with Workspace("powercut") as work:
            scenario = Scenario(args.build, work, rng)
            records = scenario.record()
            for _ in range(args.cuts):
                moment = rng.randrange(1, min(len(records), rng.choice([100, len(records)])) + 1)
                try:
                    scenario.go_on(records, moment, rng)
                except Failed as error:
                    raise Failed(f"run {number}: {error}\nrepeat: {sys.argv[0]} {args.build} --seed {args.seed}") from error
    print(f"{args.runs * args.cuts} power cuts in {args.runs} runs: nothing lost, every row as undisturbed")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(str(error))

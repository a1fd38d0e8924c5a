#!/usr/bin/python3
"""Items in DynamoDB (dynalite): a row each, exactly once, whatever the faults and kills.

    dynamodb.py TUMBLE GENERATE [SEED]"""

import decimal
import functools
import json
import subprocess
import sys

from delivery import LONG, Suite, check, counted, event, run, servers

KEYS = "pk={eventType}&sk={window_start}/{shard_id}/{fragment}"


def plain(attribute):
    """An attribute value as json.loads with decimals gives it."""
    (kind, value), = attribute.items()
    if kind == "N":
        return decimal.Decimal(value)
    if kind == "L":
        return [plain(element) for element in value]
    if kind == "M":
        return {name: plain(element) for name, element in value.items()}
    return None if kind == "NULL" else value


def loads(row):
    return json.loads(row, parse_float=decimal.Decimal, parse_int=decimal.Decimal)


def sorted_rows(rows):
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=str))


class DynamoDB(Suite):
    def prepare(self, server):
        self.server, self.env = server, servers.environment(server)
        clicks = self.clicks("clicks.ndjson", 60000, "--groups", "250" if LONG else "100", "--rate", "300", "--null-rate", "0.3")
        self.command = ["replay", "--window", "10", "--timestamp", "timestamp", "--group-by", "eventType", "--aggregate", "n=count()",
                        "--aggregate", "sum(amount)", "--aggregate", "mean(amount)", "--aggregate", "t=top(userId, k=2)", "--aggregate",
                        "low=min(amount)", "--shards", "2", "--partition-key", "userId", "--source", "clicks", clicks]
        self.wanted = sorted_rows(map(loads, self.rows(self.command, "clicks")))

    @property
    def client(self):
        """A new one: servers close connections that wait while a run goes on."""
        return self.server.client()

    def table(self, name):
        self.client.create_table(name, key="pk", sort="sk")
        return name

    def items(self, table):
        """The rows that a table holds, the attributes that are no columns left out."""
        rows = []
        for item in self.client.scan(table):
            check(len(item["_key"]["S"]) == 32, f"no _key: {item}")
            rows.append({name: plain(value) for name, value in item.items() if name not in ("pk", "sk", "_key")})
        return sorted_rows(rows)


def an_undisturbed_run_delivers_its_rows(self):
    table = self.table("whole")
    self.deliver(self.command + ["--output", f"dynamodb:{table}?{KEYS}"], self.env)
    got = self.items(table)
    check(got == self.wanted, f"{len(got)} items are not the {len(self.wanted)} rows")
    item = next(iter(self.client.scan(table)))
    check(item["fragment"].keys() == {"S"} and item["pk"] == item["eventType"], f"{item}")
    self.deliver(self.command + ["--output", f"dynamodb:{table}?{KEYS}"], self.env)
    check(self.items(table) == self.wanted, "a second delivery changed items")
    return f"{len(got)} rows"


def faults_and_kills_leave_no_trace(self):
    kills, runs = 0, 0
    with servers.FaultProxy(self.server, rate=20, seed=self.seed, hold=0.3, slow=0.3) as proxy:
        while kills < (50 if LONG else 10):
            table = self.table(f"killed-{runs}")
            kills += self.deliver_killed(self.command + ["--output", f"dynamodb:{table}?{KEYS}"], table, servers.environment(proxy), 50, 1.5)
            check(self.items(table) == self.wanted, "after kills the table holds other items")
            runs += 1
    check(not proxy.summary["refused"], f"requests were refused: {proxy.summary}")
    return f"{kills} kills in {runs} runs, faults {sum(proxy.summary['injected'].values())}"


def two_processes_at_once_give_one_result(self):
    table = self.table("pair")
    pair = [subprocess.Popen([self.tumble, *self.command, "--output", f"dynamodb:{table}?{KEYS}"], env=self.env, stderr=subprocess.PIPE)
            for _ in range(2)]
    for process in pair:
        text = process.communicate()[1]
        check(process.returncode == 0, f"one of two ended with {process.returncode}: {text.decode()}")
    check(self.items(table) == self.wanted, "two at once wrote other items")


def the_key_schema_decides(self):
    """Names and types of the table's own; a column of the key's name; time to live; what does not fit is refused with advice."""
    self.client.create_table("typed", key="status", sort="when", types="NS")
    path = self.work.write("status.json", event("shardId-000000000000", counted([(1, {"status": 200, "v": 1}), (2, {"status": 404, "v": 2})])))
    command = [self.tumble, "replay", "--window", "60", "--group-by", "status", "--aggregate", "s=sum(v)", path, "--output"]
    done = run(command + ["dynamodb:typed?when={window_start}/{shard_id}/{fragment}&ttl=gone:600"], env=self.env)
    check(done.code == 0, done.text())
    items = sorted(self.client.scan("typed"), key=lambda item: item["status"]["N"])
    check([(item["status"]["N"], item["s"]["N"], item["gone"]["N"]) for item in items] ==
          [("200", "1", "1700000640"), ("404", "2", "1700000640")], f"{items}")
    for options, words in (("", b"key attribute when is no column"),
                           ("?when={window_start}/{shard_id}", b"fragment is missing"), ("?when={key}&other={key}", b"neither an option"),
                           ("?when={nothing}", b"{nothing} is no column"), ("?when={key}&ttl=x", b"ttl=ATTRIBUTE:SECONDS"),
                           ("?when={window_start}&merge=1", b"partials"), ("?when={key}&merge=maybe", b"merge")):
        done = run(command + ["dynamodb:typed" + options], env=self.env)
        check(done.code == 2 and words in done.err, f"{options}: exit {done.code}: {done.text()}")
    done = run(command + ["dynamodb:no-such-table?when={key}"], env=self.env)
    check(done.code == 4 and b"output dynamodb:no-such-table" in done.err and b"ResourceNotFound" in done.err,
          f"exit {done.code}: {done.text()}")


def rows_that_do_not_fit_are_rejected_one_by_one(self):
    self.client.create_table("rejects", key="g", sort="sk")
    big = "x" * 60000
    payloads = [(1, {"g": "fits", "v": 1}), (2, {"g": "big", "v": 1, "s": big}), (3, {"g": "far", "v": 1e300}), (4, {"g": None, "v": 1}),
                (5, {"g": "", "v": 1}), (6, {"g": "k" * 2100, "v": 1}), (7, {"g": "also fits", "v": 2})]
    path = self.work.write("rejects.json", event("shardId-000000000000", counted(payloads)))
    failures = self.work.file("rejects.failures")
    many = [word for name in "abcdefgh".upper() for word in ("--aggregate", f"{name}=first(s)")]
    done = run([self.tumble, "replay", "--window", "60", "--group-by", "g", "--aggregate", "total=sum(v)", *many, path, "--output",
                "dynamodb:rejects?sk={window_start}/{shard_id}/{fragment}", "--failures", "file:" + failures], env=self.env)
    check(done.code == 0, f"exit {done.code}: {done.text()}")
    check(sorted(item["g"]["S"] for item in self.client.scan("rejects")) == ["also fits", "fits"], "other items than those that fit")
    with open(failures, encoding="utf-8") as file:
        reasons = {json.loads(line)["row"]["g"]: json.loads(line)["reason"] for line in file}
    for group, words in (("big", "400 KB"), ("far", "38 digits"), (None, "is none"), ("", "empty string"), ("k" * 2100, "longer")):
        check(words in reasons.pop(group, "nothing"), f"{group}: not rejected for {words}")
    check(not reasons, f"{reasons}")


def main():
    suite = DynamoDB("dynamodb", sys.argv)
    with servers.start("dynalite") as server:
        suite.run([functools.partial(DynamoDB.prepare, server=server), an_undisturbed_run_delivers_its_rows, faults_and_kills_leave_no_trace,
                   two_processes_at_once_give_one_result, the_key_schema_decides, rows_that_do_not_fit_are_rejected_one_by_one])


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""dynamodb:TABLE?merge=1 (dynalite): eight shards, each a process of its own, all at once, two of them twice, under faults and kills;
the table holds what `tumble merge` makes of all their rows, to the last digit, every shard in once.

    merged.py TUMBLE GENERATE [SEED]"""

import concurrent.futures
import decimal
import functools
import json
import sys

from delivery import LONG, Suite, check, counted, event, run, servers
from dynamodb import loads, plain, sorted_rows

OWN = ("pk", "sk", "_version", "_source", "_spec", "_fragments", "_partials")
SHARDS = 8
AGGREGATES = ["n=count()", "sum(amount)", "mean(amount)", "variance(amount)", "low=min(amount)", "f=first(eventId)", "l=last(eventId)",
              "u=distinct(userId)", "q=quantile(amount, q=0.5, q=0.99)", "h=histogram(amount, bounds=10, bounds=20)"]


class Merged(Suite):
    def prepare(self, server):
        self.server, self.env = server, servers.environment(server)
        events = self.clicks("events.json", 40000 if LONG else 16000, "--format", "lambda", "--shards", str(SHARDS), "--groups", "12",
                             "--rate", "200", "--null-rate", "0.2")
        self.inputs = [self.work.file(f"shard-{shard}.json") for shard in range(SHARDS)]
        files = [open(path, "w", encoding="utf-8") for path in self.inputs]
        with open(events, encoding="utf-8") as lines:
            for line in lines:
                shard = int(json.loads(line)["Records"][0]["eventID"].split(":")[0][-12:])
                files[shard].write(line)
        for file in files:
            file.close()
        self.options = ["replay", "--window", "20", "--timestamp", "timestamp", "--group-by", "eventType", "--partials", "true", "--source",
                        "clicks", *(word for aggregate in AGGREGATES for word in ("--aggregate", aggregate))]
        rows = self.work.file("rows.ndjson")
        for path in self.inputs:
            done = run([self.tumble, *self.options, "--format", "ndjson", "--output", "file:" + rows, path])
            check(done.code == 0, done.text())
        done = run([self.tumble, "merge", rows])
        check(done.code == 0, done.text())
        self.wanted = sorted_rows(map(loads, done.out.decode().splitlines()))
        check(all(row["shards"] == SHARDS for row in self.wanted), "a group is not in every shard: take fewer groups")

    @property
    def client(self):
        return self.server.client()

    def items(self, table):
        self.last = self.client.scan(table)
        return sorted_rows({name: plain(value) for name, value in item.items() if name not in OWN} for item in self.last)


def eight_shards_at_once_give_exact_totals(self):
    self.client.create_table("merged", key="pk", sort="sk")
    url = "dynamodb:merged?merge=1&pk={eventType}&sk={window_start}"
    with servers.FaultProxy(self.server, rate=20, seed=self.seed, hold=0.3, slow=0.2) as proxy:
        env = servers.environment(proxy)
        with concurrent.futures.ThreadPoolExecutor(SHARDS + 2) as pool:
            kills = sum(pool.map(lambda job: self.deliver_killed(self.options + [self.inputs[job % SHARDS], "--output", url], f"state-{job}", env,
                                                                 5 if LONG else 2, 2), range(SHARDS + 2)))
    check(not proxy.summary["refused"], f"requests were refused: {proxy.summary}")
    got = self.items("merged")
    for row, wanted in zip(got, self.wanted):
        check(row == wanted, f"an item differs:\n  got    {row}\n  wanted {wanted}")
    check(len(got) == len(self.wanted), f"{len(got)} items, {len(self.wanted)} merged rows")
    for item in self.last:
        shards = [name["S"].split()[0] for name in item["_fragments"]["L"]]
        check(len(shards) == SHARDS and len(set(shards)) == SHARDS, f"{item['_fragments']}")
        check(item["_version"]["N"] == str(SHARDS), f"written {item['_version']} times, not once a shard")
    return f"{len(got)} items, {kills} kills, faults {sum(proxy.summary['injected'].values())}"


def a_second_delivery_changes_nothing(self):
    before = self.last
    self.deliver(self.options + [self.inputs[3], "--output", "dynamodb:merged?merge=1&pk={eventType}&sk={window_start}"], self.env)
    self.items("merged")
    check(sorted_rows(self.last) == sorted_rows(before), "an item was written again")


def fragments_supersede_or_overlap(self):
    """Rule R8, and what else must never be added up."""
    self.client.create_table("r8-table", key="g", sort="window_start")
    numbers = iter(range(100))

    def deliver(records, shard=0, aggregate="s=sum(v)", source="r8"):
        name = f"r8-{next(numbers)}"
        path = self.work.write(name + ".json", event(f"shardId-00000000000{shard}", counted([(n, {"g": "a", "v": v}) for n, v in records])))
        failures = self.work.file(name + ".failures")
        done = run([self.tumble, "replay", "--window", "60", "--group-by", "g", "--aggregate", aggregate, "--partials", "true", "--source",
                    source, "--output", "dynamodb:r8-table?merge=1", "--failures", "file:" + failures, path], env=self.env)
        check(done.code == 0, done.text())
        with open(failures, encoding="utf-8") as file:
            return [json.loads(line)["reason"] for line in file]

    def total():
        item, = self.client.scan("r8-table")
        return [str(decimal.Decimal(item[name]["N"])) for name in ("s", "shards", "fragments", "records")]

    def of(first, last, value=1):
        return [(n, value) for n in range(first, last + 1)]

    check(not deliver(of(5, 9)) and total() == ["5", "1", "1", "5"], f"{total()}")
    check(not deliver(of(5, 12)) and total() == ["8", "1", "1", "8"], f"a longer fragment does not replace: {total()}")
    check(not deliver(of(5, 9)) and total() == ["8", "1", "1", "8"], f"a shorter fragment was added: {total()}")
    check(not deliver(of(13, 14)) and total() == ["10", "1", "2", "10"], f"a further fragment was not added: {total()}")
    check(not deliver(of(1, 20), shard=1) and total() == ["30", "2", "3", "30"], f"another shard was not added: {total()}")
    for records, options, words in ((of(12, 15), {}, "overlap"), (of(1, 5), {}, "overlap"), (of(5, 12, 2), {}, "overlap"), (of(1, 30), {}, "overlap"),
                                    (of(30, 31), {"aggregate": "s=min(v)"}, "another spec"), (of(30, 31), {"source": "x"}, "another source")):
        reasons = deliver(records, **options)
        check(len(reasons) == 1 and words in reasons[0], f"{records} {options}: {reasons}")
        check(total() == ["30", "2", "3", "30"], f"{records} changed the item: {total()}")
    self.client.dynamodb("PutItem", TableName="r8-table", Item={"g": {"S": "a"}, "window_start": {"S": "2023-11-14T22:14:00Z"}, "mine": {"N": "1"}})
    path = self.work.write("foreign.json", event("shardId-000000000000", [(100, 1700000041, {"g": "a", "v": 1})]))
    done = run([self.tumble, "replay", "--window", "60", "--group-by", "g", "--aggregate", "s=sum(v)", "--partials", "true", "--output",
                "dynamodb:r8-table?merge=1", path], env=self.env)
    check(done.code == 1 and b"merge=true did not write" in done.err, f"exit {done.code}: {done.text()}")


def main():
    suite = Merged("merged", sys.argv)
    with servers.start("dynalite") as server:
        suite.run([functools.partial(Merged.prepare, server=server), eight_shards_at_once_give_exact_totals, a_second_delivery_changes_nothing,
                   fragments_supersede_or_overlap])


if __name__ == "__main__":
    main()

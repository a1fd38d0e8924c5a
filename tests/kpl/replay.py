#!/usr/bin/python3
"""Captures of aggregated and plain records give the rows of the records replayed one by one.

    replay.py TUMBLE"""

import base64
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "reference"))
import kpl  # noqa: E402
from harness import Workspace, check, difference, read, run  # noqa: E402

START = 1607497440
QUESTION = ["-w", "60", "-g", "country", "-a", "n=count(order)", "-a", "sum=sum(amount)", "-a", "first=first(order)", "-a",
            "last=last(order)", "-a", "key=last($partitionKey)", "--partials=false", "-f", "ndjson"]
POSITIONS = ("fragment", "last_sequence")
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
CONSUMER = ARN + "/consumer/tumble:1545084650"


def base64_text(data):
    return base64.b64encode(data).decode()


class Stream:
    """Records with ascending numbers, as a Lambda event or as what get-records prints."""

    def __init__(self):
        self.records = []

    def put(self, key, data, arrival, hash_key=None, number=None):
        number = number or 49590338271490256608559692538361571095921575989136588898 + len(self.records)
        self.records.append((str(number), key, data, arrival, hash_key))

    def event(self, parts=3, arn=ARN):
        """Several events, as they would have come."""
        events = []
        for part in range(parts):
            records = []
            for number, key, data, arrival, hash_key in self.records[part::parts] if parts == 1 else self.slice(part, parts):
                kinesis = {"kinesisSchemaVersion": "1.0", "partitionKey": key, "sequenceNumber": number, "data": data,
                           "approximateArrivalTimestamp": arrival}
                records.append({"kinesis": kinesis, "eventSource": "aws:kinesis", "eventID": "shardId-000000000006:" + number,
                                "eventSourceARN": arn})
            events.append(json.dumps({"Records": records, "window": {"start": "2020-12-09T07:04:00Z"}, "state": {}}))
        return "\n".join(events).encode()

    def slice(self, part, parts):
        count = len(self.records)
        return self.records[count * part // parts:count * (part + 1) // parts]

    def get_records(self):
        records = []
        for number, key, data, arrival, hash_key in self.records:
            record = {"SequenceNumber": number, "ApproximateArrivalTimestamp": arrival, "Data": data, "PartitionKey": key}
            if hash_key:
                record["ExplicitHashKey"] = hash_key
            records.append(record)
        return json.dumps({"Records": records, "MillisBehindLatest": 0}, indent=1).encode()


def recorded():
    """The aggregates recorded here with every third one's records put singly, and all records singly."""
    mixed, single = Stream(), Stream()
    for i, line in enumerate(read(os.path.join(HERE, "orders.ndjson")).splitlines()):
        aggregate = json.loads(line)
        arrival = START + i * 7
        for record in aggregate["records"]:
            key = record["partitionKey"], record["data"], arrival, record.get("explicitHashKey")
            single.put(*key)
            if i % 3 == 2:
                mixed.put(*key)
        if i % 3 != 2:
            mixed.put(aggregate["partitionKey"], aggregate["data"], arrival)
    return mixed, single


class Suite:
    def __init__(self, tumble, work):
        self.tumble, self.work = tumble, work

    def replay(self, name, data, *options, code=0):
        done = run([self.tumble, "replay", *QUESTION, *options, self.work.write(name, data)])
        check(done.code == code, f"{name} {options}: exit {done.code}, not {code}\n{done.text()}")
        return done

    def rows(self, name, data, *options):
        """Without what names positions: aggregated records share theirs."""
        rows = [json.loads(line) for line in self.replay(name, data, *options).out.splitlines()]
        check(rows, f"{name}: no rows")
        return b"\n".join(json.dumps({k: v for k, v in row.items() if k not in POSITIONS}).encode() for row in rows)

    def same(self, what, got, wanted):
        check(got == wanted, difference(what, got, wanted))

    def summary(self, name, data, *options, code=0):
        path = self.work.file(name + ".summary")
        self.replay(name, data, "--summary", path, *options, code=code)
        return json.loads(read(path))

    def fates(self, name, data, *options):
        records = self.summary(name, data, *options)
        return {fate: records[fate] for fate in ("applied", "late", "duplicate", "filtered", "bad")}

    def rows_are_those_of_the_records_one_by_one(self):
        mixed, single = recorded()
        for options in ([], ["--batch-size", "1"], ["--batch-size", "3", "--threads", "2"], ["--sort"], ["--timestamp", "order"]):
            self.same("events " + " ".join(options), self.rows("mixed", mixed.event(), *options),
                      self.rows("single", single.event(), *options))

    def inputs_are_merged_around_them(self):
        mixed, single = recorded()
        odd, even = Stream(), Stream()
        odd.records, even.records = mixed.records[1::2], mixed.records[::2]
        other = self.work.write("odd", odd.event())
        self.same("two inputs", self.rows("even", even.event(), other), self.rows("single", single.event()))

    def shards_follow_the_keys_inside(self):
        mixed, single = recorded()
        for options in (["--shards", "4"], ["--shards", "7", "--threads", "2", "--batch-size", "2"], ["--shards", "3", "--sort"],
                        ["--shards", "4", "--partition-key", "order"]):
            self.same("get-records " + " ".join(options), self.rows("mixed", mixed.get_records(), *options),
                      self.rows("single", single.get_records(), *options))

    def a_second_delivery_is_duplicate(self):
        mixed, single = recorded()
        count = len(single.records)
        for options in ([], ["--sort"], ["--batch-size", "2"]):
            fates = self.fates("twice", mixed.event(1) + b"\n" + mixed.event(2), *options)
            check(fates == {"applied": count, "late": 0, "duplicate": count, "filtered": 0, "bad": 0}, f"{options}: {fates}")
        fates = self.fates("twice over shards", mixed.get_records() * 2, "--shards", "4")
        check(fates["applied"] == fates["duplicate"] == count, str(fates))
        # One record after the other, each twice: an aggregate follows itself.
        stream = Stream()
        for number, key, data, arrival, hash_key in mixed.records:
            stream.put(key, data, arrival, hash_key, number)
            stream.put(key, data, arrival, hash_key, number)
        fates = self.fates("each twice", stream.get_records(), "--shards", "4")
        check(fates["applied"] == fates["duplicate"] == count, str(fates))

    def enhanced_fan_out_splits_them_itself(self):
        """Points 39 and 40: the records of an aggregate share its number; each event may come again."""
        _, single = recorded()
        events, count = [], 0
        for i, line in enumerate(read(os.path.join(HERE, "orders.ndjson")).splitlines()):
            if i % 4 == 0:
                events.append(Stream())
            for record in json.loads(line)["records"]:
                events[-1].put(record["partitionKey"], record["data"], START + i * 7, None, 10**55 + i)
                count += 1
        once = b"\n".join(stream.event(1, CONSUMER) for stream in events)
        for options in ([], ["--batch-size", "3"], ["--sort"]):
            self.same(f"fan-out {options}", self.rows("fan-out", once, *options), self.rows("single", single.event()))
        twice = b"\n".join(stream.event(1, CONSUMER) * 2 for stream in events)
        wanted = {"applied": count, "late": 0, "duplicate": count, "filtered": 0, "bad": 0}
        for options in ([], ["--batch-size", "1"], ["--sort"]):
            for name, data in (("each twice", twice), ("all twice", once + once)):
                fates = self.fates("fan-out", data, *options)
                check(fates == wanted, f"fan-out, {name}, {options}: {fates}, wanted {wanted}")
        fates = self.fates("no consumer", b"".join(stream.event(1) for stream in events))
        check(fates["applied"] == 40, f"one record of a number, where nothing says that Lambda split it: {fates}")

    def aggregates_stay_whole_on_demand(self):
        mixed, _ = recorded()
        aggregates = sum(base64.b64decode(record[2])[:4] == b"\xf3\x89\x9a\xc2" for record in mixed.records)
        fates = self.fates("whole", mixed.event(), "--deaggregate=false", "--bad-records", "divert", "--failures",
                           "file:" + self.work.file("whole.failures"))
        check(fates["bad"] == aggregates and fates["applied"] == len(mixed.records) - aggregates, str(fates))
        self.replay("whole", mixed.event(), "--deaggregate", "false", code=1)
        state = ["--state", self.work.file("state"), "-o", "file:" + self.work.file("state.out")]
        self.replay("whole", mixed.event(), *state)
        done = self.replay("whole", mixed.event(), *state, "--deaggregate=false", code=5)
        check("--deaggregate" in done.text(), done.text())

    def what_only_looks_like_one_is_one_bad_record(self):
        """Point 41."""
        good = kpl.aggregate([("a", b'{"order":1,"country":"DE","amount":1}')])
        stream = Stream()
        for data in (good[:-1], good[:4], good[:20], good[:-1] + bytes([good[-1] ^ 1]), kpl.seal(b""), kpl.seal(b"\x0f"), good):
            stream.put("a", base64_text(data), START)
        fates = self.fates("looks", stream.event(), "--bad-records", "divert", "--failures",
                           "file:" + self.work.file("looks.failures"))
        check(fates == {"applied": 1, "late": 0, "duplicate": 0, "filtered": 0, "bad": 6}, str(fates))
        check(len(read(self.work.file("looks.failures")).splitlines()) == 6, "six failures were expected")

    def an_aggregate_of_nothing_gives_nothing(self):
        stream = Stream()
        stream.put("a", base64_text(kpl.seal(kpl.field(1, b"a"))), START)
        stream.put("a", base64_text(b'{"order":1,"country":"DE","amount":1}'), START)
        stream.put("a", base64_text(kpl.seal(kpl.field(1, b"a"))), START + 120)
        check(self.fates("nothing", stream.event())["applied"] == 1, "one record was expected")

    def a_bad_index_keeps_the_records_before_it(self):
        """Point 43, and R7: where bad records fail, nothing of the aggregate's window stands."""
        order = b'{"order":%d,"country":"DE","amount":1}'
        message = kpl.field(1, b"a") + kpl.record(0, order % 1) + kpl.record(0, order % 2) + kpl.record(1, order % 3)
        data = kpl.seal(message + kpl.record(0, order % 4))
        stream = Stream()
        stream.put("a", base64_text(data), START)
        stream.put("b", base64_text(order % 5), START + 1)
        failures = self.work.file("index.failures")
        fates = self.fates("index", stream.event(1), "--bad-records", "divert", "--failures", "file:" + failures)
        check(fates == {"applied": 3, "late": 0, "duplicate": 0, "filtered": 0, "bad": 1}, str(fates))
        failure = json.loads(read(failures))
        check("partition key is beyond the table" in failure["reason"], str(failure))
        check(base64_text(data) in json.dumps(failure), "the failure does not hold the aggregate: " + str(failure))
        done = self.replay("index", stream.event(1), code=1)
        check("record 1" in done.text() and "aggregated record 3" in done.text() and "beyond the table" in done.text(), done.text())
        check(done.out == b"", "rows were written of a window that failed")


def main():
    with Workspace("kpl") as work:
        suite = Suite(sys.argv[1], work)
        cases = [name for name in vars(Suite) if name not in ("__init__", "replay", "rows", "same", "summary", "fates")
                 and not name.startswith("__")]
        for name in cases:
            getattr(suite, name)()
        print(f"{len(cases)} cases")


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""Leases of `tumble run` by themselves (kinesalite, dynalite): balance, release, what is refused, a table that cannot be reached.

usage: leases.py TUMBLE [TEST...]
"""
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import live  # noqa: E402
from live import check, kinesis, servers  # noqa: E402

QUICK = [*live.SPEC, "--partials", "--lease-table", "leases", "--lease-duration", "1s", "--poll-interval", "50ms", "--commit-interval",
         "50ms", "--idle-seconds", "1", "-q"]


def leases(table):
    items = table.client().dynamodb("Scan", TableName="leases")["Items"]
    return [{name: next(iter(value.values())) for name, value in item.items()} for item in items if item["shard"]["S"] != "#group"]


def owners(table):
    """How many shards each process has, by its --worker-id."""
    count = {}
    for lease in leases(table):
        if "owner" in lease:
            name = lease["owner"].split("-")[0]
            count[name] = count.get(name, 0) + 1
    return count


def wait_for(table, wanted, seconds=15):
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = owners(table)
        except Exception as error:  # the table is being made
            found = repr(error)
        if found == wanted:
            return
        check(time.monotonic() < deadline, "owners are", found, "and should be", wanted)
        time.sleep(0.05)


def balance_and_release(tumble, directory):
    with servers.start("kinesalite") as stream, servers.start("dynalite") as table:
        client, environment = stream.client(), servers.environment(stream, table)
        kinesis.create_stream(client, "stream", 4)

        def start(name):
            return live.Run(tumble, environment, "--stream", "stream", *QUICK, "--worker-id", name, "-o",
                            "file:" + os.path.join(directory, name), log=sys.stderr)

        producer = live.Producer(client, "stream", 200)
        with start("a") as first:
            wait_for(table, {"a": 4})
            with start("b") as second:
                wait_for(table, {"a": 2, "b": 2})
                with start("c") as third:
                    deadline = time.monotonic() + 15
                    while sorted(owners(table).values()) != [1, 1, 2]:
                        check(time.monotonic() < deadline, "three processes are not even:", owners(table))
                        time.sleep(0.05)
                    check(third.terminate() == 0, "SIGTERM is not a clean end")
                check("c" not in owners(table), "what ended cleanly still has leases")
                check(second.terminate() == 0, "SIGTERM is not a clean end")
            wait_for(table, {"a": 4})
            producer.stop()
            time.sleep(2.5)  # the last windows are idle
            check(first.terminate() == 0, "SIGTERM is not a clean end")
        check(owners(table) == {}, "leases are left", owners(table))
        rows = [row for name in "abc" if os.path.exists(os.path.join(directory, name))
                for row in live.read_rows(os.path.join(directory, name))]
        live.check_rows(rows, kinesis.read_all(stream.client(), "stream"))  # nobody died: no row stands there twice


def what_becomes_of_leases_is_told(tumble, directory):
    """A line each, with the other process's name, and a count in the summary."""
    with servers.start("kinesalite") as stream, servers.start("dynalite") as table, contextlib.ExitStack() as stack:
        client, environment = stream.client(), servers.environment(stream, table)
        kinesis.create_stream(client, "stream", 2)
        kinesis.put_records(client, "stream", [live.record(i) for i in range(50)])

        def path(name):
            return os.path.join(directory, name)

        def start(name):
            log = stack.enter_context(open(path(name + ".log"), "wb", buffering=0))
            return stack.enter_context(live.Run(tumble, environment, "--stream", "stream", *QUICK[:-1], "--worker-id", name, "-o",
                                                "file:" + path(name), "--summary", path(name + ".json"), log=log))

        def wait_for_line(name, pattern, count=1):
            deadline = time.monotonic() + 15
            while True:
                with open(path(name + ".log"), encoding="utf-8") as file:
                    told = file.read()
                if len(re.findall("^tumble: " + pattern + "$", told, re.M)) >= count:
                    return
                check(time.monotonic() < deadline, name, "did not say", count, "times", pattern, "but\n" + told)
                time.sleep(0.05)

        def summary(name):
            with open(path(name + ".json"), encoding="utf-8") as file:
                return json.load(file)

        first = start("a")
        wait_for_line("a", r"shard shardId-\d+: taken", 2)
        second = start("b")
        wait_for_line("a", r"shard shardId-\d+: given up to b-\d+-[0-9a-f]{16}, who asked for it")
        wait_for_line("b", r"shard shardId-\d+: taken from who had more, as asked for")
        first.process.send_signal(signal.SIGSTOP)
        wait_for_line("b", r"shard shardId-\d+: taken over from a-\d+-[0-9a-f]{16}, whose lease ran out")
        first.process.send_signal(signal.SIGCONT)
        wait_for_line("a", r"shard shardId-\d+: lost to b-\d+-[0-9a-f]{16}: what was not delivered of it is dropped")
        check(first.terminate() == 0, "SIGTERM is not a clean end")
        kinesis.split(client, "stream", "shardId-000000000000")
        wait_for_line("b", "shard shardId-000000000000: read to its end and delivered")
        check(second.terminate() == 0, "SIGTERM is not a clean end")
        one, two = summary("a"), summary("b")
        check(one["leases_given_up"] >= 1 and one["leases_lost"] == 1 and one["shards_drained"] == 0, one)
        check(two["leases_taken"] >= 2 and two["shards_drained"] == 1, two)


def a_table_made_anew_is_another_one(tumble, directory):
    """Its terms begin at nought again: what a state, or a process, knows of leases is not of these."""
    with servers.start("kinesalite") as stream, servers.start("dynalite", deleteTableMs=0) as table:
        client, environment = stream.client(), servers.environment(stream, table)
        kinesis.create_stream(client, "stream", 1)
        kinesis.put_records(client, "stream", [live.record(i) for i in range(100)])
        state = ["--stream", "stream", *QUICK, "--application", "orders", "--state", os.path.join(directory, "state"), "-o",
                 "file:" + os.path.join(directory, "rows")]
        code, _, told = live.run(tumble, environment, *state, "--until-idle")
        check(code == 0, code, told)
        code, _, told = live.run(tumble, environment, *state, "--until-idle")
        check(code == 0, "the same table:", code, told)
        table.client().dynamodb("DeleteTable", TableName="leases")
        code, _, told = live.run(tumble, environment, *state, "--until-idle")
        check(code == 5 and "made anew" in told and "--state" in told, code, told)
        other = ["--stream", "stream", *QUICK, "--application", "others", "-o", "file:" + os.path.join(directory, "others")]
        log = os.path.join(directory, "log")
        with open(log, "wb") as file, live.Run(tumble, environment, *other, "--worker-id", "a", log=file) as run:
            wait_for(table, {"a": 1})
            for item in table.client().dynamodb("Scan", TableName="leases")["Items"]:
                table.client().dynamodb("DeleteItem", TableName="leases", Key={name: item[name] for name in ("application", "shard")})
            code = run.wait(20)
        with open(log, encoding="utf-8") as file:
            told = file.read()
        check(code == 5 and "made anew" in told, code, told)


def others_are_refused(tumble, directory):
    with servers.start("kinesalite") as stream, servers.start("dynalite") as table:
        client, environment = stream.client(), servers.environment(stream, table)
        kinesis.create_stream(client, "stream", 1)
        kinesis.put_records(client, "stream", [live.record(i) for i in range(10)])
        command = ["--stream", "stream", *QUICK, "--application", "orders", "--until-idle"]
        code, rows, told = live.run(tumble, environment, *command)
        check(code == 0 and sum(row["n"] for row in rows) == 10, code, told)
        code, rows, told = live.run(tumble, environment, *command)
        check(code == 0 and not rows, "what was delivered came again:", rows)
        code, _, told = live.run(tumble, environment, *command, "-w", "2")
        check(code == 5 and "window" in told, code, told)
        code, _, told = live.run(tumble, environment, *command, "-a", "m=max(v)")
        check(code == 5 and "spec" in told, code, told)
        state = ["--state", os.path.join(directory, "state"), "-o", "file:" + os.path.join(directory, "rows")]
        code, _, told = live.run(tumble, environment, *command, *state)
        check(code == 0, code, told)
        code, _, told = live.run(tumble, environment, *command, *state, "--application", "invoices")  # other terms, other positions
        check(code == 5 and "--application=orders" in told, code, told)
        table.client().dynamodb("CreateTable", TableName="other", AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST")
        code, _, told = live.run(tumble, environment, *command, "--lease-table", "other")
        check(code == 2 and "no lease table" in told, code, told)


def a_table_that_cannot_be_reached(tumble, directory):
    """Longer than leases last: rows wait, and everything goes on behind it."""
    output = os.path.join(directory, "rows.ndjson")
    with servers.start("kinesalite") as stream, servers.start("dynalite") as table, servers.FaultProxy(table, rate=0) as proxy:
        client, log = stream.client(), os.path.join(directory, "log")
        kinesis.create_stream(client, "stream", 2)
        environment = {**servers.environment(stream, table), **proxy.env()}
        producer = live.Producer(client, "stream", 200)
        with open(log, "w", encoding="utf-8") as file, live.Run(tumble, environment, "--stream", "stream", *QUICK[:-1], "--worker-id", "a",
                                                                "-o", "file:" + output, log=file) as run:
            wait_for(table, {"a": 2})
            time.sleep(1.5)
            proxy.plan(rate=100, kinds="503,reset")
            time.sleep(3)
            during = os.path.getsize(output)
            time.sleep(1)
            check(os.path.getsize(output) == during, "rows left while nobody knew who has the shard")
            proxy.plan(rate=0)
            time.sleep(2)
            check(os.path.getsize(output) > during, "no rows since the table is back")
            producer.stop()
            time.sleep(2.5)
            check(run.terminate() == 0, "SIGTERM is not a clean end")
        with open(log, encoding="utf-8") as file:
            told = file.read()
        check(told.count("leases cannot be kept") == 1 and told.count("leases are kept again") == 1, told)
        live.check_rows(live.read_rows(output), kinesis.read_all(stream.client(), "stream"))


def a_shard_that_another_ended_holds_nothing_back(tumble, directory):
    """Killed behind a shard's end and before its lease said so: another ends it, and what the state has of it stays there."""
    with servers.start("kinesalite") as stream, servers.start("dynalite") as table:
        kinesis.create_stream(stream.client(), "stream", 1)
        kinesis.put_records(stream.client(), "stream", [live.record(i) for i in range(200)])
        environment = servers.environment(stream, table)
        trouble = {**environment, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}  # so that the shard is not delivered

        def start(name, environment, *more):
            return live.Run(tumble, environment, "--stream", "stream", *QUICK, "--worker-id", name, "-o",
                            "file:" + os.path.join(directory, name), *more, log=sys.stderr)

        def wait_for_rows(name, wanted):
            path, deadline = os.path.join(directory, name), time.monotonic() + 15
            while not os.path.exists(path) or sum(row["n"] for row in live.read_rows(path)) < wanted:
                check(time.monotonic() < deadline, name, "wrote", os.path.exists(path) and live.read_rows(path))
                time.sleep(0.05)

        state = ["--state", os.path.join(directory, "state"), "--durability", "none", "-o", "s3://bucket/rows"]
        with start("a", trouble, *state) as first:
            wait_for_rows("a", 200)
            kinesis.split(stream.client(), "stream", "shardId-000000000000")
            time.sleep(1)
            first.kill()
        with start("b", environment) as second:
            wait_for(table, {"b": 2})
            with start("a", trouble, *state) as first:
                wait_for(table, {"a": 1, "b": 1})
                kinesis.put_records(stream.client(), "stream", [live.record(i) for i in range(200, 400)])
                wait_for_rows("a", 250)
                wait_for_rows("b", 250)
                check(first.terminate() == 0 and second.terminate() == 0, "SIGTERM is not a clean end")
        paths = [os.path.join(directory, name) for name in "ab"]
        merged = subprocess.run([tumble, "merge", *paths], check=True, capture_output=True).stdout.splitlines()
        told = live.differences(live.added(json.loads(line) for line in merged), live.expected(kinesis.read_all(stream.client(), "stream")))
        check(not told, told)


def names_of_any_bytes(tumble, directory):
    """A state goes on whatever the process is called."""
    with servers.start("kinesalite") as stream, servers.start("dynalite") as table:
        environment = servers.environment(stream, table)
        kinesis.create_stream(stream.client(), "stream", 1)
        kinesis.put_records(stream.client(), "stream", [live.record(i) for i in range(20)])
        command = ["--stream", "stream", *QUICK, "--worker-id", b"a b\nc\xff", "--state", os.path.join(directory, "state"),
                   "--durability", "none", "-o", "file:" + os.path.join(directory, "rows")]
        with live.Run(tumble, environment, *command, log=sys.stderr) as run:
            wait_for(table, {"a_b_c_": 1})
            time.sleep(0.3)
            run.kill()
        code, _, told = live.run(tumble, environment, *command, "--until-idle")
        check(code == 0, code, told)
        live.check_rows(live.read_rows(os.path.join(directory, "rows")), kinesis.read_all(stream.client(), "stream"))


TESTS = [what_becomes_of_leases_is_told, a_table_made_anew_is_another_one, a_shard_that_another_ended_holds_nothing_back, names_of_any_bytes, balance_and_release, others_are_refused, a_table_that_cannot_be_reached]


if __name__ == "__main__":
    sys.exit(live.run_tests(TESTS, sys.argv[1:]))

#!/usr/bin/python3
"""Leases of `tumble run` by themselves (kinesalite, dynalite): balance, release, what is refused, a table that cannot be reached.

usage: leases.py TUMBLE [TEST...]
"""
import json
import os
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


TESTS = [a_shard_that_another_ended_holds_nothing_back, names_of_any_bytes, balance_and_release, others_are_refused, a_table_that_cannot_be_reached]


if __name__ == "__main__":
    sys.exit(live.run_tests(TESTS, sys.argv[1:]))

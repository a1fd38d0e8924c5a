#!/usr/bin/python3
"""Rows written to DynamoDB are what merge reads there: a row an item, and an item for all shards.

usage: dynamodb_rows.py TUMBLE GENERATE
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers"))
import servers  # noqa: E402


def main():
    tumble, generate = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="tumble-dynamodb-rows-") as directory, servers.start("dynalite") as dynamodb:
        environment, client = servers.environment(dynamodb), dynamodb.client()

        def run(*arguments, fails=None):
            done = subprocess.run([tumble, *arguments], env=environment, cwd=directory, capture_output=True)
            text = done.stderr.decode()
            if (done.returncode != 0) != (fails is not None) or (fails and fails not in text):
                sys.exit("%s: exit %d: %s" % (arguments, done.returncode, text))
            return done.stdout.decode()

        with open(os.path.join(directory, "clicks"), "wb") as file:
            subprocess.run([generate, "--records", "30000", "--seed", "5"], check=True, stdout=file)
        for table in ("rows", "windows"):
            client.create_table(table, "pk", "sk")
        replay = ["replay", "--timestamp", "timestamp", "--window", "60", "--group-by", "eventType", "--aggregate",
                  "n=count()", "--aggregate", "s=sum(amount)", "--aggregate", "u=distinct(userId)", "--aggregate",
                  "pages=top(eventType, k=3)", "--partials", "--shards", "4", "--partition-key", "userId", "--source",
                  "s", "--quiet"]
        plain = "dynamodb:rows?pk={eventType}&sk={window_start}/{shard_id}/{fragment}&ttl=expires:86400"
        merged = "dynamodb:windows?merge=true&pk={eventType}&sk={window_start}"
        run(*replay, "--output", "file:rows.ndjson", "clicks")
        run(*replay, "--output", plain, "--output", merged, "clicks")
        wanted = [json.loads(line) for line in run("merge", "--quiet", "rows.ndjson").splitlines()]
        assert len(wanted) > 5 and wanted[0]["shards"] == 4, wanted[:1]
        for uri in (plain, merged):
            got = [json.loads(line) for line in run("merge", "--quiet", uri).splitlines()]
            assert got == wanted, (uri, got[:2], wanted[:2])  # columns may stand in another order
        both = run("merge", "--quiet", "rows.ndjson", merged)
        assert [json.loads(line) for line in both.splitlines()] == wanted  # delivered twice: once
        run("merge", "dynamodb:none", fails="ResourceNotFoundException")
        run("merge", "dynamodb:", fails="names no table")
        client.dynamodb("PutItem", TableName="rows", Item={"pk": {"S": "x"}, "sk": {"S": "y"}})
        run("merge", plain, fails="not a row")
    print("ok")


main()

#!/usr/bin/python3
"""Objects in S3 as inputs: a prefix replayed is the files replayed; rows written to s3:// are what merge reads there.

usage: s3_inputs.py TUMBLE GENERATE
"""
import gzip
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers"))
import servers  # noqa: E402

REPLAY = ["replay", "--timestamp", "timestamp", "--window", "60", "--group-by", "eventType", "--aggregate", "n=count()",
          "--aggregate", "s=sum(amount)", "--aggregate", "u=distinct(userId)", "--quiet"]


def main():
    tumble, generate = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="tumble-s3-inputs-") as directory, servers.start("radosgw") as s3:
        environment, client = servers.environment(s3), s3.client()

        def run(*arguments, fails=None, **more):
            done = subprocess.run([tumble, *arguments], env=environment, cwd=directory, capture_output=True, **more)
            text = done.stderr.decode()
            if (done.returncode != 0) != (fails is not None) or (fails and fails not in text):
                sys.exit("%s: exit %d: %s" % (arguments, done.returncode, text))
            return done.stdout.decode()

        lines = subprocess.run([generate, "--records", "60000", "--seed", "3"], check=True,
                               capture_output=True).stdout.splitlines(keepends=True)
        parts = [b"".join(lines[i:i + 20000]) for i in range(0, 60000, 20000)]
        client.s3("PUT", "/captures")
        paths = []
        for i, part in enumerate(parts):
            packed = gzip.compress(part) if i == 1 else part
            client.s3("PUT", "/captures/day/part-%d" % i, body=packed)
            paths.append(os.path.join(directory, "part-%d" % i))
            with open(paths[-1], "wb") as file:
                file.write(packed)
        client.s3("PUT", "/captures/day/_hidden", body=b"not json")
        client.s3("PUT", "/captures/day/empty", body=b"")
        wanted = run(*REPLAY, "--source", "s", *paths)
        assert wanted.count("\n") > 10, wanted
        assert run(*REPLAY, "--source", "s", "s3://captures/day/") == wanted
        assert run(*REPLAY, "--source", "s", "s3://captures/day/part") == wanted
        assert run(*REPLAY, "--source", "s", *("s3://captures/day/part-%d" % i for i in range(3))) == wanted

        # a large object comes by pieces: 8 MiB at a time
        big = b"".join(lines)
        big = big * (9_000_000 // len(big) + 1)
        client.s3("PUT", "/captures/big", body=big)
        with open(os.path.join(directory, "big"), "wb") as file:
            file.write(big)
        assert run(*REPLAY, "--source", "s", "--sort", "s3://captures/big") == run(*REPLAY, "--source", "s", "--sort", "big")

        # stopped and gone on with: the same rows, the position is in the state
        state = ["--state", "state", "--output", "file:rows.ndjson"]
        run(*REPLAY, "--source", "s", *state, "s3://captures/day/")
        with open(os.path.join(directory, "rows.ndjson")) as file:
            assert file.read() == wanted
        run(*REPLAY, "--source", "s", *state, "s3://captures/day/")  # complete: nothing is written
        client.s3("PUT", "/captures/day/part-9", body=lines[0])
        run(*REPLAY, "--source", "s", *state, "s3://captures/day/", fails="state")

        # rows as an output writes them, merged from there
        client.s3("PUT", "/rows")
        partial = REPLAY + ["--partials", "--shards", "4", "--partition-key", "userId", "--source", "s"]
        run(*partial, "--output", "file:shards.ndjson", *paths)
        run(*partial, "--output", "s3://rows/clicks", *paths)
        merged = run("merge", "--quiet", "shards.ndjson")
        keys = client.s3_keys("rows")
        assert len(keys) >= 8, keys
        assert run("merge", "--quiet", "s3://rows/clicks") == merged
        assert json.loads(merged.splitlines()[0])["shards"] == 4

        # what is not there, and what may not be read
        run(*REPLAY, "s3://captures/none/", fails="no object's key begins so")
        run(*REPLAY, "s3://nobucket/day/", fails="NoSuchBucket")
        run(*REPLAY, "s3://", fails="names no bucket")
        run("merge", "s3://captures/day/", fails="part-0")
        environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
        run(*REPLAY, "s3://captures/day/", fails="SignatureDoesNotMatch")
    print("ok")


main()

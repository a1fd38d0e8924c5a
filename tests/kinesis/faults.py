#!/usr/bin/python3
"""tumble capture at kinesalite through the fault proxy: throttles, expired iterators, errors, answers cut short or slow. What it
writes is the stream, each record once; what it cannot get it says.

usage: faults.py TUMBLE [SEED]...
"""
import json
import os
import sys
import tempfile
import time

from stream_tests import Command, captured, check_order, events, kinesis, sdk_records, servers

COUNT = 3000
KINDS = "throttle=2,expired-iterator=2,500,503,429,reset,lost,cut-reset,truncate,slow,delay"


def summary(directory):
    with open(os.path.join(directory, "summary.json")) as file:
        return json.load(file)


def one_after_another(capture, proxy, truth, directory):
    """Each kind, in the middle of the stream."""
    proxy.plan(script="ok,throttle,ok,expired-iterator,ok,500,truncate,ok,cut-reset,reset,ok,slow,429,expired-iterator", only="GetRecords", rate=0)
    got = captured(capture("capture", "--stream", "clicks", "--limit", "200", "--summary", "summary.json", "--quiet"))
    assert got == truth, (len(got), len(truth))
    found = summary(directory)
    assert found["ReadProvisionedThroughputExceeded"] == 2 and found["iterators_expired"] == 2 and found["gaps"] == 0, found
    assert found["get_records_errors"] >= 3, found  # a reset before the answer may be met by the connection itself
    # Calls that are made once and for all are repeated too.
    for operation in ("DescribeStreamSummary", "ListShards", "GetShardIterator"):
        proxy.plan(script="throttle,500", only=operation, rate=0)
        assert captured(capture("capture", "--stream", "clicks", "--quiet")) == truth, operation


def all_mixed(capture, proxy, truth, seed):
    proxy.plan(rate=30, seed=seed, kinds=KINDS, script="", only="GetRecords|GetShardIterator")
    got = captured(capture("capture", "--stream", "clicks", "--limit", "150", "--quiet"))
    assert got == truth, (seed, len(got), len(truth))


def for_good(capture, proxy, truth, directory):
    """A shard that fails for longer than is borne: exit 3, and what was read is a whole file."""
    proxy.plan(script="ok,ok,ok," + ",".join(["500"] * 200), only="GetRecords", rate=0)
    began = time.monotonic()
    capture("capture", "--stream", "clicks", "--limit", "400", "--retry-for", "1", "-o", "part.ndjson", "--summary", "summary.json", status=3, says="failing for")
    found = summary(directory)  # a capture that failed has one too
    assert found["result"] == "EINPUT" and found["get_records_errors"] > 1, found
    assert time.monotonic() - began < 20
    path = os.path.join(directory, "part.ndjson")
    got = captured(open(path, "rb").read()) if os.path.exists(path) else []
    assert got == truth[:len(got)], len(got)
    assert not os.path.exists(path + ".partial")
    proxy.plan(script="", rate=0)


def main():
    seeds = [int(seed) for seed in sys.argv[2:]] or [1]
    with tempfile.TemporaryDirectory(prefix="tumble-faults-") as directory, servers.start("kinesalite") as server, \
            servers.FaultProxy(server, slow=0.3, delay=0.1) as proxy:
        capture = Command(sys.argv[1], directory, proxy)
        capture.environment["AWS_NEW_RETRIES_2026"] = "true"  # shorter waits
        kinesis.create_stream(server.client(), "clicks", 2)
        kinesis.put_records(server.client(), "clicks", events(COUNT))
        truth = captured(capture("capture", "--stream", "clicks", "--quiet"))
        check_order(truth)
        assert sorted(truth) == sorted(sdk_records(server, "clicks"))
        one_after_another(capture, proxy, truth, directory)
        for seed in seeds:
            all_mixed(capture, proxy, truth, seed)
        for_good(capture, proxy, truth, directory)
    assert not proxy.summary["refused"], proxy.summary
    print("ok", proxy.summary["injected"])


if __name__ == "__main__":
    main()

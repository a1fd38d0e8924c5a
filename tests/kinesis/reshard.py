#!/usr/bin/python3
"""A stream that is split and merged while it is read, by name and by ARN, in the clear and through TLS, at kinesis-local (which tells of
ChildShards and takes ARNs) and at kinesalite (which does neither).

usage: CHILDREN_DRIVER=kinesis_children_driver reshard.py TUMBLE
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from stream_tests import Command, captured, check_order, events, kinesis, sdk_records, servers


def behind_parents(server, stream, records):
    """A child's records stand behind its parents'."""
    parents = {shard["ShardId"]: [shard.get(name) for name in ("ParentShardId", "AdjacentParentShardId")]
               for shard in kinesis.shards(server.client(), stream)}
    places = {}
    for at, record in enumerate(records):
        first, _ = places.get(record[0], (at, at))
        places[record[0]] = (first, at)
    pairs = 0
    for shard, (first, _) in places.items():
        for parent in parents[shard]:
            if parent in places:
                assert places[parent][1] < first, (shard, parent)
                pairs += 1
    return pairs


def while_it_is_read(capture, server, directory):
    client = server.client()
    kinesis.create_stream(client, "live", 2)
    process = capture.start("capture", "--stream", "live", "--follow", "--quiet", "-o", "live.ndjson")
    put = 0
    shards = ["shardId-000000000000", "shardId-000000000001"]
    for step in range(4):
        kinesis.put_records(client, "live", events(300, keys=64))
        put += 300
        if step == 1:
            kinesis.split(client, "live", shards[0])
        elif step == 2:
            open_shards = [shard["ShardId"] for shard in kinesis.shards(client, "live")
                           if not shard["SequenceNumberRange"].get("EndingSequenceNumber")]
            assert len(open_shards) == 3, open_shards
            kinesis.merge(client, "live", open_shards[1], open_shards[2])
    path = os.path.join(directory, "live.ndjson.partial")
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline and not (os.path.exists(path) and open(path, "rb").read().count(b"\n") >= put):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, (process.returncode, said)
    followed = captured(open(os.path.join(directory, "live.ndjson"), "rb").read())
    check_order(followed)
    assert sorted(followed) == sorted(sdk_records(server, "live")) and len(followed) == put, (len(followed), put)
    assert behind_parents(server, "live", followed) >= 3
    later = captured(capture("capture", "--stream", "live", "--quiet"))
    assert later == followed  # the same order, whenever it is read
    return put


def by_arn(capture, server, put):
    arn = server.client().kinesis("DescribeStreamSummary", StreamName="live")["StreamDescriptionSummary"]["StreamARN"]
    assert len(captured(capture("capture", "--stream", arn, "--quiet"))) == put
    capture("capture", "--stream", arn, "--region", "eu-north-1", status=2, says="leave the region out")
    other = arn.replace("stream/live", "stream/none")
    capture("capture", "--stream", other, status=3, says="no stream none")


def by_children(driver, server, put, tells):
    """A reader alone, led by what the ends of shards tell."""
    ran = subprocess.run([driver, "live"], env=servers.environment(server), stdout=subprocess.PIPE, check=True, timeout=60)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert lines[0]["arn"].endswith("stream/live") and lines[0]["status"] == "ACTIVE", lines[0]
    assert sum(line["records"] for line in lines[1:]) == put, lines
    ended = [line for line in lines[1:] if line["end"]]
    assert len(lines) == 6 and len(ended) == 3, lines
    if tells:
        told = [len(line["children"]) for line in ended]
        assert sorted(told) == [1, 1, 2], told
        assert any(child["parents"] == 2 for line in ended for child in line["children"])
    else:
        assert not any(line["children"] for line in ended), ended


def through_tls(tumble, server, put):
    with tempfile.TemporaryDirectory(prefix="tumble-tls-") as certificates:
        servers.make_certificates(certificates)
        with servers.TlsFront(server, certificates) as front:
            assert len(captured(Command(tumble, certificates, front)("capture", "--stream", "live", "--quiet"))) == put
        with servers.TlsFront(server, certificates, "expired") as front:
            Command(tumble, certificates, front)("capture", "--stream", "live", "--quiet", status=2, says="certificate")


def main():
    tumble, driver = sys.argv[1], os.environ["CHILDREN_DRIVER"]
    for name in ("kinesalite", "kinesis-local"):
        with tempfile.TemporaryDirectory(prefix="tumble-reshard-") as directory, servers.start(name) as server:
            capture = Command(tumble, directory, server)
            put = while_it_is_read(capture, server, directory)
            by_arn(capture, server, put)
            by_children(driver, server, put, name == "kinesis-local")
            if name == "kinesis-local":
                through_tls(tumble, server, put)
    print("ok")


if __name__ == "__main__":
    main()

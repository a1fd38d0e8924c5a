#!/usr/bin/python3
"""tumble capture at kinesalite: what it writes is what AWS's own client reads, and what replay makes of it is what it makes of the
records that were put.

usage: capture.py TUMBLE
"""
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from stream_tests import Command, captured, check_order, events, kinesis, sdk_records, servers

COUNT = 4000


def whole_stream(capture, server, directory):
    """Paging, order, bytes, compression, the file's rules."""
    truth = sdk_records(server, "clicks")
    assert len(truth) == COUNT
    for limit in ("10000", "211"):
        got = captured(capture("capture", "--stream", "clicks", "--limit", limit, "--summary", "summary.json", "--quiet"))
        check_order(got)
        assert sorted(got) == sorted(truth), (len(got), len(truth))
        summary = json.load(open(os.path.join(directory, "summary.json")))
        assert summary["result"] == "OK" and summary["records_read"] == COUNT and summary["shards"] == summary["shards_done"] == 3, summary
        assert summary["bytes_read"] == sum(len(record[2].encode()) + len(record[4]) for record in truth), summary
        assert limit == "10000" or summary["get_records"] > COUNT / 211, summary
    for name in ("a.ndjson", "b.ndjson.gz", "c.zst"):
        capture("capture", "--stream", "clicks", "-o", name, says="4,000 records of 3 shards")
        rows = capture.rows(name)
        assert rows == capture.rows("put.ndjson"), name
        capture("capture", "--stream", "clicks", "-o", name, status=2, says="--force")
        capture("capture", "--stream", "clicks", "-o", name, "--force")
        assert not os.path.exists(os.path.join(directory, name + ".partial"))
    assert captured(open(os.path.join(directory, "b.ndjson.gz"), "rb").read()) == captured(
        open(os.path.join(directory, "a.ndjson"), "rb").read())
    assert open(os.path.join(directory, "c.zst"), "rb").read(4) == b"\x28\xb5\x2f\xfd"
    head = capture.start("capture", "--stream", "clicks")  # … | head -n 1
    assert head.stdout.readline().startswith(b'{"Records":[')
    head.stdout.close()
    assert head.stderr.read() == b"" and head.wait(60) == -signal.SIGPIPE, head.returncode
    return truth


def parts(capture, truth):
    """Positions, ends and single shards."""
    by_arrival = sorted(truth, key=lambda record: record[3])
    middle = by_arrival[COUNT // 2][3]
    at = f"{middle / 1000:.3f}"
    late = captured(capture("capture", "--stream", "clicks", "--starting-position", "AT_TIMESTAMP", "--starting-position-timestamp", at,
                            "--quiet"))
    early = captured(capture("capture", "--stream", "clicks", "--until", at, "--quiet"))
    assert sorted(late) == sorted(record for record in truth if record[3] >= middle)
    assert sorted(early + late) == sorted(truth)
    now = captured(capture("capture", "--stream", "clicks", "--until", "now", "--quiet"))
    assert sorted(now) == sorted(truth)
    some = captured(capture("capture", "--stream", "clicks", "--shard", "shardId-000000000002", "--shard", "shardId-000000000000",
                            "--quiet"))
    assert sorted(some) == sorted(record for record in truth if record[0] != "shardId-000000000001")


def refusals(capture):
    capture("capture", status=2, says="which stream?")
    capture("capture", "--stream", "a b", status=2, says="letters, digits")
    capture("capture", "--stream", "none", status=3, says="no stream none in us-east-1")
    capture("capture", "--stream", "clicks", "--shard", "shardId-000000000009", status=2, says="it has 3, from shardId-000000000000")
    capture("capture", "--stream", "clicks", "--starting-position", "LATEST", status=2, says="--follow")
    capture("capture", "--stream", "clicks", "--starting-position", "AT_TIMESTAMP", status=2, says="go together")
    capture("capture", "--stream", "clicks", "--until", "soon", status=2, says="ISO 8601")
    capture("capture", "--stream", "clicks", "--until", "now", "--follow", status=2, says="no end")
    capture("capture", "--stream", "clicks", "-o", ".", status=2, says="directory")
    capture("capture", "--stream", "clicks", "-o", "none/a", status=4, says="none/a")
    capture("capture", "--stream", "clicks", "-o", "/dev/full", status=4, says="/dev/full")
    capture("capture", "--stream", "clicks", "--endpoint-url", "http://127.0.0.1:1", "--quiet", status=3, says="clicks")
    capture("capture", "--stream", "arn:aws:kinesis:us-east-1:000000000000:stream/clicks/consumer/c:1", status=2, says="consumer")


def follow(capture, server, directory):
    """--follow from LATEST: every record put meanwhile, a whole file at the end, exit 0; without --follow a signal is 128 + n."""
    client = server.client()
    kinesis.create_stream(client, "live", 2)
    kinesis.put_records(client, "live", [("old", b'{"ts":1}')])
    process = capture.start("capture", "--stream", "live", "--starting-position", "LATEST", "--follow", "--summary", "follow.json", "--quiet",
                            "-o", "live.gz")
    partial = os.path.join(directory, "live.gz.partial")
    while not os.path.exists(partial):
        time.sleep(0.01)
    time.sleep(0.8)  # an iterator of LATEST each
    put = []
    for at in range(5):
        records = [(f"k{at}-{i}", b'{"ts":%d}' % (at * 100 + i)) for i in range(40)]
        kinesis.put_records(client, "live", records)
        put += records
        time.sleep(0.2)
    time.sleep(4)  # both shards were asked twice after the last
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, (process.returncode, said)
    got = captured(open(os.path.join(directory, "live.gz"), "rb").read())
    assert sorted((record[2], record[4]) for record in got) == sorted(put), (len(got), len(put))
    assert not os.path.exists(partial)
    # From LATEST until a time ahead, and its end by itself.
    process = capture.start("capture", "--stream", "live", "--starting-position", "LATEST", "--until", str(int(time.time()) + 2))
    time.sleep(0.8)
    kinesis.put_records(client, "live", [("ahead", b"1")])
    out, said = process.communicate(timeout=20)
    assert process.returncode == 0 and [record[2] for record in captured(out)] == ["ahead"], (out, said)
    process = capture.start("capture", "--stream", "live", "--until", "2100-01-01T00:00:00Z", "-o", "stopped")
    partial, deadline = os.path.join(directory, "stopped.partial"), time.monotonic() + 20
    while time.monotonic() < deadline and not (os.path.exists(partial) and open(partial, "rb").read().count(b"\n") == 202):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 143 and b"stopped before the end" in said, (process.returncode, said)
    assert len(captured(open(os.path.join(directory, "stopped"), "rb").read())) == 202
    # What was stopped before its first record replaces nothing.
    process = capture.start("capture", "--stream", "live", "--starting-position", "LATEST", "--until", "2100-01-01T00:00:00Z", "-o", "stopped",
                            "--force")
    while not os.path.exists(partial):
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 143, (process.returncode, said)
    assert len(captured(open(os.path.join(directory, "stopped"), "rb").read())) == 202
    # A reader of the pipe that goes away ends it, as it ends any filter.
    process = subprocess.Popen([capture.tumble, "capture", "--stream", "clicks"], env=capture.environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait(20) == -signal.SIGPIPE
    process.stderr.close()


def aggregates(capture, server, directory):
    """What the Kinesis Producer Library aggregated stays one record in the capture, and is split by replay."""
    client = server.client()
    kinesis.create_stream(client, "kpl", 1)
    records = events(600)
    put = servers.produce(server, "kpl", records, aggregate=25)
    assert put["put"] < 600, put
    capture("capture", "--stream", "kpl", "-o", "kpl.ndjson", "--quiet")
    raw = captured(open(os.path.join(directory, "kpl.ndjson"), "rb").read())
    assert sorted(raw) == sorted(sdk_records(server, "kpl")) and len(raw) == put["put"]
    assert all(record[4].startswith(b"\xf3\x89\x9a\xc2") for record in raw)
    with open(os.path.join(directory, "kpl-put.ndjson"), "wb") as file:
        file.writelines(data + b"\n" for _, data in records)
    assert capture.rows("kpl.ndjson") == capture.rows("kpl-put.ndjson")


def main():
    with tempfile.TemporaryDirectory(prefix="tumble-capture-") as directory, servers.start("kinesalite") as server:
        capture = Command(sys.argv[1], directory, server)
        kinesis.create_stream(server.client(), "clicks", 3)
        records = events(COUNT)
        servers.produce(server, "clicks", records)
        with open(os.path.join(directory, "put.ndjson"), "wb") as file:
            file.writelines(data + b"\n" for _, data in records)
        truth = whole_stream(capture, server, directory)
        capture.environment["AWS_MAX_ATTEMPTS"] = "1"
        with concurrent.futures.ThreadPoolExecutor(4) as pool:  # they mostly wait
            for done in [pool.submit(parts, capture, truth), pool.submit(refusals, capture), pool.submit(follow, capture, server, directory),
                         pool.submit(aggregates, capture, server, directory)]:
                done.result()
    print("ok")


if __name__ == "__main__":
    main()

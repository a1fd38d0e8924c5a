#!/usr/bin/python3
"""tumble capture --follow while a stream is split and merged at random and the fault proxy is in the way: every record once, in order,
a child's behind its parents'.

usage: reshard_faults.py TUMBLE [SEED]...
"""
import os
import random
import signal
import sys
import tempfile
import time

from stream_tests import Command, captured, check_order, events, kinesis, sdk_records, servers

KINDS = "throttle,expired-iterator,500,truncate,cut-reset,lost,slow,delay"
STEPS, RECORDS = 6, 200


def reshard(client, dice):
    """Splits a shard, or merges two neighbours."""
    shards = sorted((shard for shard in kinesis.shards(client, "live") if not shard["SequenceNumberRange"].get("EndingSequenceNumber")),
                    key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))
    at = dice.randrange(len(shards) - 1) if len(shards) > 1 else None
    if at is None or dice.random() < 0.5:
        kinesis.split(client, "live", dice.choice(shards)["ShardId"])
    else:
        kinesis.merge(client, "live", shards[at]["ShardId"], shards[at + 1]["ShardId"])


def one(tumble, seed):
    dice = random.Random(seed)
    name = dice.choice(("kinesalite", "kinesis-local"))
    with tempfile.TemporaryDirectory(prefix="tumble-reshard-faults-") as directory, servers.start(name) as server, \
            servers.FaultProxy(server, slow=0.2, delay=0.1, rate=20, seed=seed, kinds=KINDS,
                               only="GetRecords|GetShardIterator|ListShards") as proxy:
        capture = Command(tumble, directory, proxy)
        capture.environment["AWS_NEW_RETRIES_2026"] = "true"
        client = server.client()
        kinesis.create_stream(client, "live", 2)
        process = capture.start("capture", "--stream", "live", "--follow", "--quiet", "--limit", str(dice.randint(10, 100)), "-o", "live")
        for _ in range(STEPS):
            kinesis.put_records(client, "live", events(RECORDS, keys=64))
            reshard(client, dice)
            time.sleep(dice.random() / 2)
        partial = os.path.join(directory, "live.partial")
        deadline = time.monotonic() + 180  # with a limit of 10 and these faults a minute is not enough on a busy machine
        while time.monotonic() < deadline and open(partial, "rb").read().count(b"\n") < STEPS * RECORDS:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, (seed, process.returncode, said)
        got = captured(open(os.path.join(directory, "live"), "rb").read())
        check_order(got)
        assert len(got) == STEPS * RECORDS and sorted(got) == sorted(sdk_records(server, "live")), (seed, name, len(got))
    assert not proxy.summary["refused"], (seed, proxy.summary)
    print(seed, name, "ok", proxy.summary["injected"], flush=True)


def main():
    for seed in [int(seed) for seed in sys.argv[2:]] or range(20):
        one(sys.argv[1], seed)


if __name__ == "__main__":
    main()

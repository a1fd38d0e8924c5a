"""Streams for tests: made, filled and read through aws_client.Client, at kinesalite or kinesis-local."""
import base64
import time

MAX_RECORDS_PER_CALL = 500
MAX_BYTES_PER_CALL = 4 << 20


def create_stream(client, name, shards, seconds=30):
    """Makes it and waits until it can be used."""
    client.kinesis("CreateStream", StreamName=name, ShardCount=shards)
    wait_active(client, name, seconds)


def wait_active(client, name, seconds=30):
    """After a create, split or merge."""
    deadline = time.monotonic() + seconds
    while True:
        status = client.kinesis("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]["StreamStatus"]
        if status == "ACTIVE":
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"stream {name} is {status} after {seconds} s")
        time.sleep(0.01)


def put_records(client, name, records):
    """records: (partition key, bytes), any number, in order. Returns (shard id, sequence number) of each. What is handed back as not
    done is put again after the rest of its call, as producers do: order holds within a call only where nothing fails."""
    results = []
    for batch in batches(records):
        placed, todo = [None] * len(batch), list(range(len(batch)))
        while todo:
            entries = [{"PartitionKey": batch[at][0], "Data": base64.b64encode(batch[at][1]).decode()} for at in todo]
            answer = client.kinesis("PutRecords", StreamName=name, Records=entries)
            for at, told in zip(todo, answer["Records"]):
                if "SequenceNumber" in told:
                    placed[at] = (told["ShardId"], told["SequenceNumber"])
            todo = [at for at in todo if placed[at] is None]
        results += placed
    return results


def batches(records):
    batch, size = [], 0
    for key, data in records:
        if batch and (len(batch) == MAX_RECORDS_PER_CALL or size + len(data) + len(key) > MAX_BYTES_PER_CALL):
            yield batch
            batch, size = [], 0
        batch.append((key, data))
        size += len(data) + len(key)
    if batch:
        yield batch


def shards(client, name):
    """Every shard, closed ones too, in the order of their making."""
    found, token = [], None
    while True:
        asked = {"NextToken": token} if token else {"StreamName": name}
        answer = client.kinesis("ListShards", **asked)
        found += answer["Shards"]
        token = answer.get("NextToken")
        if not token:
            return sorted(found, key=lambda shard: shard["ShardId"])


def read_shard(client, name, shard, limit=10000):
    """What a shard holds now, from its first record: (sequence number, partition key, arrival, bytes)."""
    iterator = client.kinesis("GetShardIterator", StreamName=name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    found = []
    while iterator:
        answer = client.kinesis("GetRecords", ShardIterator=iterator, Limit=limit)
        if not answer["Records"]:
            break
        found += [(record["SequenceNumber"], record["PartitionKey"], record["ApproximateArrivalTimestamp"],
                   base64.b64decode(record["Data"])) for record in answer["Records"]]
        iterator = answer.get("NextShardIterator")
    return found


def read_all(client, name):
    """What the stream holds now, shard by shard: (shard id, sequence number, partition key, arrival, bytes)."""
    return [(shard["ShardId"], *record) for shard in shards(client, name) for record in read_shard(client, name, shard["ShardId"])]


def split(client, name, shard):
    """In the middle; returns when the children are there."""
    of = next(each for each in shards(client, name) if each["ShardId"] == shard)["HashKeyRange"]
    middle = (int(of["StartingHashKey"]) + int(of["EndingHashKey"]) + 1) // 2
    client.kinesis("SplitShard", StreamName=name, ShardToSplit=shard, NewStartingHashKey=str(middle))
    wait_active(client, name)


def merge(client, name, shard, adjacent):
    """Returns when the child is there."""
    client.kinesis("MergeShards", StreamName=name, ShardToMerge=shard, AdjacentShardToMerge=adjacent)
    wait_active(client, name)

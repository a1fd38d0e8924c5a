"""What the tests of this directory share: the command, a stream's truth, and captures taken apart."""
import base64
import gzip
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "servers"))
import kinesis  # noqa: E402
import servers  # noqa: E402


def events(count, begin_s=1795420800, step_ms=137, keys=50):
    """(partition key, payload): JSON with a time of its own, in order."""
    return [(f"user-{at * 7919 % keys}", json.dumps({"ts": begin_s * 1000 + at * step_ms, "type": "abc"[at % 3], "amount": at % 17 / 4,
                                                    "text": "ü\"\n" * (at % 3)}).encode()) for at in range(count)]


def sdk_records(server, stream):
    """What AWS's own client reads: (shard, sequence number, key, arrival in ms, bytes), shard by shard."""
    ran = subprocess.run([servers.node(), os.path.join(HERE, "read_stream.mjs"), servers.npm_directory(), stream], check=True,
                         stdout=subprocess.PIPE, env=servers.environment(server))
    return [(each["shard"], each["sequence"], each["key"], each["arrival"], base64.b64decode(each["data"]))
            for each in map(json.loads, ran.stdout.splitlines())]


def captured(text):
    """The records of a capture, in its order, each line whole and of one shard."""
    if text[:2] == b"\x1f\x8b":
        text = gzip.decompress(text)
    assert text == b"" or text.endswith(b"\n"), text[-200:]
    records = []
    for line in text.splitlines():
        for record in json.loads(line)["Records"]:
            of = record["kinesis"]
            shard, sequence = record["eventID"].split(":")
            assert sequence == of["sequenceNumber"] and record["eventSource"] == "aws:kinesis", record
            assert record["eventSourceARN"].split(":")[3] == record["awsRegion"], record
            records.append((shard, sequence, of["partitionKey"], round(of["approximateArrivalTimestamp"] * 1000),
                            base64.b64decode(of["data"])))
    return records


def check_order(records):
    """By arrival; of a shard by sequence number."""
    for before, after in zip(records, records[1:]):
        assert before[3] <= after[3], (before[:4], after[:4])
    last = {}
    for shard, sequence, *_ in records:
        assert int(sequence) > last.get(shard, -1), (shard, sequence)
        last[shard] = int(sequence)


class Command:
    def __init__(self, tumble, directory, *servers_):
        self.tumble, self.directory = tumble, directory
        self.environment = servers.environment(*servers_)

    def start(self, *arguments, **more):
        return subprocess.Popen([self.tumble, *arguments], env=self.environment, cwd=self.directory, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def __call__(self, *arguments, status=0, says=None, **more):
        """stdout; status and says are what it has to end with."""
        done = subprocess.run([self.tumble, *arguments], env=self.environment, cwd=self.directory, capture_output=True, timeout=120,
                              **more)
        text = done.stderr.decode()
        assert done.returncode == status, (arguments, done.returncode, text)
        assert says is None or says in text, (arguments, says, text)
        self.said = text
        return done.stdout

    def rows(self, *inputs, **more):
        """Rows over event time, of all shards together."""
        replay = self("replay", "--window", "60", "--timestamp", "ts", "--group-by", "type", "--aggregate", "n=count()", "--aggregate",
                      "s=sum(amount)", "--aggregate", "f=first(amount)", "--partials", "--allowed-lateness", "1d", "--quiet", *inputs)
        rows = [json.loads(line) for line in self("merge", "--quiet", "-", input=replay).splitlines()]
        for row in rows:
            for name in ("shards", "fragments"):
                row.pop(name, None)
        return rows

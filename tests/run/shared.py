#!/usr/bin/python3
"""A stream shared by three `tumble run`: one is killed, one is stopped and goes on, the stream is split and merged, DynamoDB and
Kinesis throttle and fail; what their rows come to is what the stream held. Everything random comes from the seed.

usage: shared.py TUMBLE [--seeds N] [--seed S] [--jobs N] [--keep]
"""
import argparse
import concurrent.futures
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import live  # noqa: E402
from live import check, kinesis, servers  # noqa: E402

KINDS = "throttle,500,503,reset,lost,truncate"


class Worker:
    """One of the processes, with an output, perhaps a state, and a log of its own."""

    def __init__(self, scene, name, state):
        self.scene, self.name, self.run = scene, name, None
        self.output = os.path.join(scene.directory, name + ".ndjson")
        self.log = os.path.join(scene.directory, name + ".log")
        self.state = ["--state", os.path.join(scene.directory, name), "--durability", "none"] if state else []

    def start(self, *more):
        with open(self.log, "a", encoding="utf-8") as log:
            self.run = live.Run(self.scene.tumble, self.scene.environment, *self.scene.command, "--worker-id", self.name, *self.state,
                                "-o", "file:" + self.output, *more, log=log)

    def told(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()[-3000:]


class Scene:
    def __init__(self, tumble, directory, seed):
        self.tumble, self.directory, self.seed = tumble, directory, seed
        self.chance = random.Random(seed)
        self.command = ["--stream", "stream", *live.SPEC, "--partials", "--lease-table", "leases", "--lease-duration", "1200ms",
                        "--poll-interval", "50ms", "--commit-interval", "50ms", "--idle-seconds", "1", "--threads", "2",
                        "-o", "dynamodb:merged?merge=1&pk={k}&sk={window_start}"]

    def reshard(self, client):
        """A split or a merge of shards that are open."""
        shards = kinesis.shards(client, "stream")
        open_now = [shard for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]
        if len(open_now) < 3:
            kinesis.split(client, "stream", self.chance.choice(open_now)["ShardId"])
            return
        open_now.sort(key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))
        at = self.chance.randrange(len(open_now) - 1)
        kinesis.merge(client, "stream", open_now[at]["ShardId"], open_now[at + 1]["ShardId"])

    def act(self, stream, workers):
        """Some seconds of trouble."""
        chance = self.chance
        doomed, paused = chance.sample(workers, 2)
        reshards = sorted(chance.uniform(0.3, 3.2) for _ in range(2))
        plan = [(at, "reshard", None) for at in reshards]
        killed = chance.uniform(0.4, 2.5)
        plan += [(killed, "kill", doomed), (killed + chance.uniform(0.1, 1.8), "start", doomed)]
        stopped = chance.uniform(0.4, 2.5)
        plan += [(stopped, "stop", paused), (stopped + chance.uniform(0.2, 2.2), "continue", paused)]
        began = time.monotonic()
        for at, what, worker in sorted(plan, key=lambda step: step[0]):
            time.sleep(max(0, began + at - time.monotonic()))
            if what == "reshard":
                self.reshard(stream.client())  # a connection that rested may be closed
            elif what == "kill":
                check(worker.run.process.poll() is None, worker.name, "ended by itself:\n" + worker.told())
                worker.run.kill()
            elif what == "start":
                worker.start()
            else:
                check(worker.run.process.poll() is None, worker.name, "ended by itself:\n" + worker.told())
                worker.run.process.send_signal(signal.SIGSTOP if what == "stop" else signal.SIGCONT)

    def play(self, stream, table):
        client, dynamodb = stream.client(), table.client()
        kinesis.create_stream(client, "stream", 2)
        dynamodb.dynamodb("CreateTable", TableName="merged", AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
                          KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}], BillingMode="PAY_PER_REQUEST")
        workers = [Worker(self, name, state) for name, state in (("a", True), ("b", self.chance.random() < 0.5), ("c", True))]
        with servers.FaultProxy(stream, seed=self.seed, rate=5, kinds=KINDS) as faulty_stream, \
                servers.FaultProxy(table, seed=self.seed + 1, rate=5, kinds=KINDS) as faulty_table:
            self.environment = {**servers.environment(stream, table), **faulty_stream.env(), **faulty_table.env()}
            try:
                producer = live.Producer(client, "stream", 250)
                for worker in workers:
                    worker.start()
                    time.sleep(self.chance.uniform(0, 0.3))
                self.act(stream, workers)
                producer.stop()
                time.sleep(self.chance.uniform(0.4, 1))  # whoever was started last knows its signals
                for worker in workers:
                    worker.run.process.terminate()
                for worker in workers:
                    code = worker.run.wait(60)
                    check(code == 0, worker.name, "ended with", code, "\n" + worker.told())
                last = Worker(self, "last", False)
                last.start("--until-idle")
                try:
                    check(last.run.wait(30) == 0, "the last one ended with an error:\n" + last.told())
                except live.Failure as failure:
                    raise live.Failure(f"{failure}\n{self.leases(table.client())}") from None
            finally:
                for worker in workers:
                    if worker.run and worker.run.process.poll() is None:
                        worker.run.process.send_signal(signal.SIGCONT)
                        worker.run.kill()
        self.judge(kinesis.read_all(stream.client(), "stream"), table.client(), [worker.output for worker in (*workers, last)])

    def leases(self, dynamodb):
        items = dynamodb.dynamodb("Scan", TableName="leases")["Items"]
        return "\n".join(json.dumps({name: next(iter(value.values())) for name, value in item.items() if name != "application"})
                         for item in sorted(items, key=lambda item: item["shard"]["S"]))

    def judge(self, records, dynamodb, outputs):
        outputs = [output for output in outputs if os.path.exists(output) and os.path.getsize(output)]
        merged = subprocess.run([self.tumble, "merge", *outputs], check=False, capture_output=True)
        check(merged.returncode == 0, "tumble merge:", merged.stderr.decode())
        wanted = live.expected(records)
        found = live.added(json.loads(line) for line in merged.stdout.splitlines())
        told = live.differences(found, wanted)
        check(not told, "the files do not add up to the stream:\n" + told)
        items, start = [], {}
        while start is not None:
            page = dynamodb.dynamodb("Scan", TableName="merged", **start)
            items += page["Items"]
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if "LastEvaluatedKey" in page else None
        found = live.added({"window_start": item["window_start"]["S"], "k": item["k"]["S"], "n": int(item["n"]["N"]),
                            "s": int(item["s"]["N"])} for item in items)
        told = live.differences(found, wanted)
        check(not told, "the table does not add up to the stream:\n" + told)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tumble")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--jobs", type=int, default=3, help="seeds at the same time")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    tumble = os.path.abspath(options.tumble)
    seeds = [options.seed] if options.seed is not None else [random.randrange(1 << 30) for _ in range(options.seeds)]

    def one(seed):
        directory, began, failed = tempfile.mkdtemp(prefix="tumble-shared-"), time.monotonic(), None
        try:
            with servers.start("kinesalite") as stream, servers.start("dynalite") as table:
                Scene(tumble, directory, seed).play(stream, table)
            print(f"ok   seed {seed} ({time.monotonic() - began:.1f} s)", flush=True)
        except live.Failure as failure:
            failed = str(failure)
        except Exception:  # not to be lost among threads
            failed = traceback.format_exc()
        if failed:
            print(f"FAIL {failed}\nagain: {sys.argv[0]} {options.tumble} --seed {seed}", flush=True)
        if failed and options.keep:
            print("kept:", directory, flush=True)
        else:
            shutil.rmtree(directory, ignore_errors=True)
        return failed is not None

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        return 1 if any(list(pool.map(one, seeds))) else 0


if __name__ == "__main__":
    sys.exit(main())

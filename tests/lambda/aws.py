#!/usr/bin/python3
"""The bootstrap with its outputs, its spill store and its failures at real servers, under kills, lost sandboxes and
faults. Debian's Python: the fault proxy judges signatures by its botocore.

    aws.py BOOTSTRAP"""

import decimal
import hashlib
import json
import os
import random
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "servers"))
import servers  # noqa: E402
from sandbox import Sandbox, event, instant, record  # noqa: E402
from harness import Failed, Workspace, check  # noqa: E402

START = 1607497440000
SPEC = {"group_by": ["kind"], "aggregates": [{"name": "n", "function": "count"}, {"name": "total", "function": "sum", "field": "amount"}],
        "bad_records": "divert"}


def number(item, name):
    return decimal.Decimal(item[name]["N"])


def main():
    bootstrap = sys.argv[1]
    rng = random.Random(5)
    with Workspace("lambda-aws") as work, servers.start("dynalite") as dynamodb, servers.start("radosgw") as s3, servers.start("fauxqs") as sqs:
        dynamodb.client().create_table("rows", "kind", "sk")
        s3.client().s3("PUT", "/bucket")
        queue = sqs.client().create_queue("rejected")
        with servers.FaultProxy(dynamodb, rate=10, seed=3) as proxy_d, servers.FaultProxy(s3, rate=10, seed=4) as proxy_s:
            environment = {name: value for name, value in servers.environment(proxy_d, proxy_s, sqs).items()
                           if name.startswith("AWS_") and name not in ("AWS_LAMBDA_RUNTIME_API",)}
            environment.update(TUMBLE_OUTPUTS="dynamodb:rows?sk={window_start}/{shard_id}/{fragment} s3://bucket/rows",
                               TUMBLE_SPILL="s3://bucket/state", TUMBLE_INLINE_STATE_LIMIT="3000", TUMBLE_FAILURES="sqs:rejected")
            with Sandbox(bootstrap, work, SPEC, **environment) as sandbox:
                at, wanted, bad = 0, {}, 0
                for window in range(3):
                    start, state = START + 60000 * window, {}
                    for batch in range(4):
                        records = []
                        for _ in range(250):
                            at += 1
                            kind = hashlib.sha256(b"%d" % rng.randrange(300)).hexdigest()
                            amount = "x" if at % 97 == 0 else at % 50
                            bad += amount == "x"
                            if amount != "x":
                                total = wanted.setdefault((kind, instant(start)), [0, 0])
                                total[0] += 1
                                total[1] += amount
                            records.append(record(at, {"kind": kind, "amount": amount}, start + at % 60000))
                        state = invoke(sandbox, event(records, state, start))["state"]
                        check(len(json.dumps(state)) <= 3000, "the state was not spilled")
                        if batch % 2:
                            sandbox.kill()
                            shutil.rmtree(work.file("cache"), ignore_errors=True)
                    invoke(sandbox, event([], state, start, final=True))
                # R4: the last objects of a window go in an invocation of a later one
                invoke(sandbox, event([record(at + 1, {"kind": "last", "amount": 1}, START + 600000)], {}, START + 600000))
                lines = sandbox.metrics()
        # Opening a connection at the start is no request that anyone signs.
        unsigned = proxy_s.summary["refused"].pop("IncompleteSignatureException", 0)
        check(not proxy_d.summary["refused"] and not proxy_s.summary["refused"] and unsigned <= sandbox.starts,
              "requests were refused: %r %r, %d unsigned" % (proxy_d.summary["refused"], proxy_s.summary["refused"], unsigned))
        injected = sum(proxy_d.summary["injected"].values()) + sum(proxy_s.summary["injected"].values())
        check(injected > 0, "no fault was met")
        items = {(item["kind"]["S"], item["sk"]["S"].split("/")[0]): [number(item, "n"), number(item, "total")]
                 for item in dynamodb.client().scan("rows")}
        check(items == wanted, "%d items, %d wanted" % (len(items), len(wanted)))
        objects = s3.client().s3_keys("bucket", "rows")
        check(objects, "no rows in S3")
        messages = set(sqs.client().receive_all(queue))
        check(len(messages) == bad, "%d different failures for %d bad records" % (len(messages), bad))
        check(sum(line["SpilledBytes"] for line in lines) > 0 and sum(line["FetchedBytes"] for line in lines) > 0, "metrics")
        left = s3.client().s3_keys("bucket", "state")
        print("ok: %d faults, %d items, %d objects of rows, %d of state left" % (injected, len(items), len(objects), len(left)))
    return 0


def invoke(sandbox, this):
    """As Lambda: an error, and it is tried again with the same event."""
    for attempt in range(12):
        answer = sandbox.invoke(this, deadline_ms=int(time.time() * 1000) + 60000, timeout=90)
        if answer.kind == "response":
            return json.loads(answer.body)
        kind = json.loads(answer.body)["errorType"]
        check(kind in ("Tumble.OutputFailed", "Tumble.SpillFailed", "Tumble.DeadlineExceeded"), "attempt %d: %r" % (attempt, answer.body))
    raise Failed("12 attempts failed: %r" % answer.body)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        print("FAILED: %s" % error)
        sys.exit(1)

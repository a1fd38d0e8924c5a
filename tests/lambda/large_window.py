#!/usr/bin/env python3
"""A window of a million groups: its state spilled, carried from one process to the next, its final over several deadlines.

usage: large_window.py TUMBLE [GROUPS]

Every event goes to a process of its own, with and without the cache directory by turns, so that nothing but the event and
the spill store carries anything. The rows must be exactly one for each group, with its figures.
"""
import base64
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile

RECORDS = 8000
SPEC = {"group_by": ["u"], "aggregates": [{"name": "n", "function": "count"},
                                          {"name": "s", "function": "sum", "field": "a"}]}
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/large"


def event(first, count, state, final):
    records = ",".join(
        '{"kinesis":{"partitionKey":"p","sequenceNumber":"%d","data":"%s","approximateArrivalTimestamp":1607497475.5},'
        '"eventID":"shardId-000000000000:%d"}'
        % (10**55 + i, base64.b64encode(b'{"u":"user-%07d","a":%d.5}' % (i * 7919 % 10**7, i % 1000)).decode(), 10**55 + i)
        for i in range(first, first + count))
    return ('{"Records":[%s],"shardId":"shardId-000000000000","eventSourceARN":"%s","window":{"start":'
            '"2020-12-09T07:04:00Z","end":"2020-12-09T07:06:00Z"},"state":%s,"isFinalInvokeForWindow":%s,'
            '"isWindowTerminatedEarly":false}' % (records, ARN, state, "true" if final else "false")).encode()


def main():
    tumble, groups = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    directory = tempfile.mkdtemp(prefix="tumble-large-")
    try:
        spec, rows = os.path.join(directory, "spec.json"), os.path.join(directory, "rows.ndjson")
        with open(spec, "w") as file:
            json.dump(SPEC, file)
        command = [tumble, "invoke", "--spec", spec, "--quiet", "--output", "file:" + rows, "--spill",
                   "file:" + os.path.join(directory, "spill"), "--function-response-types", "ReportBatchItemFailures"]
        cache = ["--state", os.path.join(directory, "cache")]
        state, invocations, largest = "{}", 0, 0
        for first in range(0, groups, RECORDS):
            count = min(RECORDS, groups - first)
            run = subprocess.run(command + (cache if invocations % 2 else []), input=event(first, count, state, False),
                                 capture_output=True)
            answer = json.loads(run.stdout) if run.returncode == 0 else sys.exit(run.stderr.decode() + run.stdout.decode())
            assert answer["batchItemFailures"] == [], answer["batchItemFailures"]
            state = json.dumps(answer["state"], separators=(",", ":"))
            largest = max(largest, len(state))
            invocations += 1
        deadlines, written = 0, set()  # lengths of the rows after each
        while True:  # a little more time each time: a quick machine has to be stopped on its way, too
            run = subprocess.run(command + cache + ["--timeout-ms", str(300 + 100 * deadlines)], input=event(0, 0, state, True),
                                 capture_output=True)
            if run.returncode == 0:
                break
            error = json.loads(run.stdout.splitlines()[-1])
            assert error["errorType"] == "Tumble.DeadlineExceeded", error
            deadlines += 1
            written.add(os.path.getsize(rows) if os.path.exists(rows) else 0)
            assert deadlines < 200, "the final never ends"
        seen = {}
        with open(rows) as file:
            for line in file:
                row = json.loads(line)
                assert row["n"] == 1 and row["records"] == 1, row
                assert row["u"] not in seen, "a row twice: " + line
                seen[row["u"]] = row["s"]
        assert len(seen) == groups, (len(seen), groups)
        for i in range(0, groups, 997):
            assert seen["user-%07d" % (i * 7919 % 10**7)] == i % 1000 + 0.5
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        print("%d groups, %d events, state at most %d bytes, %d deadlines in the final, peak %d MiB"
              % (groups, invocations, largest, deadlines, peak))
        if groups >= 1_000_000:
            assert written - {0}, "no deadline came while rows were being written"
    finally:
        shutil.rmtree(directory)


main()

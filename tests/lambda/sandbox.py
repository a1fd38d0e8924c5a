"""A function in a sandbox, as Lambda runs it: an environment, /tmp that stays, kill at the time-out, a new process when
the old one is gone. And a mapping that cuts records into windows and threads the state through."""

import base64
import json
import os
import queue
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
from harness import Failed, check  # noqa: E402
from runtime_api import RuntimeApi  # noqa: E402

STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/clicks"
SPEC = {"group_by": ["kind"], "aggregates": [{"name": "n", "function": "count"},
                                             {"name": "total", "function": "sum", "field": "amount"}]}


class TimedOut(Exception):
    pass


class Sandbox:
    def __init__(self, bootstrap, work, spec=None, extensions=True, start=True, **environment):
        self.command = [bootstrap] if isinstance(bootstrap, str) else bootstrap
        self.work, self.process, self.starts = work, None, 0
        self.api = RuntimeApi(extensions)
        self.log_path, self.out_path = work.file("log"), work.file("out")
        self.environment = {"AWS_LAMBDA_RUNTIME_API": self.api.address, "AWS_LAMBDA_FUNCTION_NAME": "clicks",
                            "LAMBDA_TASK_ROOT": work.path, "_HANDLER": "bootstrap", "PATH": "/usr/bin:/bin",
                            "TUMBLE_STATE_DIR": work.file("cache"), "TUMBLE_LOG_LEVEL": "debug",
                            "TUMBLE_OUTPUTS": "file:" + work.file("rows.ndjson")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        if spec is not False:
            self.environment["TUMBLE_SPEC"] = json.dumps(spec or SPEC)
        for name, value in environment.items():
            if value is None:
                self.environment.pop(name, None)
            else:
                self.environment[name] = value
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.api.close()
        if kind is None:
            check(not [s for s in self.api.strangers if not (s.endswith("extension/register") and not self.api.extensions)],
                  "strange requests: %r" % self.api.strangers)
            for text in (b"Sanitizer", b"runtime error:"):
                check(text not in self.log(), "a sanitizer complains:\n" + self.log().decode("utf-8", "replace"))

    def start(self):
        with open(self.log_path, "ab") as log, open(self.out_path, "ab") as out:
            self.process = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                                            cwd=self.work.path)
        self.starts += 1

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.api.drop_connections()
        self.api.current = None
        while not self.api.events.empty():
            self.api.events.get()

    def invoke(self, event, timeout=60, **more):
        """The answer, or TimedOut after the process was killed; starts a process when there is none."""
        if self.process.poll() is not None:
            self.api.drop_connections()
            self.start()
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        self.api.offer(body, **more)
        end = time.monotonic() + timeout
        while True:
            try:
                return self.api.answers.get(timeout=0.2)
            except queue.Empty:
                if time.monotonic() > end:
                    self.kill()
                    raise TimedOut from None
                check(self.process.poll() is None, "the process ended with %s:\n%s" % (self.process.returncode,
                                                                                   self.log().decode("utf-8", "replace")))

    def respond(self, event, **more):
        """The response, parsed: an error is a failure of the test."""
        answer = self.invoke(event, **more)
        check(answer.kind == "response", "an error came: %s" % answer.body.decode("utf-8", "replace"))
        return json.loads(answer.body)

    def wait_for_next(self, timeout=20):
        check(self.api.next_waits.acquire(timeout=timeout), "no next within %s s:\n%s"
              % (timeout, self.log().decode("utf-8", "replace")))

    def end(self, number=signal.SIGTERM, timeout=10):
        self.process.send_signal(number)
        return self.process.wait(timeout)

    def wait(self, timeout=20):
        return self.process.wait(timeout)

    def log(self):
        with open(self.log_path, "rb") as file:
            return file.read()

    def log_lines(self):
        return [json.loads(line) for line in self.log().splitlines()]

    def metrics(self):
        with open(self.out_path, "rb") as file:
            return [json.loads(line) for line in file.read().splitlines() if b'"_aws"' in line]

    def rows(self, name="rows.ndjson"):
        path = self.work.file(name)
        if not os.path.exists(path):
            return []
        with open(path, "rb") as file:
            return [json.loads(line) for line in file.read().splitlines()]


def record(number, payload, arrival_ms, shard="shardId-000000000000"):
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    sequence = str(49590338271490256608559692538361571095921575989136588898 + number)
    return {"kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": str(number % 7), "sequenceNumber": sequence,
                        "data": base64.b64encode(data).decode(), "approximateArrivalTimestamp": arrival_ms / 1000},
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": shard + ":" + sequence, "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/r", "awsRegion": "us-east-1", "eventSourceARN": STREAM}


def instant(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // 1000))


def event(records, state, start_ms, seconds=60, final=False, early=False, shard="shardId-000000000000"):
    return {"Records": records, "shardId": shard, "eventSourceARN": STREAM,
            "window": {"start": instant(start_ms), "end": instant(start_ms + seconds * 1000)}, "state": state,
            "isFinalInvokeForWindow": final, "isWindowTerminatedEarly": early}


class Shard:
    """Makes the events of one shard: windows of a minute, batches, and finals without records."""

    def __init__(self, name="shardId-000000000000", start_ms=1607497440000, random=None):
        self.name, self.window, self.state, self.number, self.random = name, start_ms, {}, 0, random
        self.expected = {}  # (window start, kind) -> [n, total]

    def batch(self, count, tries=1):
        records = []
        for _ in range(count):
            self.number += 1
            kind, amount = "k%d" % (self.number % 5), self.number % 100
            records.append(record(self.number, {"kind": kind, "amount": amount}, self.window + self.number % 60000, self.name))
            n = self.expected.setdefault((instant(self.window), kind), [0, 0])
            n[0] += 1
            n[1] += amount
        return event(records, self.state, self.window, shard=self.name)

    def final(self):
        return event([], self.state, self.window, final=True, shard=self.name)

    def next_window(self):
        self.window += 60000
        self.state = {}


def sums(rows):
    """The rows of windows and groups, whatever shard or fragment: [n, total]."""
    out = {}
    for row in rows:
        sum_of = out.setdefault((row["window_start"], row["kind"]), [0, 0])
        sum_of[0] += row["n"]
        sum_of[1] += row["total"]
    return out

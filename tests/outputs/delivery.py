"""What the suites of the outputs share: runs that are killed, and what stood in the input."""

import base64
import json
import os
import random
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "reference"))
sys.path.insert(0, os.path.join(HERE, "..", "servers"))
import servers  # noqa: E402
from harness import Failed, Workspace, check, read, run, shown  # noqa: E402,F401

LONG = bool(os.environ.get("LONG"))
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/clicks"


class Suite:
    """Runs the parts of a suite one after another, in one workspace, with one seed that is told when something fails."""

    def __init__(self, name, arguments):
        self.name, (self.tumble, self.generate) = name, arguments[1:3]
        self.seed = int(arguments[3]) if len(arguments) > 3 else random.randrange(10**6)
        self.rng = random.Random(self.seed)
        self.work = None

    def run(self, parts):
        print(f"seed {self.seed}", flush=True)
        with Workspace("outputs-" + self.name) as self.work:
            for part in parts:
                name = getattr(part, "__name__", "prepare")
                began = time.monotonic()
                try:
                    note = part(self)
                except Failed as error:
                    sys.exit(f"{name}: {error}\nrepeat: {sys.argv[0]} {self.tumble} {self.generate} {self.seed}")
                print(f"{name}: {note or 'ok'} ({time.monotonic() - began:.1f} s)", flush=True)

    def clicks(self, name, records, *options):
        path = self.work.file(name)
        with open(path, "wb") as file:
            subprocess.run([self.generate, "--records", str(records), "--seed", str(self.seed % 1000), *options], stdout=file, check=True)
        return path

    def rows(self, command, name):
        """The rows of an undisturbed run, from a file."""
        path = self.work.file(name + ".undisturbed")
        done = run([self.tumble, *command, "--format", "ndjson", "--output", "file:" + path])
        check(done.code == 0, f"{shown(command)} ended with {done.code}:\n{done.text()}")
        return read(path).decode().splitlines()

    def deliver(self, command, env):
        done = run([self.tumble, *command], env=env)
        check(done.code == 0, f"{shown([self.tumble, *command])} ended with {done.code}:\n{done.text()}")
        return done

    def deliver_killed(self, command, state, env, kills, seconds):
        """The same command, killed at random instants and run again until it is through. Returns how often it was killed. seconds: how
        long a run is let live at most while kills are left."""
        command = [self.tumble, *command, "--state", self.work.file(state)]
        env = dict(env, AWS_NEW_RETRIES_2026="true")  # its waits are tens of milliseconds, the usual ones seconds
        killed = failed = 0
        while True:
            process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                _, text = process.communicate(timeout=self.rng.uniform(0.02, seconds) if killed < kills else 300)
                if process.returncode == 0:
                    return killed
                # An output that stays down is one way for a run to end under faults: the next goes on from there.
                failed += 1
                check(process.returncode == 4 and failed < 50, f"{shown(command)} ended with {process.returncode}:\n{text.decode()}")
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                killed += 1


def event(shard, records):
    """A Lambda event: records are (sequence number, arrival in seconds, payload)."""
    return json.dumps({"Records": [{
        "kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": "k", "sequenceNumber": str(number), "approximateArrivalTimestamp": arrival,
                    "data": base64.b64encode(json.dumps(payload).encode()).decode()},
        "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": f"{shard}:{number}", "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/r", "awsRegion": "us-east-1", "eventSourceARN": ARN,
    } for number, arrival, payload in records]})


def counted(payloads):
    """(sequence number, second 1…, payload) for each."""
    return [(first, 1700000000 + 0.001 * first, payload) for first, payload in payloads]

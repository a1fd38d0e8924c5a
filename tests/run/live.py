"""What the tests of `tumble run` share: streams filled while they are read, runs, and what their rows must add up to."""
import calendar
import concurrent.futures
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "servers"))
import kinesis  # noqa: E402
import servers  # noqa: E402

WINDOW = 1
SPEC = ["-w", str(WINDOW), "-g", "k", "-a", "n=count", "-a", "s=sum(v)", "-a", "u=distinct(v)"]


class Failure(Exception):
    pass


def check(true, *told):
    if not true:
        raise Failure(" ".join(str(word) for word in told))


def record(number, groups=5):
    """(partition key, bytes) of a record: every number once, so that a sum tells what is missing and what came twice."""
    return f"key-{number}", json.dumps({"k": f"g{number % groups}", "v": number}).encode()


def expected(records, window=WINDOW):
    """{(window start, group): [count, sum]} of what kinesis.read_all gave."""
    sums = defaultdict(lambda: [0, 0])
    for _, _, _, arrival, data in records:
        value = json.loads(data)
        start = int(round(arrival * 1000)) // (window * 1000) * window
        cell = sums[(start, value["k"])]
        cell[0] += 1
        cell[1] += value["v"]
    return dict(sums)


def epoch(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def added(rows):
    """The same of rows: fragments and shards added up."""
    sums = defaultdict(lambda: [0, 0])
    for row in rows:
        cell = sums[(epoch(row["window_start"]), row["k"])]
        cell[0] += row["n"]
        cell[1] += row["s"]
    return dict(sums)


def differences(found, wanted):
    lines = []
    for key in sorted(set(found) | set(wanted)):
        if found.get(key) != wanted.get(key):
            lines.append(f"window {key[0]} group {key[1]}: rows say {found.get(key)}, the stream {wanted.get(key)}")
    return "\n".join(lines[:12])


def read_rows(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def check_rows(rows, records, window=WINDOW):
    told = differences(added(rows), expected(records, window))
    check(not told, "rows do not add up to the stream:\n" + told)
    seen = set()
    for row in rows:
        key = (row["window_start"], row["shard_id"], row["fragment"], row["k"])
        check(key not in seen, "a row came twice:", key)
        seen.add(key)


class Producer:
    """Puts records of rising numbers on a thread of its own, about so many a second, until stop()."""

    def __init__(self, client, stream, rate, first=0):
        self.client, self.stream, self.rate, self.next = client, stream, rate, first
        self.ending, self.error = threading.Event(), None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        began, done = time.monotonic(), 0
        try:
            while not self.ending.is_set():
                wanted = int((time.monotonic() - began) * self.rate)
                if wanted > done:
                    kinesis.put_records(self.client, self.stream, [record(self.next + i) for i in range(wanted - done)])
                    self.next += wanted - done
                    done = wanted
                self.ending.wait(0.02)
        except Exception as error:  # told by stop
            self.error = error

    def stop(self):
        self.ending.set()
        self.thread.join(30)
        if self.error:
            raise self.error


class Run:
    """A `tumble run` under way."""

    def __init__(self, tumble, environment, *arguments, log=None):
        self.log = log or subprocess.DEVNULL
        self.process = subprocess.Popen([tumble, "run", *arguments], env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log)

    def wait(self, seconds=60):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure(f"tumble run did not end within {seconds} s") from None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self, seconds=60):
        self.process.terminate()
        return self.wait(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


def run_tests(tests, arguments, at_once=3):
    """The main of a suite: [TUMBLE, TEST...]. Tests mostly wait, so some run at the same time."""
    tumble, wanted = os.path.abspath(arguments[0]), arguments[1:]

    def one(test):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as directory:
            try:
                test(tumble, directory)
            except Failure as failure:
                print(f"FAIL {test.__name__}: {failure}", flush=True)
                return 1
            except Exception:  # not to be lost among threads
                print(f"FAIL {test.__name__}:\n{traceback.format_exc()}", flush=True)
                return 1
        print(f"ok   {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        return 0

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return 1 if sum(pool.map(one, [test for test in tests if not wanted or test.__name__ in wanted])) else 0


def run(tumble, environment, *arguments, seconds=60):
    """Runs to its end; (exit code, rows printed, stderr)."""
    ran = subprocess.run([tumble, "run", *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                         timeout=seconds, check=False)
    lines = ran.stdout.decode().splitlines()
    return ran.returncode, [json.loads(line) for line in lines if line.startswith("{")], ran.stderr.decode()

#!/usr/bin/python3
"""`tumble run` under load (kinesalite): 2,000 records/s for ten minutes, iterator age and memory flat; and as fast as it can from a
stream that holds a minute of 10,000 records/s. Prints one JSON line a measurement.

usage: load.py TUMBLE [--seconds N] [--rate N] [--backlog RECORDS]    (0 leaves one out)
"""
import argparse
import json
import os
import resource
import socket
import statistics
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import live  # noqa: E402
from live import check, kinesis, servers  # noqa: E402

RECORD_BYTES = 400


def record(number):
    return f"key-{number}", json.dumps({"k": f"g{number % 50}", "v": number, "pad": "x" * (RECORD_BYTES - 60)}).encode()


def rss_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def iterator_age(port):
    """Of the shard that is worst now, in seconds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return max((float(line.split()[-1]) for line in lines if line.startswith("tumble_iterator_age_seconds{")), default=0)


class Feeder(live.Producer):
    def run(self):
        began, done = time.monotonic(), 0
        try:
            while not self.ending.is_set():
                wanted = int((time.monotonic() - began) * self.rate)
                if wanted - done >= 100:
                    kinesis.put_records(self.client, self.stream, [record(done + i) for i in range(wanted - done)])
                    done = wanted
                self.ending.wait(0.02)
        except Exception as error:  # told by stop
            self.error = error
        self.next = done


def steady(tumble, seconds, rate):
    """Halves are compared: neither age nor memory grows."""
    with tempfile.TemporaryDirectory() as directory, servers.start("kinesalite") as server:
        client, summary, port = server.client(), os.path.join(directory, "summary.json"), free_port()
        kinesis.create_stream(client, "stream", 4)
        command = ["--stream", "stream", "-w", "10", "-g", "k", "-a", "n=count", "-a", "s=sum(v)", "--state",
                   os.path.join(directory, "state"), "-o", "file:" + os.path.join(directory, "rows.ndjson"), "--summary", summary,
                   "--idle-seconds", "2", "-q", "--metrics", f"127.0.0.1:{port}"]
        feeder = Feeder(client, "stream", rate)
        samples, ages = [], []
        with live.Run(tumble, servers.environment(server), *command, log=sys.stderr) as run:
            began = time.monotonic()
            while time.monotonic() - began < seconds:
                time.sleep(1)
                check(run.process.poll() is None, "it ended by itself")
                samples.append(rss_bytes(run.process.pid))
                ages.append(iterator_age(port))
            feeder.stop()
            time.sleep(16)  # the last windows are over, and idle
            check(run.terminate() == 0, "SIGTERM is not a clean end")
        with open(summary, encoding="utf-8") as file:
            told = json.load(file)
        rows = live.read_rows(os.path.join(directory, "rows.ndjson"))
        check(sum(row["n"] for row in rows) == feeder.next, "rows count", sum(row["n"] for row in rows), "of", feeder.next)
        quarter = len(samples) // 4
        warm, late = max(samples[quarter:2 * quarter]), max(samples[-quarter:])
        before, behind = (statistics.median(ages[quarter:2 * quarter]), statistics.median(ages[-quarter:]))
        print(json.dumps({"measurement": "steady", "records": feeder.next, "seconds": round(seconds), "records_per_second":
                          round(feeder.next / seconds), "iterator_age_median_s": {"second_quarter": before, "last_quarter": behind},
                          "iterator_age_p99_s": statistics.quantiles(ages, n=100)[98],
                          "iterator_age_most_s": told["IteratorAge"]["Maximum"] / 1000, "rss_mb": {
                              "second_quarter": round(warm / 1e6, 1), "last_quarter": round(late / 1e6, 1)},
                          "commit_p99_us": told["commit_latency_us"]["p99"]}), flush=True)
        check(behind < 2 * before + 1, "the iterator age grows:", before, behind)
        check(late < warm * 1.1 + 4e6, "memory grows:", warm, late)


def preloaded(tumble, records):
    with tempfile.TemporaryDirectory() as directory, servers.start("kinesalite") as server:
        client, summary = server.client(), os.path.join(directory, "summary.json")
        kinesis.create_stream(client, "stream", 4)
        lock, at, failed = threading.Lock(), [0], []

        def fill():
            mine = server.client()
            try:
                while True:
                    with lock:
                        first, at[0] = at[0], at[0] + 5000
                    if first >= records:
                        return
                    kinesis.put_records(mine, "stream", [record(first + i) for i in range(min(5000, records - first))])
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=fill) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code, rows, told = live.run(tumble, servers.environment(server), "--stream", "stream", "-w", "10", "-g", "k", "-a", "n=count",
                                    "-a", "s=sum(v)", "--state", os.path.join(directory, "state"), "--until-idle", "--summary", summary,
                                    "--poll-interval", "200ms", seconds=600)
        check(code == 0, told)
        check(sum(row["n"] for row in rows) == records, "rows count", sum(row["n"] for row in rows), "of", records)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)  # the server still runs: of tumble alone
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        with open(summary, encoding="utf-8") as file:
            told = json.load(file)
        print(json.dumps({"measurement": "preloaded", "records": records, "bytes": told["bytes_read"], "seconds": told["seconds"],
                          "records_per_second": told["records_per_second"], "cpu_seconds_of_tumble": round(cpu, 1),
                          "peak_rss_mb": round(told["peak_rss_bytes"] / 1e6, 1)}),
              flush=True)
        check(told["records_per_second"] >= 10000, "slower than 10,000 records/s:", told["records_per_second"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tumble")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--backlog", type=int, default=600000)
    options = parser.parse_args()
    tumble = os.path.abspath(options.tumble)
    try:
        if options.backlog:
            preloaded(tumble, options.backlog)
        if options.seconds:
            steady(tumble, options.seconds, options.rate)
    except live.Failure as failure:
        print(f"FAIL {failure}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The page for Prometheus, while a run goes on: read strictly, its figures those of the summary, every metric documented.

    test_metrics.py TUMBLE GENERATE DOCS"""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import exposition

TUMBLE, GENERATE, DOCS = sys.argv[1:4]
COMMON = ["-t", "timestamp", "-w", "60", "--shards", "3", "--partition-key", "userId", "--aggregate", "n=count()", "--allowed-lateness", "5"]


RUNS = []


class Run:
    """A replay of standard input with --metrics: what was written is applied, and it waits for more."""

    def __init__(self, directory, *arguments, address="127.0.0.1:0"):
        self.summary = directory + "/summary.json"
        self.process = subprocess.Popen([TUMBLE, "replay", *COMMON, "--source", 'a "source"\\', "--metrics", address, "--summary", self.summary, "-o", "file:/dev/null", *arguments, "-"],
                                        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=False)
        line = self.process.stderr.readline().decode()
        match = re.match(r"tumble: metrics: http://(\S+):(\d+)/metrics\n\Z", line)
        assert match, line
        self.host, self.port = match.group(1), int(match.group(2))
        self.rest = []
        self.reader = threading.Thread(target=lambda: self.rest.append(self.process.stderr.read()), daemon=True)
        self.reader.start()
        RUNS.append(self.process)

    def get(self, path="/metrics", method="GET", body=None, headers=None):
        connection = http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=20)
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response, data

    def metrics(self):
        response, page = self.get()
        assert response.status == 200 and response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        return exposition.read(page), page

    def feed(self, lines):
        self.process.stdin.write(lines)
        self.process.stdin.flush()

    def wait_for(self, name, value, **labels):
        until = time.monotonic() + 60
        while True:
            families, page = self.metrics()
            if name in families and exposition.value(families, name, **labels) >= value:
                return families, page
            assert time.monotonic() < until, page.decode()
            time.sleep(0.05)

    def finish(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0, self.rest
        self.reader.join()
        with open(self.summary, encoding="utf-8") as file:
            return json.load(file)


def lines_of(directory, count):
    path = directory + "/clicks.ndjson"
    with open(path, "wb") as file:
        subprocess.run([GENERATE, "--seed", "3", "--records", str(count), "--groups", "5", "--out-of-order", "500"], stdout=file, check=True)
    with open(path, "rb") as file:
        return file.readlines()


def a_run_shows_how_far_it_is(directory):
    lines = lines_of(directory, 40000)
    run = Run(directory)
    families, _ = run.metrics()
    assert exposition.value(families, "tumble_run_info", kind="replay", source='a "source"\\') == 1
    run.feed(b"".join(lines[:30000]))
    families, _ = run.wait_for("tumble_records_total", 10000, fate="applied")
    total = lambda name, **labels: exposition.value(families, name, **labels)
    assert 0 < total("tumble_records_read_total") <= 30000
    assert total("tumble_records_total", fate="late") == 0
    shards = families["tumble_shard_records_total"]["samples"]
    assert [labels["shard"] for _, labels, _ in shards] == ["shardId-%012d" % i for i in range(3)]
    assert sum(value for _, _, value in shards) == total("tumble_batch_records_sum")
    assert total("tumble_duration_seconds_count") == total("tumble_invocations_total") == total("tumble_batch_records_count")
    assert total("tumble_open_windows") >= 1 and total("tumble_commit_seconds_count") >= 1
    assert total("tumble_output_waiting_bytes", output="file:/dev/null", kind="rows") >= 0
    run.feed(b"".join(lines[30000:]))
    before = families
    families, page = run.wait_for("tumble_records_total", 38000, fate="applied")
    for name, family in before.items():
        if family["type"] == "counter":
            for sample, labels, value in family["samples"]:
                assert exposition.value(families, sample, **labels) >= value, "%s went back" % name
    summary = run.finish()
    assert summary["applied"] == 40000
    return page


def a_mapping_shows_aws_s_own_metrics(directory):
    """In virtual time, at its real pace, so that there is time to look."""
    path = directory + "/mapped.ndjson"
    with open(path, "wb") as file:
        file.writelines(lines_of(directory, 20000))
    summary = directory + "/mapped.json"
    process = subprocess.Popen([TUMBLE, "replay", "-t", "timestamp", "-w", "60", "--shards", "3", "--partition-key", "userId", "--aggregate", "n=count()", "--arrival", "live", "--speed", "40",
                                "--fault", "error=0.1,throttle=0.1", "--metrics", "0", "--summary", summary, "-o", "file:/dev/null", path], stderr=subprocess.PIPE)
    match = re.search(rb"http://127.0.0.1:(\d+)/metrics", process.stderr.readline())
    page = b""
    try:
        while process.poll() is None:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", int(match.group(1)), timeout=20)
                connection.request("GET", "/metrics")
                page = connection.getresponse().read()
                connection.close()
                exposition.read(page)
            except (ConnectionError, http.client.HTTPException):
                break # it has just ended
            time.sleep(0.1)
    finally:
        assert process.wait(60) == 0, process.stderr.read()
    families = exposition.read(page)
    total = lambda name, **labels: exposition.value(families, name, **labels)
    with open(summary, encoding="utf-8") as file:
        end = json.load(file)
    for name, metric in (("Invocations", "invocations"), ("Errors", "errors"), ("Throttles", "throttles"), ("InvokedEventCount", "invoked_event_count"), ("PolledEventCount", "polled_event_count"),
                         ("FailedInvokeEventCount", "failed_invoke_event_count"), ("records_read", "records_read")):
        assert 0 < total("tumble_%s_total" % metric) <= end[name], name
    assert 0 < total("tumble_iterator_age_max_seconds") <= end["IteratorAge"]["Maximum"] / 1000
    assert len(families["tumble_iterator_age_seconds"]["samples"]) == 3
    assert "tumble_open_windows" not in families
    return page


def only_what_is_there_is_answered(directory):
    run = Run(directory)
    assert run.host == "127.0.0.1"
    response, data = run.get("/healthz")
    assert (response.status, data) == (200, b"ok\n")
    response, data = run.get("/")
    assert response.status == 200 and b"/metrics" in data
    for path in ("/metrics/", "/metricsx", "/../etc/passwd", "/?x=1/healthy"):
        status = run.get(path)[0].status
        assert status == (200 if path.startswith("/?") else 404), (path, status)
    response, _ = run.get("/metrics", "POST", body=b"x" * 100000)
    assert response.status == 405 and response.getheader("Allow") == "GET, HEAD"
    response, data = run.get("/metrics", "HEAD")
    assert response.status == 200 and data == b"" and int(response.getheader("Content-Length")) > 100
    response, _ = run.get("/metrics", headers={"X-Long": "y" * 60000})
    assert response.status in (400, 413, 431), response.status
    with socket.create_connection((run.host, run.port), 10) as half: # that never says what it wants
        half.sendall(b"GET /metr")
        run.metrics()
    threads = [threading.Thread(target=run.metrics) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.feed(b'{"timestamp": 1700000000000, "userId": "a"}\n')
    run.finish()


def connections_that_hang_keep_nobody_waiting(directory):
    """300 that say a byte now and then, as a timeout by silence never ends them: a scraper is answered within a second."""
    run, hanging, ending = Run(directory), [], threading.Event()

    def drip():
        while not ending.wait(0.5):
            for each in hanging:
                try:
                    each.send(b"x")
                except OSError:
                    pass # it was ended

    for count in (60, 240):
        hanging += [socket.create_connection((run.host, run.port), 10) for _ in range(count)]
        for each in hanging[-count:]:
            each.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        if count == 60:
            threading.Thread(target=drip, daemon=True).start()
            time.sleep(1)
        for _ in range(5):
            began = time.monotonic()
            run.metrics()
            took = time.monotonic() - began
            assert took < 1, "a scrape took %.1f s beside %d connections that hang" % (took, len(hanging))
    kept = http.client.HTTPConnection(run.host, run.port, timeout=20) # one that is used again stays
    for _ in range(3):
        kept.request("GET", "/metrics")
        before = kept.sock
        kept.getresponse().read()
        hanging += [socket.create_connection((run.host, run.port), 10) for _ in range(40)]
        time.sleep(0.2)
        assert kept.sock is before
    kept.request("GET", "/healthz")
    assert kept.getresponse().read() == b"ok\n" and kept.sock is before
    kept.close()
    ending.set()
    for each in hanging:
        each.close()
    run.feed(b'{"timestamp": 1700000000000, "userId": "a"}\n')
    run.finish()


def an_address_has_to_be_one(directory):
    path = directory + "/one.ndjson"
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"timestamp": 1700000000000, "userId": "a"}\n')
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = "127.0.0.1:%d" % busy.getsockname()[1]
        for address, words in ((taken, "something listens there already"), ("example.org:9464", "an address and a port"), ("127.0.0.1", "an address and a port"), (":9464", "an address and a port"),
                               ("127.0.0.1:70000", "an address and a port"), ("127.0.0.1:", "an address and a port"), ("[::1:9464", "an address and a port"), ("*:9464", "an address and a port"),
                               ("192.0.2.1:9464", "Cannot assign requested address")):
            done = subprocess.run([TUMBLE, "replay", *COMMON, "--metrics", address, path], capture_output=True, text=True, timeout=60)
            assert done.returncode == 2 and words in done.stderr and address in done.stderr and done.stdout == "", (address, done)
    for address, words in (("0", "http://127.0.0.1:"), ("localhost:0", "http://127.0.0.1:"), ("0.0.0.0:0", "http://0.0.0.0:")):
        done = subprocess.run([TUMBLE, "replay", *COMMON, "--metrics", address, path], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and words in done.stderr, (address, done)
        quiet = subprocess.run([TUMBLE, "replay", "-q", *COMMON, "--metrics", address, path], capture_output=True, text=True, timeout=60)
        assert quiet.returncode == 0 and quiet.stderr == "", quiet


def every_metric_is_documented(pages):
    with open(DOCS, encoding="utf-8") as file:
        documented = set(re.findall(r"^\| `((?:tumble|process)_\w+)`", file.read(), re.M))
    shown = set().union(*[exposition.read(page) for page in pages])
    assert not shown - documented, "not in docs/metrics.md: %s" % sorted(shown - documented)
    with open(os.path.join(os.path.dirname(DOCS), "..", "cli", "watch_metrics.c"), encoding="utf-8") as file:
        known = set(re.findall(r'"((?:tumble|process)_\w+)"', file.read()))
    assert documented == known, "docs/metrics.md and cli/watch_metrics.c differ: %s" % sorted(documented ^ known)


def promtool_agrees(pages):
    """Only where Debian's prometheus package was unpacked: the long tests."""
    tool = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if not tool:
        assert os.environ.get("LONG") != "1", "no promtool: PROMTOOL has to name it"
        return
    for page in pages:
        done = subprocess.run([tool, "check", "metrics"], input=page, capture_output=True, timeout=60)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()


def the_strict_reader_refuses():
    for page in ("a 1", "a 1\n", "# TYPE a gauge\na 1\n", "# HELP a A\n# TYPE a gauge\n", "# HELP a A\n# TYPE a gauge\na 1\na 2\n", "# HELP a A\n# TYPE a counter\na 1\n", '# HELP a A\n# TYPE a gauge\na{x="\\q"} 1\n',
                 '# HELP a A\n# TYPE a gauge\na{} 1\n', '# HELP a A\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n', '# HELP a A\n# TYPE a histogram\na_bucket{le="1"} 2\na_sum 1\na_count 2\n',
                 "# HELP a A\n# TYPE a gauge\nb 1\n", '# HELP a A\n# TYPE a gauge\na{x="1",} 1\n', "# HELP a A\n# TYPE a gauge\na 1.\n", "\n"):
        try:
            exposition.read(page.encode())
        except exposition.Bad:
            continue
        raise AssertionError("taken for a page: %r" % page)


def main():
    the_strict_reader_refuses()
    with tempfile.TemporaryDirectory() as directory:
        try:
            check(directory)
        finally:
            for process in RUNS:
                process.kill()
    print("ok")


def check(directory):
    pages = [a_run_shows_how_far_it_is(directory), a_mapping_shows_aws_s_own_metrics(directory)]
    only_what_is_there_is_answered(directory)
    connections_that_hang_keep_nobody_waiting(directory)
    an_address_has_to_be_one(directory)
    promtool_agrees(pages)
    every_metric_is_documented(pages)


if __name__ == "__main__":
    main()

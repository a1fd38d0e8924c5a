#!/usr/bin/python3
"""`tumble run` on a stream that is written to: its page for Prometheus while it goes on, and its report, add up to what was put.

    test_live.py TUMBLE [REPORT: kept there]"""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "run"))
import exposition  # noqa: E402
import report_page  # noqa: E402
from live import SPEC, Producer, kinesis, servers  # noqa: E402

TUMBLE = sys.argv[1]


def metrics(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read()
    connection.close()
    return exposition.read(page)


def main():
    with tempfile.TemporaryDirectory() as directory, servers.start("kinesalite") as server:
        client = server.client()
        kinesis.create_stream(client, "stream", 3)
        report, summary = directory + "/report.html", directory + "/summary.json"
        process = subprocess.Popen([TUMBLE, "run", "--stream", "stream", *SPEC, "--poll-interval", "50ms", "--commit-interval", "100ms", "--idle-seconds", "1", "--metrics", "0", "--emf", directory + "/emf",
                                    "--report", report, "--summary", summary, "-o", "file:" + directory + "/rows"], env=servers.environment(server), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        producer = None
        try:
            line = process.stderr.readline().decode()
            match = re.match(r"tumble: metrics: http://127.0.0.1:(\d+)/metrics", line)
            assert match, line
            port = int(match.group(1))
            producer = Producer(client, "stream", 800)
            time.sleep(2.5)
            producer.stop()
            until, families = time.monotonic() + 30, {}
            while "tumble_records_total" not in families or exposition.value(families, "tumble_records_total", fate="applied") < producer.next:
                assert time.monotonic() < until and process.poll() is None, families.keys()
                time.sleep(0.1)
                families = metrics(port)
            assert exposition.value(families, "tumble_run_info", kind="run") == 1
            assert len(families["tumble_iterator_age_seconds"]["samples"]) == 3
            assert exposition.value(families, "tumble_get_records_seconds_count") > 10
            assert sum(v for _, _, v in families["tumble_shard_records_total"]["samples"]) == producer.next
            process.terminate()
            assert process.wait(30) == 0, process.stderr.read()
        finally:
            process.kill()
            process.wait()
        page = report_page.read(report)
        with open(summary, encoding="utf-8") as file:
            end = json.load(file)
        totals = page["totals"]
        assert page["kind"] == "run" and page["fates"]["applied"] == end["applied"] == producer.next
        assert totals["records"] == sum(v or 0 for v in page["series"]["records"]) == producer.next
        assert totals["iteratorAges"] == totals["batches"] > 0 and totals["iteratorAgeMostMs"] is not None
        assert sum(row[6] for row in page["timeline"]["rows"]) == producer.next
        assert page["took"]["getRecords"]["count"] > 10 and page["took"]["commit"]["count"] > 3
        assert {s["id"] for s in page["shards"]} == {"shardId-%012d" % i for i in range(3)}
        assert {k: v for k, v in page["summary"].items() if k != "peak_rss_bytes"} == {k: v for k, v in end.items() if k != "peak_rss_bytes"}
        with open(directory + "/emf", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        assert sum(line["RecordsApplied"] for line in lines) == producer.next
        if len(sys.argv) > 2:
            shutil.copy(report, sys.argv[2])
    print("ok")


if __name__ == "__main__":
    main()

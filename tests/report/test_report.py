#!/usr/bin/env python3
"""Reports and EMF lines of replays, held and through a mapping, against the run's own --summary.

    test_report.py TUMBLE GENERATE"""

import json
import os
import re
import subprocess
import sys
import tempfile

import report_page

TUMBLE, GENERATE = sys.argv[1:3]
MAPPING = ["--arrival", "live", "--maximum-batching-window-in-seconds", "2", "--fault", "error=0.03,throttle=0.03,slow=0.05", "--function-duration", "40"]
AGGREGATES = ["--group-by", "eventType", "--aggregate", "events=count()", "--aggregate", "revenue=sum(amount)"]


def generate(path, *options):
    with open(path, "wb") as file:
        subprocess.run([GENERATE, "--seed", "7", *options], stdout=file, check=True)


def replay(*arguments, status=0):
    done = subprocess.run([TUMBLE, "replay", *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, (done.returncode, done.stderr)
    return done


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def without(summary, *names):
    return {k: v for k, v in summary.items() if k not in names}


def column(report, name):
    return [v or 0 for v in report["series"][name]]


def check_sums(report):
    """What the charts show adds up to what the tiles and tables say."""
    totals, series = report["totals"], report["series"]
    lengths = {len(values) for values in series.values()}
    assert len(lengths) == 1 and lengths.pop() <= 1024, lengths
    for name, total in (("records", "records"), ("bytes", "bytes"), ("batches", "batches"), ("errors", "errors"), ("throttles", "throttles"),
                        ("retries", "retries"), ("windows", "windowsClosed"), ("readRecords", "readRecords"), ("readBytes", "readBytes")):
        assert sum(column(report, name)) == totals[total], (name, sum(column(report, name)), totals[total])
    for name in ("records", "bytes", "batches", "errors", "throttles", "retries"):
        assert sum(s[name] for s in report["shards"]) == totals[name], name
    assert max((s["ageMostMs"] or -1 for s in report["shards"]), default=-1) == (totals["iteratorAgeMostMs"] if totals["iteratorAgeMostMs"] is not None else -1)
    assert max(column(report, "ageMostMs"), default=0) == (totals["iteratorAgeMostMs"] or 0)
    invocations = report["took"]["invocation"]
    assert invocations["count"] == totals["batches"] == sum(count for _, count in invocations["bins"])
    assert report["batchRecords"]["count"] == totals["batches"]
    assert report["batchRecords"]["sum"] == float("%.6g" % totals["records"])


def a_report_of_a_replay_says_what_its_summary_says(directory):
    replay("-q", "-t", "timestamp", "-w", "60", "--shards", "4", "--threads", "2", "--partition-key", "userId", "--allowed-lateness", "5", *AGGREGATES,
           "--report", directory + "/held.html", "--summary", directory + "/held.json", "-o", "file:" + directory + "/held.rows", directory + "/clicks.ndjson")
    report, summary = report_page.read(directory + "/held.html"), load(directory + "/held.json")
    assert without(report["summary"], "peak_rss_bytes") == without(summary, "peak_rss_bytes")
    assert report["kind"] == "replay" and report["result"] == "OK" and not report["stopped"]
    check_sums(report)
    totals = report["totals"]
    assert totals["batches"] == summary["batches"]
    assert totals["readRecords"] == summary["records_read"] == 60000
    assert totals["readBytes"] == summary["bytes_read"]
    assert totals["records"] == summary["applied"] + summary["filtered"] + summary["bad"] + summary["duplicate"]
    assert totals["windowsClosed"] == summary["windows_closed"] == len(report["timeline"]["rows"])
    assert report["fates"] == {k: summary[k] for k in ("applied", "late", "duplicate", "filtered", "bad")}
    assert report["rows"] == summary["rows"]
    assert sum(row[6] for row in report["timeline"]["rows"]) == summary["applied"]
    assert report["took"]["commit"]["count"] > 0 and totals["iteratorAges"] == 0 and "cost" not in report
    assert all(row[5] is not None and row[4] <= row[5] and row[11] == 0 for row in report["timeline"]["rows"])
    assert [o["name"] for o in report["outputs"]] == ["file:" + directory + "/held.rows"]
    assert report["command"][:3] == ["tumble", "replay", "-q"] and report["command"][-1] == directory + "/clicks.ndjson"


def a_report_of_a_mapping_says_what_its_summary_says(directory):
    replay("-q", "-t", "timestamp", "-w", "60", "--shards", "4", "--partition-key", "userId", *AGGREGATES, *MAPPING,
           "--report", directory + "/mapped.html", "--emf", directory + "/mapped.emf", "--summary", directory + "/mapped.json", "-o", "file:" + directory + "/mapped.rows",
           directory + "/clicks.ndjson")
    report, summary = report_page.read(directory + "/mapped.html"), load(directory + "/mapped.json")
    assert without(report["summary"], "peak_rss_bytes") == without(summary, "peak_rss_bytes")
    assert report["kind"] == "mapping"
    check_sums(report)
    totals = report["totals"]
    assert totals["batches"] == summary["Invocations"] == summary["Duration"]["SampleCount"]
    assert totals["errors"] == summary["Errors"] > 0
    assert totals["throttles"] == summary["Throttles"] > 0
    assert totals["records"] == summary["InvokedEventCount"]
    assert totals["newRecords"] == summary["succeeded_records"] == 60000
    assert totals["windowsClosed"] == summary["windows_closed"]
    assert totals["iteratorAges"] == summary["IteratorAge"]["SampleCount"]
    assert totals["iteratorAgeMostMs"] == summary["IteratorAge"]["Maximum"]
    assert abs(totals["iteratorAgeMeanMs"] - summary["IteratorAge"]["Average"]) <= 1e-5 * summary["IteratorAge"]["Average"]
    assert abs(report["took"]["invocation"]["sum"] - summary["Duration"]["Sum"]) <= 1e-5 * summary["Duration"]["Sum"]
    assert abs(report["took"]["invocation"]["most"] - summary["Duration"]["Maximum"]) <= 1e-5 * summary["Duration"]["Maximum"]
    cost = report["cost"]
    prices = load(os.path.join(os.path.dirname(__file__), "..", "..", "share", "prices.json"))
    assert cost["date"] == prices["date"]
    items = {i["what"]: i for i in cost["items"]}
    assert items["Lambda requests"]["quantity"] == float("%.6g" % summary["Invocations"])
    assert abs(items["Lambda duration"]["quantity"] - summary["Duration"]["Sum"] / 1000 * 128 / 1024) < 1e-3
    assert items["Kinesis put"]["quantity"] == 60000
    assert abs(items["Kinesis shards"]["quantity"] - 4 * cost["hours"]) < 1e-4
    assert abs(sum(i["cost"] for i in cost["items"]) - cost["total"]) <= 1e-5 * cost["total"]
    check_emf(directory + "/mapped.emf", summary)


def check_emf(path, summary):
    """A line for each minute of the stream's time; counters add up to the summary."""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert len(lines) >= 3
    stamps = [line["_aws"]["Timestamp"] for line in lines]
    assert stamps == sorted(stamps) and len({stamp // 60000 for stamp in stamps[:-1]}) == len(stamps) - 1
    for line in lines:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "tumble" and directive["Dimensions"] == [["Source"]] and line["Source"] == "clicks.ndjson"
        assert 1 <= len(directive["Metrics"]) <= 100
        names = [metric["Name"] for metric in directive["Metrics"]]
        assert len(set(names)) == len(names)
        assert all(isinstance(line[name], (int, float)) for name in names)
    for name in ("Invocations", "Errors", "Throttles", "InvokedEventCount", "FailedInvokeEventCount", "DroppedEventCount"):
        assert sum(line[name] for line in lines) == summary[name], name
    assert sum(line["RecordsApplied"] for line in lines) == summary["applied"]
    assert sum(line["WindowsClosed"] for line in lines) == summary["windows_closed"]
    assert max(line.get("IteratorAge", 0) for line in lines) == summary["IteratorAge"]["Maximum"]


def what_no_function_hears_of_is_counted(directory):
    """Throttles by a concurrency limit; lanes of a shard without windows."""
    common = ["-q", "-t", "timestamp", "-w", "60", "--partition-key", "userId", "--aggregate", "n=count()", "--arrival", "live", "-o", "file:/dev/null", directory + "/clicks.ndjson"]
    replay("--shards", "8", "--reserved-concurrent-executions", "2", "--function-duration", "300", "--report", directory + "/limit.html", "--summary", directory + "/limit.json", *common)
    report, summary = report_page.read(directory + "/limit.html"), load(directory + "/limit.json")
    assert report["totals"]["throttles"] == sum(column(report, "throttles")) == summary["Throttles"] > 0
    assert report["totals"]["batches"] == summary["Invocations"] and report["totals"]["newRecords"] == 60000


def names_from_strangers_stay_names(directory):
    """Sources, groups and arguments are chosen by others; none of them gets out of the data."""
    hostile = "</script><script>document.title='owned'</script><!-- \u2028 {{data}} \"'\\ \u0000".replace("\u0000", "")
    event = {"Records": [{"kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": hostile, "sequenceNumber": str(10**55 + i), "data": "eyJhIjoxfQ==", "approximateArrivalTimestamp": 1700000000.5 + i},
                          "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": "shardId-000000000000:%d" % (10**55 + i), "eventName": "aws:kinesis:record", "awsRegion": "us-east-1",
                          "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/<!--"} for i in range(5)]}
    spec = {"window": {"seconds": 60}, "group_by": [{"field": hostile.replace("\\", "").replace("'", "").replace(".", "_"), "as": hostile}], "aggregates": [{"name": "</script>", "function": "count"}]}
    with open(directory + "/hostile.json", "w", encoding="utf-8") as file:
        json.dump(event, file, ensure_ascii=False)
    with open(directory + "/hostile.spec.json", "w", encoding="utf-8") as file:
        json.dump(spec, file, ensure_ascii=False)
    for name, more in (("held", []), ("mapped", ["--arrival", "backlog"])):
        path = directory + "/hostile-" + name + ".html"
        replay("-q", "--spec", directory + "/hostile.spec.json", "--source", hostile, *more, "--report", path, directory + "/hostile.json")
        report = report_page.read(path)
        assert report["source"] == hostile and hostile in report["command"]
        assert json.loads(report["spec"])["aggregates"][0]["name"] == "</script>"
        assert report["totals"]["readRecords"] == 5
    path = os.fsencode(directory) + b"/not \xff UTF-8 \xc3.json"
    os.rename(directory + "/hostile.json", path)
    done = subprocess.run([TUMBLE.encode(), b"replay", b"-q", b"--spec", os.fsencode(directory + "/hostile.spec.json"), b"--source", b"known", b"--report",
                           os.fsencode(directory + "/bytes.html"), path], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert report_page.read(directory + "/bytes.html")["command"][-1] == directory + "/not \ufffd UTF-8 \ufffd.json"


def the_page_is_small_however_long_the_run(directory):
    """20 days of records over 64 shards in windows of a minute: more windows and shards than a page can draw."""
    path = directory + "/long.ndjson"
    with open(path, "w", encoding="utf-8") as file:
        for i in range(60000):
            file.write('{"t":%d,"k":"%d"}\n' % (1700000000000 + i * 29000, i % 997))
    replay("-q", "-t", "t", "-w", "60", "--shards", "64", "--partition-key", "k", "--aggregate", "n=count()", "--arrival", "live", "--report", directory + "/long.html",
           "--summary", directory + "/long.json", "-o", "file:/dev/null", path)
    report, summary = report_page.read(directory + "/long.html"), load(directory + "/long.json")
    check_sums(report)
    timeline = report["timeline"]
    assert len(timeline["rows"]) <= timeline["limit"] == 4096 and timeline["every"] > 1 and timeline["leftOut"] > 0
    assert {row[3] // 60000 % timeline["every"] for row in timeline["rows"]} == {0}
    assert report["totals"]["windowsClosed"] == summary["windows_closed"] > 50000
    assert len(report["shardAges"]) == 8 and len(report["shards"]) == 64


def a_report_is_written_whole_or_not_at_all(directory):
    clicks = directory + "/clicks.ndjson"
    common = ["-q", "-t", "timestamp", "-w", "60", "--aggregate", "n=count()", "-o", "file:/dev/null"]
    done = replay(*common, "--report", directory + "/none/such.html", clicks, status=4)
    assert "report %s/none/such.html: cannot write: No such file or directory" % directory in done.stderr
    done = replay(*common, "--report", directory, clicks, status=4)
    assert "Is a directory" in done.stderr
    done = replay(*common, "--report", clicks, clicks, status=2)
    assert "report" in done.stderr and "input" in done.stderr, done.stderr
    replay(*common, "--report", "/dev/null", clicks)
    path = directory + "/again.html"
    with open(path, "w", encoding="utf-8") as file:
        file.write("before")
    bad = directory + "/bad.ndjson"
    with open(bad, "w", encoding="utf-8") as file:
        file.write('{"timestamp":1700000000000,"amount":1}\n{"timestamp":1700000000001,"amount":"x"}\n')
    replay("-q", "-t", "timestamp", "-w", "60", "--aggregate", "s=sum(amount)", "--report", path, bad, status=1)
    report = report_page.read(path)
    assert report["result"] != "OK" and report["summary"]["result"] == report["result"], report["result"]
    assert not [name for name in os.listdir(directory) if name.endswith(".tmp")]


def nothing_read_is_a_report_too(directory):
    with open(directory + "/empty.ndjson", "w", encoding="utf-8"):
        pass
    for more in ([], ["--arrival", "backlog"]):
        replay("-q", "-t", "t", "-w", "60", "--aggregate", "n=count()", *more, "--report", directory + "/empty%d.html" % len(more), directory + "/empty.ndjson", status=3)
        report = report_page.read(directory + "/empty%d.html" % len(more))
        assert report["result"] == "ECAPTURE" and "input" in report["resultText"] and report["beganUs"] is None
        assert report["totals"]["records"] == 0 and report["timeline"]["rows"] == []


def lines_that_cannot_be_written_are_told(directory):
    """The run goes on and its rows are there; it ends as with any output that failed."""
    common = ["-t", "timestamp", "-w", "60", "--aggregate", "n=count()"]
    for more in ([], ["--arrival", "live"]):
        rows = directory + "/full%d.rows" % len(more)
        done = replay(*common, *more, "--emf", "/dev/full", "-o", "file:" + rows, directory + "/clicks.ndjson", status=4)
        assert re.search("^tumble: emf /dev/full: metrics cannot be written: No space left on device", done.stderr, re.M), done.stderr
        assert re.search(r"^tumble: emf /dev/full: (\d+) of \1 lines are missing: ", done.stderr, re.M), done.stderr
        with open(rows, encoding="utf-8") as file:
            assert sum(json.loads(line)["n"] for line in file) >= 50000 # without --allowed-lateness some are late


def a_report_of_a_failed_run_says_so_and_why(directory):
    path, bad = directory + "/failed.html", directory + "/failed.ndjson"
    command = ["-q", "-t", "timestamp", "-w", "60", "--aggregate", "s=sum(amount)", "--report", path]
    with open(bad, "w", encoding="utf-8") as file:
        file.write('{"timestamp":1700000000000,"amount":1}\n{"timestamp":1700000000001,"amount":"<b>x"}\n')
    for more in ([], ["--arrival", "live", "--maximum-retry-attempts", "1", "--bad-records", "fail"]):
        done = replay(*command, *more, bad, status=0 if more else 1)
        report = report_page.read(path)
        if more: # under a mapping a bad record fails invocations, not the run
            assert report["result"] == "OK" and report["error"] is None and report["exitCode"] == 0
        else:
            assert report["exitCode"] == 1 and report["result"] == "ERECORD"
            assert report["error"] and report["error"] in done.stderr, (report["error"], done.stderr)
    good = directory + "/good.html"
    command[-1] = good
    replay(*command[:-1], good, directory + "/clicks.ndjson", "-o", "file:/dev/null")
    with open(good, "rb") as file:
        before = file.read()
    empty = directory + "/nothing.ndjson"
    with open(empty, "w", encoding="utf-8"):
        pass
    for path in (empty, directory + "/not-there.ndjson"): # nothing was read: what is there tells more
        for more in ([], ["--arrival", "backlog"]):
            done = replay(*command[1:], *more, path, status=3)
            assert "stays that of an earlier run" in done.stderr or "not-there" in done.stderr, done.stderr
            with open(good, "rb") as file:
                assert file.read() == before


def a_day_is_reckoned_from_the_time_in_which_records_came(directory):
    """Ten seconds of records, and minutes of quiet that close the last window."""
    path = directory + "/short.ndjson"
    with open(path, "w", encoding="utf-8") as file:
        for i in range(10001):
            file.write('{"t":%d}\n' % (1700000000000 + i))
    replay("-q", "-t", "t", "-w", "60", "--aggregate", "n=count()", "--arrival", "live", "--function-duration", "0.001", "--report", directory + "/short.html", "-o", "file:/dev/null", path)
    report = report_page.read(directory + "/short.html")
    cost = report["cost"]
    items = {i["what"]: i for i in cost["items"]}
    assert cost["hours"] * 3600 > 60 and 10 <= cost["flowHours"] * 3600 < 12 and abs(report["flowUs"] / 3.6e9 - cost["flowHours"]) < 1e-5, cost
    close = lambda a, b: abs(a - b) <= 1e-4 * b
    assert close(items["Kinesis put"]["day"], items["Kinesis put"]["cost"] * 24 / cost["flowHours"])
    assert close(items["Kinesis shards"]["day"], items["Kinesis shards"]["cost"] * 24 / cost["hours"]) # a shard costs in quiet too
    assert close(sum(i["day"] for i in cost["items"]), cost["totalDay"])
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"t":1700000000000}\n')
    replay("-q", "-t", "t", "-w", "60", "--aggregate", "n=count()", "--arrival", "live", "--report", directory + "/one.html", "-o", "file:/dev/null", path)
    cost = report_page.read(directory + "/one.html")["cost"]
    assert "totalDay" not in cost and cost["total"] > 0, cost # too short a time to say


def main():
    with tempfile.TemporaryDirectory() as directory:
        generate(directory + "/clicks.ndjson", "--records", "60000", "--groups", "20", "--out-of-order", "2000")
        for test in (a_report_of_a_replay_says_what_its_summary_says, a_report_of_a_mapping_says_what_its_summary_says, what_no_function_hears_of_is_counted, names_from_strangers_stay_names,
                     the_page_is_small_however_long_the_run, a_report_is_written_whole_or_not_at_all, nothing_read_is_a_report_too,
                     lines_that_cannot_be_written_are_told, a_report_of_a_failed_run_says_so_and_why, a_day_is_reckoned_from_the_time_in_which_records_came):
            test(directory)
            print("ok", test.__name__, flush=True)


if __name__ == "__main__":
    main()

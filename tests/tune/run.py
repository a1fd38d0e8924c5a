#!/usr/bin/env python3
"""`tumble tune`: run.py list | run.py TUMBLE BOOTSTRAP GENERATE CASE"""

import hashlib
import json
import math
import os
import resource
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "reference"), os.path.join(HERE, "..", "lambda")]
from harness import Failed, Workspace, check, run  # noqa: E402
from mapping_by_hand import Mapping, VirtualClock, WallClock  # noqa: E402

PRICES = os.path.join(HERE, "..", "..", "share", "prices.json")
MODEL = {"invocation_us": 150, "record_us": 40, "payload_kb_us": 30, "state_kb_us": 25, "final_kb_us": 10, "first_us": 700,
         "growth_kb_us": 2, "idle_us": 90, "idle_record_us": 3}
DAY_S = 86400
TOLERANCE = 0.10


def percentile(values, hundredth):
    ordered = sorted(values)
    return ordered[-(-len(ordered) * hundredth // 100) - 1]


def mean(values):
    return sum(values) / len(values)


class Bench:
    """A capture, a spec and a model in a directory of their own."""

    def __init__(self, tumble, bootstrap, generate, work):
        self.tumble, self.bootstrap, self.generate, self.work = tumble, bootstrap, generate, work
        self.spec = self.write("spec.json", {"window": {"seconds": 10}, "timestamp": {"field": "timestamp"},
                                             "group_by": ["eventType"],
                                             "aggregates": [{"name": "n", "function": "count"},
                                                            {"name": "sum", "function": "sum", "field": "amount"},
                                                            {"name": "who", "function": "distinct", "field": "userId"}]})
        self.plain = self.write("plain.json", {"window": {"seconds": 10}, "timestamp": {"field": "timestamp"}, "group_by": ["eventType"],
                                               "aggregates": [{"name": "n", "function": "count"}]})
        self.model = self.write("model.json", MODEL)

    def write(self, name, value):
        path = self.work.file(name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(value, file)
        return path

    def capture(self, name="clicks.ndjson", records=6000, rate=300, **more):
        path = self.work.file(name)
        words = [self.generate, "--records", str(records), "--rate", str(rate), "--seed", "11", "--users", "500"]
        for key, value in more.items():
            words += ["--" + key.replace("_", "-"), str(value)]
        with open(path, "wb") as file:
            file.write(run(words).out)
        return path

    def records(self, path):
        with open(path, "rb") as file:
            lines = file.read().splitlines()
        return [(json.loads(line)["timestamp"], line) for line in lines]

    def tune(self, *words, code=0, model=True):
        command = [self.tumble, "tune", "--quiet", "--format", "json"]
        command += ["--duration-model", self.model] if model else []
        done = run(command + list(words))
        check(done.code == code, "tune ended with %d:\n%s" % (done.code, done.text()))
        return json.loads(done.out)


def chosen(result):
    points = [point for point in result["points"] if point["chosen"]]
    check(len(points) == 1, "%d points are chosen" % len(points))
    return points[0]


# ---- properties ----

def figures(point):
    return (point["iterator_age_ms"]["p99"], point["wait_ms"]["p99"], point["price_per_day"]["provisioned"]["total"],
            point["early_terminations"])


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b)) and a != b


def case_pareto(bench):
    """No point that is marked is dominated; every other one is, or is the equal of one; the choice is what it says."""
    capture = bench.capture(rate=120, records=1500)
    grid = ["--batch-size", "10,40,100,1000", "--maximum-batching-window-in-seconds", "0,1,3,7", "--memory", "128,300,1769",
            "--shards", "1,2,3"]
    for objective, key in (("price", lambda p: figures(p)[2]), ("latency", lambda p: p["wait_ms"]["p99"]),
                           ("balanced", lambda p: figures(p)[2] * (p["wait_ms"]["p99"] + 1))):
        result = bench.tune("--spec", bench.plain, "--all", "--objective", objective, *grid, capture)
        points = result["points"]
        check(len(points) == 4 * 4 * 3 * 3, "%d points" % len(points))
        fine = [point for point in points if point["problem"] is None]
        check(len(fine) > 100, "only %d points are fine" % len(fine))
        marked = [figures(point) for point in fine if point["pareto"]]
        check(not [p for p in points if p["problem"] and p["pareto"]], "a point with a problem is marked")
        for point in fine:
            better = [mark for mark in marked if dominates(mark, figures(point))]
            if point["pareto"]:
                check(not better, "%r is marked, and %r is better" % (figures(point), better[:1]))
            else:
                check(better or figures(point) in marked, "%r is not marked, and nothing is better" % (figures(point),))
        check(key(chosen(result)) == min(key(point) for point in fine), "the choice is not the best by " + objective)
        check(key(chosen(result)) in [key(p) for p in fine if p["pareto"]], "the choice is off the front")
    shown = bench.tune("--spec", bench.plain, *grid, capture)["points"]
    check(all(point["pareto"] or point["chosen"] for point in shown), "points are shown that were not asked for")
    check(len(shown) == len({json.dumps(point) for point in shown}), "a point is shown twice")


def case_max_iterator_age(bench):
    capture = bench.capture(rate=300)
    words = ["--spec", bench.spec, "--batch-size", "1000,10000", "--maximum-batching-window-in-seconds", "0,7", "--memory", "128",
             "--shards", "1", "--objective", "price"]
    free = chosen(bench.tune(*words, capture))
    held = bench.tune(*words, "--max-iterator-age", "1", "--all", capture)
    check(chosen(held)["iterator_age_ms"]["max"] <= 1000, "the chosen point is older than allowed")
    allowed = [p for p in held["points"] if p["iterator_age_ms"]["max"] <= 1000]
    check(len(allowed) < len(held["points"]) and free["price_per_day"]["provisioned"]["total"]
          <= chosen(held)["price_per_day"]["provisioned"]["total"], "the limit costs nothing")
    slow = bench.write("slow.json", dict(MODEL, invocation_us=2500000))
    done = run([bench.tumble, "tune", "--duration-model", slow, "--quiet", *words, "--max-iterator-age", "1", capture])
    check(done.code == 1 and "no point keeps the iterator age within 1 s; the least is" in done.text(), done.text())


def case_prices(bench):
    """What a point costs, reckoned here from the capture and the prices."""
    capture = bench.capture(payload_bytes=30000, records=200, rate=20)
    with open(PRICES, encoding="utf-8") as file:
        prices = json.load(file)
    other = bench.write("prices.json", dict(prices, **{"lambda": dict(prices["lambda"], million_requests=7.5)}))
    records = bench.records(capture)
    span = (records[-1][0] - records[0][0]) / 1000
    keys = [len(str(number + 1)) for number in range(len(records))]
    sizes = [len(line) + key for (_, line), key in zip(records, keys)]
    for path, table in ((None, prices), (other, json.load(open(other, encoding="utf-8")))):
        for architecture, consumer in (("x86_64", False), ("arm64", True)):
            words = ["--spec", bench.spec, "--all", "--architecture", architecture, "--batch-size", "10,100", "--memory", "128,1024",
                     "--shards", "1,3", *(["--prices", path] if path else [])]
            arn = "arn:aws:kinesis:us-east-1:123456789012:stream/s"
            words += ["--event-source-arn", arn + "/consumer/c:1" if consumer else arn]
            for point in bench.tune(*words, capture)["points"]:
                requests = point["invocations"] * DAY_S / span / 1e6 * table["lambda"]["million_requests"]
                gb_s = point["billed_ms"] / 1000 * point["memory"] / 1024
                duration = gb_s * DAY_S / span * table["lambda"]["gb_second_" + architecture]
                kinesis = table["kinesis"]
                units = sum(math.ceil(size / 25600) for size in sizes) * DAY_S / span
                out_gb = sum(sizes) * DAY_S / span / 2**30
                stream = 24 * point["shards"] * kinesis["shard_hour"]
                retrieval = (24 * point["shards"] * kinesis["consumer_shard_hour"] + out_gb * kinesis["consumer_gb"]) * consumer
                wanted = requests + duration + stream + units / 1e6 * kinesis["million_put_payload_units"] + retrieval
                got = point["price_per_day"]["provisioned"]["total"]
                check(abs(got - wanted) < 1e-7 * wanted, "provisioned: %r, here %r" % (got, wanted))
                in_gb = sum(math.ceil(size / 1024) * 1024 for size in sizes) * DAY_S / span / 2**30
                wanted = requests + duration + 24 * kinesis["on_demand_stream_hour"] + in_gb * kinesis["on_demand_gb_in"]
                wanted += out_gb * kinesis["on_demand_consumer_gb" if consumer else "on_demand_gb_out"]
                got = point["price_per_day"]["on_demand"]["total"]
                check(abs(got - wanted) < 1e-7 * wanted, "on demand: %r, here %r" % (got, wanted))


def case_early_ends(bench):
    """A state over 1 MB ends a window early; more shards carry smaller states; and a bad record fails every point."""
    spec = bench.write("users.json", {"window": {"seconds": 60}, "timestamp": {"field": "timestamp"}, "group_by": ["eventId"],
                                      "aggregates": [{"name": "n", "function": "count"}]})
    capture = bench.capture(records=50000, rate=900)
    points = bench.tune("--spec", spec, "--shards", "1,4", "--memory", "1769", "--batch-size", "10000", "--all",
                        "--maximum-batching-window-in-seconds", "6", capture)["points"]
    check(points[0]["early_terminations"] > 0 and points[0]["state_bytes_max"] > 2**20, "one shard carries it all: %r" % points[0])
    check(points[1]["early_terminations"] == 0 and points[1]["state_bytes_max"] < 2**20, "four do not: %r" % points[1])
    check(points[1]["chosen"], "windows that end early are chosen")
    capture = bench.capture("bad.ndjson", records=300, rate=30)
    with open(capture, "ab") as file:
        file.write(b'{"timestamp":%d,"eventType":"buy","amount":"many"}\n' % (bench.records(capture)[-1][0] + 1))
    done = run([bench.tumble, "tune", "--spec", bench.spec, "--duration-model", bench.model, "-q", "--shards", "1,2", capture])
    check(done.code == 1 and "points failed; the first: " in done.text() and "no point of the grid works" in done.text(), done.text())


def case_threads(bench):
    """The same bytes whatever the threads; and what was timed can be given again."""
    capture = bench.capture(rate=300, records=1500)
    words = [bench.tumble, "tune", "-q", "--spec", bench.spec, "--all", "--duration-model", bench.model, "--batch-size", "30,1000"]
    for form in ("table", "json", "csv"):
        one = run([*words, "--format", form, "--threads", "1", capture])
        four = run([*words, "--format", form, "--threads", "4", capture])
        check(one.code == 0 and one.out == four.out, form + ": threads change what is printed")
    saved = bench.work.file("saved.json")
    timed = bench.tune("--spec", bench.spec, "--save-duration-model", saved, "--memory", "512", "--timing", "1", capture,
                       model=False)
    again = bench.tune("--spec", bench.spec, "--duration-model", saved, "--memory", "512", capture, model=False)
    check(timed["duration_model"] == again["duration_model"], "the model is read otherwise than it was written")
    check(timed["duration_model"]["record_us"] + timed["duration_model"]["payload_kb_us"] > 0, "records take no time")


def case_shards(bench):
    """Partition keys by MD5 over equal ranges, and what one shard gets in a second."""
    capture = bench.capture(rate=2500, records=10000, users=40)
    records = bench.records(capture)
    result = bench.tune("--spec", bench.spec, "--partition-key", "userId", "--shards", "1,2,3,5,8", "--memory", "512", "--all",
                        "--batch-size", "1000", "--maximum-batching-window-in-seconds", "0", capture)
    for point in result["points"]:
        count = point["shards"]
        ends = [2**128 // count * (i + 1) for i in range(count - 1)] + [2**128]
        if count == 3 or count == 5:
            ends = [(2**128 // count) * (i + 1) for i in range(count - 1)] + [2**128]
        shards = [[] for _ in range(count)]
        for arrival, line in records:
            key = json.loads(line)["userId"].encode()
            number = int.from_bytes(hashlib.md5(key).digest(), "big")
            shards[next(i for i, end in enumerate(ends) if number < end)].append((arrival, len(line) + len(key)))
        peak = crowded = 0
        for shard in shards:
            seconds = {}
            for arrival, size in shard:
                a, b = seconds.get(arrival // 1000, (0, 0))
                seconds[arrival // 1000] = (a + 1, b + size)
            peak = max([peak] + [a for a, _ in seconds.values()])
            crowded += sum(a > 1000 or b > 2**20 for a, b in seconds.values())
        check(point["peak_shard_records_per_second"] == peak, "%d shards: peak %d, here %d"
              % (count, point["peak_shard_records_per_second"], peak))
        check(point["crowded_seconds"] == crowded and (point["problem"] == "overloaded") == (crowded > 0), "%d shards: crowded" % count)
        share = max(len(shard) for shard in shards) / len(records)
        check(abs(point["hottest_shard_share"] - share) < 1e-3, "%d shards: share" % count)
    least = bench.tune("--spec", bench.spec, "--memory", "512", "--batch-size", "1000", "--all", capture)["points"]
    check(min(p["shards"] for p in least) >= 3 and not [p for p in least if p["problem"]], "as few shards as take it")


def case_named_shards(bench):
    """A capture of Lambda events names its shards: they stay, unless others are asked for."""
    capture = bench.capture("events.json", format="lambda", shards=3, batch=50)
    words = ["--spec", bench.spec, "--memory", "512", "--batch-size", "100", "--maximum-batching-window-in-seconds", "0"]
    (kept,) = bench.tune(*words, capture)["points"]
    check(kept["shards"] == 3, "%d shards" % kept["shards"])
    for count in (1, 2, 6):
        (point,) = bench.tune(*words, "--shards", str(count), capture)["points"]
        check(point["shards"] == count and not point["errors"] and point["windows"] >= count, "%d shards: %r" % (count, point))


def case_by_hand(bench):
    """Under a constant duration, invocations and ages are those of a mapping written once more."""
    capture = bench.capture(rate=130, records=4000, out_of_order=0)
    records = bench.records(capture)
    result = bench.tune("--spec", bench.spec, "--batch-size", "10,64,1000", "--maximum-batching-window-in-seconds", "0,1,3",
                        "--memory", "512", "--shards", "1", "--function-duration", "30", "--cold-start", "0", "--all", capture,
                        model=False)
    for point in result["points"]:
        clock = VirtualClock(records[0][0])
        other = Mapping(records, point["batch_size"], point["maximum_batching_window_in_seconds"], 10, clock,
                        lambda clock, batch, window, final: clock.sleep_until(clock.now() + 30)).run()
        name = "batch size %d, window %d: " % (point["batch_size"], point["maximum_batching_window_in_seconds"])
        check(point["invocations"] == len(other.durations), name + "%d invocations, by hand %d"
              % (point["invocations"], len(other.durations)))
        for hundredth, key in ((50, "p50"), (99, "p99"), (100, "max")):
            check(point["iterator_age_ms"][key] == percentile(other.ages, hundredth), name + "iterator age " + key)
            check(point["wait_ms"][key] == percentile(other.waits, hundredth), name + "wait " + key)
        check(abs(point["iterator_age_ms"]["average"] - mean(other.ages)) < 1e-3, name + "average age")


def replay(bench, capture, mapping, *words):
    summary = bench.work.file("summary.json")
    done = run([bench.tumble, "replay", "--arrival", "live", "--mapping", mapping, "--summary", summary, "--quiet", *words, capture],
               timeout=900)
    check(done.code == 0, done.text())
    with open(summary, encoding="utf-8") as file:
        return json.load(file)


def case_mapping(bench):
    """What is written is what `replay --mapping` reads, and says the same there."""
    capture = bench.capture()
    path = bench.work.file("mapping.json")
    result = bench.tune("--spec", bench.spec, "--batch-size", "20,90", "--maximum-batching-window-in-seconds", "0,2", "--shards", "1",
                        "--memory", "128", "--function-duration", "50", "--cold-start", "0", "--output-mapping", path,
                        "--event-source-arn", "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks", "--function-arn",
                        "arn:aws:lambda:eu-west-1:123456789012:function:f", capture, model=False)
    with open(path, encoding="utf-8") as file:
        check(json.load(file) == result["mapping"], "the file holds another mapping")
    check(set(result["mapping"]) <= {"EventSourceArn", "FunctionName", "StartingPosition", "BatchSize", "MaximumBatchingWindowInSeconds",
                                     "ParallelizationFactor", "TumblingWindowInSeconds", "MaximumRetryAttempts",
                                     "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError", "FunctionResponseTypes"},
          "a key that create-event-source-mapping does not take: %r" % sorted(result["mapping"]))
    point = chosen(result)
    summary = replay(bench, capture, path, "--spec", bench.spec, "--function-duration", "50", "-o", "file:/dev/null")
    check(summary["Invocations"] == point["invocations"], "%d invocations, foretold %d" % (summary["Invocations"], point["invocations"]))
    check(summary["IteratorAge"]["Maximum"] == point["iterator_age_ms"]["max"], "iterator age")
    check(abs(summary["IteratorAge"]["Average"] - point["iterator_age_ms"]["average"]) < 0.01, "average iterator age")


# ---- foretold, and as it came ----

class Comparison:
    def __init__(self, what):
        self.bad = []
        print(what)
        print("  %-28s %12s %12s %8s" % ("", "foretold", "measured", "off"))

    def row(self, name, foretold, measured, grain=0.0):
        """grain: what the clocks at hand cannot tell apart."""
        off = abs(foretold - measured) / measured if measured else float(foretold != 0)
        print("  %-28s %12.3f %12.3f %7.1f%%" % (name, foretold, measured, 100 * off))
        if off > TOLERANCE and abs(foretold - measured) > grain:
            self.bad.append(name)

    def end(self):
        check(not self.bad, "more than 10 %% off: %s" % ", ".join(self.bad))


class Others:
    """What other processes took of this machine's processors in the meantime: a part of 1."""

    def __init__(self):
        self.began, self.busy = time.monotonic(), self.busy_seconds()

    @staticmethod
    def busy_seconds():
        try:
            with open("/proc/stat", encoding="ascii") as file:
                ticks = [int(word) for word in file.readline().split()[1:]]
        except OSError:
            return 0.0
        all_of_them = (sum(ticks[:3]) + sum(ticks[5:8])) / os.sysconf("SC_CLK_TCK")  # user nice system, irq softirq steal
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return all_of_them - sum(usage.ru_utime + usage.ru_stime for usage in used)

    def part(self):
        return (self.busy_seconds() - self.busy) / (time.monotonic() - self.began) / os.cpu_count()


def foretell(bench, capture, function, path, *words):
    return chosen(bench.tune("--function", function, "-w", "10", "-t", "timestamp", "--shards", "1", "--memory", "1769",
                             "--cold-start", "0", "--function-log", bench.work.file("log"), "--output-mapping", path,
                             "--objective", "balanced", *words, capture, model=False))


def replay_as_it_came(bench, capture, mapping, records, *words):
    """At the stream's own pace. The windows left open are closed two idle minutes after the last record: not waited for."""
    summary, log = bench.work.file("summary.json"), bench.work.file("replay.log")
    applied, read = 0, 0
    with open(log, "wb"):  # of an earlier attempt nothing is to be read
        pass
    with subprocess.Popen([bench.tumble, "replay", "--arrival", "live", "--speed", "1", "--mapping", mapping, "--summary", summary,
                           "--quiet", "--function-log", log, *words, capture], stderr=subprocess.DEVNULL) as process:
        try:
            while applied < records:
                time.sleep(0.5)
                check(process.poll() is None, "the replay ended after %d records" % applied)
                with open(log, "rb") as file:
                    file.seek(read)
                    lines = file.read().rpartition(b"\n")[0]
                read += len(lines) + bool(lines)
                applied += sum(json.loads(line).get("RecordsApplied", 0) for line in lines.splitlines() if line)
            process.send_signal(signal.SIGINT)
            check(process.wait(60) == 128 + signal.SIGINT, "exit %d" % process.returncode)
        finally:
            process.kill()
    with open(summary, encoding="utf-8") as file:
        return json.load(file)


def figures_of_replay(point, summary, finals_missing):
    """Foretold and measured, by name; and what the clocks at hand cannot tell apart."""
    gb = 1769 / 1024 / 1e3
    count = point["invocations"] - finals_missing
    return {"invocations": (count, summary["Invocations"], 0),
            "iterator age, average ms": (point["iterator_age_ms"]["average"], summary["IteratorAge"]["Average"], 1),
            "iterator age, most ms": (point["iterator_age_ms"]["max"], summary["IteratorAge"]["Maximum"], 1),
            "duration, average ms": (point["duration_ms"]["average"], summary["Duration"]["Average"], 0),
            "GB-s": (point["duration_ms"]["average"] * count * gb, summary["Duration"]["Sum"] * gb, 0)}


def compare_replay(bench, capture, function, *words):
    path = bench.work.file("mapping.json")
    point = foretell(bench, capture, function, path, *words)
    summary = replay(bench, capture, path, "-t", "timestamp", "--function", function, "--timeout", "60", "--speed", "max",
                     "--function-log", bench.work.file("log"))
    comparison = Comparison("batch size %d, %s records, at once" % (point["batch_size"], summary["records_read"]))
    for name, (foretold, measured, grain) in figures_of_replay(point, summary, 0).items():
        comparison.row(name, foretold, measured, grain)
    comparison.end()


def compare_rounds(bench, capture, records, function, rounds, *words):
    """The machine is quicker in one half minute than in the next: timed and run in turn, and summed up."""
    path = bench.work.file("mapping.json")
    others, seen = Others(), []
    for _ in range(rounds):
        point = foretell(bench, capture, function, path, *words)
        summary = replay_as_it_came(bench, capture, path, records, "-t", "timestamp", "--function", function, "--timeout", "60")
        seen.append(figures_of_replay(point, summary, 1))
        print("  %.3f ms foretold, %.3f measured" % seen[-1]["duration, average ms"][:2])
    comparison = Comparison("batch size %d, %d records, as they came, %d rounds; others took %.0f %% of the machine"
                            % (point["batch_size"], records, rounds, 100 * others.part()))
    for name, (_, _, grain) in seen[0].items():
        if name in ("duration, average ms", "GB-s") and others.part() > 0.2:
            print("  %s: the machine is too busy for a few milliseconds of computing to say anything" % name)
            continue
        comparison.row(name, mean([figures[name][0] for figures in seen]), mean([figures[name][1] for figures in seen]), grain)
    comparison.end()


SLOW = "%s %s 40 0.4" % (sys.executable, os.path.join(HERE, "slow_function.py"))
QUICKER = "%s %s 15 0.2" % (sys.executable, os.path.join(HERE, "slow_function.py"))


def attempt(times, what):
    """Others use this machine too, and may do so while something is timed and not while it is measured."""
    for left in reversed(range(times)):
        try:
            return what()
        except Failed as failed:
            if not left:
                raise
            print("  again: %s" % failed)
    return None


def case_agreement(bench):
    """A program that takes its time: foretold from a few timed invocations, then measured in each."""
    capture = bench.capture(records=1500, rate=150)
    attempt(3, lambda: compare_replay(bench, capture, SLOW, "--batch-size", "40,60", "--timing", "2",
                                      "--maximum-batching-window-in-seconds", "0"))


def case_realtime(bench):
    """The same against the machine's own clock, under the mapping by hand: 60 s."""
    attempt(3, lambda: compare_realtime(bench))


def compare_realtime(bench):
    from sandbox import Sandbox  # pylint: disable=import-outside-toplevel
    import base64  # pylint: disable=import-outside-toplevel
    capture = bench.capture(records=12000, rate=200)
    records = bench.records(capture)
    point = foretell(bench, capture, QUICKER, bench.work.file("mapping.json"), "--batch-size", "40,120",
                     "--maximum-batching-window-in-seconds", "0,2")
    state = {}
    with Sandbox(QUICKER.split(), bench.work, spec=False) as sandbox:
        def invoke(_, batch, window, is_final):
            nonlocal state
            event = {"Records": [{"kinesis": {"data": base64.b64encode(line).decode(), "sequenceNumber": "1", "partitionKey": "k"}}
                                 for _, line in batch], "window": {"start": window}, "state": state,
                     "isFinalInvokeForWindow": is_final}
            answer = sandbox.respond(event)
            state = {} if is_final else answer["state"]

        sandbox.wait_for_next()
        seen = Mapping(records, point["batch_size"], point["maximum_batching_window_in_seconds"], 10, WallClock(records[0][0]),
                       invoke).run()
    comparison = Comparison("batch size %d, batching window %d s, against the machine's clock"
                            % (point["batch_size"], point["maximum_batching_window_in_seconds"]))
    comparison.row("invocations", point["invocations"], len(seen.durations))
    comparison.row("iterator age, average ms", point["iterator_age_ms"]["average"], mean(seen.ages), 5)
    comparison.row("iterator age, p50 ms", point["iterator_age_ms"]["p50"], percentile(seen.ages, 50), 5)
    comparison.row("iterator age, p99 ms", point["iterator_age_ms"]["p99"], percentile(seen.ages, 99), 5)
    comparison.row("wait, p99 ms", point["wait_ms"]["p99"], percentile(seen.waits, 99), 5)
    comparison.row("duration, average ms", point["duration_ms"]["average"], mean(seen.durations))
    comparison.row("GB-s", point["billed_ms"] / 1e3, sum(math.ceil(ms) for ms in seen.durations) / 1e3)
    comparison.end()


def case_bootstrap(bench):
    """Our own function, in real time."""
    function = "env TUMBLE_SPEC=%s TUMBLE_OUTPUTS=file:/dev/null %s" % (bench.spec, bench.bootstrap)
    capture = bench.capture(records=60000, rate=6000, users=100000, payload_bytes=400)
    attempt(3, lambda: compare_rounds(bench, capture, 60000, function, 5, "--batch-size", "4000",
                                      "--maximum-batching-window-in-seconds", "0,1"))


CASES = {name[5:]: function for name, function in globals().items() if name.startswith("case_")}
LONG = {"realtime", "bootstrap"}


def main():
    if sys.argv[1:] == ["list"]:
        print("\n".join(name + (" long" if name in LONG else "") for name in CASES))
        return 0
    tumble, bootstrap, generate, name = sys.argv[1:]
    try:
        with Workspace("tune") as work:
            CASES[name](Bench(tumble, bootstrap, generate, work))
    except Failed as failed:
        print(failed)
        return 1
    return 0


sys.exit(main())

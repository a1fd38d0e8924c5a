#!/usr/bin/env python3
"""Programs of every kind as functions of `tumble replay --function`: our bootstrap, Node under AWS's runtime, sh with curl, Python.

    run.py BOOTSTRAP TUMBLE CASE          CASE is a function below; "list" prints them"""

import base64
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "reference"))
sys.path.insert(0, os.path.join(HERE, "..", "servers"))
import kpl  # noqa: E402
from harness import Failed, Workspace, check, difference, read, run  # noqa: E402

BOOTSTRAP = TUMBLE = ""
CONSUMER = "arn:aws:kinesis:us-east-1:123456789012:stream/clicks/consumer/tumble:1545084650"
START = 1700000040000  # a full minute
SPEC = {"group_by": ["kind"], "timestamp": {"field": "ts"},
        "aggregates": [{"name": "n", "function": "count"}, {"name": "total", "function": "sum", "field": "amount"},
                       {"name": "most", "function": "max", "field": "amount"}]}
FAULTS = ("--fault", "all=0.04", "--maximum-retry-attempts", "-1", "--function-duration", "20")


def python(mode, *arguments):
    return " ".join(["exec", sys.executable, os.path.join(HERE, "function.py"), mode] + list(arguments))


def capture(work, count=5000, seed=1, name="capture.ndjson"):
    draw = random.Random(seed)
    at, lines, sums = START, [], {}
    for number in range(count):
        at += draw.randrange(0, 70)
        payload = {"ts": at, "kind": draw.choice("abcd"), "amount": draw.randrange(1000), "user": "u%d" % draw.randrange(300),
                   "number": number}
        lines.append(json.dumps(payload))
        key = (at // 60000 * 60, payload["kind"])
        sums[key] = sums.get(key, 0) + payload["amount"]
    return work.write(name, "\n".join(lines) + "\n"), sums


def replay(*arguments, code=0, **more):
    done = run([TUMBLE, "replay", "--timestamp", "ts"] + list(arguments), timeout=120, **more)
    check(done.code == code, "exit %d: %s" % (done.code, done.text()))
    return done


def summary_of(work, *arguments, **more):
    replay("--summary", work.file("summary.json"), *arguments, **more)
    return json.loads(read(work.file("summary.json")))


def environment(**more):
    """Without what is for the tests: the bootstrap refuses variables of its kind that it does not know."""
    return dict({name: value for name, value in os.environ.items() if name not in ("TUMBLE_TOOLS_DIR", "TUMBLE_SERVERS_DIR")}, **more)


def bootstrap(work, name):
    """Each sandbox with a file of its own, as Lambda's have."""
    return ("--function", "TUMBLE_OUTPUTS=file:%s.$$ TUMBLE_STATE_DIR=%s.$$ exec %s" % (work.file(name), work.file("cache"), BOOTSTRAP))


def rows_of(work, name):
    return b"".join(read(work.file(entry)) for entry in sorted(os.listdir(work.path)) if entry.startswith(name + "."))


def engine_rows(work, inputs, *arguments):
    spec = work.write("spec.json", json.dumps(SPEC))
    rows = work.file("rows of the engine")
    replay("--spec", spec, "-w", "60", "-o", "file:" + rows, *arguments, inputs)
    return read(rows)


def by_key(rows):
    """The rows of each group once: a final that is invoked twice says them twice, the same both times."""
    found = {}
    for line in rows.splitlines():
        row = json.loads(line)
        key = (row["window_start"], row["shard_id"], row["fragment"], row["kind"])
        check(found.setdefault(key, line) == line, "two rows of one key:\n%r\n%r" % (found[key], line))
    return found


def nothing_is_left(pattern):
    """No process whose command line holds the pattern."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        left = []
        for entry in os.listdir("/proc"):
            try:
                with open("/proc/%s/cmdline" % entry, "rb") as file:
                    line = file.read()
                with open("/proc/%s/stat" % entry, "rb") as file:
                    state = file.read().rpartition(b")")[2].split()[0]
            except (OSError, IndexError):
                continue
            if pattern.encode() in line and state != b"Z" and int(entry) != os.getpid():
                left.append(line)
        if not left:
            return
        time.sleep(0.05)
    raise Failed("left behind: %r" % left)


# ---- functions ----

def the_bootstrap_gives_the_rows_of_the_engine():
    with Workspace("function") as work:
        inputs, _ = capture(work)
        for shards, batch in (("1", "100"), ("3", "1000"), ("1", "10000")):
            name = "rows-%s-%s" % (shards, batch)
            figures = summary_of(work, *bootstrap(work, name), "-w", "60", "--shards", shards, "--batch-size", batch, inputs,
                                 env=environment(TUMBLE_SPEC=json.dumps(SPEC)))
            wanted = engine_rows(work, inputs, "--shards", shards)
            os.unlink(work.file("rows of the engine"))
            check(sorted(rows_of(work, name).splitlines()) == sorted(wanted.splitlines()) != [], "rows differ with %s shards" % shards)
            check(figures["Errors"] == 0 and figures["succeeded_records"] == 5000, repr(figures))


def the_bootstrap_gives_the_same_rows_under_faults():
    with Workspace("function") as work:
        inputs, _ = capture(work)
        wanted = by_key(engine_rows(work, inputs, "--shards", "2"))
        for seed in ("1", "2", "3"):
            figures = summary_of(work, *bootstrap(work, "rows" + seed), "-w", "60", "--shards", "2", "--batch-size", "200", "--seed",
                                 seed, *FAULTS, inputs, env=environment(TUMBLE_SPEC=json.dumps(SPEC)))
            check(by_key(rows_of(work, "rows" + seed)) == wanted, "rows differ with --seed " + seed)
            check(sum(figures["faults"].values()) > 3, "hardly a fault: %r" % figures["faults"])


def the_engine_gives_the_same_rows_under_faults():
    with Workspace("function") as work:
        inputs, _ = capture(work)
        plain = engine_rows(work, inputs)
        spec = work.file("spec.json")
        for seed in range(20):
            rows, how = work.file("rows%d" % seed), ("direct", "event")[seed % 2]
            replay("--spec", spec, "-w", "60", "--invoke", how, "--batch-size", "100", "--seed", str(seed), *FAULTS,
                   "-o", "file:" + rows, inputs)
            check(by_key(read(rows)) == by_key(plain), "rows differ with --invoke %s --seed %d" % (how, seed))


def the_engine_gives_the_same_bytes_without_faults():
    with Workspace("function") as work:
        inputs, _ = capture(work)
        plain = engine_rows(work, inputs)
        for how in ("direct", "event"):
            for batch in ("1", "77", "10000"):
                rows = work.file("rows" + how + batch)
                replay("--spec", work.file("spec.json"), "-w", "60", "--invoke", how, "--batch-size", batch, "-o", "file:" + rows,
                       inputs)
                check(read(rows) == plain, difference("rows", read(rows), plain))


def a_node_function_runs_under_awss_runtime():
    import servers  # pylint: disable=import-outside-toplevel
    with Workspace("function") as work:
        inputs, sums = capture(work, 2000)
        work.write("index.mjs", """
import { appendFileSync } from "node:fs";
export async function handler(event) {
    const totals = { ...event.state };
    for (const record of event.Records) {
        const payload = JSON.parse(Buffer.from(record.kinesis.data, "base64"));
        totals[payload.kind] = (totals[payload.kind] ?? 0) + payload.amount;
    }
    if (event.isFinalInvokeForWindow)
        appendFileSync(process.env.ROWS, JSON.stringify([Date.parse(event.window.start) / 1000, totals]) + "\\n");
    return { state: totals };
}
""")
        figures = summary_of(work, "--function", " ".join(servers.lambda_ric()), "-w", "60", "--timeout", "20", inputs,
                             env=environment(LAMBDA_TASK_ROOT=work.path, _HANDLER="index.handler", ROWS=work.file("rows")))
        rows = [json.loads(line) for line in read(work.file("rows")).splitlines()]
        check({(start, kind): total for start, totals in rows for kind, total in totals.items()} == sums, "sums differ")
        check(figures["Errors"] == 0 and figures["sandboxes"]["started"] == 1, repr(figures))


def a_shell_script_is_a_function():
    with Workspace("function") as work:
        inputs, _ = capture(work, 2000)
        figures = summary_of(work, "--function", "%s/function.sh %s" % (HERE, work.file("counts")), "-w", "60", "--batch-size", "500",
                             "--timeout", "20", inputs)
        counts = [int(line) for line in read(work.file("counts")).split()]
        check(sum(counts) == 2000 and len(counts) == figures["windows_closed"] > 0, repr(counts))


def careful(mode, work, inputs, seed, *faults):
    rows = work.file("%s%d" % (mode, seed))
    replay("--function", python(mode, rows), "-w", "60", "--batch-size", "100", "--seed", str(seed), *faults, inputs, "--function-log",
           work.file("log"))
    found = {}
    for line in read(rows).splitlines():
        start, _, kind, total = json.loads(line)
        found.setdefault((start, kind), set()).add(total)
    return found


def a_handler_that_keeps_to_the_state_is_right_and_a_naive_one_is_not():
    with Workspace("function") as work:
        inputs, _ = capture(work)
        undisturbed = careful("naive", work, inputs, 0)
        check(careful("careful", work, inputs, 0) == undisturbed, "without faults they differ")
        faults = ("--fault", "timeout=0.05,crash=0.05,lost=0.05,recycle=0.05,error=0.05", "--function-duration", "5")
        wrong = 0
        for seed in (1, 2):
            check(careful("careful", work, inputs, seed, *faults) == undisturbed, "the careful one is wrong")
            wrong += careful("naive", work, inputs, seed, *faults) != undisturbed
        check(wrong == 2, "the naive one was right: nothing was disturbed")


def without_a_window_an_event_holds_records_and_nothing_else():
    with Workspace("function") as work:
        inputs, _ = capture(work, 250)
        figures = summary_of(work, "--function", python("note", work.file("events")), "--batch-size", "100", inputs)
        events = [json.loads(line.split(b" ", 2)[2]) for line in read(work.file("events")).splitlines()]
        check([len(event["Records"]) for event in events] == [100, 100, 50], "batches")
        check(all(list(event) == ["Records"] for event in events), repr(list(events[0])))
        check(figures["Invocations"] == 3 and figures["InvokedEventCount"] == 250, repr(figures))


def the_page_for_newcomers_tells_what_works():
    """The blocks of docs/emulator.md that need neither Node nor an account, as they stand there."""
    with open(os.path.join(HERE, "..", "..", "docs", "emulator.md"), encoding="utf-8") as file:
        blocks = re.findall(r"```sh\n(.*?)```", file.read(), re.S)
    chosen = [block for block in blocks if re.search(r"seq 0 299|--invoke event" + ("|cat counts|broken.sh" if shutil.which("jq") else ""), block)]
    check(len(chosen) == (4 if shutil.which("jq") else 2), "other blocks than there were")
    with Workspace("function") as work:
        os.mkdir(work.file("bin"))
        os.symlink(TUMBLE, work.file("bin/tumble"))
        outs = [run(["bash", "-ec", block], cwd=work.path, env=dict(os.environ, PATH=work.file("bin") + ":" + os.environ["PATH"])).out
                for block in chosen]
        check(outs[2 if len(chosen) == 4 else 1].count(b'"kind":"k') == 15, repr(outs))
        if len(chosen) == 4:
            check(json.loads(outs[3])["requestContext"]["approximateInvokeCount"] == 3, outs[3].decode())
            check([line.split()[1] for line in outs[1].splitlines()] == 5 * [b"60"], outs[1].decode())


# ---- sandboxes ----

def there_are_as_many_sandboxes_as_concurrency_asks():
    with Workspace("function") as work:
        inputs, _ = capture(work, 3000)
        figures = summary_of(work, "--function", python("chatty"), "--shards", "2",
                             "--parallelization-factor", "3", "--batch-size", "100", "--function-duration", "100", inputs,
                             "--function-log", work.file("log"))
        check(figures["ConcurrentExecutions"] == 6 and figures["sandboxes"]["started"] == 6, repr(figures))
        text = read(work.file("log"))
        check(text.count(b"to standard output") == text.count(b"to standard error") == figures["Invocations"], "the log")


def sandboxes_are_recycled_by_count_and_by_the_streams_time():
    with Workspace("function") as work:
        inputs, _ = capture(work, 1000)
        figures = summary_of(work, "--function", python("chatty"), "--batch-size", "100", "--sandbox-lifetime", "4", inputs,
                             "--function-log", "/dev/null")
        check(figures["Invocations"] == 10 and figures["sandboxes"]["started"] == 3, repr(figures))
        figures = summary_of(work, "--function", python("chatty"), "--batch-size", "100", "--sandbox-lifetime", "5s",
                             "--arrival", "live", inputs, "--function-log", "/dev/null")
        check(figures["sandboxes"]["recycled"] >= 3, repr(figures))
        for bad in ("0", "x", "5y", "", "5ss"):
            replay("--function", "true", "--sandbox-lifetime", bad, inputs, code=2)


def the_same_seed_gives_the_same_run_to_the_byte():
    with Workspace("function") as work:
        inputs, _ = capture(work, 3000)
        runs = []
        for number in range(3):
            events, dead = work.file("events%d" % number), work.file("dead%d" % number)
            replay("--function", python("note", events), "-w", "60", "--shards", "2", "--batch-size", "100", "--seed",
                   "5" if number < 2 else "6", "--fault", "all=0.05", "--maximum-retry-attempts", "1", "--function-duration", "30",
                   "--destination-config", json.dumps({"OnFailure": {"Destination": "file:" + dead}}), "--function-log", "/dev/null",
                   inputs)
            runs.append((read(events), read(dead) if os.path.exists(dead) else b""))
        check(runs[0] == runs[1], "the same seed, another run")
        check(runs[0] != runs[2], "another seed, the same run")


# ---- failures ----

def what_a_function_cannot_do_goes_to_the_destination():
    with Workspace("function") as work:
        inputs, _ = capture(work, 400)
        lines = read(inputs).splitlines()
        amount = json.loads(lines[210])["amount"]
        poisoned = [number for number, line in enumerate(lines) if json.loads(line)["amount"] == amount]
        figures = summary_of(work, "--function", python("poison", str(amount)), "--batch-size", "50", "--maximum-retry-attempts", "1",
                             "--bisect-batch-on-function-error", "--failures-with-records", "--function-log", "/dev/null",
                             "--destination-config", '{"OnFailure":{"Destination":"file:%s"}}' % work.file("dead"), inputs)
        documents = [json.loads(line) for line in read(work.file("dead")).splitlines()]
        check(len(documents) == len(poisoned), "%d documents" % len(documents))
        for document in documents:
            check(document["requestContext"]["condition"] == "RetryAttemptsExhausted", repr(document))
            check(document["KinesisBatchInfo"]["batchSize"] == 1 and len(document["records"]) == 1, repr(document))
        check(figures["OnFailureDestinationDeliveredEventCount"] == len(poisoned), repr(figures))
        check(figures["succeeded_records"] == 400 - len(poisoned) and figures["sandboxes"]["started"] == 1, repr(figures))


def a_time_out_and_a_crash_are_retried_in_new_processes():
    with Workspace("function") as work:
        inputs, _ = capture(work, 300)
        figures = summary_of(work, "--function", python("hang", "2"), "--timeout", "1", "--batch-size", "100", inputs)
        check(figures["sandboxes"]["timeouts"] == 2 and figures["sandboxes"]["started"] == 3 and figures["Errors"] == 2, repr(figures))
        check(figures["Duration"]["Maximum"] == 1000, repr(figures["Duration"]))
        figures = summary_of(work, "--function", python("crash", "2"), "--batch-size", "100", inputs)
        check(figures["sandboxes"]["crashes"] == 2 and figures["succeeded_records"] == 300, repr(figures))


def a_spec_that_is_wrong_is_an_init_error():
    with Workspace("function") as work:
        inputs, _ = capture(work, 100)
        done = replay("--function", BOOTSTRAP, "-w", "60", inputs, code=2,
                      env=environment(TUMBLE_SPEC='{"aggregates":5}', TUMBLE_STATE_DIR=work.file("cache")))
        check("Init error: {\"errorMessage\":" in done.text() and "does not begin" in done.text(), done.text())


def what_is_no_function_ends_the_run():
    with Workspace("function") as work:
        inputs, _ = capture(work, 10)
        for command, words in (("/nowhere", "exit status 127"), ("true", "exit status 0")):
            done = replay("--function", command, inputs, code=2)
            check(words in done.text(), done.text())


def command_lines():
    lines = []
    for entry in os.listdir("/proc"):
        try:
            with open("/proc/%s/cmdline" % entry, "rb") as file:
                lines.append(file.read())
        except OSError:  # no process, or gone
            pass
    return lines


def a_signal_ends_the_run_and_the_function_with_it():
    with Workspace("function") as work:
        inputs, _ = capture(work, 300)
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
            marker = work.file("marker%d" % number)
            command = [TUMBLE, "replay", "--timestamp", "ts", "--timeout", "900", "--function", python("hang", "1", marker), inputs]
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
                try:
                    end = time.monotonic() + 20
                    while time.monotonic() < end:
                        if sum(b"function.py" in line and marker.encode() in line and not line.startswith(TUMBLE.encode())
                               for line in command_lines()) >= 2:  # and its child
                            break
                        time.sleep(0.02)
                    process.send_signal(number)
                    check(process.wait(20) == code, "exit %d" % process.returncode)
                finally:
                    process.kill()
            nothing_is_left(marker)


def a_child_in_a_session_of_its_own_ends_with_the_run():
    with Workspace("function") as work:
        inputs, _ = capture(work, 300)
        for number, code in ((None, 0), (signal.SIGINT, 130), (signal.SIGKILL, -9)):
            marker = work.file("stray%s" % number)
            child = "%s -c 'import time; time.sleep(900)' %s" % (sys.executable, marker)
            command = [TUMBLE, "replay", "--timestamp", "ts", "--arrival", "live", "--speed", "max" if number is None else "1", "--function",
                       "%s & setsid %s & (setsid %s &); %s" % (child, child, child, python("note", work.file("events"))), inputs]
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
                try:
                    end = time.monotonic() + 20
                    while number is not None and time.monotonic() < end and not os.path.exists(work.file("events")):
                        time.sleep(0.02)
                    if number is not None:
                        process.send_signal(number)
                    check(process.wait(60) == code, "exit %d" % process.returncode)
                finally:
                    process.kill()
            os.unlink(work.file("events"))
            nothing_is_left(marker)


def more_shards_than_may_run_at_a_time_are_throttled():
    with Workspace("function") as work:
        inputs, _ = capture(work, 500)
        figures = summary_of(work, "--function", python("note", "/dev/null"), "--shards", "50", "--reserved-concurrent-executions", "3",
                             "--function-duration", "100", inputs)
        check(figures["ConcurrentExecutions"] == figures["sandboxes"]["started"] == 3, repr(figures))
        check(figures["Throttles"] > 40 and figures["Errors"] == 0 and figures["succeeded_records"] == 500, repr(figures))


def what_the_engines_outputs_cannot_take_ends_the_run():
    """A full disk, a service out of reach: real trouble, that no retry in virtual time mends."""
    with Workspace("function") as work:
        inputs, _ = capture(work, 300)
        spec = ("--spec", work.write("spec.json", json.dumps(SPEC)), "-w", "60")
        for how in ("direct", "event"):
            done = replay(*spec, "--invoke", how, "-o", "file:/dev/full", inputs, code=4)
            check("No space left" in done.text(), done.text())
        began = time.monotonic()
        replay(*spec, "--invoke", "event", "-o", "s3://bucket/rows?endpoint-url=http://127.0.0.1:9", "--output-timeout", "1", inputs, code=4,
               env=environment(AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b"))
        check(time.monotonic() - began < 30, "waited for ever")


# ---- parameters ----

def a_mapping_comes_from_a_file_and_flags_go_before_it():
    with Workspace("function") as work:
        inputs, _ = capture(work, 1000)
        mapping = work.write("mapping.json", json.dumps({
            "UUID": "a-b", "StartingPosition": "TRIM_HORIZON", "BatchSize": 100, "TumblingWindowInSeconds": 60,
            "EventSourceArn": "arn:aws:kinesis:eu-central-1:111122223333:stream/orders", "State": "Enabled", "LastModified": "2026-09-17T14:10:44+00:00",
            "LastProcessingResult": "OK", "DestinationConfig": {"OnFailure": {}}, "MaximumRecordAgeInSeconds": -1, "Tags": {},
            "FilterCriteria": {"Filters": []}, "MetricsConfig": {"Metrics": ["EventCount"]}, "ResponseMetadata": {"HTTPStatusCode": 200},
            "FunctionArn": "arn:aws:lambda:eu-central-1:111122223333:function:adder:live"}))
        replay("--function", python("note", work.file("events")), "--mapping", mapping, inputs)
        events = [json.loads(line.split(b" ", 2)[2]) for line in read(work.file("events")).splitlines()]
        check(max(len(event["Records"]) for event in events) == 100, "BatchSize")
        check(events[0]["eventSourceARN"].endswith("stream/orders") and "window" in events[0], repr(events[0])[:300])
        os.unlink(work.file("events"))
        replay("--function", python("note", work.file("events")), "--mapping", mapping, "--batch-size", "333", inputs)
        events = [json.loads(line.split(b" ", 2)[2]) for line in read(work.file("events")).splitlines()]
        check(max(len(event["Records"]) for event in events) == 333, "--batch-size")
        os.unlink(work.file("events"))
        replay("--function", python("note", work.file("events")), "--mapping", mapping, "--tumbling-window-in-seconds", "0", inputs)
        events = [json.loads(line.split(b" ", 2)[2]) for line in read(work.file("events")).splitlines()]
        check(all(list(event) == ["Records"] for event in events), "--tumbling-window-in-seconds 0")
        os.unlink(work.file("events"))
        replay("--function", python("note", work.file("events")), inputs)
        events = [json.loads(line.split(b" ", 2)[2]) for line in read(work.file("events")).splitlines()]
        check([len(event["Records"]) for event in events] == 10 * [100], "AWS's default")
        figures = summary_of(work, "--function", "true", "--mapping", mapping, "--enabled", "false", inputs)
        check(figures["Invocations"] == 0, "disabled")


def a_mapping_can_be_disabled_altogether_or_for_a_while():
    with Workspace("function") as work:
        inputs, _ = capture(work, 1000)  # some 35 s
        spec = ("--spec", work.write("spec.json", json.dumps(SPEC)), "-w", "60", "-o", "file:/dev/null", "--arrival", "live")
        done = replay(*spec, "--enabled", "false", inputs)
        check("the mapping is disabled" in done.text(), done.text())
        mapping = work.write("mapping.json", '{"StartingPosition":"TRIM_HORIZON","State":"Disabled"}')
        check(summary_of(work, *spec, "--mapping", mapping, inputs)["Invocations"] == 0, "State: Disabled")
        check(summary_of(work, *spec, "--mapping", mapping, "--enabled", "true", inputs)["succeeded_records"] == 1000, "--enabled")
        at, again = str(START // 1000 + 5), str(START // 1000 + 500)
        figures = summary_of(work, *spec, "--disable-at", at, "--enable-at", again, inputs)
        check(figures["succeeded_records"] == 1000 and figures["IteratorAge"]["Maximum"] > 400000, repr(figures))
        figures = summary_of(work, *spec, "--disable-at", at, inputs)
        check(0 < figures["succeeded_records"] < 300, repr(figures))
        for arguments in (("--disable-at", "x"), ("--enable-at", at), ("--disable-at", at, "--enable-at", at)):
            replay(*spec, *arguments, inputs, code=2)


def what_aws_refuses_is_refused():
    with Workspace("function") as work:
        inputs, _ = capture(work, 10)
        for arguments, words in (
                (("--parallelization-factor", "2", "-w", "60"), "Parallelization factor must be equal to 1 when tumbling window period"),
                (("--destination-config", "x"), "--destination-config"), (("--filter-criteria", '{"Filters":[{"Pattern":"x"}]}'), "Invalid filter pattern definition."),
                (("--reserved-concurrent-executions", "0"), "--reserved-concurrent-executions"), (("-w", "901"), "Member must have value less than or equal to 900"),
                (("--maximum-record-age-in-seconds", "59"), "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60"),
                (("--starting-position", "EARLIEST"), "startingPosition"),
                (("--sort",), "--sort"), (("--state", work.file("state")), "--state"), (("--output", "-"), "--output"),
                (("--invoke", "direct"), "direct"), (("--speed", "fast"), "--speed"), (("--fault", "rain=1"), "rain"),
                (("--function-duration", "-1"), "--function-duration"), (("--mapping", work.file("none")), "No such file")):
            done = replay("--function", "true", *arguments, inputs, code=2)
            check(words in done.text(), "%r: %s" % (arguments, done.text()))


def live_records_appear_as_they_came_and_a_pace_waits_for_them():
    with Workspace("function") as work:
        inputs, _ = capture(work, 100)
        began = time.monotonic()
        figures = summary_of(work, "--function", python("note", work.file("events")), "--arrival", "live", "--speed", "10", inputs)
        check(time.monotonic() - began > 0.2, "did not wait")
        check(figures["Invocations"] >= 3, "records of three seconds in %d polls" % figures["Invocations"])
        check(figures["IteratorAge"]["Maximum"] <= 1100, repr(figures["IteratorAge"]))


def a_capture_that_names_its_shards_keeps_them():
    with Workspace("function") as work:
        inputs, _ = capture(work, 1000)
        replay("--function", python("note", work.file("first")), "--shards", "3", "--batch-size", "100", inputs)
        first = [line.split(b" ", 2)[2] for line in read(work.file("first")).splitlines()]
        recorded = work.write("recorded.json", b"\n".join(first) + b"\n")
        for name, source in (("second", recorded), ("third", "-")):
            replay("--function", python("note", work.file(name)), "--batch-size", "100", source,
                   input=read(recorded) if source == "-" else None)
            again = [line.split(b" ", 2)[2] for line in read(work.file(name)).splitlines()]
            check(sorted(again) == sorted(first), "other events")


# ---- enhanced fan-out ----

def get_records(work, name, records):
    """(partition key, data) as get-records prints them, numbered from 1."""
    return work.write(name, json.dumps({"MillisBehindLatest": 0, "Records": [
        {"SequenceNumber": "4959033827149025660855969253836157109592157598913658%04d" % number, "PartitionKey": key,
         "Data": base64.b64encode(data).decode(), "ApproximateArrivalTimestamp": START / 1000 + number}
        for number, (key, data) in enumerate(records, 1)]}))


def half_of(key):
    """Which shard of two a partition key goes to."""
    return hashlib.md5(key.encode()).digest()[0] >> 7


def delivered(work, inputs, *arguments, arn=CONSUMER):
    """What a function sees of each record: the end of its number, partition key, data."""
    events = work.file("events-of-fan-out")
    if os.path.exists(events):
        os.unlink(events)
    done = run([TUMBLE, "replay", "--function", python("note", events), "--event-source-arn", arn, "--summary",
                work.file("summary.json"), *arguments, inputs])
    check(done.code == 0, done.text())
    figures = json.loads(read(work.file("summary.json")))
    found = []
    for line in read(events).splitlines():
        for record in json.loads(line.split(b" ", 2)[2])["Records"]:
            check(record["eventID"].endswith(":" + record["kinesis"]["sequenceNumber"]) and record["eventSourceARN"] == arn, repr(record))
            found.append((int(record["kinesis"]["sequenceNumber"][-4:]), record["kinesis"]["partitionKey"],
                          base64.b64decode(record["kinesis"]["data"])))
    return found, figures


def point_40_enhanced_fan_out_splits_aggregates_whose_records_share_a_number():
    with Workspace("function") as work:
        aggregate = kpl.aggregate([("a", b"1"), ("b", b"2"), ("a", b"3")])
        inputs = get_records(work, "records", [("x", b"first"), ("a", aggregate), ("y", b"last")])
        found, figures = delivered(work, inputs)
        check(found == [(1, "x", b"first"), (2, "a", b"1"), (2, "b", b"2"), (2, "a", b"3"), (3, "y", b"last")], repr(found))
        check(figures["InvokedEventCount"] == 5 and figures["aggregates_split"] == 1, repr(figures))
        found, figures = delivered(work, inputs, arn=CONSUMER.partition("/consumer")[0])
        check([data for _, _, data in found] == [b"first", aggregate, b"last"], "without a consumer an aggregate is one record")


def point_41_what_is_no_whole_aggregate_stays_a_record_of_its_own():
    with Workspace("function") as work:
        aggregate = kpl.aggregate([("a", b"1"), ("b", b"2")])
        others = [aggregate[:-1] + bytes([aggregate[-1] ^ 1]), aggregate[:4] + b"sixteen bytes...", b"\xf3\x89\x9a\xc2",
                  kpl.seal(b"\xff\xff\xff"), aggregate[1:]]
        found, _ = delivered(work, get_records(work, "records", [("k", data) for data in others]))
        check(found == [(number, "k", data) for number, data in enumerate(others, 1)], repr(found))


def point_42_one_record_of_another_shard_drops_its_whole_aggregate():
    with Workspace("function") as work:
        keys = ["k%d" % number for number in range(100)]
        here, there = [key for key in keys if half_of(key) == 0], [key for key in keys if half_of(key) == 1]
        inputs = get_records(work, "records", [
            (here[0], b"control"), (here[0], kpl.aggregate([(here[1], b"1"), (here[2], b"2")])),
            (here[0], kpl.aggregate([(here[1], b"3"), (there[0], b"4"), (here[2], b"5")])), (here[0], b"sentinel")])
        found, figures = delivered(work, inputs, "--shards", "2")
        check([data for _, _, data in found] == [b"control", b"1", b"2", b"sentinel"], repr(found))
        check(figures["records_dropped_with_their_aggregate"] == 3, repr(figures))


def point_43_a_bad_index_loses_the_rest_of_its_aggregate():
    with Workspace("function") as work:
        table = kpl.field(1, b"a")
        aggregate = kpl.seal(table + kpl.record(0, b"1") + kpl.record(7, b"2") + kpl.record(0, b"3"))
        found, figures = delivered(work, get_records(work, "records", [("a", aggregate), ("a", b"next")]))
        check(found == [(1, "a", b"1"), (2, "a", b"next")], repr(found))
        check(figures["aggregates_cut"] == 1, repr(figures))


def point_44_without_an_explicit_hash_key_md5_decides_the_shard():
    with Workspace("function") as work:
        found, _ = delivered(work, get_records(work, "records", [("k%d" % number, b"x") for number in range(50)]), "--shards", "2",
                             "--batch-size", "50")
        check(len(found) == 50, repr(found))
        lines = read(work.file("events-of-fan-out")).splitlines()
        for line in lines:
            for record in json.loads(line.split(b" ", 2)[2])["Records"]:
                check(int(record["eventID"].split(":")[0][-1]) == half_of(record["kinesis"]["partitionKey"]), repr(record))
        check(len(lines) == 2, "both shards")


def point_53_the_summary_counts_no_deleted_events():
    with Workspace("function") as work:
        inputs, _ = capture(work, 100)
        figures = summary_of(work, "--function", python("note", "/dev/null"), inputs)
        counts = {name for name in figures if name.endswith("EventCount")}
        check(counts == {"PolledEventCount", "FilteredOutEventCount", "InvokedEventCount", "FailedInvokeEventCount", "DroppedEventCount",
                         "OnFailureDestinationDeliveredEventCount"}, repr(counts))


CASES = {name: value for name, value in list(globals().items())
         if callable(value) and value.__module__ == "__main__" and value.__code__.co_argcount == 0
         and not value.__code__.co_flags & 0x0C}


def main():
    global BOOTSTRAP, TUMBLE  # pylint: disable=global-statement
    if sys.argv[1:] == ["list"]:
        print("\n".join(name for name in CASES if name != "main"))
        return 0
    BOOTSTRAP, TUMBLE = sys.argv[1:3]
    failed = 0
    for name in sys.argv[3:] or [name for name in CASES if name != "main"]:
        began = time.monotonic()
        try:
            CASES[name]()
            print("ok %s (%.1f s)" % (name, time.monotonic() - began))
        except Exception as error:  # pylint: disable=broad-except
            failed = 1
            print("FAILED %s: %s: %s" % (name, type(error).__name__, error))
            if not isinstance(error, Failed):
                traceback.print_exc()
    return failed


if __name__ == "__main__":
    sys.exit(main())

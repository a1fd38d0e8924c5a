#!/usr/bin/env python3
"""The bootstrap under a Runtime API of the tests' own, and `tumble invoke` on the same events.

    run.py BOOTSTRAP TUMBLE CASE          CASE is a function below; "list" prints them

point_NN: the numbered points of what is known about Lambda's event source mappings and runtimes (49: next has no
time-out and the process is frozen, 50: invocation id, 51: SIGTERM, 52: iterator age, 53 and 54: metrics, 55: state)."""

import base64
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sandbox import SPEC, Sandbox, Shard, TimedOut, event, record, sums  # noqa: E402
from harness import Failed, Workspace, check, run  # noqa: E402

BOOTSTRAP = TUMBLE = ""
REPORT = {"TUMBLE_FUNCTION_RESPONSE_TYPES": "ReportBatchItemFailures"}
START = 1607497440000


def error_of(answer, kind):
    """The parsed document of an error of that type."""
    check(answer.kind == "error", "a response came where an error belongs: %r" % answer.body[:200])
    document = json.loads(answer.body)
    check(set(document) == {"errorMessage", "errorType", "stackTrace"} and document["stackTrace"] == [], repr(document))
    check(document["errorType"] == kind, "errorType is %s: %s" % (document["errorType"], document["errorMessage"]))
    header = answer.headers.get("lambda-runtime-function-error-type")
    check(header == "Function." + kind.partition(".")[2], "the header says %r" % header)
    return document["errorMessage"]


def check_rows(sandbox, *shards):
    """Every window and group once and right, whatever came twice."""
    wanted, got, keys = {}, {}, set()
    for shard in shards:
        for key, value in shard.expected.items():
            total = wanted.setdefault(key, [0, 0])
            total[0] += value[0]
            total[1] += value[1]
    rows = []
    for row in sandbox.rows():
        key = (row["window_start"], row["kind"], row["shard_id"], row["fragment"])
        if key not in keys:
            keys.add(key)
            rows.append(row)
    got = sums(rows)
    check(got == wanted, "rows differ:\n  got    %r\n  wanted %r" % (sorted(got.items())[:6], sorted(wanted.items())[:6]))


# ---- windows ----

def hundreds_of_invocations_over_three_shards_give_the_exact_rows():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        rng = random.Random(1)
        shards = [Shard("shardId-%012d" % i) for i in range(3)]
        for _ in range(300):
            shard = rng.choice(shards)
            if shard.state and rng.random() < 0.1:
                check(sandbox.respond(shard.final()).get("state") is not None, "a final answers with state too")
                shard.next_window()
            else:
                shard.state = sandbox.respond(shard.batch(rng.randrange(1, 60)))["state"]
        for shard in shards:
            if shard.state:
                sandbox.respond(shard.final())
        check_rows(sandbox, *shards)
        check(sandbox.starts == 1, "the process was started again")
        check(sandbox.end() == 0, "SIGTERM did not end it well")


def another_sandbox_goes_on_from_the_state():
    with Workspace("a") as one, Workspace("b") as two:
        shard = Shard()
        with Sandbox(BOOTSTRAP, one) as a, Sandbox(BOOTSTRAP, two) as b:
            for i in range(20):
                shard.state = (a, b)[i % 2].respond(shard.batch(25))["state"]
            a.respond(shard.final())
            check_rows(a, shard)
            check(a.respond(Shard().batch(5))["state"] == b.respond(Shard().batch(5))["state"], "states are not canonical")


def killed_at_random_the_retry_gives_the_same_rows():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        rng = random.Random(int(os.environ.get("LONG", "0")) + 7)
        shard, kills = Shard(), 0
        for i in range(400 if os.environ.get("LONG") else 60):
            this = shard.final() if i % 10 == 9 else shard.batch(50)
            if rng.random() < 0.5:  # an attempt that is cut off anywhere
                if sandbox.process.poll() is not None:
                    sandbox.start()
                sandbox.api.offer(json.dumps(this).encode())
                time.sleep(rng.random() * 0.01)
                sandbox.kill()
                while not sandbox.api.answers.empty():
                    sandbox.api.answers.get()
                kills += 1
            state = sandbox.respond(this)["state"]
            if i % 10 == 9:
                shard.next_window()
            else:
                shard.state = state
        check(kills > 10, "only %d kills" % kills)
        check_rows(sandbox, shard)


def an_invocation_over_its_time_is_killed_and_another_process_answers_the_retry():
    with Workspace("lambda") as work:
        os.mkfifo(work.file("blocked"))  # opening it for writing waits for a reader
        holder = {}
        with Sandbox(BOOTSTRAP, work) as sandbox:
            shard = Shard()
            shard.state = sandbox.respond(shard.batch(30))["state"]
            sandbox.process.send_signal(signal.SIGSTOP)  # whatever makes it slow
            try:
                sandbox.invoke(shard.batch(0) if holder else shard.final(), timeout=1)
                raise Failed("a stopped process answered")
            except TimedOut:
                pass
            sandbox.respond(shard.final())
            check(sandbox.starts == 2, "no second process")
            check_rows(sandbox, shard)


def a_large_state_goes_to_the_spill_store_and_comes_back():
    with Workspace("lambda") as work:
        spec = {"group_by": ["kind"], "aggregates": SPEC["aggregates"]}
        more = {"TUMBLE_SPILL": "file:" + work.file("spill/deep"), "TUMBLE_INLINE_STATE_LIMIT": "2000"}
        with Sandbox(BOOTSTRAP, work, spec, **more) as sandbox:
            state, number, wanted = {}, 0, {}
            for _ in range(5):
                records = []
                for _ in range(400):
                    number += 1
                    kind = hashlib.sha256(b"%d" % (number % 700)).hexdigest()
                    wanted[kind] = wanted.get(kind, 0) + 1
                    records.append(record(number, {"kind": kind, "amount": 1}, START + number))
                state = sandbox.respond(event(records, state, START))["state"]
                check(len(json.dumps(state)) < 3000, "the state was not spilled")
                sandbox.kill()
                shutil.rmtree(work.file("cache"))
            sandbox.respond(event([], state, START, final=True))
            got = {row["kind"]: row["n"] for row in sandbox.rows()}
            check(got == wanted, "rows differ")
            check(any(line["SpilledBytes"] > 0 for line in sandbox.metrics()), "no SpilledBytes")
            check(sandbox.metrics()[-1]["FetchedBytes"] > 0, "no FetchedBytes")


def rows_go_to_the_log_when_no_output_is_named():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, TUMBLE_OUTPUTS=None, TUMBLE_METRICS_NAMESPACE="none") as sandbox:
        shard = Shard()
        shard.state = sandbox.respond(shard.batch(9))["state"]
        sandbox.respond(shard.final())
        check(sums(sandbox.rows("out")) == shard.expected, "stdout holds other rows")
        check(any("no outputs are named" in line["message"] for line in sandbox.log_lines()), "no warning")


# ---- points 49 to 55 ----

def point_49_next_waits_without_a_time_out_and_time_is_read_after_the_thaw():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        shard = Shard()
        shard.state = sandbox.respond(shard.batch(10))["state"]
        check(sandbox.api.extension_waits.acquire(timeout=30), "the extension does not wait")  # by now it has its connection, too
        connections = list(sandbox.api.connections)
        sandbox.process.send_signal(signal.SIGSTOP)
        time.sleep(130 if os.environ.get("LONG") else 2.5)
        frozen_until = int(time.time() * 1000)
        sandbox.api.offer(json.dumps(shard.batch(10)).encode(), deadline_ms=frozen_until + 2000)
        sandbox.process.send_signal(signal.SIGCONT)
        answer = sandbox.api.answers.get(timeout=10)
        check(answer.kind == "response", "after a thaw: %r" % answer.body)
        shard.state = json.loads(answer.body)["state"]
        line = sandbox.metrics()[-1]
        check(line["BatchDuration"] < 2000, "the frozen time was measured: %s" % line["BatchDuration"])
        check(line["_aws"]["Timestamp"] >= frozen_until, "the clock was read before the freeze")
        check(sandbox.api.connections == connections, "the connection was not kept: %d, then %d" % (len(connections), len(sandbox.api.connections)))
        sandbox.respond(shard.final(), deadline_ms=int(time.time() * 1000) + 5000)
        check_rows(sandbox, shard)


def point_49_a_deadline_that_is_over_is_answered_at_once_and_nothing_is_lost():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        shard = Shard()
        shard.state = sandbox.respond(shard.batch(10))["state"]
        began = time.monotonic()
        answer = sandbox.invoke(shard.final(), deadline_ms=int(time.time() * 1000) - 1000)
        check(time.monotonic() - began < 1, "it took its time")
        if answer.kind == "error":  # Lambda tries again with the same state
            check(json.loads(answer.body)["errorType"].startswith("Tumble."), repr(answer.body))
            sandbox.respond(shard.final())
        check_rows(sandbox, shard)


def an_output_that_hangs_does_not_outlive_the_deadline():
    with Workspace("lambda") as work, socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never answers
        more = {"AWS_ENDPOINT_URL": "http://127.0.0.1:%d" % silent.getsockname()[1], "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
                "AWS_SECRET_ACCESS_KEY": "secret", "TUMBLE_OUTPUTS": "dynamodb:rows?pk={kind}&sk={window_start}/{shard_id}/{fragment}"}
        with Sandbox(BOOTSTRAP, work, **more) as sandbox:
            shard = Shard()
            shard.state = sandbox.respond(shard.batch(10))["state"]
            for _ in range(2):
                deadline = int(time.time() * 1000) + 2000
                answer = sandbox.invoke(shard.final(), deadline_ms=deadline, timeout=30)
                late = time.time() * 1000 - deadline
                check(answer.kind == "error" and late < 0, "%s, %d ms after the deadline" % (answer.kind, late))
                check(json.loads(answer.body)["errorType"] in ("Tumble.OutputFailed", "Tumble.DeadlineExceeded"), repr(answer.body))
            shard.state = sandbox.respond(shard.batch(10))["state"]
            check(sandbox.starts == 1, "the process ended")


def point_50_the_invocation_id_goes_back_when_it_was_given_and_only_then():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        shard = Shard()
        one = sandbox.invoke(shard.batch(1), invocation_id="attempt-1", request_id="same-request")
        check(one.headers.get("lambda-runtime-invocation-id") == "attempt-1", "not echoed on /response")
        two = sandbox.invoke(shard.batch(1), request_id="same-request")
        check("lambda-runtime-invocation-id" not in two.headers, "invented")
        three = sandbox.invoke(b"not json", invocation_id="attempt-3")
        check(three.kind == "error" and three.headers.get("lambda-runtime-invocation-id") == "attempt-3", "not echoed on /error")
        four = sandbox.invoke(shard.batch(1), headers=[("Lambda-Runtime-Invocation-Id", "caf\xe9")])
        check(four.kind == "response" and "lambda-runtime-invocation-id" not in four.headers, "bytes that no header may hold")


def point_51_an_extension_is_registered_before_the_first_next():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        sandbox.wait_for_next()
        check(len(sandbox.api.registered) == 1, "not registered before next")
        request = sandbox.api.registered[0]
        check(request.headers.get("lambda-extension-name") and json.loads(request.body) == {"events": []}, repr(request.headers))
        check(sandbox.api.extension_waits.acquire(timeout=5), "nobody waits for extension events")


def point_51_sigterm_ends_an_idle_process_within_its_half_second():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        sandbox.wait_for_next()
        began = time.monotonic()
        check(sandbox.end() == 0, "exit status")
        limit = 3 if os.environ.get("TUMBLE_SANITIZED") else 0.5  # ThreadSanitizer hands signals on when it likes
        check(time.monotonic() - began < limit, "took %.3f s" % (time.monotonic() - began))


def point_51_sigterm_lets_the_invocation_at_hand_finish():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        shard = Shard()
        sandbox.wait_for_next()
        sandbox.process.send_signal(signal.SIGSTOP)
        sandbox.api.offer(json.dumps(shard.batch(2000)).encode())
        time.sleep(0.1)
        sandbox.process.send_signal(signal.SIGCONT)
        time.sleep(0.001)
        sandbox.process.send_signal(signal.SIGTERM)
        check(sandbox.wait() == 0, "exit status")


def point_51_nothing_waits_for_a_shutdown_to_be_safe():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        shard = Shard()
        for _ in range(5):
            shard.state = sandbox.respond(shard.batch(20))["state"]
            sandbox.kill()
        sandbox.respond(shard.final())
        check_rows(sandbox, shard)


def point_51_an_api_without_extensions_is_served_too():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, extensions=False) as sandbox:
        shard = Shard()
        shard.state = sandbox.respond(shard.batch(20))["state"]
        check(sandbox.end() == 0, "exit status")


def point_52_the_iterator_age_is_the_last_records_and_a_final_without_records_has_none():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        now = int(time.time() * 1000)
        start = now // 60000 * 60000 - 600000
        records = [record(1, {"kind": "a", "amount": 1}, start + 1), record(2, {"kind": "a", "amount": 1}, start + 5001)]
        state = sandbox.respond(event(records, {}, start))["state"]
        age = sandbox.metrics()[-1]["IteratorAge"]
        check(0 <= age - (now - start - 5001) < 30000, "age %s" % age)
        sandbox.respond(event([], state, start, final=True))
        line = sandbox.metrics()[-1]
        check("IteratorAge" not in line, "a final without records has an age")
        check(all(m["Name"] != "IteratorAge" for m in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]), "declared all the same")


def point_53_no_metric_takes_the_name_of_a_mappings_count():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        sandbox.respond(Shard().batch(3))
        sandbox.invoke(b"{}")
        for line in sandbox.metrics():
            for name in ("DeletedEventCount", "DroppedEventCount", "PolledEventCount", "InvokedEventCount", "FilteredOutEventCount",
                         "FailedInvokeEventCount", "OnFailureDestinationDeliveredEventCount"):
                check(name not in line, name + " is the mapping's to count")


def point_54_every_metrics_line_is_one_object_whose_names_are_root_members():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, TUMBLE_METRICS_NAMESPACE="my/team") as sandbox:
        shard = Shard()
        shard.state = sandbox.respond(shard.batch(3))["state"]
        sandbox.invoke(b"[]")
        sandbox.respond(shard.final())
        lines = sandbox.metrics()
        check(len(lines) == 3, "%d lines for 3 invocations" % len(lines))
        for line in lines:
            check(isinstance(line["_aws"]["Timestamp"], int), "Timestamp")
            for directive in line["_aws"]["CloudWatchMetrics"]:
                check(directive["Namespace"] == "my/team" and 1 <= len(directive["Metrics"]) <= 100, "limits")
                for dimensions in directive["Dimensions"]:
                    check(len(dimensions) <= 30, "dimensions")
                    check(all(isinstance(line.get(name), str) and line[name] for name in dimensions), "dimension values")
                for metric in directive["Metrics"]:
                    check(isinstance(line.get(metric["Name"]), (int, float)), metric["Name"] + " is no root member")
        check(lines[0]["RecordsApplied"] == 3 and lines[0]["Failures"] == 0, "counts")
        check(lines[1]["Failures"] == 1 and lines[1]["errorType"] == "Tumble.InvalidEvent", "counts of a failure: %r" % lines[1])
        check(lines[2]["RowsEmitted"] == 3, "rows")


def point_55_every_value_of_the_state_is_a_string():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        shard = Shard()
        for _ in range(3):
            shard.state = sandbox.respond(shard.batch(10))["state"]
            check(shard.state and all(isinstance(v, str) for v in shard.state.values()), repr(shard.state))


def the_trace_id_is_in_the_environment_of_its_invocation_only():
    plugin = os.environ["TUMBLE_TEST_PLUGIN"]
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, TUMBLE_PLUGINS=plugin, TUMBLE_OUTPUTS="environment:" + work.file("ids")) as sandbox:
        shard, wanted = Shard(), []
        for window, more in enumerate(({}, {"trace": "Root=1-2-3"}, {"trace": None}, {"trace": "caf\xe9"}, {"trace": "x" * 2000})):
            shard.state = sandbox.respond(shard.batch(1))["state"]
            sandbox.respond(shard.final(), **more)
            wanted.append("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0" if window == 0 else "Root=1-2-3" if window == 1 else "none")
            shard.next_window()
        with open(work.file("ids"), encoding="utf-8") as file:
            check(file.read().splitlines() == wanted, "other trace ids")


# ---- failing to start ----

def init_error(kind, text, **environment):
    with Workspace("lambda") as work:
        spec = environment.pop("spec", None)
        with Sandbox(BOOTSTRAP, work, spec, **environment) as sandbox:
            status = sandbox.wait()
            check(status == 1, "exit status %d" % status)
            request = sandbox.api.init_errors.get(timeout=5)
            document = json.loads(request.body)
            check(document["errorType"] == kind and text in document["errorMessage"], repr(document))
            check(request.headers["lambda-runtime-function-error-type"] == "Runtime." + kind.partition(".")[2], repr(request.headers))
            check(sandbox.api.nexts == 0, "asked for an event")
            check(any(text in line["message"] for line in sandbox.log_lines()), "not in the log")


def a_misconfiguration_is_an_init_error_that_says_what_to_do():
    init_error("Tumble.Configuration", "TUMBLE_SPEC", spec=False)
    init_error("Tumble.Configuration", "did you mean TUMBLE_OUTPUTS?", TUMBLE_OUTPUT="file:x")
    init_error("Tumble.Configuration", "no output is called", TUMBLE_OUTPUTS="flie:/tmp/x")
    init_error("Tumble.Configuration", "namespace", TUMBLE_METRICS_NAMESPACE="AWS/Lambda")
    init_error("Tumble.Configuration", "file:DIRECTORY", TUMBLE_SPILL="gopher://x")
    init_error("Tumble.Configuration", "nowhere.json", TUMBLE_SPEC="nowhere.json")
    init_error("Tumble.InvalidSpec", "did you mean \"aggregates\"?", spec={"agregates": []})
    init_error("Tumble.InvalidSpec", "TUMBLE_SPEC", TUMBLE_SPEC='{"aggregates": [}')


def a_spec_is_found_beside_the_bootstrap():
    with Workspace("lambda") as work:
        work.write("spec.json", json.dumps(SPEC))
        with Sandbox(BOOTSTRAP, work, False) as sandbox:
            sandbox.respond(Shard().batch(3))
        work.write("other.json", json.dumps(SPEC))
        with Sandbox(BOOTSTRAP, work, False, TUMBLE_SPEC="other.json") as sandbox:
            sandbox.respond(Shard().batch(3))


def without_a_runtime_api_it_says_so_and_ends():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, AWS_LAMBDA_RUNTIME_API=None) as sandbox:
        check(sandbox.wait() == 1 and b"tumble invoke" in sandbox.log(), "no hint")
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, AWS_LAMBDA_RUNTIME_API="127.0.0.1:9001/x\r\nEvil: 1") as sandbox:
        check(sandbox.wait() == 1 and b"HOST:PORT" in sandbox.log(), "no hint")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = "127.0.0.1:%d" % closed.getsockname()[1]
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, AWS_LAMBDA_RUNTIME_API=address) as sandbox:
        check(sandbox.wait() == 3, "exit status")


# ---- failing to handle an event ----

def an_event_that_cannot_be_handled_is_an_error_and_the_next_one_works():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        shard = Shard()
        shard.state = sandbox.respond(shard.batch(10))["state"]
        whole = shard.batch(10)
        text = json.dumps(whole).encode()
        without_window = {k: v for k, v in whole.items() if k != "window"}
        other = dict(whole, Records=[{"eventSource": "aws:sqs", "body": "x"}])
        number = dict(whole, state={"1": 282, "2": 715})
        bad = [(b"not json", "Tumble.InvalidEvent"), (b"", "Tumble.InvalidEvent"), (b"null", "Tumble.InvalidEvent"),
               (text[:len(text) // 2], "Tumble.InvalidEvent"), (json.dumps(other).encode(), "Tumble.InvalidEvent"),
               (json.dumps(without_window).encode(), "Tumble.WindowNotConfigured"),
               (b" " * 6291557, "Tumble.EventTooLarge"), (json.dumps(number).encode(), None)]
        for body, kind in bad:
            answer = sandbox.invoke(body)
            error_of(answer, kind or "Tumble.StateCorrupt")
            check(len(json.loads(answer.body)["errorMessage"]) > 10, "no text")
        check(sandbox.starts == 1, "the process ended")
        sandbox.kill()  # what it had in memory would serve, whatever the event says
        bad = []
        damaged = dict(shard.state)
        key = max(damaged, key=lambda name: len(damaged[name]))
        middle = len(damaged[key]) // 2
        damaged[key] = damaged[key][:middle] + ("B" if damaged[key][middle] != "B" else "C") + damaged[key][middle + 1:]
        bad.append((json.dumps(dict(whole, state=damaged)).encode(), "Tumble.StateCorrupt"))
        newer = dict(shard.state, v="999")
        bad.append((json.dumps(dict(whole, state=newer)).encode(), "Tumble.StateVersion"))
        for body, kind in bad:
            answer = sandbox.invoke(body)
            error_of(answer, kind)
        shard.state = sandbox.respond(whole)["state"]
        sandbox.respond(shard.final())
        check_rows(sandbox, shard)


def a_bad_record_fails_the_event_or_is_reported_as_the_mapping_says():
    bad = record(3, b"{\"kind\":\"a\",\"amount\":\"secret-amount\"}", START + 3)
    records = [record(1, {"kind": "a", "amount": 1}, START + 1), record(2, {"kind": "a", "amount": 1}, START + 2), bad,
               record(4, {"kind": "a", "amount": 1}, START + 4)]
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        check("amount" in error_of(sandbox.invoke(event(records, {}, START)), "Tumble.BadRecord"), "why?")
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, **REPORT) as sandbox:
        response = sandbox.respond(event(records, {}, START))
        check(response["batchItemFailures"] == [{"itemIdentifier": bad["kinesis"]["sequenceNumber"]}], repr(response))
        check(sandbox.metrics()[-1]["RecordsReported"] == 1, "not counted")
        state = sandbox.respond(event(records[3:], response["state"], START))["state"]
        sandbox.respond(event([], state, START, final=True))
        check([(row["n"], row["total"]) for row in sandbox.rows()] == [(3, 3)], repr(sandbox.rows()))


def no_payload_is_ever_logged():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, TUMBLE_LOG_LEVEL="debug") as sandbox:
        secret = "hunter2-" * 4
        good = [record(1, {"kind": secret, "amount": 1}, START + 1)]
        sandbox.respond(event(good, {}, START))
        for payload in ({"kind": "a", "amount": secret}, {"kind": "a", "amount": [secret]}, ("{\"" + secret).encode(), secret.encode()):
            sandbox.invoke(event([record(2, payload, START + 2)], {}, START))
        sandbox.invoke(b'{"Records":"' + secret.encode() + b'"}')
        sandbox.invoke(dict(event([], {}, START), state={"v": secret, secret: secret}))
        everything = sandbox.log() + open(sandbox.out_path, "rb").read()
        check(secret.encode() not in everything, "the payload is in the log")
        check(base64.b64encode(secret.encode())[:16] not in everything, "the payload is in the log, as base64")
        check(b"requestId" in everything, "and there is a log")


# ---- what the Runtime API says ----

def a_500_ends_the_process_promptly():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, start=False) as sandbox:
        sandbox.api.refusals = [500]
        sandbox.start()
        check(sandbox.wait() == 3, "exit status")
        check(sandbox.api.nexts == 1, "asked again")
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        sandbox.api.post_status = [500]
        sandbox.api.offer(json.dumps(Shard().batch(1)).encode())
        check(sandbox.wait() == 3, "exit status")


def next_is_tried_three_times_when_the_connection_breaks():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, start=False) as sandbox:
        sandbox.api.refusals = [0, 0]
        sandbox.start()
        sandbox.respond(Shard().batch(1))
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, start=False) as sandbox:
        sandbox.api.refusals = [0] * 50
        sandbox.start()
        check(sandbox.wait() == 3, "exit status")


def an_answer_that_is_refused_is_logged_and_the_next_event_is_served():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        for status in (400, 403):
            sandbox.api.post_status = [status]
            sandbox.api.offer(json.dumps(Shard().batch(1)).encode())
            check(sandbox.api.next_waits.acquire(timeout=10) and sandbox.api.next_waits.acquire(timeout=10), "no next")
            sandbox.api.current = None
            sandbox.api.next_waits.release()
        sandbox.respond(Shard().batch(1))
        check(sum("did not take" in line["message"] for line in sandbox.log_lines()) == 2, "not logged")


def a_response_that_is_too_large_becomes_an_error_and_the_next_event_is_served():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        sandbox.api.post_status = [413]
        shard = Shard()
        first = shard.batch(5)
        error_of(sandbox.invoke(first), "Tumble.ResponseTooLarge")
        shard.state = sandbox.respond(first)["state"]
        sandbox.respond(shard.final())
        check_rows(sandbox, shard)
        check(sandbox.metrics()[0]["Failures"] == 1, "not counted")


def nothing_from_outside_enters_a_url_or_a_header():
    for request_id in ("a/../../init/error", "a b", "a%2f", "x" * 400, "?x", "a#b", "caf\xe9"):
        with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
            sandbox.api.offer(json.dumps(Shard().batch(1)).encode(), request_id=request_id)
            check(sandbox.wait() == 3, "exit status")
            check(not sandbox.api.strangers and sandbox.api.init_errors.empty(), "asked for %r" % sandbox.api.strangers)


def events_may_come_in_chunks():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work, start=False) as sandbox:
        sandbox.api.chunked = True
        sandbox.start()
        shard = Shard()
        for _ in range(3):
            shard.state = sandbox.respond(shard.batch(300))["state"]
        sandbox.respond(shard.final())
        check_rows(sandbox, shard)


# ---- the cache directory ----

def trouble_with_the_cache_directory_is_no_error():
    with Workspace("lambda") as work:
        work.write("file", "x")
        for directory in ("/proc/nowhere", work.file("file"), work.file("made/here/deep")):
            with Sandbox(BOOTSTRAP, work, TUMBLE_STATE_DIR=directory, TUMBLE_OUTPUTS="file:" + work.file(str(len(directory)))) as sandbox:
                shard = Shard()
                shard.state = sandbox.respond(shard.batch(20))["state"]
                shard.state = sandbox.respond(shard.batch(20))["state"]
                sandbox.respond(shard.final())
                check(sums(sandbox.rows(str(len(directory)))) == shard.expected, "rows differ")
        check(os.path.isdir(work.file("made/here/deep")), "was not made")


# ---- memory ----

def peak_rss(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


def memory_stays_under_64_mb_with_the_largest_batches_and_events():
    with Workspace("lambda") as work, Sandbox(BOOTSTRAP, work) as sandbox:
        shard = Shard()
        for _ in range(4):
            shard.state = sandbox.respond(shard.batch(10000))["state"]
        records, size = [], 0
        while size < 6200000:
            shard.number += 1
            records.append(record(shard.number, {"kind": "k1", "amount": 0, "filler": "y" * 20000}, START + 59000, shard.name))
            size += len(json.dumps(records[-1])) + 2
        body = json.dumps(event(records, shard.state, START)).encode()
        check(6000000 < len(body) <= 6291556, "the event has %d bytes" % len(body))
        for _ in range(3):
            check(sandbox.invoke(body).kind == "response", "refused")
        peak = peak_rss(sandbox.process.pid)
        print("peak RSS: %.1f MB" % (peak / 1e6))
        check(peak < 64e6, "%d bytes" % peak)


# ---- tumble invoke ----

def invoke(work, body, *options):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    spec = work.write("spec.json", json.dumps(SPEC))
    return run([TUMBLE, "invoke", "--spec", spec] + list(options), input=body)


def invoke_gives_the_bytes_that_the_bootstrap_gives():
    with Workspace("lambda") as work, Workspace("invoke") as other, Sandbox(BOOTSTRAP, work) as sandbox:
        shard = Shard()
        rows = ("--output", "file:" + other.file("rows.ndjson"))
        for _ in range(3):
            this = shard.batch(50)
            answer, done = sandbox.invoke(this), invoke(other, this, *rows)
            check(done.code == 0 and done.out == answer.body + b"\n", "differs:\n%r\n%r" % (done.out, answer.body))
            shard.state = json.loads(answer.body)["state"]
        answer, done = sandbox.invoke(shard.final()), invoke(other, shard.final(), *rows)
        check(done.code == 0 and done.out == answer.body + b"\n", "differs")
        with open(other.file("rows.ndjson"), "rb") as a, open(work.file("rows.ndjson"), "rb") as b:
            check(a.read() == b.read() != b"", "rows differ")


def invoke_prints_rows_before_the_response_when_no_output_is_named():
    with Workspace("invoke") as work:
        shard = Shard()
        shard.state = json.loads(invoke(work, shard.batch(9)).out)["state"]
        lines = invoke(work, shard.final()).out.splitlines()
        check(sums([json.loads(line) for line in lines[:-1]]) == shard.expected and "state" in json.loads(lines[-1]), repr(lines))


def invoke_ends_with_the_status_that_fits():
    with Workspace("invoke") as work:
        good = event([record(1, {"kind": "a", "amount": 1}, START)], {}, START)
        bad = event([record(1, {"kind": "a", "amount": 1}, START), record(2, {"kind": "a", "amount": "x"}, START)], {}, START)
        state = json.loads(invoke(work, good).out)["state"]
        key = max(state, key=lambda name: len(state[name]))
        damaged = dict(good, state=dict(state, **{key: state[key][:-8]}))
        for body, options, status, kind in (
                (good, (), 0, None), (bad, ("--function-response-types", "ReportBatchItemFailures"), 0, None), (bad, (), 1, "Tumble.BadRecord"),
                (b"x", (), 3, "Tumble.InvalidEvent"), (damaged, (), 5, "Tumble.StateCorrupt"),
                (dict(good, window=None), (), 3, "Tumble.WindowNotConfigured"),
                (dict(good, isFinalInvokeForWindow=True), ("--output", "file:/proc/nowhere/rows"), 4, "Tumble.OutputFailed")):
            done = invoke(work, body, *options)
            check(done.code == status, "%r: exit %d, not %d\n%s" % (kind, done.code, status, done.text()))
            document = json.loads(done.out.splitlines()[-1])
            check(document.get("errorType") == kind, "%r, not %r" % (document, kind))
        done = invoke(work, b"")
        check(done.code == 3 and not done.out and "no event" in done.text(), "empty input: exit %d" % done.code)
        for options in (("--function-response-types", "report"), ("extra",), ("--output", "flie:x"), ("--spill", "x"), ("--spec", "-"),
                        ("--inline-state-limit", "1")):
            done = invoke(work, good, *options)
            check(done.code == 2 and not done.out, "%r: exit %d" % (options, done.code))


def invoke_spills_with_the_limit_of_the_command_line():
    with Workspace("invoke") as work:
        records = [record(i, {"kind": hashlib.sha256(b"%d" % i).hexdigest(), "amount": i}, START + i) for i in range(1, 500)]
        options = ("--spill", "file:" + work.file("spill"), "--inline-state-limit", "1000", "--state", work.file("cache"))
        state = json.loads(invoke(work, event(records, {}, START), *options).out)["state"]
        check(len(json.dumps(state)) <= 1000, "%d bytes" % len(json.dumps(state)))
        check(os.listdir(work.file("spill")), "nothing was spilled")
        done = invoke(work, event([], state, START, final=True), *options)
        check(done.code == 0 and len(done.out.splitlines()) == 500, done.text())
        shutil.rmtree(work.file("spill"))
        shutil.rmtree(work.file("cache"))
        done = invoke(work, event([], state, START, final=True), *options)
        check(done.code == 5, "a spilled object is gone: exit %d: %s" % (done.code, done.text()))


CASES = {name: value for name, value in list(globals().items())
         if callable(value) and value.__module__ == "__main__" and value.__code__.co_argcount == 0}


def main():
    global BOOTSTRAP, TUMBLE
    if sys.argv[1:] == ["list"]:
        print("\n".join(name for name in CASES if name != "main"))
        return 0
    BOOTSTRAP, TUMBLE = sys.argv[1:3]
    failed = 0
    for name in sys.argv[3:] or [n for n in CASES if n != "main"]:
        try:
            CASES[name]()
            print("ok", name)
        except Exception as error:  # pylint: disable=broad-except
            failed = 1
            print("FAILED %s: %s: %s" % (name, type(error).__name__, error))
            if not isinstance(error, Failed):
                traceback.print_exc()
    return failed


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Malformed input, impossible outputs, damaged states: each ends with the right exit code, a text that names the place, and
no half-written row.    run.py TUMBLE GENERATE [NAME…]

Runs as root or not: what needs a full or read-only file system gets a small tmpfs in a mount namespace of its own (file
modes do not stop root). Where no namespace may be made those cases say so and are left out."""

import base64
import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
from harness import Failed, Result, Workspace, check, read, run, shown  # noqa: E402

TUMBLE, GENERATE = (os.path.abspath(path) for path in sys.argv[1:3])
SPEC = {"window": {"seconds": 60}, "timestamp": {"field": "t"}, "group_by": ["k"],
        "aggregates": [{"name": "n", "function": "count"}, {"name": "sum", "function": "sum", "field": "v"}]}
GOOD = b'{"t":1762732800000,"k":"a","v":1.5}\n{"t":1762732800001,"k":"b","v":2}\n'
LATER = b'{"t":1762732860000,"k":"a","v":3}\n'
INPUT_NAME = "input.dat"
CASES = []


def case(function):
    CASES.append(function)
    return function


def rows_are_whole(out, where):
    """Every line is one JSON object, the last one ends in a newline."""
    check(not out or out.endswith(b"\n"), f"{where}: half a row at the end: {out[-100:]}")
    for line in out.splitlines():
        check(isinstance(json.loads(line), dict), f"{where}: no row: {line}")


def expect(work, options, code, words=(), rows=None, spec=None, **more):
    """Runs replay (with one thread and with two); code may be several."""
    codes = code if isinstance(code, tuple) else (code,)
    spec_path = work.write("spec.json", json.dumps(spec or SPEC))
    for threads in ("1", "2"):
        out = work.file("out")
        if os.path.lexists(out):
            os.unlink(out)
        command = [TUMBLE, "replay", "--spec", spec_path, "--threads", threads, "--format", "ndjson", "--output", "file:" + out] + options
        done = run(command, **more)
        text = done.text()
        check(done.code in codes, f"{shown(command)}\nended with {done.code}, wanted {codes}\n{text}")
        for word in words:
            check(re.search(word, text), f"{shown(command)}\ndoes not say {word!r}:\n{text}")
        check(codes == (0,) or text.strip(), f"{shown(command)}\nfailed without a word")
        written = read(out) if os.path.exists(out) else b""
        rows_are_whole(written, shown(command))
        check(rows is None or written.count(b"\n") == rows, f"{shown(command)}\n{written.count(10)} rows, wanted {rows}\n{text}")
    return written


def of_input(work, data, code, words=(), rows=0, options=(), **more):
    path = work.write(INPUT_NAME, data)
    return expect(work, list(options) + [path], code, (re.escape(INPUT_NAME), *words) if code != 0 else words, rows, **more)


# ---- bytes that are no JSON, no gzip, no zstd ----

PLACE = r"(line|record) 2\b"
BYTE = r"byte \d+|offset \d+"


def malformed(line):
    def malformed_payload(work):
        of_input(work, GOOD.splitlines()[0] + b"\n" + line + b"\n" + GOOD, (1, 3), [PLACE, BYTE])
    return malformed_payload


MALFORMED = {
    "invalid_utf8": b'{"t":1762732800000,"k":"\xc3\x28","v":1}',
    "overlong_utf8": b'{"t":1762732800000,"k":"\xc0\xaf","v":1}',
    "surrogate_in_utf8": b'{"t":1762732800000,"k":"\xed\xa0\x80","v":1}',
    "beyond_unicode": b'{"t":1762732800000,"k":"\xf4\x90\x80\x80","v":1}',
    "lone_high_surrogate": b'{"t":1762732800000,"k":"\\ud800","v":1}',
    "lone_low_surrogate": b'{"t":1762732800000,"k":"\\udc00x","v":1}',
    "surrogates_swapped": b'{"t":1762732800000,"k":"\\udc00\\ud800","v":1}',
    "surrogate_in_key": b'{"t":1762732800000,"k":"a","v":1,"\\ud800":1}',
    "nan": b'{"t":1762732800000,"k":"a","v":NaN}',
    "infinity": b'{"t":1762732800000,"k":"a","v":-Infinity}',
    "leading_zero": b'{"t":1762732800000,"k":"a","v":01}',
    "plus_sign": b'{"t":1762732800000,"k":"a","v":+1}',
    "bare_point": b'{"t":1762732800000,"k":"a","v":1.}',
    "hex_number": b'{"t":1762732800000,"k":"a","v":0x10}',
    "single_quotes": b"{'t':1762732800000}",
    "trailing_comma": b'{"t":1762732800000,"k":"a",}',
    "missing_colon": b'{"t" 1762732800000}',
    "control_in_string": b'{"t":1762732800000,"k":"a\tb","v":1}',
    "nul_byte": b'{"t":1762732800000,"k":"a\x00b","v":1}',
    "bad_escape": b'{"t":1762732800000,"k":"\\x41","v":1}',
    "bad_unicode_escape": b'{"t":1762732800000,"k":"\\u12g4","v":1}',
    "unclosed_string": b'{"t":1762732800000,"k":"a',
    "comment": b'{"t":1762732800000,/* no */"k":"a","v":1}',
    "brackets_crossed": b'{"t":1762732800000,"k":[1}',
    "depth_10000": b'{"t":1762732800000,"k":"a","x":' + b"[" * 10000 + b"]" * 10000 + b"}",
    "depth_10000_objects": b'{"t":1762732800000,"k":"a","x":' + b'{"a":' * 10000 + b"1" + b"}" * 10000 + b"}",
    "depth_never_closed": b"[" * 100000,
}
for name, line in MALFORMED.items():
    function = malformed(line)
    function.__name__ = name
    case(function)


@case
def ends_inside_a_payload(work):
    of_input(work, GOOD + b'{"t":1762732800000,"k":"a"', 3, [r"(line|record) 3\b", BYTE])


@case
def empty_file(work):
    of_input(work, b"", 3, ["empty|no records"])


@case
def only_white_space(work):
    of_input(work, b" \n\n\t ", 3)


@case
def random_bytes(work):
    for seed in range(5):
        of_input(work, random.Random(seed).randbytes(10000), 3)


@case
def utf16(work):
    of_input(work, GOOD.decode().encode("utf-16"), 3)


@case
def array_never_closed(work):
    of_input(work, b"[" + GOOD.replace(b"}\n{", b"},\n{"), 3)


@case
def bytes_behind_an_array(work):
    of_input(work, b"[" + GOOD.replace(b"}\n{", b"},\n{") + b"] x", 3)


@case
def records_at_nothing(work):
    of_input(work, b'{"features":{"no":"array"}}', 3, ["features"], options=["--records-at", "/features"])


@case
def truncated_gzip(work):
    whole = gzip.compress(GOOD * 1000)
    for end in (3, 9, 12, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        of_input(work, whole[:end], 3, ["gzip|compressed|ends|truncated"])


@case
def damaged_gzip(work):
    whole = bytearray(gzip.compress(GOOD * 1000))
    for at in (-2, -6, len(whole) // 2):
        broken = bytearray(whole)
        broken[at] ^= 0xff
        of_input(work, bytes(broken), 3)
    of_input(work, bytes(whole) + b"garbage", 3)


@case
def zstd_input(work):
    if not shutil.which("zstd"):
        raise Failed("needs the zstd command")
    whole = subprocess.run(["zstd", "-c", work.write("plain", GOOD * 1000)], stdout=subprocess.PIPE, check=True).stdout
    of_input(work, whole, 0, rows=2)
    for end in (5, len(whole) // 2, len(whole) - 1):
        of_input(work, whole[:end], 3)
    broken = bytearray(whole)
    broken[-1] ^= 0xff
    of_input(work, bytes(broken), 3)


@case
def line_of_100_megabytes(work):
    path = work.write(INPUT_NAME, GOOD + b'{"t":1762732800002,"k":"' + b"x" * 100_000_000 + b'","v":1}\n')
    expect(work, [path], (1, 3), [re.escape(INPUT_NAME), r"(line|record) 3\b"], 0)


@case
def group_of_a_megabyte(work):
    of_input(work, GOOD + b'{"t":1762732800002,"k":"' + b"x" * 1_000_000 + b'","v":1}\n', 1, [r"(line|record) 3\b"])


# ---- records that cannot be applied ----

BAD_RECORDS = {
    "number_1e400": b'{"t":1762732800000,"k":"a","v":1e400}',
    "number_minus_1e309": b'{"t":1762732800000,"k":"a","v":-1e309}',
    "number_of_35_digits": b'{"t":1762732800000,"k":"a","v":1.' + b"1" * 34 + b"}",
    "string_in_sum": b'{"t":1762732800000,"k":"a","v":"1"}',
    "boolean_in_sum": b'{"t":1762732800000,"k":"a","v":true}',
    "array_in_sum": b'{"t":1762732800000,"k":"a","v":[1]}',
    "object_as_group": b'{"t":1762732800000,"k":{"x":1},"v":1}',
    "array_as_group": b'{"t":1762732800000,"k":[],"v":1}',
    "number_1e400_as_group": b'{"t":1762732800000,"k":1e400,"v":1}',
    "timestamp_missing": b'{"k":"a","v":1}',
    "timestamp_null": b'{"t":null,"k":"a","v":1}',
    "timestamp_before_1970": b'{"t":-1,"k":"a","v":1}',
    "timestamp_of_1969": b'{"t":"1969-12-31T23:59:59Z","k":"a","v":1}',
    "timestamp_of_10000": b'{"t":253402300800000,"k":"a","v":1}',
    "timestamp_beyond_everything": b'{"t":1e300,"k":"a","v":1}',
    "timestamp_no_date": b'{"t":"2025-02-30T00:00:00Z","k":"a","v":1}',
    "timestamp_words": b'{"t":"yesterday","k":"a","v":1}',
    "timestamp_array": b'{"t":[1],"k":"a","v":1}',
    "payload_no_object": b"17",
}


def bad_record(line):
    def check_bad_record(work):
        # The window before it is written, its own is not.
        data = GOOD + LATER + line.replace(b"1762732800000", b"1762732860001") + b"\n" + LATER
        path = work.write(INPUT_NAME, data)
        for batch_size in ("1", "1000"):
            written = expect(work, ["--batch-size", batch_size, path], 1, [re.escape(INPUT_NAME), r"(line|record) 4\b", BYTE], 2)
            check(b"00:00:00Z" in written, "another window")
        # Diverted, the run goes on and its bytes are kept.
        failures = work.file("failures")
        if os.path.exists(failures):
            os.unlink(failures)
        expect(work, ["--failures", "file:" + failures, path], 0, (), 3, {**SPEC, "bad_records": "divert"})
        rows_are_whole(read(failures), "failures")
        check(read(failures).count(b"\n") == 2, "each of the two runs diverts one record")
    return check_bad_record


for name, line in BAD_RECORDS.items():
    function = bad_record(line)
    function.__name__ = name
    case(function)


# ---- Lambda events and get-records ----


def event(**changes):
    kinesis = {"kinesisSchemaVersion": "1.0", "partitionKey": "p", "sequenceNumber": "17", "approximateArrivalTimestamp": 1762732800.5,
               "data": base64.b64encode(b'{"k":"a","v":1}').decode()}
    outer = {"eventID": "shardId-000000000000:17", "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s"}
    outer.update(changes.pop("outer", {}))
    kinesis.update(changes)
    kinesis = {name: value for name, value in kinesis.items() if value is not None}
    return {"kinesis": kinesis, "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventName": "aws:kinesis:record", **outer}


def events(*records):
    return json.dumps({"Records": list(records)}).encode()


LAMBDA = {key: value for key, value in SPEC.items() if key != "timestamp"}


@case
def lambda_is_read(work):
    of_input(work, events(event(), event(sequenceNumber="18")), 0, rows=1, spec=LAMBDA)


def lambda_bad_data(data):
    def check_data(work):
        path = work.write(INPUT_NAME, events(event(sequenceNumber="16"), event(data=data)))
        expect(work, [path], 1, [re.escape(INPUT_NAME), r"record 2\b|17"], 0, LAMBDA)
        expect(work, ["--failures", "file:" + work.file("failures"), path], 0, (), 1, {**LAMBDA, "bad_records": "divert"})
        rows_are_whole(read(work.file("failures")), "failures")
    return check_data


for name, data in {"bad_padding": "eyJrIjoiYSJ9=", "bad_length": "eyJrI", "bad_character": "eyJr!joiYSJ9", "no_padding": "eyJrIjoiYSIsInYiOjF9fQ",
                   "loose_bits": "eyJrIjoiYSIsInYiOjEuNX1=", "padding_inside": "eyJr=joiYSJ9", "empty": "",
                   "no_json": base64.b64encode(b"not json").decode(), "invalid_utf8": base64.b64encode(b'{"k":"\xff"}').decode(),
                   "two_values": base64.b64encode(b'{"k":"a"} {"k":"b"}').decode()}.items():
    function = lambda_bad_data(data)
    function.__name__ = "base64_" + name
    case(function)


def lambda_refused(**changes):
    def check_event(work):
        of_input(work, events(event(sequenceNumber="16"), event(**changes)), (1, 3), [r"record 2\b", BYTE], spec=LAMBDA)
    return check_event


for name, changes in {"sequence_not_decimal": {"sequenceNumber": "12a"}, "sequence_negative": {"sequenceNumber": "-12"},
                      "sequence_empty": {"sequenceNumber": ""}, "sequence_of_129_digits": {"sequenceNumber": "9" * 129},
                      "sequence_a_number": {"sequenceNumber": 17}, "sequence_missing": {"sequenceNumber": None},
                      "arrival_missing": {"approximateArrivalTimestamp": None}, "arrival_text": {"approximateArrivalTimestamp": "now"},
                      "arrival_negative": {"approximateArrivalTimestamp": -1}, "arrival_too_late": {"approximateArrivalTimestamp": 253402300800},
                      "data_missing": {"data": None}, "data_a_number": {"data": 1}}.items():
    function = lambda_refused(**changes)
    function.__name__ = "lambda_" + name
    case(function)


@case
def sequence_of_128_digits(work):
    of_input(work, events(event(), event(sequenceNumber="9" * 128)), 0, rows=1, spec=LAMBDA)


@case
def records_no_array(work):
    of_input(work, b'{"Records":{"kinesis":1}}', 3, spec=LAMBDA, options=["--input-format", "lambda"])


@case
def event_cut_off(work):
    whole = events(event(), event(sequenceNumber="18"))
    for end in (15, len(whole) // 2, len(whole) - 1):
        of_input(work, whole[:end], 3, spec=LAMBDA, options=["--input-format", "lambda"])


@case
def payloads_and_events_mixed(work):
    path = work.write(INPUT_NAME, events(event()))
    expect(work, [work.write("payloads", GOOD), path], 3, [re.escape(INPUT_NAME)])


@case
def sequence_descends(work):
    of_input(work, events(event(sequenceNumber="30"), event(sequenceNumber="29"), event(sequenceNumber="31")), (0, 3), rows=None, spec=LAMBDA)


# ---- what is no error ----


@case
def minus_zero_is_zero(work):
    written = of_input(work, b'{"t":1762732800000,"k":-0,"v":-0.0}{"t":1762732800000,"k":0e5,"v":0}', 0, rows=1)
    check(b'"k":0,"n":2,"sum":0,' in written, f"-0: {written}")


@case
def of_duplicate_keys_the_last_wins(work):
    written = of_input(work, b'{"k":"x","t":5,"v":[],"t":1762732800000,"k":"a","v":7}', 0, rows=1)
    check(b'"k":"a","n":1,"sum":7,' in written, f"duplicates: {written}")


@case
def fifo_is_read(work):
    fifo = work.file("fifo")
    os.mkfifo(fifo)
    for _ in range(2):
        threading.Thread(target=lambda: work.write("fifo", GOOD), daemon=True).start()
        spec = work.write("spec.json", json.dumps(SPEC))
        done = run([TUMBLE, "replay", "--spec", spec, "--format", "ndjson", fifo], timeout=60)
        check(done.code == 0 and done.out.count(b"\n") == 2, f"FIFO: exit {done.code}\n{done.text()}")


@case
def last_second_of_9999(work):
    written = of_input(work, b'{"t":253402300799999,"k":"a","v":1}', 0, rows=1)
    check(b'"window_start":"9999-12-31T23:59:00Z","window_end":"10000-01-01T00:00:00Z"' in written, f"{written}")


# ---- files ----


@case
def directory_as_input(work):
    os.mkdir(work.file("directory"))
    expect(work, [work.file("directory")], 3, ["directory"], 0)


@case
def input_not_there(work):
    expect(work, [work.file("absent")], 3, ["absent", "No such file"], 0)


@case
def input_in_no_directory(work):
    work.write("plain", GOOD)
    expect(work, [work.file("plain/absent")], 3, ["Not a directory"], 0)


@case
def usage(work):
    path = work.write(INPUT_NAME, GOOD)
    expect(work, ["--no-such-option", path], 2, ["no-such-option"], 0)
    expect(work, ["--batch-size", "0", path], 2, ["batch-size", "1", "10000|10,000"], 0)
    expect(work, ["--batch-size", "ten", path], 2, ["batch-size"], 0)
    expect(work, ["--shards", "0", path], 2, ["shards"], 0)
    expect(work, [], 2, [], 0)
    expect(work, [path], 2, ["aggregats.*aggregates"], 0, {"window": {"seconds": 60}, "aggregats": []})
    expect(work, [path], 2, ["median"], 0, {**SPEC, "aggregates": [{"name": "m", "function": "median", "field": "v"}]})
    expect(work, [path], 2, ["n"], 0, {**SPEC, "aggregates": [{"name": "n", "function": "count"}] * 2})
    expect(work, [path], 2, ["timestamp"], 0, LAMBDA)
    for broken in (b"", b"{", b"[]", b'{"window":{"seconds":60}} x', b"\xff\xfe", b"[" * 5000):
        done = run([TUMBLE, "replay", "--spec", work.write("broken.json", broken), path])
        check(done.code == 2 and b"broken.json" in done.err and done.out == b"", f"spec {broken[:20]}: exit {done.code}\n{done.text()}")
    done = run([TUMBLE, "replay", "--spec", work.file("absent.json"), path])
    check(done.code == 2 and b"absent.json" in done.err, f"no spec: exit {done.code}\n{done.text()}")


@case
def output_dev_full(work):
    path, spec = work.write(INPUT_NAME, GOOD), work.write("spec.json", json.dumps(SPEC))
    for output in ("file:/dev/full", "-"):
        with open("/dev/full", "wb") as full:
            command = [TUMBLE, "replay", "--spec", spec, "--format", "ndjson", "--output", output, path]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
            check(done.returncode == 4 and b"No space left" in done.stderr, f"{shown(command)}: exit {done.returncode}\n{done.stderr.decode()}")


@case
def output_closed(work):
    path, spec = work.write(INPUT_NAME, GOOD), work.write("spec.json", json.dumps(SPEC))
    done = run(["sh", "-c", 'exec "$@" >&-', "sh", TUMBLE, "replay", "--spec", spec, "--format", "ndjson", path])
    check(done.code == 4 and done.err, f"closed stdout: exit {done.code}\n{done.text()}")


@case
def output_nowhere(work):
    path = work.write(INPUT_NAME, GOOD)
    spec = work.write("spec.json", json.dumps(SPEC))
    for target in (work.path, work.file("no/such/directory/rows"), work.file("spec.json/rows")):
        done = run([TUMBLE, "replay", "--spec", spec, "--output", "file:" + target, path])
        check(done.code == 4 and target.encode() in done.err, f"{target}: exit {done.code}\n{done.text()}")


@case
def reader_goes_away(work):
    data = subprocess.run([GENERATE, "--records", "200000", "--rate", "100", "--groups", "500"], stdout=subprocess.PIPE, check=True).stdout
    path = work.write(INPUT_NAME, data)
    spec = work.write("spec.json", json.dumps({**SPEC, "timestamp": {"field": "timestamp"}, "group_by": ["eventType"]}))
    process = subprocess.Popen([TUMBLE, "replay", "--spec", spec, "--format", "ndjson", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    text = process.stderr.read().decode()
    code = process.wait(timeout=60)
    check(code in (4, 141, -13), f"exit {code}\n{text}")


# ---- full and read-only file systems ----


def in_namespace(script, *words):
    """Runs a shell script where mount is permitted and nobody else sees it; None where that cannot be."""
    begin = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    probe = subprocess.run(begin + ["mount", "-t", "tmpfs", "tmpfs", "/mnt"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if probe.returncode:
        print("  no mount namespace here: left out")
        return None
    done = subprocess.run(begin + ["bash", "-c", script, "bash", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def many(work):
    """Enough rows to fill a small disk; the spec for them."""
    data = subprocess.run([GENERATE, "--records", "100000", "--rate", "100", "--users", "50000"], stdout=subprocess.PIPE, check=True).stdout
    spec = {**SPEC, "timestamp": {"field": "timestamp"}, "group_by": ["userId"],
            "aggregates": [{"name": "sum", "function": "sum", "field": "amount"}]}
    return work.write(INPUT_NAME, data), work.write("spec.json", json.dumps(spec))


@case
def output_on_a_full_disk(work):
    """Exit 4 while it is full; with space again the same command completes the file."""
    path, spec = many(work)
    whole = run([TUMBLE, "replay", "--spec", spec, "--format", "ndjson", path])
    check(whole.code == 0 and len(whole.out) > 4_000_000, "too few rows")
    os.mkdir(work.file("small"))
    script = """mount -t tmpfs -o size=16m tmpfs "$5/small" && head -c 15m /dev/zero >"$5/small/filler"
        "$1" replay --spec "$2" --format ndjson --state "$5/state" --output "file:$5/small/rows" "$3"; echo "first $?" >&2
        "$1" replay --spec "$2" --format ndjson --state "$5/state" --output "file:$5/small/rows" "$3"; echo "second $?" >&2
        cp "$5/small/rows" "$5/rows-when-full"; rm "$5/small/filler"; mount -o remount,size=100m "$5/small"
        "$1" replay --spec "$2" --format ndjson --state "$5/state" --output "file:$5/small/rows" "$3"; echo "third $?" >&2
        cat "$5/small/rows" """
    done = in_namespace(script, TUMBLE, spec, path, "", work.path)
    if done:
        text = done.text()
        check("first 4" in text and "second 4" in text and "third 0" in text and "No space left" in text, text)
        check(done.out == whole.out, "the rows are not those of a run with enough space")
        rows_are_whole(read(work.file("rows-when-full")), "rows while the disk was full")
        check(whole.out.startswith(read(work.file("rows-when-full"))), "other rows while the disk was full")


@case
def state_on_a_full_disk(work):
    path, spec = many(work)
    whole = run([TUMBLE, "replay", "--spec", spec, "--format", "ndjson", path])
    os.mkdir(work.file("small"))
    script = """mount -t tmpfs -o size=256k tmpfs "$5/small"
        "$1" replay --spec "$2" --format ndjson --batch-size 100 --state "$5/small/state" --output "file:$5/rows" "$3"; echo "first $?" >&2
        cp "$5/rows" "$5/rows-when-full" || : >"$5/rows-when-full"
        mount -o remount,size=400m "$5/small"
        "$1" replay --spec "$2" --format ndjson --state "$5/small/state" --output "file:$5/rows" "$3"; echo "second $?" >&2
        cat "$5/rows" """
    done = in_namespace(script, TUMBLE, spec, path, "", work.path)
    if done:
        text = done.text()
        check("first 5" in text and "second 0" in text and re.search("[Ss]pace", text), text)
        check(done.out == whole.out, "the rows are not those of a run with enough space")
        rows_are_whole(read(work.file("rows-when-full")), "rows before the disk was full")


@case
def state_on_a_read_only_disk(work):
    path, spec = work.write(INPUT_NAME, GOOD), work.write("spec.json", json.dumps(SPEC))
    done = run([TUMBLE, "replay", "--spec", spec, "--state", work.file("state"), path])
    check(done.code == 0, done.text())
    os.mkdir(work.file("mounted"))
    script = """mount -t tmpfs tmpfs "$5/mounted" && cp -r "$5/state" "$5/mounted/old" && mount -o remount,ro "$5/mounted"
        "$1" replay --spec "$2" --state "$5/mounted/new" "$3"; echo "new $?" >&2
        "$1" replay --spec "$2" --state "$5/mounted/old" "$3"; echo "old $?" >&2
        "$1" inspect --state "$5/mounted/old" >/dev/null; echo "inspect $?" >&2"""
    done = in_namespace(script, TUMBLE, spec, path, "", work.path)
    if done:
        text = done.text()
        check("new 5" in text and "old 5" in text and "ead-only" in text, text)
        check("inspect 0" in text and done.out == b"", text)


@case
def state_is_a_file(work):
    path = work.write(INPUT_NAME, GOOD)
    expect(work, ["--state", work.write("file", "x"), path], 5, [re.escape(work.file("file"))], 0)
    expect(work, ["--state", work.file("file/below"), path], 5, [re.escape(work.file("file/below"))], 0)
    check(read(work.file("file")) == b"x", "the file was written to")


# ---- damaged states ----


def half_done(work, durability="none"):
    """A state in mid-run: windows open, rows delivered. Returns the command, what it has to give, and data.mdb."""
    data = subprocess.run([GENERATE, "--records", "6000", "--rate", "20", "--groups", "50"], stdout=subprocess.PIPE, check=True).stdout
    spec = work.write("spec.json", json.dumps({**SPEC, "timestamp": {"field": "timestamp"}, "group_by": ["eventType"],
                                               "aggregates": [{"name": "sum", "function": "sum", "field": "amount"}]}))
    whole = run([TUMBLE, "replay", "--spec", spec, "--format", "ndjson", "-"], input=data)
    check(whole.code == 0, whole.text())
    command = [TUMBLE, "replay", "--spec", spec, "--state", work.file("state"), "--format", "ndjson", "--batch-size", "100",
               "--durability", durability, "--output", "file:" + work.file("rows"), "-"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    process.stdin.write(data[:len(data) * 2 // 3])
    process.stdin.flush()
    for _ in range(1000):
        if os.path.exists(work.file("rows")) and read(work.file("rows")).count(b"\n") >= 50:
            break
        threading.Event().wait(0.02)
    threading.Event().wait(0.1)
    process.kill()
    process.communicate()
    check(os.path.exists(work.file("state/data.mdb")), "no data.mdb in the state")
    shutil.copytree(work.file("state"), work.file("state.good"))
    shutil.copy(work.file("rows"), work.file("rows.good"))
    return command, data, whole.out


def put_back(work):
    shutil.rmtree(work.file("state"))
    shutil.copytree(work.file("state.good"), work.file("state"))
    shutil.copy(work.file("rows.good"), work.file("rows"))


def damaged(work, command, data, wanted, change, what, only=None, name="data.mdb"):
    """Refused with 5, or, where the damage hit nothing that is used, the right rows: never other ones, never a crash."""
    put_back(work)
    with open(work.file("state/" + name), "r+b") as file:
        change(file)
    done = run(command, input=data)
    check(done.code in ((only,) if only is not None else (0, 5)), f"{what}: exit {done.code}\n{done.text()}")
    if done.code == 0:
        check(read(work.file("rows")) == wanted, f"{what}: exit 0, but other rows")
    else:
        check(b"state" in done.err, f"{what}: {done.text()}")
        rows_are_whole(read(work.file("rows")), what)
        check(wanted.startswith(read(work.file("rows"))), f"{what}: other rows")
    inspected = run([TUMBLE, "inspect", "--state", work.file("state")])
    check(inspected.code in (0, 5), f"{what}: inspect: exit {inspected.code}\n{inspected.text()}")
    return done


@case
def damaged_state(work):
    command, data, wanted = half_done(work)
    damaged(work, command, data, wanted, lambda file: None, "unharmed", 0)
    size = os.path.getsize(work.file("state.good/data.mdb"))
    for length in (0, 1, 100, 4096, 8192, size // 2, size - 4096):
        damaged(work, command, data, wanted, lambda file, length=length: file.truncate(length), f"cut to {length} of {size} bytes")
    damaged(work, command, data, wanted, lambda file: file.write(b"\0" * size), "all zero", 5)
    damaged(work, command, data, wanted, lambda file: file.write(b"\xff" * size), "all ones", 5)
    damaged(work, command, data, wanted, lambda file: file.write(random.Random(1).randbytes(size)), "random bytes", 5)
    rng = random.Random(2)
    refused = 0
    for i in range(150 if os.environ.get("LONG") else 40):
        at, length = rng.randrange(size), rng.choice([1, 1, 4, 100, 4096])
        garbage = rng.choice([b"\0" * length, rng.randbytes(length), b"\xff" * length])

        def overwrite(file, at=at, garbage=garbage):
            file.seek(at)
            file.write(garbage[:size - at])
        refused += damaged(work, command, data, wanted, overwrite, f"{length} bytes at {at} of {size} (round {i})").code == 5
    check(refused > 0, "no damage was ever noticed")


@case
def damaged_redo_log(work):
    """Commits that are in the log and not in data.mdb yet: all of them, those before a torn end, or none and 5."""
    command, data, wanted = half_done(work, "commit")
    damaged(work, command, data, wanted, lambda file: None, "unharmed", 0, "redo.log")
    size = os.path.getsize(work.file("state.good/redo.log"))
    for length in (0, 1, 4096, size - 4096):
        damaged(work, command, data, wanted, lambda file, length=length: file.truncate(length), f"log cut to {length} of {size} bytes", 5, "redo.log")
    rng = random.Random(3)
    codes = []
    for i in range(60 if os.environ.get("LONG") else 16):
        at, garbage = rng.randrange(12) * 4096 + rng.randrange(300), rng.choice([b"\0", b"\xff", rng.randbytes(500)])

        def overwrite(file, at=at, garbage=garbage):
            file.seek(at)
            file.write(garbage)
        codes.append(damaged(work, command, data, wanted, overwrite, f"{len(garbage)} bytes at {at} of the log (round {i})", name="redo.log").code)
    check(5 in codes, "no damage was ever noticed")
    put_back(work)
    os.unlink(work.file("state/redo.log"))
    done = run(command, input=data)
    check(done.code == 5 and b"redo.log" in done.err and b"missing" in done.err, f"exit {done.code}\n{done.text()}")
    put_back(work)
    inspected = run([TUMBLE, "inspect", "--state", work.file("state")])  # with what is only in the log, and without changing anything
    check(inspected.code == 0 and read(work.file("state/redo.log")) == read(work.file("state.good/redo.log")), inspected.text())


@case
def state_of_a_newer_version(work):
    """The directory's own mark of its format; frames have theirs (tests/unit/store)."""
    command, data, _ = half_done(work)
    mark = read(work.file("state/tumble.lock"))
    check(mark.startswith(b"tumble state 1"), f"tumble.lock: {mark}")
    work.write("state/tumble.lock", mark.replace(b"tumble state 1", b"tumble state 3", 1))
    done = run(command, input=data)
    check(done.code == 5 and b"newer" in done.err, f"exit {done.code}\n{done.text()}")
    check(read(work.file("rows")) == read(work.file("rows.good")), "it wrote rows")


@case
def state_of_another_spec(work):
    path = work.write(INPUT_NAME, GOOD)
    expect(work, [path], 0)
    done = run([TUMBLE, "replay", "--spec", work.file("spec.json"), "--state", work.file("state"), path])
    check(done.code == 0, done.text())
    expect(work, ["--state", work.file("state"), path], 5, ["spec"], 0, {**SPEC, "group_by": []})


@case
def inspect_of_nothing(work):
    done = run([TUMBLE, "inspect", "--state", work.file("absent")])
    check(done.code == 5 and b"absent" in done.err and not os.path.exists(work.file("absent")), f"exit {done.code}\n{done.text()}")


def main():
    chosen = [one for one in CASES if len(sys.argv) < 4 or one.__name__ in sys.argv[3:]]
    failed = 0
    for one in chosen:
        try:
            with Workspace("badinput") as work:
                one(work)
        except (Failed, subprocess.TimeoutExpired, OSError, ValueError) as error:
            failed += 1
            print(f"{one.__name__} failed: {error}\nrepeat: {' '.join(sys.argv[:3])} {one.__name__}\n", flush=True)
    print(f"{len(chosen)} cases, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""tumble replay, naively: what it computes, with none of how. Every record in memory, exact fractions, one dict a window.

The property tests compare its rows with tumble's byte for byte. Read it from the bottom: replay() is the whole story.
It knows: payloads back to back or one a line, Lambda events, get-records output; group_by; the aggregates count, sum,
mean, min, max, first, last; of filter patterns equality, prefix, suffix, anything-but, numeric, exists and $or."""

import argparse
import base64
import binascii
import datetime
import hashlib
import json
import re
import sys
from decimal import Decimal
from fractions import Fraction

MISSING = object()
MAX_MS = 253402300799999  # 9999-12-31T23:59:59.999Z


class Bad(Exception):
    """This record cannot be applied."""


# ---- numbers: exact in, exact out where 34 digits suffice, else the nearest double ----


def digits_of(number):
    """A Decimal as (negative, significant digits, exponent); zero as (False, '0', 0)."""
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    stripped = text.rstrip("0")
    return (sign == 1, stripped, exponent + len(text) - len(stripped)) if stripped else (False, "0", 0)


def exact(number):
    """The Decimal of a record as a Fraction, within the limits of a record."""
    _, digits, exponent = digits_of(number)
    if len(digits) > 34 or not -324 <= exponent + len(digits) - 1 <= 308 and digits != "0":
        raise Bad("number beyond the limits")
    return Fraction(number)


def within_limits(number):
    try:
        exact(number)
        return True
    except Bad:
        return False


def digits_of_fraction(value):
    """(negative, digits, exponent) of a fraction that ends in decimal, else None."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return None
    places = max(twos, fives)
    coefficient = value.numerator * 10**places // value.denominator
    return digits_of(Decimal((int(coefficient < 0), tuple(map(int, str(abs(coefficient)))), -places)))


def rounded_to_17(value):
    """Digits of a fraction no double can hold, half to even."""
    exponent = len(str(abs(value.numerator))) - len(str(value.denominator)) - 18
    while abs(value) / Fraction(10) ** exponent >= 10**17:
        exponent += 1
    coefficient = round(abs(value) / Fraction(10) ** exponent)
    _, digits, more = digits_of(Decimal(coefficient))
    return value < 0, digits, exponent + more


def number_text(value):
    parts = digits_of_fraction(value)
    if parts is None or len(parts[1]) > 34:
        try:
            nearest = float(value)
        except OverflowError:
            nearest = 0.0
        parts = digits_of(Decimal(repr(nearest))) if nearest else rounded_to_17(value)
    negative, digits, exponent = parts
    minus, point = "-" if negative else "", len(digits) + exponent
    if point > 34 or exponent < -34:
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        return f"{minus}{digits[0]}{fraction}e{'-' if point < 1 else '+'}{abs(point - 1):02d}"
    if exponent >= 0:
        return minus + digits + "0" * exponent
    if point > 0:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    return f"{minus}0.{'0' * -point}{digits}"


# ---- JSON: numbers stay as written, lone surrogates and NaN are no JSON ----


def no_constant(name):
    raise ValueError(name + " is no JSON")


DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal, parse_constant=no_constant)


def values_of(text):
    """JSON values one after the other."""
    at = 0
    while True:
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at == len(text):
            return
        value, at = DECODER.raw_decode(text, at)
        yield value


def payload_of(data):
    try:
        text = data.decode("utf-8")
        values = list(values_of(text))
        json.dumps(values, default=str, ensure_ascii=False).encode("utf-8")  # refuses lone surrogates
    except (ValueError, RecursionError) as error:
        raise Bad(str(error)) from error
    if len(values) != 1:
        raise Bad("not one JSON value")
    return values[0]


def field(payload, path):
    if path.startswith("/"):
        steps = [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    else:
        steps = path.split(".")
    for step in steps:
        if isinstance(payload, dict) and step in payload:
            payload = payload[step]
        elif path.startswith("/") and isinstance(payload, list) and step.isdigit() and int(step) < len(payload):
            payload = payload[int(step)]
        else:
            return MISSING
    return payload


def text_of(value):
    """A scalar as JSON text."""
    if isinstance(value, Fraction):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False)


# ---- time ----

ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$")


def instant(value, recorded=False):
    """Milliseconds of a timestamp in format "auto"; fractions of a millisecond round half up. Recorded numbers (the
    arrival time of an event) are seconds whatever their size."""
    ms = None
    if isinstance(value, str):
        parts = ISO.match(value)
        if parts:
            year, month, day, hour, minute, second = (int(parts[i]) for i in range(1, 7))
            try:
                seconds = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.timezone.utc)
            except ValueError as error:
                raise Bad(str(error)) from error
            ms = Fraction(int((seconds - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)).total_seconds()))
            ms = (ms + Fraction(parts[7] or "0")) * 1000
            if parts[8] and parts[8] != "Z":
                zone = (int(parts[8][1:3]) * 60 + int(parts[8][-2:])) * 60000
                ms += zone if parts[8][0] == "-" else -zone
        elif re.match(r"-?\d+(\.\d+)?([eE][+-]?\d+)?$", value):
            value = Decimal(value)
    if isinstance(value, Decimal):
        ms = Fraction(value) * (1000 if recorded or abs(value) < 100000000000 else 1)
    if ms is None:
        raise Bad("no timestamp")
    ms = (ms + Fraction(1, 2)).__floor__()
    if not 0 <= ms <= MAX_MS:
        raise Bad("timestamp out of range")
    return ms


def time_text(ms):
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
    return f"{at.year:04d}-{at:%m-%dT%H:%M:%S}Z"


# ---- filter patterns (a subset) ----


def same(rule, value):
    return type(rule) is type(value) and rule == value


def leaves(value):
    """Scalars: of an array those of its elements, of an object or nothing none."""
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [] if value is MISSING or isinstance(value, dict) else [value]


def rule_matches(rule, value):
    """One element of a pattern's array against one scalar."""
    if not isinstance(rule, dict):
        return same(rule, value)
    (name, argument), = rule.items()
    if name == "exists":
        return argument
    if name == "prefix":
        return isinstance(value, str) and value.startswith(argument)
    if name == "suffix":
        return isinstance(value, str) and value.endswith(argument)
    if name == "anything-but":
        return not any(same(one, value) for one in (argument if isinstance(argument, list) else [argument]))
    assert name == "numeric", name
    compare = {"=": lambda a, b: a == b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
               ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}
    return isinstance(value, Decimal) and within_limits(value) and all(
        compare[argument[i]](value, argument[i + 1]) for i in range(0, len(argument), 2))


def rules_match(rules, value):
    values = leaves(value)
    return any(rule_matches(rule, one) for rule in rules for one in values) or not values and {"exists": False} in rules


def matches(pattern, payload):
    for name, rules in pattern.items():
        if name == "$or":
            if not any(matches(one, payload) for one in rules):
                return False
            continue
        value = payload.get(name, MISSING) if isinstance(payload, dict) else MISSING
        if not (matches(rules, value) if isinstance(rules, dict) else rules_match(rules, value)):
            return False
    return True


# ---- groups and aggregates ----


def group_value(value):
    if value is MISSING or value is None:
        return None
    if isinstance(value, (dict, list)):
        raise Bad("an array or object is no group")
    return exact(value) if isinstance(value, Decimal) else value


def group_order(group):
    """null < false < true < numbers by value < strings by bytes."""
    return tuple((0,) if v is None else (1 + v,) if isinstance(v, bool) else (3, v) if isinstance(v, Fraction)
                 else (4, v.encode("utf-8")) for v in group)


def aggregate_value(aggregate, value):
    """What an aggregate takes of a field: None is skipped."""
    if value is MISSING or value is None:
        return None
    number = isinstance(value, Decimal)
    wants = {"count": (str, bool, Decimal), "first": (str, bool, Decimal), "last": (str, bool, Decimal),
             "min": (Decimal,), "max": (Decimal,), "sum": (Decimal,), "mean": (Decimal,)}[aggregate["function"]]
    if aggregate.get("type") == "string":
        wants = (str,)
    if not isinstance(value, wants):
        raise Bad("wrong type for " + aggregate["function"])
    return exact(value) if number else value


def aggregate_result(function, values):
    """values: [(position, value)] of one group."""
    if function == "count":
        return str(len(values))
    if not values:
        return "null"
    plain = [value for _, value in values]
    if function == "sum":
        return number_text(sum(plain))
    if function == "mean":
        return number_text(sum(plain) / Fraction(len(plain)))
    if function in ("min", "max"):
        by_bytes = (lambda v: v.encode("utf-8")) if isinstance(plain[0], str) else None
        return text_of((min if function == "min" else max)(plain, key=by_bytes))
    return text_of((min if function == "first" else max)(values, key=lambda pair: pair[0])[1])


# ---- records ----


class Record:
    def __init__(self, data, number, partition_key=None, sequence=None, shard=None, arrival=None):
        self.data, self.number, self.partition_key = data, number, partition_key
        self.sequence, self.shard, self.arrival = sequence, shard, arrival
        try:
            self.payload = payload_of(data) if isinstance(data, bytes) else data
        except Bad as error:
            self.payload = error

    def value(self, path):
        if path.startswith("$"):
            return {"$partitionKey": self.partition_key, "$shardId": self.shard_id(), "$sequenceNumber": self.sequence,
                    "$arrival": Decimal(self.arrival)}[path]
        if isinstance(self.payload, Bad):
            raise self.payload
        return field(self.payload, path)

    def shard_id(self):
        return self.shard if isinstance(self.shard, str) else f"shardId-{self.shard:012d}"


def decode(text):
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return Bad("base64")


def read(paths, input_format):
    records = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for value in values_of(file.read()):
                if input_format == "ndjson":
                    records.append(Record(value, len(records) + 1))
                elif input_format == "lambda":
                    for one in value["Records"]:
                        kinesis = one["kinesis"]
                        records.append(Record(decode(kinesis["data"]), len(records) + 1, kinesis["partitionKey"],
                                              kinesis["sequenceNumber"], one["eventID"].split(":")[0],
                                              instant(kinesis["approximateArrivalTimestamp"], True)))
                else:
                    for one in value["Records"]:
                        records.append(Record(decode(one["Data"]), len(records) + 1, one["PartitionKey"],
                                              one["SequenceNumber"], None,
                                              instant(one["ApproximateArrivalTimestamp"], True)))
    return records


def shard_of(partition_key, shards):
    """MD5 over equal ranges of the hash keys; the last one takes what is left over."""
    key = int.from_bytes(hashlib.md5(partition_key.encode("utf-8")).digest(), "big")
    return min(key // (2**128 // shards), shards - 1)


class Window:
    def __init__(self, first):
        self.first, self.last, self.groups = first, first, {}


def rows_of(spec, start, shard, window):
    length = int(spec["window"]["seconds"]) * 1000
    group_by = [{"field": one} if isinstance(one, str) else one for one in spec.get("group_by", [])]
    for _, (group, applied) in sorted(window.groups.items(), key=lambda item: item[0]):
        row = [("window_start", text_of(time_text(start))), ("window_end", text_of(time_text(start + length))),
               ("shard_id", text_of(shard)), ("fragment", text_of(window.first)),
               ("last_sequence", text_of(window.last))]
        row += [(one.get("as", one["field"]), text_of(value)) for one, value in zip(group_by, group)]
        for i, aggregate in enumerate(spec["aggregates"]):
            values = [(position, values[i]) for position, values in applied if values[i] is not None]
            row.append((aggregate["name"], aggregate_result(aggregate["function"], values)))
        row.append(("records", str(len(applied))))
        yield "{" + ",".join(json.dumps(name, ensure_ascii=False) + ":" + text for name, text in row) + "}"


def replay(spec, records, shards=1, allowed_lateness=0, partition_key=None, timestamp=None, sort=False):
    """Gives (rows, fates)."""
    length, lateness = int(spec["window"]["seconds"]) * 1000, allowed_lateness * 1000
    if not timestamp and any(record.arrival is None for record in records):
        timestamp = spec["timestamp"]["field"]  # payloads; events bring an arrival time of their own
    fates = dict.fromkeys(("applied", "late", "duplicate", "filtered", "bad"), 0)
    for record in records:
        if timestamp:
            try:
                record.arrival = instant(record.value(timestamp))
            except Bad:
                record.arrival = None
    if sort:
        records = sorted(records, key=lambda record: -1 if record.arrival is None else record.arrival)
    windows, names, appearance, marks, watermark, rows = {}, {}, {}, {}, -1, []

    def close(until):
        for start, order in sorted(key for key in windows if key[0] + length + lateness <= until):
            rows.extend(rows_of(spec, start, names[order], windows.pop((start, order))))

    for position, record in enumerate(records, 1):
        if record.sequence is None:
            record.sequence = "49" + str(position).zfill(54)
        if record.partition_key is None:
            key = MISSING if partition_key is None or isinstance(record.payload, Bad) else field(record.payload, partition_key)
            record.partition_key = key if isinstance(key, str) and key else str(position)
        if record.shard is None:
            record.shard = shard_of(record.partition_key, shards)
        shard = record.shard_id()
        order = record.shard if isinstance(record.shard, int) else appearance.setdefault(shard, len(names))
        names[order] = shard
        if int(record.sequence) <= marks.get(shard, -1):
            fates["duplicate"] += 1
            continue
        marks[shard] = int(record.sequence)
        if record.arrival is None:  # no time, so no window
            fates["bad"] += 1
            continue
        start = record.arrival // length * length
        late = start + length + lateness <= watermark
        watermark = max(watermark, record.arrival)
        close(watermark)
        if late:
            fates["late"] += 1
            continue
        window = windows.setdefault((start, order), Window(record.sequence))
        window.last = record.sequence
        try:
            if isinstance(record.payload, Bad):
                raise record.payload
            if "where" in spec and not matches(spec["where"], record.payload):
                fates["filtered"] += 1
                continue
            group = tuple(group_value(record.value(one if isinstance(one, str) else one["field"]))
                          for one in spec.get("group_by", []))
            values = [aggregate_value(one, record.value(one["field"]) if "field" in one else True)
                      for one in spec["aggregates"]]
        except Bad:
            fates["bad"] += 1
            continue
        fates["applied"] += 1
        window.groups.setdefault(group_order(group), (group, []))[1].append(((record.arrival, int(record.sequence)), values))
    close(float("inf"))
    return rows, fates


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spec", required=True)
    parser.add_argument("--input-format", choices=("ndjson", "lambda", "get-records"), default="ndjson")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--allowed-lateness", type=int, default=0)
    parser.add_argument("--partition-key")
    parser.add_argument("--timestamp")
    parser.add_argument("--sort", action="store_true")
    parser.add_argument("inputs", nargs="+")
    args = parser.parse_args()
    with open(args.spec, encoding="utf-8") as file:
        spec = DECODER.decode(file.read())
    rows, fates = replay(spec, read(args.inputs, args.input_format), args.shards, args.allowed_lateness,
                         args.partition_key, args.timestamp, args.sort)
    sys.stdout.reconfigure(encoding="utf-8")
    for row in rows:
        print(row)
    print(fates, file=sys.stderr)


if __name__ == "__main__":
    main()

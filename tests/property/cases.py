"""Random specs and streams. All that is random comes from the random.Random passed in."""

import base64
import json
import random

WORDS = ["a", "b", "", "click", "page_view", "caf\u00e9", "\u00e9", "e\u0301", "\U0001f600", "tab\there", 'say "hi"', "back\\slash",
         "new\nline", "nul\x00byte", "\x1f", "\x7f", "\u2028", "\uffff", "\u65e5\u672c\u8a9e", "a" * 40, "true", "1", "null", "/"]


class Raw(str):
    """JSON text that stands as it is: a number in one of its spellings, or a broken value."""


def number(rng, wild):
    """A number; wild ones have up to 34 digits, exponents, and every spelling of zero."""
    kind = rng.random()
    if not wild or kind < 0.4:
        return Raw(rng.choice([str(rng.randint(-1000, 1000)), f"{rng.randint(-99999, 99999) / 100:.2f}",
                               str(rng.randint(0, 9)), f"{rng.randint(0, 10**6)}.{rng.randint(0, 999):03d}"]))
    if kind < 0.55:
        return Raw(rng.choice(["0", "-0", "0.0", "-0.00", "0e5", "1", "1.0", "1e0", "10e-1", "1E+0", "100", "1e2"]))
    if kind < 0.75:
        digits = str(rng.randint(1, 9)) + "".join(rng.choice("0123456789") for _ in range(rng.randint(0, 33)))
        point = rng.randint(0, len(digits))
        text = (digits[:point] or "0") + ("." + digits[point:] if point < len(digits) else "")
        return Raw(rng.choice(["", "-"]) + text)
    text = str(rng.randint(1, 9)) + rng.choice(["", ".5", ".25", ".123456789012345678"])
    exponent = rng.choice([rng.randint(-20, 20), rng.randint(-40, 40), rng.randint(-320, 300), 307, -324, 34, 33, -34, -35])
    return Raw(rng.choice(["", "-"]) + text + rng.choice("eE") + rng.choice(["", "+"] if exponent >= 0 else [""]) + str(exponent))


def number_beyond(rng):
    return Raw(rng.choice(["1e400", "-1e309", "1e-400", "1." + "1" * 34, "12345678901234567890123456789012345"]))


def spelled(text, rng):
    """A JSON string in one of its spellings."""
    out = ['"']
    for char in text:
        code = ord(char)
        if code < 0x20 or char in '"\\' or rng.random() < 0.05:
            short = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f", '"': '\\"', "\\": "\\\\", "/": "\\/"}
            if char in short and rng.random() < 0.7:
                out.append(short[char])
            elif code > 0xFFFF:
                out.append(f"\\u{0xD800 + ((code - 0x10000) >> 10):04x}\\u{0xDC00 + ((code - 0x10000) & 0x3FF):04X}")
            else:
                out.append(f"\\u{code:04{rng.choice('xX')}}")
        else:
            out.append(char)
    return "".join(out) + '"'


def spell(value, rng, spaces):
    space = lambda: rng.choice(["", "", " ", "\n", "\t", "\r\n  "]) if spaces else ""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        return spelled(value, rng)
    if isinstance(value, list):
        return "[" + space() + ("," + space()).join(spell(one, rng, spaces) for one in value) + space() + "]"
    if isinstance(value, dict):
        members = [(name, one) for name, one in value.items()]
        rng.shuffle(members)
        if members and rng.random() < 0.05:  # of duplicate keys the last one wins
            members.insert(rng.randint(0, members.index(members[-1])), (members[-1][0], Raw("17")))
        parts = [spelled(name, rng) + space() + ":" + space() + spell(one, rng, spaces) for name, one in members]
        return "{" + space() + (space() + "," + space()).join(parts) + space() + "}"
    return json.dumps(value)


def timestamp(rng, ms, form):
    if form == "ms":
        return Raw(str(ms))
    if form == "s":
        return Raw(rng.choice([f"{ms // 1000}.{ms % 1000:03d}", java_number(ms), java_number(ms).lower()]))
    if form == "text":
        return str(ms)
    minutes = rng.choice([0, 0, 120, -330])
    shifted = (ms // 1000 + minutes * 60)
    days, rest = divmod(shifted, 86400)
    year, month, day = civil(days)
    zone = "Z" if minutes == 0 else f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    fraction = rng.choice([f".{ms % 1000:03d}", f".{ms % 1000:03d}000"]) if ms % 1000 or rng.random() < 0.5 else ""
    return f"{year:04d}-{month:02d}-{day:02d}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}{fraction}{zone}"


def java_number(ms):
    """Seconds as Java's Double.toString writes a large double: 1.69106871717E9."""
    return f"{ms // 10**12}.{(f'{ms % 10**12:012d}').rstrip('0') or '0'}E9"


def civil(days):
    """Year, month, day of a day since 1970 (Howard Hinnant's days_from_civil, backwards)."""
    days += 719468
    era, day = divmod(days, 146097)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    return year + era * 400 + (month >= 10), month + (3 if month < 10 else -9), day - (153 * month + 2) // 5 + 1


class Case:
    """One spec, one stream, the options of replay that decide rows."""

    def __init__(self, seed):
        rng = self.rng = random.Random(seed)
        self.format = rng.choice(["ndjson", "ndjson", "array", "lambda", "lambda", "get-records"])
        self.time_form = rng.choice(["ms", "s", "iso", "text"])
        self.trouble = rng.choice([0, 0, 0.02, 0.2])  # part of the values that make a record bad
        self.wild = rng.random() < 0.6
        self.window = rng.choice([1, 5, 7, 60, 90, 700, 3600, 86400])
        self.lateness = rng.choice([0, 0, 1, self.window, 3 * self.window])
        self.sort = self.format in ("ndjson", "array") and rng.random() < 0.15
        self.shards = rng.choice([1, 1, 2, 3, 4, 8]) if self.format != "lambda" else None
        self.partition_key = rng.choice([None, "user", "geo.country"]) if self.format in ("ndjson", "array") else None
        self.overrides_time = rng.random() < 0.2  # --timestamp, which also overrides the arrival in events
        self.payload_time = self.format in ("ndjson", "array") or rng.random() < 0.2
        self.count = rng.choice([0, 1, 2, 10, 50, 200, 400]) if self.format == "lambda" else rng.choice([1, 2, 10, 50, 200, 400])
        self.spaces = rng.random() < 0.3
        self.spec = self.make_spec()
        self.text = self.make_input()

    def field(self):
        return self.rng.choice(["k", "v", "s", "geo.country", "geo.point.x", "/geo/list/0", "/a~1b", "absent", "flag"])

    def make_spec(self):
        rng = self.rng
        spec = {"window": {"seconds": self.window}, "bad_records": "divert"}
        if self.payload_time:
            spec["timestamp"] = {"field": "ts", "format": "auto"}
        groups, names = [], set()
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            path = rng.choice(["k", "flag", "s", "geo.country", "/geo/list/0", "v", "$shardId"])
            name = path if rng.random() < 0.6 else "g" + str(len(groups)) + rng.choice(["", "\u00e9", '"q'])
            if name not in names:
                names.add(name)
                groups.append(path if name == path else {"field": path, "as": name})
        if groups or rng.random() < 0.5:
            spec["group_by"] = groups
        spec["aggregates"] = []
        for i in range(rng.randint(1, 6)):
            function = rng.choice(["count", "sum", "mean", "min", "max", "first", "last"])
            one = {"name": f"c{i}", "function": function}
            if function in ("sum", "mean"):
                one["field"] = rng.choice(["v", "v", "geo.point.x", "absent"])
            elif function in ("min", "max"):
                one["field"] = rng.choice(["v", "geo.point.x", "s"])
                if one["field"] == "s":
                    one["type"] = "string"
            elif function != "count" or rng.random() < 0.5:
                one["field"] = self.field()
            spec["aggregates"].append(one)
        if rng.random() < 0.4:
            spec["where"] = self.make_pattern()
        return spec

    def make_pattern(self):
        rng = self.rng
        rule = lambda: rng.choice([
            ("k", ["a", "click", "1"]), ("k", [{"prefix": "c"}, {"suffix": "\u00e9"}]), ("k", [{"anything-but": ["a", "b"]}]),
            ("v", [{"numeric": [">", 0, "<=", 500]}]), ("v", [{"numeric": ["=", 1]}]), ("v", [{"exists": True}]),
            ("absent", [{"exists": False}]), ("s", ["caf\u00e9", None]), ("geo", {"country": ["DE", "FR"]})])
        if rng.random() < 0.3:
            return {"$or": [dict([rule()]), dict([rule()])]}
        return dict(rule() for _ in range(rng.randint(1, 2)))

    def scalar(self, choices):
        rng = self.rng
        if rng.random() < self.trouble:
            return rng.choice([["x"], {"x": Raw("1")}, number_beyond(rng), "word", True])
        return choices()

    def payload(self, ms):
        rng = self.rng
        value = {"ts": timestamp(rng, ms, self.time_form), "noise": rng.choice([[], {}, [Raw("1"), [None, {"deep": "x"}]], None])}
        if rng.random() < self.trouble / 4:
            value["ts"] = rng.choice([None, "yesterday", [], Raw("-5"), Raw("1e30"), True])
            if rng.random() < 0.3:
                del value["ts"]
        words = WORDS if self.wild else WORDS[:6]
        if rng.random() < 0.95:
            value["k"] = self.scalar(lambda: rng.choice([rng.choice(words), rng.choice(words), None, True, False, number(rng, self.wild)]))
        if rng.random() < 0.9:
            value["v"] = self.scalar(lambda: None if rng.random() < 0.05 else number(rng, self.wild))
        if rng.random() < 0.9:
            value["s"] = rng.choice(words + [None])
        if rng.random() < 0.9:
            value["geo"] = {"country": rng.choice(["DE", "FR", "\u00cele", "D"]), "point": {"x": number(rng, self.wild)},
                            "list": [rng.choice([Raw("1"), Raw("1.0"), "1", True, None])][:rng.randint(0, 1)]}
        value["user"] = f"user-{rng.randint(0, 30)}"
        if rng.random() < 0.3:
            value["a/b"] = number(rng, False)
        if rng.random() < 0.5:
            value["flag"] = rng.choice([True, False, None])
        return value

    def times(self, begin=None):
        """Arrival times: ascending, with gaps, some of them back by up to a few windows."""
        rng = self.rng
        now = begin or rng.choice([1762732800000, 0, 1607497475000, 99999999999000])
        step = rng.choice([10, 1000, self.window * 100, self.window * 400])
        back = rng.choice([0, 0, step * 3, self.window * 1500])
        for _ in range(self.count):
            now += rng.randint(0, step * 2) + (rng.randint(0, self.window * 5000) if rng.random() < 0.02 else 0)
            yield max(0, now - (rng.randint(0, back) if back and rng.random() < 0.5 else 0))

    def make_input(self):
        rng = self.rng
        times = list(self.times())
        payloads = [spell(self.payload(ms), rng, self.spaces) for ms in times]
        if self.format == "ndjson":
            between = rng.choice(["\n", "\r\n", "", " "])
            return between.join(payloads) + rng.choice(["", "\n"])
        if self.format == "array":
            return "[" + ",\n".join(payloads) + "]"
        return self.make_events(times, payloads)

    def make_events(self, times, payloads):
        rng = self.rng
        shards = rng.choice([1, 1, 2, 3]) if self.format == "lambda" else 1
        sequence = rng.choice([0, 10**18, 49590338271490256608559692538361571095921575989136588898])
        queues = [[] for _ in range(shards)]
        events = []
        for ms, payload in zip(times, payloads):
            sequence += rng.randint(1, 10**rng.randint(1, 20))
            shard = rng.randrange(shards)
            data = base64.b64encode(payload.encode("utf-8")).decode()
            if rng.random() < self.trouble / 4:
                data = rng.choice(["####", "YQ", base64.b64encode(b"{\"k\":").decode(), base64.b64encode(b"\xff").decode()])
            seconds = rng.choice([f"{ms // 1000}.{ms % 1000:03d}", java_number(ms)])
            key = f"user-{rng.randint(0, 30)}"
            if self.format == "get-records":
                queues[shard].append({"SequenceNumber": str(sequence), "ApproximateArrivalTimestamp": Raw(seconds), "Data": data,
                                      "PartitionKey": key})
            else:
                kinesis = {"kinesisSchemaVersion": "1.0", "partitionKey": key, "sequenceNumber": str(sequence), "data": data,
                           "approximateArrivalTimestamp": Raw(seconds)}
                arn = "arn:aws:kinesis:us-east-1:123456789012:stream/clicks"
                queues[shard].append({"kinesis": kinesis, "eventSource": "aws:kinesis", "eventVersion": "1.0",
                                      "eventID": f"shardId-{shard * 3:012d}:{sequence}", "eventName": "aws:kinesis:record",
                                      "awsRegion": "us-east-1", "eventSourceARN": arn})
            if rng.random() < 0.2:
                self.flush(queues[shard], shard, events)
        for shard, queue in enumerate(queues):
            if queue or not events:
                self.flush(queue, shard, events)
        if self.format == "get-records" and not payloads:
            events.append({"Records": [], "MillisBehindLatest": Raw("0")})
        return rng.choice(["\n", "", "\n\n"]).join(json_text(one, rng, self.spaces) for one in events)

    def flush(self, queue, shard, events):
        rng = self.rng
        event = {"Records": list(queue)}
        queue.clear()
        if self.format == "lambda" and rng.random() < 0.3:
            event.update({"window": {"start": "2020-12-09T07:04:00Z", "end": "2020-12-09T07:06:00Z"}, "state": {"1": Raw("282")},
                          "shardId": f"shardId-{shard * 3:012d}", "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/clicks",
                          "isFinalInvokeForWindow": rng.random() < 0.5, "isWindowTerminatedEarly": False})
        events.append(event)
        if self.format == "lambda" and rng.random() < 0.1:
            events.append(event)  # delivered again, as Lambda does


def json_text(value, rng, spaces):
    """An event: members in any order, no duplicates, no odd spellings of strings (AWS writes none)."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        members = list(value.items())
        rng.shuffle(members)
        comma = ",\n " if spaces else ","
        return "{" + comma.join(json.dumps(name) + ":" + json_text(one, rng, spaces) for name, one in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(json_text(one, rng, spaces) for one in value) + "]"
    return json.dumps(value)

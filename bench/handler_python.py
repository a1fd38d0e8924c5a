#!/usr/bin/python3
"""The handler one writes without tumble: a Lambda function for a Kinesis stream with tumbling windows, in plain CPython.

Reads the events of a file, one a line, as Lambda would hand them over: json, base64, one dict a window; the state goes
through JSON on every invocation, because that is how Lambda carries it. Prints a JSON line per window and group."""

import base64
import json
import sys

WINDOW_SECONDS = 60


def handler(event, _context=None):
    state = event["state"]
    for record in event["Records"]:
        payload = json.loads(base64.b64decode(record["kinesis"]["data"]))
        group = payload["eventType"]
        amount = payload["amount"]
        entry = state.get(group)
        if entry is None:
            state[group] = [1, amount, amount, amount]
        else:
            entry[0] += 1
            entry[1] += amount
            if amount < entry[2]:
                entry[2] = amount
            if amount > entry[3]:
                entry[3] = amount
    return {"state": state}


def emit(window, state):
    for group in sorted(state):
        count, total, low, high = state[group]
        print(json.dumps({"window": window, "eventType": group, "n": count, "sum": total, "min": low, "max": high}))


def main():
    window, state = None, "{}"
    with open(sys.argv[1], "rb") as events:
        for line in events:
            records = json.loads(line)["Records"]
            # Lambda's part: a batch never crosses a window.
            while records:
                start = int(records[0]["kinesis"]["approximateArrivalTimestamp"] // WINDOW_SECONDS) * WINDOW_SECONDS
                if start != window:
                    if window is not None:
                        emit(window, json.loads(state))
                    window, state = start, "{}"
                cut = len(records)
                end = start + WINDOW_SECONDS
                if records[-1]["kinesis"]["approximateArrivalTimestamp"] >= end:
                    cut = next(i for i, one in enumerate(records) if one["kinesis"]["approximateArrivalTimestamp"] >= end)
                answer = handler({"Records": records[:cut], "state": json.loads(state)})
                state = json.dumps(answer["state"])
                records = records[cut:]
    if window is not None:
        emit(window, json.loads(state))


if __name__ == "__main__":
    main()

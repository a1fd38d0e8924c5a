#!/usr/bin/python3
"""The handler one writes without tumble: a Lambda function for a Kinesis stream with tumbling windows, in plain CPython.

    handler_python.py EVENTS GROUP

Takes the events of a file, one a line, as Lambda would hand them over: json, base64, one dict a window; the state goes
through JSON on every invocation, because that is how Lambda carries it. Prints a JSON line per window and group."""

import base64
import json
import sys


def handler(event, group_by):
    state = event["state"]
    for record in event["Records"]:
        payload = json.loads(base64.b64decode(record["kinesis"]["data"]))
        group = payload[group_by]
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


def emit(window, state, group_by):
    for group in sorted(state):
        count, total, low, high = state[group]
        print(json.dumps({"window_start": window, group_by: group, "n": count, "sum": total, "min": low, "max": high}))


def main():
    path, group_by = sys.argv[1:]
    shards = {}  # Lambda's part: each shard's window, and the state between invocations
    with open(path, "rb") as events:
        for line in events:
            event = json.loads(line)
            shard, start = event["shardId"], event["window"]["start"]
            window, state = shards.get(shard, (start, "{}"))
            if start != window:
                emit(window, json.loads(state), group_by)
                state = "{}"
            event["state"] = json.loads(state)
            shards[shard] = start, json.dumps(handler(event, group_by)["state"])
    for window, state in shards.values():
        emit(window, json.loads(state), group_by)


if __name__ == "__main__":
    main()

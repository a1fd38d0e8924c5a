"""A Lambda handler for a Kinesis mapping with a tumbling window: `handler.handler`, Python 3.9 or later.

Rows of finals are appended to ROWS_FILE here; put your own destination into `deliver`. It may see a row twice, with the
same key, when an invocation failed behind it."""

import json
import os

import tumble

SPEC = {
    "group_by": ["kind"],
    "aggregates": [
        {"name": "n", "function": "count"},
        {"name": "total", "function": "sum", "field": "amount"},
    ],
}


def deliver(row, key):  # pylint: disable=unused-argument
    with open(os.environ["ROWS_FILE"], "a", encoding="utf-8") as rows:
        rows.write(json.dumps(row) + "\n")


FUNCTION = tumble.Function(SPEC, deliver)


def handler(event, context):
    return FUNCTION.invoke(event, context)

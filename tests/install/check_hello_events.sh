#!/bin/sh
# Runs the example: two shards, windows that end, an event given twice, a process that comes back to its state.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '%s' '{"window":{"seconds":60},"group_by":["type"],"aggregates":[{"name":"revenue","function":"sum","field":"amount"}]}' \
    > "$work/spec.json"

# record SHARD SEQUENCE ARRIVAL PAYLOAD
record() {
    data=$(printf '%s' "$4" | base64 | tr -d '\n')
    printf '{"kinesis":{"partitionKey":"k","sequenceNumber":"%s","data":"%s","approximateArrivalTimestamp":%s},"eventID":"%s:%s"}' \
        "$2" "$data" "$3" "$1" "$2"
}
event() { printf '{"Records":[%s]}\n' "$1"; }

event "$(record s-0 1 1607497440.5 '{"type":"buy","amount":19.99}'),$(record s-0 2 1607497441.5 '{"type":"buy","amount":0.01}')" > "$work/1"
event "$(record s-1 1 1607497445.5 '{"type":"refund","amount":-5}')" > "$work/2"
event "$(record s-0 3 1607497499.5 '{"type":"buy","amount":1}'),$(record s-0 4 1607497501.5 '{"type":"buy","amount":7}')" > "$work/3"
event "$(record s-0 5 1607497502.5 '{"type":"buy","amount":3.5}')" > "$work/4"
cd "$work"
cat 1 2 3 3 4 | "$1" spec.json > at_once
diff -u "$here/hello_events.expected" at_once

# A process that ends in the middle, and another that is given the unanswered event again, from the same state.
if (cat 1 2 3 && echo '{"Records":7}') | "$1" spec.json state > rows 2> error; then
    exit 1
fi
grep -q 'this is no Kinesis event: Records is no array' error
cat 3 4 | "$1" spec.json state >> rows
diff -u "$here/hello_events.expected" rows

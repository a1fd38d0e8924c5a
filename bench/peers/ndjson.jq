# Payloads folded one at a time, as streams that do not fit into memory are: jq -nc --arg group NAME -f ndjson.jq FILE
reduce inputs as $record ({};
    (($record.timestamp / 60000 | floor | tostring) + "|" + $record[$group]) as $id
    | $record.amount as $amount
    | .[$id] |= (if . == null then [1, $amount, $amount, $amount]
                 else [.[0] + 1, .[1] + $amount, ([.[2], $amount] | min), ([.[3], $amount] | max)] end))
| to_entries[]
| (.key | split("|")) as $key
| {window_start: ($key[0] | tonumber * 60 | todate), ($group): $key[1], n: .value[0], sum: .value[1], min: .value[2], max: .value[3]}

# Payloads by the position of their members, which awk can split but not parse: the stream has them in one order.
#     mawk -v group=eventType|userId -f ndjson.awk FILE
BEGIN { FS = "\""; OFS = ""; at = group == "userId" ? 8 : 12 }
{
    key = $at
    split($15, after, ",")
    ms = substr(after[1], 2)
    split($17, amount, "}")
    value = substr(amount[1], 2) + 0
    id = int(ms / 60000) * 60 SUBSEP key
    if (!(id in n)) {
        low[id] = high[id] = value
    } else if (value < low[id]) {
        low[id] = value
    } else if (value > high[id]) {
        high[id] = value
    }
    n[id]++
    sum[id] += value
}
END {
    OFMT = CONVFMT = "%.15g"
    for (id in n) {
        split(id, part, SUBSEP)
        print "{\"window_start\":\"", strftime("%Y-%m-%dT%H:%M:%SZ", part[1], 1), "\",\"", group, "\":\"", part[2], "\",\"n\":", n[id],
            ",\"sum\":", sum[id], ",\"min\":", low[id], ",\"max\":", high[id], "}"
    }
}

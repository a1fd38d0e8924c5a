"$TUMBLE" replay --spec "$DATA/orders.json" -q --sort - < "$DATA/clicks.ndjson" > a
"$TUMBLE" replay --spec - -q --sort "$DATA/clicks.ndjson" < "$DATA/orders.json" | cmp - a
"$TUMBLE" replay --spec - -q --sort - < "$DATA/orders.json"

"$TUMBLE" replay --spec "$DATA/orders.json" -q -o file:/dev/null --failures file:/dev/null --summary /dev/null "$DATA/clicks.ndjson" &&
"$TUMBLE" replay --spec "$DATA/orders.json" -q -o - --failures file:/dev/stdout "$DATA/clicks.ndjson" | wc -l

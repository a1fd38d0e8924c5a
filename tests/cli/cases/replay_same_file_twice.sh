"$TUMBLE" replay --spec "$DATA/orders.json" -q -o file:rows -o file:./rows "$DATA/clicks.ndjson"

"$TUMBLE" replay --spec "$DATA/orders.json" -o flie:rows "$DATA/clicks.ndjson"

"$TUMBLE" tune --spec "$DATA/orders.json" --shards 1,,4 "$DATA/clicks.ndjson"

"$TUMBLE" tune --spec "$DATA/orders.json" --shards "$(seq -s , 32)" "$DATA/clicks.ndjson"

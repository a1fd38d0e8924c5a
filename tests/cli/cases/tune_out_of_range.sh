"$TUMBLE" tune --spec "$DATA/orders.json" --memory 64 "$DATA/clicks.ndjson"

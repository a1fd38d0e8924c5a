head -n 1 "$DATA/clicks.ndjson" | "$TUMBLE" tune --spec "$DATA/orders.json" -

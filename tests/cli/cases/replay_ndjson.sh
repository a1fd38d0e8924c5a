"$TUMBLE" replay --spec "$DATA/orders.json" "$DATA/clicks.ndjson"

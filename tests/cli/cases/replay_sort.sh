"$TUMBLE" replay --spec "$DATA/orders.json" --sort "$DATA/clicks.ndjson"

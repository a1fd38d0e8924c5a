"$TUMBLE" replay --spec "$DATA/orders.json" --sort true -q --format csv "$DATA/clicks.ndjson"

"$TUMBLE" replay --spec "$DATA/orders.json" --sort -q --format table "$DATA/clicks.ndjson"

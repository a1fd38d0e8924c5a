"$TUMBLE" replay --spec "$DATA/orders.json" --durability every=0 "$DATA/clicks.ndjson"

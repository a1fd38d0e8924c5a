"$TUMBLE" replay --spec "$DATA/orders.json" -o rows.ndjson "$DATA/clicks.ndjson"; "$TUMBLE" replay --spec "$DATA/orders.json" -o /tmp/x "$DATA/clicks.ndjson"

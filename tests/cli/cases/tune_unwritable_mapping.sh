"$TUMBLE" tune --spec "$DATA/orders.json" --output-mapping no/such/mapping.json "$DATA/clicks.ndjson"

"$TUMBLE" tune --spec "$DATA/orders.json" --timing 5 --function-duration 3 "$DATA/clicks.ndjson"

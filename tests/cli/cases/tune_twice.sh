"$TUMBLE" tune --spec "$DATA/orders.json" --batch-size 100,200,100 "$DATA/clicks.ndjson"

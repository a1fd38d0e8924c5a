"$TUMBLE" tune --spec "$DATA/orders.json" --function-duration 5 --save-duration-model model.json "$DATA/clicks.ndjson"

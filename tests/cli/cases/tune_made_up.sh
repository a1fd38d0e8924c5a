"$TUMBLE" tune --spec "$DATA/orders.json" --function-duration 5 --function-arn orders --output-mapping m.json "$DATA/clicks.ndjson" > /dev/null

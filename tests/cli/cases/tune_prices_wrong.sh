printf %s "{\"regoin\":\"eu-west-1\"}" > prices.json
"$TUMBLE" tune --spec "$DATA/orders.json" --prices prices.json "$DATA/clicks.ndjson"

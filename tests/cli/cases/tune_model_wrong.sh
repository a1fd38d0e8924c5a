printf %s "{\"invocation_us\":-1}" > model.json
"$TUMBLE" tune --spec "$DATA/orders.json" --duration-model model.json "$DATA/clicks.ndjson"

printf %s "{\"invocation_us\":1500000,\"record_us\":0,\"payload_kb_us\":0,\"state_kb_us\":0,\"final_kb_us\":0,\"first_us\":0,\"growth_kb_us\":0,\"idle_us\":0,\"idle_record_us\":0}" > model.json
"$TUMBLE" tune --spec "$DATA/orders.json" --duration-model model.json --timeout 3 --batch-size 100 --maximum-batching-window-in-seconds 0 --memory 128,1769 --shards 1 "$DATA/clicks.ndjson"

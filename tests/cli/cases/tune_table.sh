printf %s "{\"invocation_us\":150,\"record_us\":40,\"payload_kb_us\":30,\"state_kb_us\":25,\"final_kb_us\":10,\"first_us\":700,\"growth_kb_us\":0,\"idle_us\":0,\"idle_record_us\":0}" > model.json
"$TUMBLE" tune --spec "$DATA/orders.json" --duration-model model.json --memory 128,1769 --all "$DATA/clicks.ndjson"

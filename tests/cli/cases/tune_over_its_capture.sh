cp "$DATA/clicks.ndjson" clicks.ndjson
"$TUMBLE" tune --spec "$DATA/orders.json" --output-mapping ./clicks.ndjson clicks.ndjson; code=$?
cmp clicks.ndjson "$DATA/clicks.ndjson" && exit $code

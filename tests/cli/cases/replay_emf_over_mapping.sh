echo '{"BatchSize":100}' > mapping.json
"$TUMBLE" replay --spec "$DATA/orders.json" --mapping mapping.json --emf mapping.json "$DATA/clicks.ndjson"; code=$?
grep -q BatchSize mapping.json && exit $code

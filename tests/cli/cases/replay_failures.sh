"$TUMBLE" replay --spec "$DATA/orders.json" -q --failures file:late.ndjson "$DATA/clicks.ndjson" > rows
wc -l < late.ndjson; grep -c late late.ndjson

echo notes > rows
"$TUMBLE" replay --spec "$DATA/orders.json" -q -f csv "$DATA/clicks.ndjson" >> rows
"$TUMBLE" replay --spec "$DATA/orders.json" -q -f table "$DATA/clicks.ndjson" >> rows
cat rows

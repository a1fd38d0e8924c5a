"$TUMBLE" replay --spec "$DATA/orders.json" --state s -o file:rows.txt -f table "$DATA/clicks.ndjson"

"$TUMBLE" replay --spec "$DATA/orders.json" -q --sort --state s -o file:rows "$DATA/clicks.ndjson"
cp rows before
"$TUMBLE" replay --spec "$DATA/orders.json" --sort --state s -o file:rows "$DATA/clicks.ndjson"
cmp rows before && wc -l < rows

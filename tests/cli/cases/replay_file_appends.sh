"$TUMBLE" replay --spec "$DATA/orders.json" -q --sort -o file:rows "$DATA/clicks.ndjson"
"$TUMBLE" replay --spec "$DATA/orders.json" -q --sort -o file:rows "$DATA/clicks.ndjson"
sort rows | uniq -c | awk "{print \$1}"

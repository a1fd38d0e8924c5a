"$TUMBLE" replay --spec "$DATA/orders.json" -q --state s -o file:rows "$DATA/clicks.ndjson"
rm rows
"$TUMBLE" replay --spec "$DATA/orders.json" -q --state s -o file:rows "$DATA/clicks.ndjson"
status=$?
ls
exit $status

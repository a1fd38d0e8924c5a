"$TUMBLE" replay --spec "$DATA/orders.json" -q -f csv -a 'n=count()' -o file:rows "$DATA/clicks.ndjson"
"$TUMBLE" replay --spec "$DATA/orders.json" -q -f csv -a 'n=count()' -o file:rows "$DATA/clicks.ndjson"
"$TUMBLE" replay --spec "$DATA/orders.json" -q -f csv -a 'm=count()' -o file:rows "$DATA/clicks.ndjson"
status=$?
wc -l < rows
exit $status

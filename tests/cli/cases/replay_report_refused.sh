"$TUMBLE" replay --spec "$DATA/orders.json" -q -o file:rows --report nowhere/r.html "$DATA/clicks.ndjson"
"$TUMBLE" replay --spec "$DATA/orders.json" -q -o file:rows --emf nowhere/m.log "$DATA/clicks.ndjson"
"$TUMBLE" replay --spec "$DATA/orders.json" -q -o file:rows --report . "$DATA/clicks.ndjson"
"$TUMBLE" replay --spec "$DATA/orders.json" -q -o file:rows --report rows "$DATA/clicks.ndjson"
status=$?
ls
exit $status

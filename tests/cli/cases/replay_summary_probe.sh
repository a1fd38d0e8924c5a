"$TUMBLE" replay --spec "$DATA/orders.json" -q -o file:rows --summary nowhere/s.json "$DATA/clicks.ndjson"
"$TUMBLE" replay --spec "$DATA/orders.json" -q -o file:rows --summary . "$DATA/clicks.ndjson"
status=$?
ls
"$TUMBLE" replay --spec "$DATA/orders.json" -q -o file:rows --state s --summary s/summary.json "$DATA/clicks.ndjson" || exit
ls s
exit $status

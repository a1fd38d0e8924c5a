"$TUMBLE" replay --spec "$DATA/orders.json" -q --allowed-lateness 60 -o file:rows "$DATA/clicks.ndjson"
"$TUMBLE" replay --spec "$DATA/orders.json" --allowed-lateness 60 -o file:rows "$DATA/clicks.ndjson"

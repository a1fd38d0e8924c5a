"$TUMBLE" replay --spec "$DATA/orders.json" -q "$DATA/clicks.ndjson" > /dev/full
echo $?
"$TUMBLE" replay --spec "$DATA/orders.json" -q -o file:/dev/full "$DATA/clicks.ndjson"
"$TUMBLE" replay --spec "$DATA/orders.json" -q -f table "$DATA/clicks.ndjson" > /dev/full

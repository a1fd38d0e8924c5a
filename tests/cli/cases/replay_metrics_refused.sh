for address in example.org:9464 127.0.0.1 :9464 192.0.2.1:1; do
    "$TUMBLE" replay --spec "$DATA/orders.json" -q --metrics $address "$DATA/clicks.ndjson"
done

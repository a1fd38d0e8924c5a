"$TUMBLE" replay --spec "$DATA/orders.json" nowhere.ndjson

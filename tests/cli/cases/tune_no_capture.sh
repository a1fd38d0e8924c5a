"$TUMBLE" tune --spec "$DATA/orders.json"

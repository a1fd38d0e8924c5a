"$TUMBLE" tune --spec "$DATA/orders.json" /dev/null

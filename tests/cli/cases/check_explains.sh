"$TUMBLE" check - < "$DATA/orders.json"

printf "{\"ts\":1,\"type\":\"a\",\"amount\":1}\n{\"ts\":2,\"type\":\"a\",\"amount\":\"x\"}\n" > in
"$TUMBLE" replay --spec "$DATA/orders.json" in

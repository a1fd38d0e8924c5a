"$TUMBLE" replay --spec "$DATA/orders.json" -q --sort --state s -o file:rows "$DATA/clicks.ndjson"
"$TUMBLE" inspect --state s | grep -E "^(records|windows|groups|outbox)"
"$TUMBLE" inspect --state s --outbox-rows
"$TUMBLE" inspect --state s --window 2024-01-15T10:30:00Z

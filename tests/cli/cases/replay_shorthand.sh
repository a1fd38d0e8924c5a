"$TUMBLE" replay -w 60 -t ts -g type -a "orders=count()" -a "revenue=sum(amount)" -q "$DATA/clicks.ndjson" > short
"$TUMBLE" replay --spec "$DATA/orders.json" -q "$DATA/clicks.ndjson" | cmp - short

"$TUMBLE" check --format json "$DATA/orders.json" | python3 -m json.tool > out.json && grep -c "\"error\": \"exact\"" out.json

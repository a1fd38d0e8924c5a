"$TUMBLE" replay --spec "$DATA/orders.json" --sort -q -f csv --emf /dev/full "$DATA/clicks.ndjson" > rows
echo "$?"
wc -l < rows

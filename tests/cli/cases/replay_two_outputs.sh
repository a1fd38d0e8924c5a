"$TUMBLE" replay --spec "$DATA/orders.json" -q --sort -o - -o "file:rows.csv?format=csv" "$DATA/clicks.ndjson" | wc -l
head -1 rows.csv

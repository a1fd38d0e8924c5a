cp "$DATA/orders.json" spec.json
"$TUMBLE" replay --spec spec.json -q -o rows.csv -o ./rows -o a/b.jsonl "$DATA/clicks.ndjson"
mkdir a
"$TUMBLE" replay --spec spec.json -q -o rows.csv -o ./rows -o a/b.jsonl -o 'x.csv?format=ndjson' --state s "$DATA/clicks.ndjson"
"$TUMBLE" replay --spec spec.json -q -o file:rows.csv -o file:./rows -o file:a/b.jsonl -o 'file:x.csv?format=ndjson' --state s "$DATA/clicks.ndjson" || exit
cmp rows a/b.jsonl && cmp rows x.csv && head -n 2 rows.csv
"$TUMBLE" replay --spec spec.json -q -o rows "$DATA/clicks.ndjson"

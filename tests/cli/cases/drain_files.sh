"$TUMBLE" replay --spec "$DATA/orders.json" -q --sort --state s -o file:rows -f csv "$DATA/clicks.ndjson"
cp rows before
"$TUMBLE" drain --state s
"$TUMBLE" drain --state s -q -o rows || echo "$?"
"$TUMBLE" drain --state s -q -o ./rows || echo "$?"
"$TUMBLE" drain --state s -q -o file:rows && cmp rows before
"$TUMBLE" drain --state nowhere
echo "$?"
"$TUMBLE" drain || echo "$?"
"$TUMBLE" inspect --state s --outbox
"$TUMBLE" inspect --state s --outbox -f ndjson

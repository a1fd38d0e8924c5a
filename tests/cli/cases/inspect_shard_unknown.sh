# A bad record stops a run with its windows open.
yes '{"ts":1705314600,"type":"a","amount":1}' | head -n 8 > in
echo '{"ts":"x"}' >> in
"$TUMBLE" replay --spec "$DATA/orders.json" -q --batch-size 1 --state s --shards 2 -o file:rows in 2> said
"$TUMBLE" inspect --state s --shard shardId-000000000001 -f ndjson | grep -c '"shard_id":"shardId-000000000001"'
"$TUMBLE" inspect --state s --shard shardId-2 -f ndjson

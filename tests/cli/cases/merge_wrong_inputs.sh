# What holds no rows that can be merged says what it is.
replay() { "$TUMBLE" replay -q -w 60 -t ts --allowed-lateness 3600 --shards 2 "$@" "$DATA/clicks.ndjson"; }
merge() { "$TUMBLE" merge -q "$@" > out 2>&1; echo "$? $(cat out)"; }
replay -a 'x=mean(amount)' -f csv > rows.csv && merge rows.csv
replay -a 'x=mean(amount)' -f table > rows.txt && merge rows.txt
replay -a 'x=mean(amount)' -f ndjson > rows && cp "$DATA/clicks.ndjson" clicks && merge rows clicks
printf '{"Records":[{"kinesis":{"data":"e30=","sequenceNumber":"1","partitionKey":"a","approximateArrivalTimestamp":1},"eventID":"shardId-000000000000:1"}]}' > event && merge event
replay -a 'x=sum(amount)' --partials -f ndjson > sums && merge rows sums
replay -a 'x=mean(amount)' --where '{"type":["buy"]}' -f ndjson > buys && merge rows buys
replay -a 'x=mean(amount)' -a 'count()' -f ndjson > more && merge rows more && merge more rows
replay -g type -a 'x=mean(amount)' -f ndjson > grouped && merge rows grouped
replay -w 120 -a 'x=mean(amount)' -f ndjson > longer && merge rows longer
merge --window 90 rows
sed 's/\(mean#[0-9a-f]*:\)[^"]*/\1AQE=/' rows > damaged && merge damaged

"$TUMBLE" tune -w 1m -a count --function true "$DATA/clicks.ndjson"

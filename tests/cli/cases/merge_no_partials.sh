printf '{"window_start":"1970-01-01T00:00:00Z","window_end":"1970-01-01T00:01:00Z","shard_id":"s","fragment":"1","last_sequence":"2","n":1,"records":1}\n' > rows.ndjson
"$TUMBLE" merge rows.ndjson

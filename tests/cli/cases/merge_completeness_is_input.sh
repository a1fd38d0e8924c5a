printf '{"window_start":"1970-01-01T00:00:00Z","window_end":"1970-01-01T00:01:00Z","shard_id":"s","fragment":"1","last_sequence":"2","n":1,"_partials":{"n":"count#00000000:AQ=="},"records":1}\n' > rows.ndjson
ln -s rows.ndjson link
"$TUMBLE" merge --completeness link rows.ndjson

row() { printf '{"window_start":"1970-01-01T00:00:00Z","window_end":"1970-01-01T00:01:00Z","shard_id":"s","fragment":"%s","last_sequence":"%s","n":1,"_partials":{"n":"count#00000000:AQ=="},"records":1}\n' "$1" "$2"; }
{ row 1 10; row 5 20; } > rows.ndjson
"$TUMBLE" merge rows.ndjson

printf '%s' '{"window":{"seconds":60},"timestamp":{"field":"ts"},"partials":true,"group_by":["type"],"aggregates":[{"name":"n","function":"count"},{"name":"revenue","function":"sum","field":"amount"}]}' > spec.json
"$TUMBLE" replay -q --spec spec.json --allowed-lateness 3600 --shards 4 "$DATA/clicks.ndjson" > rows.ndjson
"$TUMBLE" merge --completeness windows.ndjson rows.ndjson rows.ndjson
cut -c1-200 windows.ndjson
"$TUMBLE" merge -q --window 3600 file:rows.ndjson

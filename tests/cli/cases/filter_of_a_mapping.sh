where='{"data":{"type":["buy"]}}'
printf '{"where": %s, "aggregates": [{"name": "n", "function": "count"}]}' "$where" > s.json
"$TUMBLE" check s.json | grep -A 1 ^filter
"$TUMBLE" replay -s s.json -w 60 -t ts "$DATA/clicks.ndjson"
"$TUMBLE" replay --where '{"type":["x"]}' -a count -w 60 -t ts "$DATA/clicks.ndjson"
"$TUMBLE" replay --where '{"data":{"a":["x"]},"type":["x"]}' -a count -w 60 -t ts -q "$DATA/clicks.ndjson"

printf '{"window": {"seconds": 60}, "aggregates": [{"name": "n", "function": "count"}], "outputs": ["-", "fil:rows"]}' > s.json
"$TUMBLE" replay -s s.json -t ts "$DATA/clicks.ndjson"
"$TUMBLE" check s.json
"$TUMBLE" replay -s s.json -t ts -o fil:rows "$DATA/clicks.ndjson"
for uri in 'file:rows?format=xml' 'file:rows?colour=red' 'file:t?format=table&width=wide'; do
  printf '{"window": {"seconds": 60}, "aggregates": [{"name": "n", "function": "count"}], "outputs": ["-"], "failures": "%s"}' "$uri" > s.json
  "$TUMBLE" check s.json
done

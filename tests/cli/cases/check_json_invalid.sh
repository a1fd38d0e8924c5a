printf '{"window": {"seconds": 60},\n "agregates": []}' > s.json
"$TUMBLE" check -f json s.json || echo "$?"
printf '{"aggregates": [{"name": "n", "function": "count"}], "failures": "ftp:x"}' > s.json
"$TUMBLE" check -f json s.json > out || echo "$?"
sed 's/ (there are .*)"}$/ (…)"}/' out
printf '{' | "$TUMBLE" check -f json -

# What check says about partials: where they are needed, never, always; and how the stored bytes of several columns are counted.
tell() { printf '{"aggregates":[%s]%s}' "$1" "${2:-}" | "$TUMBLE" check - | grep -E -A 1 '^partials|^stored' || true; }
tell '{"name":"n","function":"count"}'
tell '{"name":"u","function":"distinct","field":"u"},{"name":"p","function":"quantile","field":"v","q":[0.5,0.9]}'
tell '{"name":"u","function":"distinct","field":"u"}' ',"partials":false'
tell '{"name":"u","function":"distinct","field":"u"}' ',"partials":true'
printf '{"aggregates":[{"name":"u","function":"distinct","field":"u"}]}' | "$TUMBLE" check --format json - > out.json
python3 -c 'import json; r = json.load(open("out.json")); print(r["partials"], r["columns"][5]["stored_bytes"]["most"], r["columns"][5]["additive"], r["group_bytes"]["stored_empty"])'

# Rows of several shards carry partials where an aggregate needs them; a spec or --partials says otherwise.
replay() { "$TUMBLE" replay -q -w 3600 -t ts --allowed-lateness 3600 -f ndjson "$@" "$DATA/clicks.ndjson"; }
tell() { grep -c _partials || true; }
replay -a 'mean(amount)' | tell
replay -a 'mean(amount)' --shards 2 | tell
replay -a 'mean(amount)' --shards 2 --partials false | tell
replay -a 'sum(amount)' --shards 2 | tell
replay -a 'sum(amount)' --shards 2 --partials | tell
replay -a 'mean(amount)' --partials=true | tell
printf '{"partials":false,"aggregates":[{"name":"u","function":"distinct","field":"user"}]}' > off.json
replay --spec off.json --shards 2 | tell
replay --spec off.json --shards 2 --partials | tell
replay -a 'mean(amount)' --shards 2 -f table | tell
replay -a 'mean(amount)' --shards 2 | "$TUMBLE" merge -q - | tell

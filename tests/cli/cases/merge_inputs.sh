# Rows as they come: plain, gzip, zstd, an array, values over several lines, files without any; windows in hours.
"$TUMBLE" replay -q -w 60 -t ts --allowed-lateness 3600 --shards 3 -a 'mean(amount)' -f ndjson "$DATA/clicks.ndjson" > rows
gzip -k rows && zstd -q -k rows && : > none && printf '\n \n' > blank
python3 -c 'import json; rows = [json.loads(line) for line in open("rows")]; json.dump(rows, open("array", "w")); json.dump(rows[0], open("lines", "w"), indent=1)'
"$TUMBLE" merge -q rows > wanted && wc -l < wanted
for input in rows.gz rows.zst array file:rows "none blank rows" "rows rows.gz lines"; do
    # shellcheck disable=SC2086 # several files
    "$TUMBLE" merge -q $input | cmp - wanted && echo "$input"
done
"$TUMBLE" merge -q - < rows.gz | cmp - wanted && "$TUMBLE" merge none && "$TUMBLE" merge --window 1h rows

for window in 1h 60m 3600s 3600; do
  "$TUMBLE" replay -w "$window" -t ts --allowed-lateness 1m -q -f ndjson -a count "$DATA/clicks.ndjson" | cksum
done | uniq -c | wc -l
"$TUMBLE" replay -w 1d -t ts -q -f csv -a n=count -a count "$DATA/clicks.ndjson" | cut -d, -f 1,2,6-
for window in 1w 5mm m -1m 0s 99999999999999999h ''; do
  "$TUMBLE" replay -w "$window" -t ts -a count "$DATA/clicks.ndjson" 2>&1 | head -n 1
done

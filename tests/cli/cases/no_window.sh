"$TUMBLE" replay -a "n=count()" -t ts "$DATA/clicks.ndjson"

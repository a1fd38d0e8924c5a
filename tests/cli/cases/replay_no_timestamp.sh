"$TUMBLE" replay -w 60 -a "n=count()" "$DATA/clicks.ndjson"

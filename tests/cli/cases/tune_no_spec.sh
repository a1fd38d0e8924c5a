"$TUMBLE" tune "$DATA/clicks.ndjson"

"$TUMBLE" merge nowhere.ndjson

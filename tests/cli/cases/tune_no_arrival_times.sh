printf %s "{\"window\":{\"seconds\":60},\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}" > spec.json
"$TUMBLE" tune --spec spec.json "$DATA/clicks.ndjson"

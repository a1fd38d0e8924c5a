"$TUMBLE" replay -q -t ts -w 60 -a 'n=count()' --fault error=1 --maximum-retry-attempts 0 \
    --destination-config '{"OnFailure":{"Destination":"file:none/dead.ndjson"}}' "$DATA/clicks.ndjson"

"$TUMBLE" inspect --state s --outbox -w 1705314600; "$TUMBLE" inspect --state s --outbox-rows -f csv; "$TUMBLE" inspect --state s --outbox -f csv

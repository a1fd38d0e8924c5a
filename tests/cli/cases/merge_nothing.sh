"$TUMBLE" merge

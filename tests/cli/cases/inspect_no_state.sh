"$TUMBLE" inspect; "$TUMBLE" inspect x

"$TUMBLE" check a b

"$TUMBLE" relpay x

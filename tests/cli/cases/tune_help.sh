"$TUMBLE" tune -h

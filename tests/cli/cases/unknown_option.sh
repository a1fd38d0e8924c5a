"$TUMBLE" replay --agregate "count()" x

"$TUMBLE" replay --window

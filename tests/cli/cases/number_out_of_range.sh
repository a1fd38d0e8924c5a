"$TUMBLE" replay --batch-size 10001 x; "$TUMBLE" replay --batch-size=1e3 x; "$TUMBLE" replay -w 0 x

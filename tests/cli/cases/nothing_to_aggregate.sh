"$TUMBLE" replay -w 60 x

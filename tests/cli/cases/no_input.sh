"$TUMBLE" replay -w 60 -a "count()"

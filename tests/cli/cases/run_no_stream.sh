"$TUMBLE" run -w 60 -a 'n=count'

"$TUMBLE" run --stream clicks -w 60 -a 'n=count' --maximum-retry-attempts 3

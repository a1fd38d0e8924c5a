"$TUMBLE" run --stream clicks -w 60 -a 'n=count' --filter-criteria '{}'

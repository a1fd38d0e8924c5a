echo '{"BatchSize":100,"StartingPosition":"TRIM_HORIZON"}' > mapping.json
"$TUMBLE" run --stream clicks -w 60 -a n=count --mapping mapping.json --summary mapping.json

echo '{"BatchSize": 50, "FilterCriteria": {"Filters": [{"Pattern": "{\"data\": {\"a\": [1]}}"}]}}' > mapping.json
"$TUMBLE" run --stream clicks -w 60 -a 'n=count' --mapping mapping.json

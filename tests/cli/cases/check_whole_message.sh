# shellcheck disable=SC2016 # the dollar is the attribute's
printf '{"window": {"seconds": 60}, "group_by": ["$partition_key"], "aggregates": [{"name": "n", "function": "count"}]}' > s.json
"$TUMBLE" check - < s.json 2> said || true
"$TUMBLE" check s.json 2> said2 || cut -d: -f 5- said > a; cut -d: -f 5- said2 > b; cmp a b && tail -c 3 a

printf "{\n  \"window\": {\"seconds\": 60},\n  oops\n}\n" > bad.json
"$TUMBLE" check bad.json

printf "{\"windw\": {\"seconds\": 60}}" > bad.json
"$TUMBLE" check bad.json

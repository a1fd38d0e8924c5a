printf "{\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}],\"outputs\":[\"ftp:x\"]}" > s.json
"$TUMBLE" check s.json

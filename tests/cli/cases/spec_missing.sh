"$TUMBLE" check nowhere.json

"$TUMBLE" inspect --state s --window noon

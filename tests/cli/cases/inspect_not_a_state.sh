"$TUMBLE" inspect --state nowhere

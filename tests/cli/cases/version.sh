"$TUMBLE" --version && "$TUMBLE" version

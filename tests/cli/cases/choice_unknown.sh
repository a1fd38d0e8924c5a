"$TUMBLE" replay --format xml x; "$TUMBLE" replay --sort=yes x; "$TUMBLE" replay --memory-limit 5X x

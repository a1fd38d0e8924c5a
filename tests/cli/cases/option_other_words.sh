for option in --lateness --by --filter --dlq --workers; do "$TUMBLE" replay "$option" 5 x 2>&1 | head -n 1; done
"$TUMBLE" inspect --filter 5 2>&1 | head -n 1

# 80 x 24, the prompt among them.
"$TUMBLE" help | sed -n 's/^  \([a-z]*\)  .*/\1/p' | grep -vE '^(version|help)$' | while read -r command; do
    "$TUMBLE" "$command" -h | awk -v command="$command" '
        length($0) > 79 { print command ": too wide: " $0 }
        END { print command, (NR > 23) ? "is too long, " NR " lines" : "fits" }'
done

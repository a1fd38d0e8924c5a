# distinct keeps hashes, so strings may be of any length; what keeps the string itself takes 64 KiB.
python3 - > in <<'END'
import json
for tail in "abab":
    print(json.dumps({"t": 1, "u": "x" * 200000 + tail}))
END
"$TUMBLE" replay -q -w 60 -t t -a 'distinct(u)' -f csv in | cut -d, -f 6-
for aggregate in 'top(u, k=1)' 'max(u, string)' 'first(u)' 'collect(u)'; do "$TUMBLE" replay -q -w 60 -t t -a "$aggregate" -f csv in 2>&1 | grep -o 'keeps strings of at most.*'; done

awk 'BEGIN { for (i = 0; i < 200000; i++) printf "{\"ts\":%d,\"type\":\"%s\",\"amount\":%d.5}\n", 1700000000 + int(i / 50), i % 7, i }' > in
set -- -q -w 60 -t ts -g type -a "n=count()" -a "s=sum(amount)"
"$TUMBLE" replay "$@" -o file:whole in
"$TUMBLE" replay "$@" --state s -o file:rows in &
while [ ! -s rows ] && kill -0 $! 2> /dev/null; do sleep 0.01; done # until it has committed something
kill -TERM $! 2> /dev/null
wait $!
case $? in
0 | 143) ;; # 0: it was faster than the signal
*) echo "exit $?" ;;
esac
"$TUMBLE" replay "$@" --state s -o file:rows in && cmp rows whole && wc -l < whole

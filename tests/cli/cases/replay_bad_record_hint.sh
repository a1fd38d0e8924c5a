echo '{"ts":"x"}' > in
"$TUMBLE" replay -w 60 -t ts -a count in
"$TUMBLE" replay -w 60 -t ts -a count --failures file:bad in
"$TUMBLE" replay -w 60 -t ts -a count --failures file:bad --bad-records divert in

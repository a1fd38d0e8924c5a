cp "$DATA/clicks.ndjson" in; ln -s in link; cp "$DATA/orders.json" spec.json; ln -s new hanging; ln in hard
replay() { "$TUMBLE" replay --spec spec.json -q "$@" || status=$?; }
status=0
replay -o file:./in in
replay -o file:link in
replay -o file:rows --failures file:hard in
replay -o file:rows --failures file:in - < in
replay ./in >> ./link
replay -o file:spec.json in
mkdir d; replay -o file:rows -o file:d/../rows in
replay -o file:new --failures file:hanging in
replay -o file:rows --summary rows in
replay --summary ./in in
replay --summary f --failures file:f in
replay --state s --summary s/data.mdb in
replay --state s -o file:s/tumble.lock in
replay --state s -o file:s/redo.log in
replay -o file:/dev/stdout -o file:log in > log
cmp "$DATA/clicks.ndjson" in && ls
exit $status

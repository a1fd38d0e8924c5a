# What others may read but not write; as root, who may always, as another user.
chmod 755 .
printf '%s\n' '{"ts":1705314600,"type":"a"}' > in
"$TUMBLE" replay --spec "$DATA/orders.json" -q --state s -o file:rows in
"$TUMBLE" inspect --state s | grep ^records > as_writer
chmod a-w,a+rX s s/*
if [ "$(id -u)" = 0 ]; then
  cp "$TUMBLE" tumble && chmod 755 tumble
  setpriv --reuid 65534 --regid 65534 --clear-groups ./tumble inspect --state s > as_reader
else
  "$TUMBLE" inspect --state s > as_reader
fi
grep ^records as_reader | cmp - as_writer && cat as_writer
chmod u+w s

"$TUMBLE" replay --format '' x; "$TUMBLE" replay --bad-records '' x; "$TUMBLE" replay --input-format '' x

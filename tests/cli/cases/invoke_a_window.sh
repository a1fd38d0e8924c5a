# The window of examples/lambda: the state of one answer is the state of the next event.
lambda="$DATA/../../../examples/lambda"
"$TUMBLE" invoke --spec "$lambda/spec.json" < "$lambda/event.json" > response.json
sed -e 's/"state":{\(.*\)},"batchItemFailures.*/{"Records":[],"state":{\1},/' -e 's/^{{/{/' response.json > final.json
cat >> final.json <<'END'
 "window":{"start":"2020-12-09T07:04:00Z","end":"2020-12-09T07:05:00Z"},"shardId":"shardId-000000000006",
 "eventSourceARN":"arn:aws:kinesis:eu-central-1:123456789012:stream/orders",
 "isFinalInvokeForWindow":true,"isWindowTerminatedEarly":false}
END
"$TUMBLE" invoke --spec "$lambda/spec.json" < final.json | sed 's/,"_partials":.*"records"/,…,"records"/'

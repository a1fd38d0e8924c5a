#!/bin/sh
# A function in sh and curl: counts the records of its windows in the state, and adds the counts of each to the file $1.
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
while event=$(curl -sS -D "$headers" "$api/invocation/next"); do
    id=$(sed -n 's/^Lambda-Runtime-Aws-Request-Id: *//Ip' "$headers" | tr -d '\r')
    before=$(printf %s "$event" | sed -n 's/.*"state":{"n":\([0-9]*\)}.*/\1/p')
    here=$(printf %s "$event" | grep -o '"kinesisSchemaVersion"' | wc -l)
    total=$((${before:-0} + here))
    case $event in
    *'"isFinalInvokeForWindow":true'*) echo "$total" >>"$1" ;;
    esac
    printf '{"state":{"n":%d}}' "$total" | curl -sS -o /dev/null --data-binary @- "$api/invocation/$id/response"
done

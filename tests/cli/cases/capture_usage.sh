unset AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_ENDPOINT_URL_KINESIS
export AWS_CONFIG_FILE=/nowhere AWS_SHARED_CREDENTIALS_FILE=/nowhere AWS_EC2_METADATA_DISABLED=true
for arguments in '' '--stream' '--stream a --until soon' '--stream a --until now -f' '--stream a --starting-position LATEST' \
    '--stream a --starting-position AT_TIMESTAMP' '--stream a --starting-position-timestamp 1' '--stream a --limit 10001' \
    '--stream a --starting-position AT_TIMESTAMP --starting-position-timestamp 20 --until 10' '--stream a/b' '--stream a' \
    '--stream arn:aws:kinesis:eu-west-1:1:stream/a/consumer/c:1' '--stream arn:aws:kinesis:eu-west-1:1:stream/a --region us-east-1' \
    '--stream arn:aws:sqs:eu-west-1:1:a' '--stream a --strem b' '--stream a operand'; do
    "$TUMBLE" capture $arguments || echo "$?: $arguments"
done

for flag in '--destination-config s3://bucket/x' '--destination-config {"OnFailure":"file:dead"}' '--filter-criteria {"Filters":{}}' '--destination-config {"OnFailure":{"Destination":1}}'; do
    "$TUMBLE" replay -t ts -w 60 -a 'n=count()' $flag "$DATA/orders.json" || echo "$?: $flag"
done
AWS_REGION=eu-west-1 "$TUMBLE" run --stream a -w 60 -a 'n=count()' --lease-table leases --application '' || echo "$?: --application"

"$TUMBLE" run --stream clicks -w 60 -a 'n=count' --lease-table leases --maximum-record-age-in-seconds 600

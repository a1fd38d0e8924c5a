"$TUMBLE" outputs | sed -n '1,/^$/p'
"$TUMBLE" outputs --format json | head -n 1 | cut -c 1-150

"$TUMBLE" replay --spec "$DATA/orders.json" -q --summary sum.json "$DATA/clicks.ndjson" > rows
python3 - <<END
import json
s = json.load(open("sum.json"))
print(s["result"], s["records"], s["applied"], s["late"], s["rows"], s["windows_closed"], s["input_format"])
assert s["records"] == s["applied"] + s["late"] + s["duplicate"] + s["filtered"] + s["bad"]
assert s["peak_rss_bytes"] > 0 and s["seconds"] > 0 and s["batch_latency_us"]["count"] == s["batches"] > 0
END
ls
"$TUMBLE" replay --spec "$DATA/orders.json" -q --summary /nowhere/s.json "$DATA/clicks.ndjson" > rows

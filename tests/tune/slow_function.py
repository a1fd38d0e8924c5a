#!/usr/bin/python3
"""A Lambda function that takes its time: slow_function.py BASE_MS RECORD_MS. It counts a window's records in `state`."""
import http.client
import json
import os
import sys
import time

base, each = float(sys.argv[1]) / 1e3, float(sys.argv[2]) / 1e3
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    answer = api.getresponse()
    event = json.loads(answer.read())
    began = time.monotonic()
    end = began + base + each * len(event["Records"])
    seen = int(event.get("state", {}).get("n", "0")) + len(event["Records"])
    time.sleep(max(0, end - time.monotonic() - 0.001))
    while time.monotonic() < end:
        pass
    path = "/2018-06-01/runtime/invocation/%s/response" % answer.getheader("Lambda-Runtime-Aws-Request-Id")
    api.request("POST", path, body=json.dumps({"state": {"n": str(seen)}}))
    api.getresponse().read()

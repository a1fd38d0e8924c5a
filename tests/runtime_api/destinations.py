#!/usr/bin/python3
"""Where a mapping's failures go, on real servers: a bucket (radosgw) and a queue (fauxqs), by URI and by ARN.

    destinations.py TUMBLE"""

import http.server
import json
import os
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "reference"))
sys.path.insert(0, os.path.join(HERE, "..", "servers"))
import servers  # noqa: E402
from harness import Failed, Workspace, check, run  # noqa: E402

BUCKET = "tumble-failures"
MAPPING = "1c0f3a2e-0000-4000-8000-00000000abcd"
KEY = re.compile(r"aws/lambda/" + MAPPING + r"/shardId-00000000000[01]/2023/11/14/2023-11-14T\d\d\.\d\d\.\d\d-"
                 r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
ORDER = ["requestContext", "responseContext", "version", "payload", "timestamp", "KinesisBatchInfo", "timeWindowInfo"]


class Suite:
    def __init__(self, tumble, work):
        self.tumble, self.work, self.count = tumble, work, 300
        lines = [json.dumps({"ts": 1700000040000 + 500 * number, "number": number}) for number in range(self.count)]
        self.capture = work.write("capture.ndjson", "\n".join(lines) + "\n")

    def replay(self, destination, env, *more, code=0):
        """Every batch of the built-in engine fails: 300 records in documents of 50."""
        mapping = self.work.write("mapping.json", json.dumps(
            {"UUID": MAPPING, "StartingPosition": "TRIM_HORIZON", "BatchSize": 50, "MaximumRetryAttempts": 1,
             "DestinationConfig": {"OnFailure": {"Destination": destination}}}))
        done = run([self.tumble, "replay", "-t", "ts", "-w", "60", "--aggregate", "n=count()", "--mapping", mapping, "--fault",
                    "error=1", "--shards", "2", "--partition-key", "number", "-o", "file:/dev/null", "--summary",
                    self.work.file("summary"), *more, self.capture], env=env)
        check(done.code == code, f"{destination}: exit {done.code}: {done.text()}")
        if code == 0:
            with open(self.work.file("summary"), "rb") as file:
                figures = json.load(file)
            check(figures["OnFailureDestinationDeliveredEventCount"] == self.count, repr(figures))
            check(figures["DroppedEventCount"] == figures["DestinationDeliveryFailures"] == 0, repr(figures))
        return done

    def check_documents(self, documents, is_bucket):
        """Complete: every record in one of them, once; each as Lambda writes it."""
        order = ORDER if is_bucket else [name for name in ORDER if name != "payload"]
        records, finals = 0, 0
        for document in documents:
            check(list(document) == order, repr(list(document)))
            info, window = document["KinesisBatchInfo"], document["timeWindowInfo"]
            check(document["requestContext"]["condition"] == "RetryAttemptsExhausted", repr(document))
            check(document["responseContext"]["functionError"] == "Unhandled", repr(document))
            finals += window["isFinalInvokeForWindow"]
            records += info.get("batchSize", 0)
            check(window["isFinalInvokeForWindow"] == (list(info) == ["shardId", "streamArn"]), repr(info))
            if is_bucket:
                event = json.loads(document["payload"])
                check(len(event["Records"]) == info.get("batchSize", 0) and event["window"] == window["window"], repr(event)[:500])
                check(event["state"] == {} and event["shardId"] == info["shardId"], repr(event)[:500])
        check(records == self.count and finals > 0, f"{records} records and {finals} finals in {len(documents)} documents")


def a_bucket_gets_an_object_a_document_under_lambdas_key(self):
    client = self.radosgw.client()
    env, found = servers.environment(self.radosgw), []
    client.s3("PUT", "/" + BUCKET)
    for destination, prefix in (("s3://" + BUCKET, ""), (f"s3://{BUCKET}/team/a/", "team/a/"), ("arn:aws:s3:::" + BUCKET, "")):
        self.replay(destination, env)
        keys = [key for key in client.s3_keys(BUCKET, prefix) if key.startswith(prefix + "aws/")]
        for key in keys:
            check(KEY.match(key[len(prefix):]), key)
        bodies = [client.s3("GET", f"/{BUCKET}/{key}") for key in keys]
        check(all(each.headers["Content-Type"] == "application/octet-stream" for each in bodies), "Content-Type")
        documents = [each.body for each in bodies]
        self.check_documents([json.loads(each) for each in documents], True)
        found.append(([key[len(prefix):] for key in keys], documents))
    check(found[0] == found[1] == found[2], "the same run, other objects")


def faults_of_the_bucket_lose_nothing(self):
    client = self.radosgw.client()
    client.s3("PUT", f"/{BUCKET}-faults")
    with servers.FaultProxy(self.radosgw, rate=25, seed=1, hold=0.05, slow=0.05) as proxy:
        self.replay(f"s3://{BUCKET}-faults", servers.environment(proxy))
    keys = client.s3_keys(BUCKET + "-faults")
    self.check_documents([json.loads(client.s3("GET", f"/{BUCKET}-faults/{key}").body) for key in keys], True)
    check(not proxy.summary["refused"] and sum(proxy.summary["injected"].values()) > 0, repr(proxy.summary))


def a_bucket_that_is_not_there_or_not_ours_ends_the_run(self):
    env = servers.environment(self.radosgw)
    done = self.replay("s3://nowhere-at-all", env, code=4)
    check("NoSuchBucket" in done.text(), done.text())
    client = self.radosgw.client()
    client.s3("PUT", f"/{BUCKET}-closed")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
                                                     "Resource": f"arn:aws:s3:::{BUCKET}-closed/*"}]}
    client.s3("PUT", f"/{BUCKET}-closed", query=[("policy", "")], body=json.dumps(policy).encode())
    done = self.replay(f"s3://{BUCKET}-closed", env, code=4)
    check("AccessDenied" in done.text(), done.text())
    done = self.replay("s3://" + BUCKET, dict(env, AWS_SECRET_ACCESS_KEY="wrong"), code=4)
    check("SignatureDoesNotMatch" in done.text(), done.text())


def a_queue_gets_a_message_a_document(self):
    client = self.fauxqs.client()
    env = servers.environment(self.fauxqs)
    url = client.create_queue("failures")
    account = url.split("/")[-2]
    for destination in ("sqs:failures", "sqs:" + url, f"arn:aws:sqs:us-east-1:{account}:failures"):
        self.replay(destination, env)
        self.check_documents([json.loads(body) for body in self.fauxqs.client().receive_all(url)], False)


class Listener(http.server.BaseHTTPRequestHandler):
    """Notes what a queue is asked, and knows none."""
    asked = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.headers["Authorization"], json.loads(body).get("QueueUrl")))
        answer = b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"none"}'
        self.send_response(400)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def the_arn_of_a_queue_says_its_region_and_account(self):
    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        env = dict(servers.environment(self.fauxqs), AWS_REGION="us-east-1",
                   AWS_ENDPOINT_URL_SQS=f"http://127.0.0.1:{server.server_address[1]}")
        self.replay("arn:aws:sqs:eu-west-3:999988887777:elsewhere", env, code=4)
        self.replay("arn:aws-cn:sqs:cn-north-1:999988887777:q", env, code=4)
        server.shutdown()
    (first, first_url), (second, second_url) = Listener.asked
    check("/eu-west-3/sqs/" in first and first_url == "https://sqs.eu-west-3.amazonaws.com/999988887777/elsewhere", repr(Listener.asked))
    check("/cn-north-1/sqs/" in second and second_url == "https://sqs.cn-north-1.amazonaws.com.cn/999988887777/q", repr(Listener.asked))


def a_queue_that_is_not_there_ends_the_run(self):
    env = servers.environment(self.fauxqs)
    for destination in ("sqs:nowhere", "arn:aws:sqs:us-east-1:000000000000:nowhere"):
        done = self.replay(destination, env, code=4)
        check("NonExistentQueue" in done.text() or "QueueDoesNotExist" in done.text(), done.text())


def what_a_queue_cannot_hold_is_counted_as_lambda_does(self):
    """A document above the queue's limit is dropped by itself: with its records it has some 15 kB."""
    self.fauxqs.client().create_queue("small")
    mapping = '{"OnFailure":{"Destination":"sqs:small?max_bytes=1KiB"}}'
    done = run([self.tumble, "replay", "-t", "ts", "-w", "60", "--aggregate", "n=count()", "--batch-size", "50", "--fault", "error=1",
                "--maximum-retry-attempts", "0", "--destination-config", mapping, "--failures-with-records", "-o", "file:/dev/null",
                "--summary", self.work.file("summary"), self.capture], env=servers.environment(self.fauxqs))
    check(done.code == 0 and done.text().count("does not take a document") > 0, done.text())
    with open(self.work.file("summary"), "rb") as file:
        figures = json.load(file)
    check(figures["DroppedEventCount"] == self.count and figures["DestinationDeliveryFailures"] > 0, repr(figures))


def what_cannot_be_reached_ends_the_run(self):
    """A full disk, a directory that is not there, a server that is gone."""
    self.replay("file:/dev/full", os.environ, code=4)
    self.replay("file:/nowhere/at/all", os.environ, code=4)
    gone = dict(servers.environment(self.radosgw), AWS_ENDPOINT_URL_S3="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1")
    began = time.monotonic()
    done = self.replay("s3://" + BUCKET, gone, code=4)
    check(time.monotonic() - began < 60, "waited for ever")
    check("127.0.0.1" in done.text() or "onnect" in done.text(), done.text())


def what_is_no_destination_is_refused(self):
    for destination, words in (("arn:aws:sns:us-east-1:123456789012:topic", "topics of SNS are not published to"),
                               ("arn:aws:sqs:us-east-1:123456789012:q.fifo", "FIFO"), ("arn:aws:sqs:us-east-1", "ARN"),
                               ("arn:aws:sqs::1:", "arn:aws:sqs:REGION:ACCOUNT:NAME"), ("arn:aws:s3:::", "bucket"),
                               ("arn:aws:kinesis:::sqs:x", "destination"), ("s3://", "s3://BUCKET/PREFIX"), ("s3:///x", "BUCKET"),
                               ("s3://b?compression=zstd", "unknown option"), ("ftp://x", "no destination"),
                               ("s3://b?endpoint-url=ftp://x", "must be an http:// or https:// URL")):
        done = self.replay(destination, dict(os.environ, AWS_REGION="us-east-1"), code=2)
        check(words in done.text(), f"{destination}: {done.text()}")


PARTS = [a_bucket_gets_an_object_a_document_under_lambdas_key, faults_of_the_bucket_lose_nothing,
         a_bucket_that_is_not_there_or_not_ours_ends_the_run, a_queue_gets_a_message_a_document, the_arn_of_a_queue_says_its_region_and_account,
         a_queue_that_is_not_there_ends_the_run, what_a_queue_cannot_hold_is_counted_as_lambda_does, what_cannot_be_reached_ends_the_run,
         what_is_no_destination_is_refused]


def main():
    failed = 0
    with Workspace("destinations") as work, servers.start("radosgw") as radosgw, servers.start("fauxqs") as fauxqs:
        suite = Suite(sys.argv[1], work)
        suite.radosgw, suite.fauxqs = radosgw, fauxqs
        for part in PARTS:
            began = time.monotonic()
            try:
                part(suite)
                print(f"ok {part.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
            except Failed as error:
                failed = 1
                print(f"FAILED {part.__name__}: {error}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())

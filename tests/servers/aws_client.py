"""A small AWS client for tests: signs by itself (SigV4), speaks the JSON protocols and S3, retries nothing.

    client = Client("http://127.0.0.1:4567")
    client.dynamodb("ListTables")                               a dict
    client.sqs("SendMessage", QueueUrl=url, MessageBody="x")
    client.s3("PUT", "/bucket/key", b"bytes")                   a Response

What the service refuses is a ServiceError with .status, .code, .message and .response. A Client may be shared by threads.
"""
import datetime
import hashlib
import hmac
import html
import http.client
import json
import re
import ssl
import threading
import time
import urllib.parse

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
UNRESERVED = "-_.~"


class ServiceError(Exception):
    def __init__(self, response, code, message):
        super().__init__(f"{response.status} {code}: {message}")
        self.response, self.status, self.code, self.message = response, response.status, code, message


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body) if self.body else {}


def sign(method, host, path, query, headers, body, service, *, access_key, secret_key, token=None, region=REGION, now=None):
    """The headers to send. path is as it goes over the wire; query a list of (name, value)."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    digest = hashlib.sha256(body).hexdigest()
    signed = {name.lower(): " ".join(str(value).split()) for name, value in headers.items()}
    signed.update({"host": host, "x-amz-date": stamp})
    if service == "s3":
        signed["x-amz-content-sha256"] = digest
    if token:
        signed["x-amz-security-token"] = token
    names = ";".join(sorted(signed))
    canonical_path = path if service == "s3" else urllib.parse.quote(path, safe="/" + UNRESERVED)
    canonical = "\n".join([method, canonical_path, encode_query(sorted(query)),
                           *(f"{name}:{signed[name]}" for name in sorted(signed)), "", names, digest])
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + secret_key).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    signed["authorization"] = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return signed


def encode_query(query):
    return "&".join(f"{urllib.parse.quote(str(name), safe=UNRESERVED)}={urllib.parse.quote(str(value), safe=UNRESERVED)}"
                    for name, value in query)


class Client:
    def __init__(self, endpoint, access_key=ACCESS_KEY, secret_key=SECRET_KEY, token=None, region=REGION, timeout=30,
                 ca_file=None):
        self.url = urllib.parse.urlsplit(endpoint)
        self.keys = {"access_key": access_key, "secret_key": secret_key, "token": token, "region": region}
        self.timeout, self.ca_file = timeout, ca_file
        self.local = threading.local()

    def connection(self):
        if getattr(self.local, "connection", None) is None:
            if self.url.scheme == "https":
                context = ssl.create_default_context(cafile=self.ca_file)
                made = http.client.HTTPSConnection(self.url.hostname, self.url.port, timeout=self.timeout, context=context)
            else:
                made = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=self.timeout)
            self.local.connection = made
        return self.local.connection

    def close(self):
        if getattr(self.local, "connection", None) is not None:
            self.local.connection.close()
            self.local.connection = None

    def send(self, method, path, query=(), body=b"", headers=None):
        """One request, not signed."""
        target = path + ("?" + encode_query(query) if query else "")
        try:
            connection = self.connection()
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in {"host": self.url.netloc, **(headers or {})}.items():
                connection.putheader(name, value)
            connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def signed(self, service, method, path, query=(), body=b"", headers=None):
        headers = sign(method, self.url.netloc, path, list(query), headers or {}, body, service, **self.keys)
        return self.send(method, path, query, body, headers)

    def json(self, service, target, body, version):
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
        response = self.signed(service, "POST", "/", (), json.dumps(body).encode(), headers)
        if response.status != 200:
            try:
                told = response.json()
            except ValueError:
                told = {}
            code = str(told.get("__type", "")).rsplit("#", 1)[-1]
            raise ServiceError(response, code, told.get("message") or told.get("Message") or response.body[:500])
        return response.json()

    def dynamodb(self, operation, **body):
        return self.json("dynamodb", "DynamoDB_20120810." + operation, body, "1.0")

    def create_table(self, name, key="k", sort=None, types="SS", seconds=30):
        """A DynamoDB table, on demand, when it is ready. types: those of key and sort."""
        names = [each for each in (key, sort) if each]
        self.dynamodb("CreateTable", TableName=name, BillingMode="PAY_PER_REQUEST",
                      KeySchema=[{"AttributeName": each, "KeyType": kind} for each, kind in zip(names, ("HASH", "RANGE"))],
                      AttributeDefinitions=[{"AttributeName": each, "AttributeType": kind} for each, kind in zip(names, types)])
        deadline = time.monotonic() + seconds
        while self.dynamodb("DescribeTable", TableName=name)["Table"]["TableStatus"] != "ACTIVE":
            if time.monotonic() > deadline:
                raise TimeoutError(f"table {name} is not ready after {seconds} s")
            time.sleep(0.01)

    def scan(self, name):
        """Every item of a table."""
        items, start = [], {}
        while True:
            answer = self.dynamodb("Scan", TableName=name, ConsistentRead=True, **start)
            items += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return items
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def kinesis(self, operation, **body):
        return self.json("kinesis", "Kinesis_20131202." + operation, body, "1.1")

    def sqs(self, operation, **body):
        return self.json("sqs", "AmazonSQS." + operation, body, "1.0")

    def create_queue(self, name, **attributes):
        """The queue's URL. Its host may be another than the server's: only its path is used."""
        return self.sqs("CreateQueue", QueueName=name, Attributes=attributes)["QueueUrl"]

    def receive_all(self, url):
        """Takes every message that the queue holds: a list of bodies."""
        bodies = []
        while True:
            messages = self.sqs("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10).get("Messages")
            if not messages:
                return bodies
            bodies += [each["Body"] for each in messages]
            self.sqs("DeleteMessageBatch", QueueUrl=url,
                     Entries=[{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(messages)])

    def s3(self, method, path, body=b"", query=(), headers=None):
        """path: "/bucket/key", not yet encoded."""
        path = urllib.parse.quote(path, safe="/" + UNRESERVED)
        response = self.signed("s3", method, path, query, body, headers)
        if response.status >= 300:
            text = response.body.decode(errors="replace")
            code, message = (re.search(f"<{tag}>([^<]*)</{tag}>", text) for tag in ("Code", "Message"))
            raise ServiceError(response, code.group(1) if code else "", message.group(1) if message else text[:500])
        return response

    def s3_keys(self, bucket, prefix=""):
        """Every key under the prefix, sorted."""
        keys, token = [], None
        while True:
            query = [("list-type", "2"), ("prefix", prefix), ("encoding-type", "url")]
            query += [("continuation-token", token)] if token else []
            text = self.s3("GET", f"/{bucket}", query=query).body.decode()
            keys += [urllib.parse.unquote_plus(html.unescape(key)) for key in re.findall("<Key>([^<]*)</Key>", text)]
            more = re.search("<NextContinuationToken>([^<]*)<", text)
            if not more:
                return sorted(keys)
            token = more.group(1).replace("&amp;", "&")

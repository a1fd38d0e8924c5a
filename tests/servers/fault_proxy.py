#!/usr/bin/python3
"""A reverse proxy that judges every request's signature, and does to it what networks and services do.

usage: fault_proxy.py --upstream http://127.0.0.1:PORT [--rate PERCENT] [--seed N] [--kinds KIND[=WEIGHT],...] ...
       (--help lists the rest; README.md tells what the kinds are)

Prints {"port": N} when it listens; ends with its standard input or on SIGTERM, and then prints its summary, one line of JSON.

The judge is botocore's own signer: what arrived is signed again and compared; the path and the query are first decoded and
encoded as the services do it. Duplicate headers, x-amz-* headers that are not signed, headers that are signed and not sent, clocks
more than five minutes off, body hashes and checksums that are not the body's are refused with status 403 or 400.

Which fault the n-th request meets depends on the seed and n only. Python threads: some 1,000 requests a second.
"""
import argparse
import base64
import collections
import datetime
import hashlib
import http.client
import json
import os
import random
import re
import signal
import socket
import struct
import sys
import threading
import time
import urllib.parse
import zlib

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from aws_client import ACCESS_KEY, SECRET_KEY
from identity import issued_keys

CONTROL = "/__fault_proxy__/"
MAX_SKEW_SECONDS = 300
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$")
UNRESERVED = "-_.~"

# kind: whether the request is carried out although the client does not see its answer (or sees it late)
KINDS = {
    "throttle": False,     # the service's own throttling answer
    "429": False,          # TooManyRequestsException
    "500": False,
    "503": False,
    "partial": True,       # a part of a batch is done, the rest handed back; no batch: throttle
    "reset": False,        # RST before anything was done
    "cut-upload": False,   # RST after half of the request's body
    "lost": True,          # done, then RST without an answer
    "timeout": True,       # done, no answer for --hold seconds, then RST
    "cut-reset": True,     # done, half of the answer, RST
    "truncate": True,      # done, half of the answer, an ordinary end
    "slow": True,          # done, the answer in small pieces over --slow seconds
    "delay": True,         # done after up to --delay seconds
    # Not among the default kinds:
    "corrupt": True,       # done, one byte of the answer changed (only where x-amz-crc32 tells)
    "expired-token": False,
    "expired-iterator": False,  # GetRecords only, other operations are left alone
}
DEFAULT_KINDS = list(KINDS)[:list(KINDS).index("corrupt")]


class Refused(Exception):
    def __init__(self, code, text, status=403):
        super().__init__(f"{code}: {text}")
        self.code, self.text, self.status = code, text, status


class Hangup(Exception):
    """The connection is to be reset."""


class Request:
    def __init__(self, method, target, headers, length, chunked):
        self.method, self.target, self.headers = method, target, headers
        self.length, self.chunked, self.body = length, chunked, b""
        self.path, _, self.query = target.partition("?")
        found = AUTHORIZATION.match(self.header("authorization") or "")
        self.scope = found.groups() if found else None
        self.service = self.scope[3] if self.scope else None
        self.operation = self.name()

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)

    def name(self):
        target = self.header("x-amz-target")
        if target:
            return target.rsplit(".", 1)[-1]
        if self.service == "s3":
            marks = [key for key in ("uploads", "uploadId", "partNumber", "list-type", "delete")
                     if re.search(f"(^|&){key}(=|&|$)", self.query)]
            return "s3:" + self.method + "".join("?" + mark for mark in marks[:1])
        return self.method

    def xml(self):
        return self.header("x-amz-target") is None


def canonical(text, safe):
    return urllib.parse.quote(urllib.parse.unquote_to_bytes(text), safe=safe)


def judge(request, credentials, now):
    """Raises Refused for what a service would not take."""
    if request.scope is None:
        raise Refused("IncompleteSignatureException", f"authorization: {request.header('authorization')!r}")
    access_key, day, region, service, signed, signature = request.scope
    names = [key.lower() for key, _ in request.headers]
    twice = sorted(name for name, count in collections.Counter(names).items() if count > 1)
    if twice:
        raise Refused("InvalidSignatureException", "header sent twice: " + ",".join(twice))
    keys = credentials.get(access_key) or issued_keys(access_key)
    if not keys:
        raise Refused("InvalidAccessKeyId" if request.xml() else "UnrecognizedClientException", f"no such key: {access_key}")
    secret, token = keys
    if request.header("x-amz-security-token") != token:
        raise Refused("InvalidToken" if request.xml() else "UnrecognizedClientException",
                      "the session token is " + ("missing" if token and not request.header("x-amz-security-token") else "wrong"))
    signed = signed.split(";")
    if signed != sorted(set(signed)) or "host" not in signed:
        raise Refused("InvalidSignatureException", f"SignedHeaders out of order, twice or without host: {signed}")
    unsigned = [name for name in names if name.startswith("x-amz-") and name not in signed]
    if unsigned:
        raise Refused("InvalidSignatureException", "not signed: " + ",".join(unsigned))
    missing = [name for name in signed if name not in names]
    if missing:
        raise Refused("InvalidSignatureException", "signed and not sent: " + ",".join(missing))
    stamp = request.header("x-amz-date") or ""
    try:
        when = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Refused("InvalidSignatureException", f"x-amz-date: {stamp!r}") from None
    if stamp[:8] != day:
        raise Refused("InvalidSignatureException", f"x-amz-date {stamp} and scope {day} are of different days")
    if abs((now - when).total_seconds()) > MAX_SKEW_SECONDS:
        server = now.strftime("%Y%m%dT%H%M%SZ")
        if service == "s3":
            raise Refused("RequestTimeTooSkewed", f"The difference between the request time and the current time is too large: "
                          f"{stamp} here {server}")
        raise Refused("InvalidSignatureException", f"Signature expired: {stamp} is not within 5 min of {server}")
    check_body(request, service)
    check_signature(request, service, region, signed, signature, Credentials(access_key, secret, token))


def check_signature(request, service, region, signed, signature, credentials):
    path = canonical(request.path, "/" + UNRESERVED)
    pairs = [part.partition("=") for part in request.query.split("&") if part]
    params = [tuple(urllib.parse.unquote_to_bytes(each).decode("latin-1") for each in (key, value)) for key, _, value in pairs]
    # botocore encodes text as UTF-8: decode as such where it is.
    params = [tuple(each.encode("latin-1").decode("utf-8", "surrogateescape") for each in pair) for pair in params]
    judged = AWSRequest(method=request.method, url="http://host" + path, params=params or None, data=request.body)
    judged.context.update(timestamp=request.header("x-amz-date"), payload_signing_enabled=True)
    headers = HTTPHeaders()
    for name in signed:
        headers[name] = request.header(name)
    digest = request.header("x-amz-content-sha256")
    if digest:
        judged.headers["X-Amz-Content-SHA256"] = digest
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, region)
    signer.headers_to_sign = lambda _: headers
    text = signer.canonical_request(judged)
    if signer.signature(signer.string_to_sign(judged, text), judged) != signature:
        raise Refused("SignatureDoesNotMatch" if request.xml() else "InvalidSignatureException",
                      "the signature is not botocore's, whose canonical request is:\n" + text)


def check_body(request, service):
    digest = request.header("x-amz-content-sha256")
    if service == "s3" and not digest:
        raise Refused("InvalidRequest", "S3 wants x-amz-content-sha256", 400)
    if digest and digest != "UNSIGNED-PAYLOAD" and digest != hashlib.sha256(request.body).hexdigest():
        raise Refused("XAmzContentSHA256Mismatch", "x-amz-content-sha256 is not the body's", 400)
    sums = {
        "content-md5": lambda: hashlib.md5(request.body).digest(),
        "x-amz-checksum-sha256": lambda: hashlib.sha256(request.body).digest(),
        "x-amz-checksum-sha1": lambda: hashlib.sha1(request.body).digest(),
        "x-amz-checksum-crc32": lambda: struct.pack(">I", zlib.crc32(request.body)),
    }
    for name, value in request.headers:
        if name.lower() in sums and value != base64.b64encode(sums[name.lower()]()).decode():
            raise Refused("BadDigest", f"{name} is not the body's", 400)


class Plan:
    """Which fault the n-th request meets."""

    def __init__(self, seed, rate, kinds, only, script):
        self.seed, self.rate, self.count, self.script = seed, rate, 0, list(script)
        self.only = re.compile(only)
        self.kinds, self.weights = list(kinds), list(kinds.values())
        self.lock = threading.Lock()

    def next(self, operation):
        """The kind or None, and dice of the request's own."""
        with self.lock:
            if not self.only.search(operation):
                return None, None
            dice = random.Random(f"{self.seed}:{self.count}")
            self.count += 1
            if self.script:
                kind = self.script.pop(0)
                return (None if kind == "ok" else kind), dice
        if dice.random() * 100 >= self.rate:
            return None, dice
        return dice.choices(self.kinds, self.weights)[0], dice


def read_kinds(text):
    kinds = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        if name not in KINDS:
            raise ValueError(f"no such kind of fault: {name}; there are {', '.join(KINDS)}")
        kinds[name] = float(weight or 1)
    return kinds


def read_script(text):
    script = [each for each in text.split(",") if each]
    read_kinds(",".join(each for each in script if each != "ok") or "500")
    return script


def split_batch(request, dice):
    """For a batch: the request's body with a part of the entries, and a function that adds the others to the answer as not done."""
    try:
        asked = json.loads(request.body)
    except ValueError:
        return None
    if request.operation == "BatchWriteItem":
        entries = [(table, entry) for table, requests in asked["RequestItems"].items() for entry in requests]
    elif request.operation == "SendMessageBatch":
        entries = asked["Entries"]
    elif request.operation == "PutRecords":
        entries = asked["Records"]
    else:
        return None
    if len(entries) < 2:
        return None
    refused = set(dice.sample(range(len(entries)), dice.randrange(1, len(entries))))
    done = [entry for at, entry in enumerate(entries) if at not in refused]
    rest = [entry for at, entry in enumerate(entries) if at in refused]

    def by_table(chosen):
        tables = {}
        for table, entry in chosen:
            tables.setdefault(table, []).append(entry)
        return tables

    def add(answer):
        if request.operation == "BatchWriteItem":
            answer["UnprocessedItems"] = by_table(rest)
        elif request.operation == "SendMessageBatch":
            answer["Failed"] = (answer.get("Failed") or []) + [
                {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError", "Message": "injected"} for entry in rest]
        else:
            results, throttled = iter(answer["Records"]), "ProvisionedThroughputExceededException"
            answer["Records"] = [{"ErrorCode": throttled, "ErrorMessage": "injected"} if at in refused else next(results)
                                 for at in range(len(entries))]
            answer["FailedRecordCount"] = answer.get("FailedRecordCount", 0) + len(rest)
        return answer

    if request.operation == "BatchWriteItem":
        asked["RequestItems"] = by_table(done)
    else:
        asked["Entries" if request.operation == "SendMessageBatch" else "Records"] = done
    return json.dumps(asked).encode(), add


class Proxy:
    def __init__(self, options):
        self.options = options
        self.upstream = urllib.parse.urlsplit(options.upstream)
        self.credentials = {ACCESS_KEY: (SECRET_KEY, None)}
        for text in options.credential:
            access_key, secret, token = (text.split(":", 2) + [None])[:3]
            self.credentials[access_key] = (secret, token)
        self.plan = Plan(options.seed, options.rate, read_kinds(options.kinds), options.only, read_script(options.script))
        self.lock = threading.Lock()
        self.counts = {name: collections.Counter() for name in ("injected", "refused", "operations", "executed", "statuses")}
        self.totals = collections.Counter()
        self.reasons = []

    def count(self, name, key=None):
        with self.lock:
            if key is None:
                self.totals[name] += 1
            else:
                self.counts[name][key] += 1

    def summary(self):
        with self.lock:
            return {"seed": self.options.seed, "rate": self.plan.rate, **{name: dict(sorted(each.items()))
                    for name, each in self.counts.items()}, "requests": self.totals["requests"],
                    "connections": self.totals["connections"], "reasons": self.reasons}

    def control(self, request):
        if request.path == CONTROL + "summary" and request.method == "GET":
            return 200, json.dumps(self.summary()).encode()
        if request.path == CONTROL + "plan" and request.method == "POST":
            try:
                wanted = json.loads(request.body)
                options = {"seed": self.plan.seed, "rate": self.plan.rate, "only": self.plan.only.pattern, "script": "",
                           "kinds": ",".join(f"{kind}={weight}" for kind, weight in zip(self.plan.kinds, self.plan.weights))}
                unknown = set(wanted) - set(options)
                if unknown:
                    raise ValueError(f"no such settings: {sorted(unknown)}")
                options.update(wanted)
                self.plan = Plan(options["seed"], float(options["rate"]), read_kinds(options["kinds"]), options["only"],
                                 read_script(options["script"]))
            except (ValueError, TypeError, re.error) as error:
                return 400, json.dumps({"error": str(error)}).encode()
            return 200, b"{}"
        return 404, b"{}"

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.options.skew)

    def serve(self, listener):
        while True:
            connection, _ = listener.accept()
            self.count("connections")
            threading.Thread(target=Connection(self, connection).run, daemon=True).start()


class Connection:
    def __init__(self, proxy, sock):
        self.proxy, self.sock = proxy, sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = sock.makefile("rb")
        self.upstream, self.upstream_used = None, 0.0

    def run(self):
        try:
            while self.one():
                pass
        except Hangup:
            # Closing with a zero linger sends RST.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # the client went away
        finally:
            self.reader.close()
            self.sock.close()
            if self.upstream:
                self.upstream.close()

    def read_head(self):
        line = self.reader.readline(65537)
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = []
        while True:
            line = self.reader.readline(65537)
            if line in (b"\r\n", b"\n", b""):
                break
            name, _, value = line.decode("utf-8", "surrogateescape").rstrip("\r\n").partition(":")
            headers.append((name, value.strip()))
        sizes = {name.lower(): value for name, value in headers if name.lower() in ("content-length", "transfer-encoding")}
        return Request(method, target, headers, int(sizes.get("content-length", 0)), "transfer-encoding" in sizes)

    def read_body(self, request, share=1.0):
        if (request.header("expect") or "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not request.chunked:
            wanted = int(request.length * share)
            body = self.reader.read(wanted)
            if len(body) < wanted:  # the client is gone: killed, perhaps
                raise Hangup
            return body
        parts = []
        while True:
            size = int(self.reader.readline().split(b";")[0], 16)
            parts.append(self.reader.read(size))
            self.reader.readline()
            if size == 0:
                return b"".join(parts)

    def one(self):
        request = self.read_head()
        if request is None:
            return False
        proxy = self.proxy
        if request.path.startswith(CONTROL):
            request.body = self.read_body(request)
            self.answer(request, *proxy.control(request))
            return True
        proxy.count("requests")
        proxy.count("operations", request.operation)
        plan = proxy.plan
        kind, dice = plan.next(request.operation)
        if kind == "cut-upload":
            self.read_body(request, 0.5)
            proxy.count("injected", kind)
            raise Hangup
        request.body = self.read_body(request)
        if proxy.options.verify:
            try:
                judge(request, proxy.credentials, proxy.now())
            except Refused as refused:
                proxy.count("refused", refused.code)
                with proxy.lock:
                    if len(proxy.reasons) < 20:
                        proxy.reasons.append(f"{request.method} {request.target}: {refused}")
                self.error(request, refused.status, refused.code, refused.text)
                return True
        if kind is None or (kind == "expired-iterator" and request.operation != "GetRecords"):
            self.answer(request, *self.execute(request))
            return True
        return self.inject(request, kind, dice)

    def inject(self, request, kind, dice):
        proxy, options = self.proxy, self.proxy.options
        batch = split_batch(request, dice) if kind == "partial" else None
        if kind == "partial" and not batch:
            kind = "throttle"
        proxy.count("injected", kind)
        if kind == "reset":
            raise Hangup
        if not KINDS[kind]:
            self.refuse(request, kind)
            return True
        if kind == "delay":
            time.sleep(dice.random() * options.delay)
        if batch:
            request.headers = [pair for pair in request.headers if pair[0].lower() not in ("content-length",)]
            request.headers.append(("content-length", str(len(batch[0]))))
            request.body = batch[0]
        status, body, headers = self.execute(request)
        if batch and status == 200:
            body = json.dumps(batch[1](json.loads(body))).encode()
            headers = [(name, str(zlib.crc32(body)) if name.lower() == "x-amz-crc32" else value) for name, value in headers]
        if kind == "lost":
            raise Hangup
        if kind == "timeout":
            time.sleep(options.hold)
            raise Hangup
        if kind == "corrupt" and body and any(name.lower() == "x-amz-crc32" for name, _ in headers):
            at = dice.randrange(len(body))
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
        text = self.head(request, status, body, headers) + (b"" if request.method == "HEAD" else body)
        if kind in ("cut-reset", "truncate"):
            cut = len(text) - len(body) + len(body) // 2 if len(body) > 1 and request.method != "HEAD" else len(text) // 2
            self.sock.sendall(text[:cut])
            if kind == "cut-reset":
                time.sleep(0.02)  # else the RST overtakes the bytes
                raise Hangup
            return False
        if kind == "slow":
            pieces = min(20, len(text))
            for at in range(pieces):
                self.sock.sendall(text[len(text) * at // pieces:len(text) * (at + 1) // pieces])
                time.sleep(options.slow / pieces)
            return True
        self.sock.sendall(text)
        return True

    def refuse(self, request, kind):
        extra = []
        if self.proxy.options.retry_after and kind in ("throttle", "429", "503"):
            extra = [("x-amz-retry-after", str(self.proxy.options.retry_after)),
                     ("retry-after", str(-(-self.proxy.options.retry_after // 1000)))]
        if kind == "429":
            self.error(request, 429, "TooManyRequestsException", "injected", extra)
        elif kind == "500":
            code = {"s3": "InternalError", "dynamodb": "InternalServerError"}.get(request.service, "InternalFailure")
            self.error(request, 500, code, "injected", extra)
        elif kind == "expired-token":
            xml = request.xml()
            self.error(request, 400, "ExpiredToken" if xml else "ExpiredTokenException", "The security token included in the request is "
                       "expired (injected)")
        elif kind == "expired-iterator":
            self.error(request, 400, "ExpiredIteratorException", "Iterator expired. (injected)")
        elif kind == "503":
            self.error(request, 503, "ServiceUnavailable", "injected", extra)
        elif request.service == "s3":
            self.error(request, 503, "SlowDown", "Please reduce your request rate. (injected)", extra)
        elif request.service == "sqs":
            self.error(request, 403, "RequestThrottled", "injected", extra)
        else:
            self.error(request, 400, "ProvisionedThroughputExceededException", "injected", extra)

    def execute(self, request):
        """Status, body and headers of the real answer."""
        proxy = self.proxy
        # Node's servers close a connection that was idle for five seconds: do not meet them at it.
        if self.upstream and time.monotonic() - self.upstream_used > 2:
            self.upstream.close()
            self.upstream = None
        try:
            if not self.upstream:
                self.upstream = http.client.HTTPConnection(proxy.upstream.hostname, proxy.upstream.port, timeout=60)
            self.upstream.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                if name.lower() not in ("expect", "transfer-encoding", "connection"):
                    self.upstream.putheader(name, value.encode("utf-8", "surrogateescape"))
            if request.chunked:
                self.upstream.putheader("content-length", str(len(request.body)))
            self.upstream.endheaders(request.body)
            answer = self.upstream.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            proxy.count("upstream_errors")
            proxy.count("statuses", "upstream gone")
            self.upstream = None
            raise Hangup from error
        self.upstream_used = time.monotonic()
        if answer.will_close:
            self.upstream.close()
            self.upstream = None
        proxy.count("executed", request.operation)
        proxy.count("statuses", str(answer.status))
        return answer.status, body, answer.getheaders()

    def error(self, request, status, code, text, extra=()):
        if request.xml():
            safe = text.replace("&", "&amp;").replace("<", "&lt;")
            body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{safe}</Message></Error>'.encode()
            headers = [("content-type", "application/xml")]
        else:
            body = json.dumps({"__type": f"com.amazonaws.{request.service}#{code}", "message": text}).encode()
            headers = [("content-type", request.header("content-type") or "application/x-amz-json-1.0")]
            if request.service == "sqs":
                headers.append(("x-amzn-query-error", f"{code};{'Sender' if status < 500 else 'Receiver'}"))
        self.answer(request, status, body, headers + list(extra))

    def head(self, request, status, body, headers):
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}"]
        length = len(body)
        for name, value in headers:
            low = name.lower()
            if low == "content-length" and request.method == "HEAD":
                length = int(value)
            elif low == "date" and self.proxy.options.skew:
                pass
            elif low not in ("transfer-encoding", "connection", "content-length", "keep-alive"):
                lines.append(f"{name}: {value}")
        if self.proxy.options.skew or not any(name.lower() == "date" for name, _ in headers):
            lines.append("Date: " + self.proxy.now().strftime("%a, %d %b %Y %H:%M:%S GMT"))
        if status != 204:
            lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def answer(self, request, status, body, headers=()):
        text = self.head(request, status, body, headers)
        self.sock.sendall(text if request.method == "HEAD" else text + body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--rate", type=float, default=0, help="percent of the requests that meet a fault")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--kinds", default=",".join(DEFAULT_KINDS), help="kinds of faults with their weights: lost=3,throttle")
    parser.add_argument("--script", default="", help="what the first requests meet, in order: ok,lost,throttle")
    parser.add_argument("--only", default="", help="regular expression: operations that may meet faults (BatchWriteItem, s3:PUT)")
    parser.add_argument("--hold", type=float, default=3, help="seconds without an answer (timeout)")
    parser.add_argument("--slow", type=float, default=1, help="seconds that a slow answer takes")
    parser.add_argument("--delay", type=float, default=0.3, help="longest delay in seconds")
    parser.add_argument("--retry-after", type=int, default=0, help="milliseconds told with throttles")
    parser.add_argument("--skew", type=float, default=0, help="seconds that this service's clock is ahead")
    parser.add_argument("--credential", action="append", default=[], help="ACCESS_KEY:SECRET[:TOKEN], besides the tests' own")
    parser.add_argument("--no-verify", dest="verify", action="store_false")
    try:
        proxy = Proxy(parser.parse_args())
    except (ValueError, re.error) as error:
        parser.error(str(error))
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), ending.set()), daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    ending.wait()
    print(json.dumps(proxy.summary()), flush=True)
    sys.stdout.flush()
    os._exit(0)  # threads may still hold a timeout


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What arrives on the wire is what was signed: a server has botocore sign each request again as it came, and compares.

usage: wire.py DRIVER
"""
import hashlib
import os
import random
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote_to_bytes

try:
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.compat import HTTPHeaders
    from botocore.credentials import Credentials
except ImportError:
    if sys.executable == "/usr/bin/python3" or not os.path.exists("/usr/bin/python3"):
        sys.exit("wire.py: botocore is missing: install python3-botocore")
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])  # Debian's, which has it

ACCESS, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token/+=of-a-session"
AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
                           r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$")
UNSIGNED = {"authorization", "content-length", "user-agent", "accept", "connection"}
seen = []


def complaint(handler, body):
    match = AUTHORIZATION.match(handler.headers.get("authorization", ""))
    if not match:
        return "Authorization of another form: " + handler.headers.get("authorization", "none")
    access, _, region, service, signed, signature = match.groups()
    signed = signed.split(";")
    names = [name.lower() for name in handler.headers]
    if access != ACCESS or len(names) != len(set(names)):
        return "another key, or a header twice"
    if signed != sorted(signed) or set(names) - UNSIGNED != set(signed):
        return f"sent {names}, signed {signed}"
    if handler.headers["x-amz-security-token"] != TOKEN:
        return "no session token"
    if service == "s3" and handler.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
        return "the body is another one"
    headers = HTTPHeaders()
    for name in signed:
        headers[name] = handler.headers[name]
    request = AWSRequest(method=handler.command, url="http://" + handler.headers["host"] + handler.path, data=body,
                         headers={name: handler.headers[name] for name in signed})
    auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(ACCESS, SECRET, TOKEN), service, region)
    request.context["timestamp"] = handler.headers["x-amz-date"]
    request.context["payload_signing_enabled"] = True
    auth.headers_to_sign = lambda _: headers
    canonical = auth.canonical_request(request)
    if auth.signature(auth.string_to_sign(request, canonical), request) != signature:
        return "botocore would have signed:\n" + canonical
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        wrong = complaint(self, body)
        seen.append((self.command, self.path, body, wrong))
        self.send_response(403 if wrong else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any


def calls(rng):
    alphabet = "".join(map(chr, range(0x20, 0x7f))) + "äß日😀/" * 4
    keys = ["k", "".join(map(chr, range(0x20, 0x7f))), "", "a//b", "a/../b", "..", "/lead", "trail/", "date=2026-11-23/hour=08/x.zst",
            "+ +%2B%20", "\x01\x7f"]
    keys += ["".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 80))) for _ in range(150)]
    queries = ["", "uploads=", "partNumber=1&uploadId=a%2Fb", "list-type=2&prefix=a%2F%20&encoding-type=url"]
    for number, key in enumerate(keys):
        body = rng.randbytes(rng.choice([0, 1, 1000, 70000]))
        method = rng.choice(["PUT", "POST"]) if body else rng.choice(["GET", "PUT", "DELETE", "HEAD"])
        yield "s3", (method, rng.choice(["bucket", "dotted.bucket", "UPPER"]), key, rng.choice(queries), body)
        if number % 5 == 0:
            yield rng.choice(["dynamodb", "sqs", "kinesis", "sts"]), ("POST", "", "", "", body)


def main():
    rng = random.Random(20261123)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wanted = list(calls(rng))
    environment = {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN,
                   "AWS_REGION": "eu-central-1", **{n: v for n, v in os.environ.items() if n.endswith("SAN_OPTIONS")}}
    made = 0
    for base in ("", "/base/path"):
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.server_port}{base}"
        for service in ("s3", "dynamodb", "sqs", "kinesis", "sts"):
            mine = [call for name, call in wanted if name == service]
            seen.clear()
            lines = "".join("\t".join((f if isinstance(f, bytes) else f.encode()).hex() for f in call) + "\n" for call in mine)
            ran = subprocess.run([sys.argv[1], "calls", service], input=lines, env=environment, capture_output=True, text=True,
                                 check=True, timeout=120)
            if len(seen) != len(mine):
                sys.exit(f"{len(seen)} requests arrived of {len(mine)}: {ran.stderr}")
            for (method, bucket, key, query, body), (command, path, arrived, wrong) in zip(mine, seen):
                raw, _, asked = path.partition("?")
                expected = f"{base}/{quote(bucket)}/" if bucket else base + "/"
                if wrong or (command, asked, arrived) != (method, query, body) or raw != expected + quote(key, safe="/-_.~") \
                        or unquote_to_bytes(raw[len(expected):]) != key.encode():
                    sys.exit(f"{service} {method} {key!r} ?{query}: arrived as {command} {path}\n{wrong}")
            made += len(mine)
    print(f"{made} requests arrived as signed")


main()

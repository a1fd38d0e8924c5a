#!/usr/bin/env python3
"""Our signatures are botocore's, byte for byte, on requests made at random.

usage: sign.py DRIVER [COUNT [SEED]]
"""
import os
import random
import subprocess
import sys
from datetime import datetime, timezone
from urllib.parse import quote

try:
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    if sys.executable == "/usr/bin/python3" or not os.path.exists("/usr/bin/python3"):
        sys.exit("sign.py: botocore is missing: install python3-botocore")
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])  # Debian's, which has it

PRINTABLE = "".join(map(chr, range(0x20, 0x7f)))
UNICODE = "äößéñ日本語한글мир😀🜚\u0301\u200b￿"
SERVICES = ["dynamodb", "kinesis", "sqs", "sts", "s3", "execute-api"]
REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-2", "cn-north-1", "us-gov-west-1"]


def text(rng, alphabet, longest):
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(longest + 1)))


def key(rng, number):
    fixed = [PRINTABLE, PRINTABLE * 8, UNICODE, "", "/", "//", "a//b", "a/../b", "../..", "./", "a/.", "a/b/", "///a///",
             "%2F%25", "+ +", "=&?#", "date=2026-01-01/hour=00/x.ndjson.zst", "a" * 1024]
    if number < len(fixed):
        return fixed[number]
    return rng.choice(["", "/", "//", "../", "./"]) + text(rng, PRINTABLE + UNICODE + "/../ %", 60)


def path(rng, number):
    fixed = ["/", "//", "///", "/.", "/..", "/../..", "/a/..", "/a/../", "/a/./b", "/a//b//", "/a/b/../../..", "/./", "/a/.",
             "/%20/%2F/%25", "/~_-."]
    if number < len(fixed):
        return fixed[number]
    parts = [rng.choice(["", ".", "..", "x", quote(text(rng, PRINTABLE + UNICODE, 12), safe="-_.~"), "...", ".a"])
             for _ in range(rng.randrange(8))]
    return "/" + "/".join(parts)


def query(rng):
    kind = rng.randrange(6)
    if kind == 0:
        return ""
    if kind == 1:
        return rng.choice(["uploads", "uploads=", "partNumber=2&uploadId=a%2Fb%3D", "list-type=2&prefix=a%2F&continuation-token=x%3D%3D"])
    pairs = []
    for _ in range(rng.randrange(1, 400 if kind == 2 else 8)):
        name = quote(text(rng, rng.choice(["ab", "aAbB-_.~%", PRINTABLE + UNICODE]), 6), safe="-_.~")
        value = quote(text(rng, PRINTABLE + UNICODE, 20), safe="-_.~")
        pairs.append(name if rng.random() < 0.1 else f"{name}={value}")
    return "&".join(pairs)


def headers(rng, host):
    out = [("Host", host)]
    if rng.random() < 0.7:
        out.append(("Content-Type", rng.choice(["application/x-amz-json-1.0", "text/plain;  charset=utf-8", "a  b   c", "a\tb"])))
    if rng.random() < 0.5:
        out.append(("X-Amz-Target", "DynamoDB_20120810.BatchWriteItem"))
    for name in rng.sample(["x-amz-meta-a", "x-amz-meta-a-b", "X-Amz-Meta-A0", "x-amz-meta-z", "If-None-Match", "Content-MD5",
                            "Range", "my_header", "MY-HEADER", "x-amz-checksum-sha256"], rng.randrange(5)):
        out.append((name, rng.choice(["", " ", "*", "  padded  ", "in  the   middle", "日本", '"etag"', text(rng, PRINTABLE, 40)])))
        if rng.random() < 0.1:
            out.append((name, "second"))
    rng.shuffle(out)
    return out


def make(rng, number):
    s3 = number % 2 == 0
    service = "s3" if s3 else rng.choice(SERVICES)
    scheme, host = "http", rng.choice(["dynamodb.us-east-1.amazonaws.com", "127.0.0.1:8000", "bucket.s3.eu-central-1.amazonaws.com"])
    return {
        "s3": s3, "scheme": scheme, "host": host, "method": rng.choice(["GET", "PUT", "POST", "DELETE", "HEAD"]),
        "key": key(rng, number // 2) if s3 else None, "path": None if s3 else path(rng, number // 2),
        "query": query(rng), "region": rng.choice(REGIONS), "service": service,
        "time": rng.choice([0, 951782399, 951782400, 1709164800, 4102444799, rng.randrange(4102444800)]),
        "access": "AKID" + text(rng, "ABCDEFGH234567", 16), "secret": "s" + text(rng, PRINTABLE.replace(" ", ""), 80),
        "token": rng.choice(["", "T" + text(rng, "abc/+=", 300)]),
        "body": rng.choice([b"", b"{}", rng.randbytes(rng.randrange(5000))]), "headers": headers(rng, host),
    }


def expected(r):
    raw = "/" + quote(r["key"], safe="/-_.~") if r["s3"] else r["path"]
    url = f'{r["scheme"]}://{r["host"]}{raw}' + (f'?{r["query"]}' if r["query"] else "")
    request = AWSRequest(method=r["method"], url=url, data=r["body"])
    for name, value in r["headers"]:
        request.headers.add_header(name, value)
    auth = (S3SigV4Auth if r["s3"] else SigV4Auth)(
        Credentials(r["access"], r["secret"], r["token"] or None), r["service"], r["region"])
    request.context["timestamp"] = datetime.fromtimestamp(r["time"], timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    request.context["payload_signing_enabled"] = True
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    auth._inject_signature_to_request(request, signature)
    return raw, canonical, request.headers["Authorization"]


def line(r):
    fields = ["s3" if r["s3"] else "other", r["method"], r["key"] if r["s3"] else r["path"], r["query"], r["region"], r["service"],
              str(r["time"]), r["access"], r["secret"], r["token"], r["body"]]
    for pair in r["headers"]:
        fields += pair
    return "\t".join((f if isinstance(f, bytes) else f.encode()).hex() for f in fields)


def main():
    driver, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 20261123
    rng = random.Random(seed)
    requests = [make(rng, number) for number in range(count)]
    ours = subprocess.run([driver], input="".join(line(r) + "\n" for r in requests), text=True, check=True, capture_output=True)
    answers = ours.stdout.splitlines()
    if len(answers) != count:
        sys.exit(f"{len(answers)} answers to {count} requests: {ours.stderr}")
    for number, (r, answer) in enumerate(zip(requests, answers)):
        got = tuple(bytes.fromhex(field).decode() for field in answer.split("\t"))
        if got != expected(r):
            print(f"request {number} (seed {seed}): {r}")
            for name, mine, theirs in zip(("path", "canonical request", "authorization"), got, expected(r)):
                if mine != theirs:
                    print(f"{name}\n  ours:     {mine!r}\n  botocore: {theirs!r}")
            sys.exit(1)
    print(f"{count} signatures as botocore makes them")


main()

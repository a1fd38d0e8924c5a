#!/usr/bin/python3
"""Hands out temporary keys the three ways AWS does: STS (web identity), IMDSv2, and the container endpoint.

usage: identity.py [--expires SECONDS]

Prints {"port": N} when it listens; ends with its standard input or on SIGTERM.

  POST /                                                   STS: Action=AssumeRoleWithWebIdentity, not signed, XML
  PUT  /latest/api/token                                   IMDSv2: a token, then with it:
  GET  /latest/meta-data/iam/security-credentials/         the role's name, and under it the keys
  GET  /latest/meta-data/placement/region                  the region
  GET  /v2/credentials/tests                               container: keys, for the right Authorization

Each answer's keys are new: ASIASTS0000000001, ASIAIMDS0000000002, ASIACONTAINER0000000003, ...; issued_keys() knows their secret
and session token, so that fault_proxy.py accepts them. Until when: --expires from now on.

For tests:  GET /__identity__/log     what was asked, in order: [{"source", "status", "detail"}]
            POST /__identity__/set    {"expires": 5, "fail": {"imds": 2}, "web_identity_token": "...", "authorization": "...",
                                       "role": "..."}
fail: that many next requests of the source (sts, imds, container) get status 500.
"""
import argparse
import datetime
import hashlib
import json
import re
import signal
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SOURCES = ("STS", "IMDS", "CONTAINER")
ROLE_ARN = "arn:aws:iam::123456789012:role/tests"
REGION = "eu-central-1"


def issued_keys(access_key):
    """The (secret, session token) of an access key that this server hands out, else None."""
    if not re.fullmatch(f"ASIA({'|'.join(SOURCES)})[0-9]{{10}}", access_key):
        return None
    secret = hashlib.sha256(f"secret {access_key}".encode()).hexdigest()[:40]
    return secret, "token/" + hashlib.sha512(f"token {access_key}".encode()).hexdigest() + "+=="


class State:
    def __init__(self, expires):
        self.lock = threading.Lock()
        self.settings = {"expires": expires, "fail": {}, "web_identity_token": "tests-web-identity", "role": "tests-role",
                         "authorization": "tests-authorization"}
        self.count, self.log, self.tokens = 0, [], {}

    def issue(self, source):
        with self.lock:
            self.count += 1
            access_key = f"ASIA{source}{self.count:010d}"
        secret, token = issued_keys(access_key)
        expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.settings["expires"])
        return access_key, secret, token, expires.strftime("%Y-%m-%dT%H:%M:%SZ")

    def failing(self, source):
        with self.lock:
            left = self.settings["fail"].get(source, 0)
            if left > 0:
                self.settings["fail"][source] = left - 1
            return left > 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    @property
    def state(self):
        return self.server.state

    def send(self, status, body, content_type="application/json", headers=()):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def tell(self, source, status, detail, body, *rest):
        with self.state.lock:
            self.state.log.append({"source": source, "status": status, "detail": detail})
        self.send(status, body, *rest)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urllib.parse.urlsplit(self.path).path
        if path.startswith("/__identity__/"):
            self.control(path, body)
        elif path.startswith("/latest/"):
            self.imds(path)
        elif path == "/":
            self.sts(body)
        elif path.startswith("/v2/credentials/"):
            self.container(path)
        else:
            self.send(404, "{}")

    do_GET = do_POST = do_PUT = handle_any  # noqa: N815

    def control(self, path, body):
        if path.endswith("/log"):
            with self.state.lock:
                self.send(200, json.dumps(self.state.log))
        elif path.endswith("/set"):
            wanted = json.loads(body)
            unknown = set(wanted) - set(self.state.settings)
            if unknown:
                self.send(400, json.dumps({"error": f"no such settings: {sorted(unknown)}"}))
                return
            with self.state.lock:
                self.state.settings.update(wanted)
            self.send(200, "{}")
        else:
            self.send(404, "{}")

    def sts_error(self, status, code, text):
        self.tell("sts", status, code, '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
                  f"<Code>{code}</Code><Message>{text}</Message></Error><RequestId>0</RequestId></ErrorResponse>", "text/xml")

    def sts(self, body):
        form = dict(urllib.parse.parse_qsl((body or urllib.parse.urlsplit(self.path).query.encode()).decode()))
        if self.state.failing("sts"):
            self.sts_error(500, "InternalFailure", "injected")
        elif form.get("Action") != "AssumeRoleWithWebIdentity" or form.get("Version") != "2011-06-15":
            self.sts_error(400, "InvalidAction", "AssumeRoleWithWebIdentity of 2011-06-15 only")
        elif "Authorization" in self.headers:
            self.sts_error(400, "InvalidClientTokenId", "this call is not to be signed")
        elif form.get("RoleArn") != ROLE_ARN:
            self.sts_error(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        elif not re.fullmatch(r"[\w+=,.@-]{2,64}", form.get("RoleSessionName", "")):
            self.sts_error(400, "ValidationError", "RoleSessionName")
        elif form.get("WebIdentityToken") != self.state.settings["web_identity_token"]:
            self.sts_error(400, "InvalidIdentityToken", "the web identity token is not the one expected")
        else:
            access_key, secret, token, expires = self.state.issue("STS")
            self.tell("sts", 200, form["RoleSessionName"],
                      '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">\n'
                      "  <AssumeRoleWithWebIdentityResult>\n    <Credentials>\n"
                      f"      <AccessKeyId>{access_key}</AccessKeyId>\n      <SecretAccessKey>{secret}</SecretAccessKey>\n"
                      f"      <SessionToken>{token}</SessionToken>\n      <Expiration>{expires}</Expiration>\n"
                      "    </Credentials>\n    <AssumedRoleUser>\n"
                      f"      <Arn>arn:aws:sts::123456789012:assumed-role/tests/{form['RoleSessionName']}</Arn>\n"
                      f"      <AssumedRoleId>AROATESTS:{form['RoleSessionName']}</AssumedRoleId>\n"
                      "    </AssumedRoleUser>\n  </AssumeRoleWithWebIdentityResult>\n"
                      "  <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>\n"
                      "</AssumeRoleWithWebIdentityResponse>\n", "text/xml")

    def imds(self, path):
        role = self.state.settings["role"]
        if self.state.failing("imds"):
            self.tell("imds", 500, path, "", "text/plain")
        elif "X-Forwarded-For" in self.headers:
            self.tell("imds", 403, path, "", "text/plain")
        elif path == "/latest/api/token":
            seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
            if self.command != "PUT" or not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
                self.tell("imds", 400, path, "", "text/plain")
                return
            with self.state.lock:
                token = f"IMDS{len(self.state.tokens) + 1:08d}=="
                self.state.tokens[token] = datetime.datetime.now() + datetime.timedelta(seconds=int(seconds))
            self.tell("imds", 200, path, token, "text/plain", [("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", seconds)])
        elif self.state.tokens.get(self.headers.get("X-aws-ec2-metadata-token", ""), datetime.datetime.min) < datetime.datetime.now():
            self.tell("imds", 401, path, "", "text/plain")  # version 1 is off
        elif path == "/latest/meta-data/placement/region":
            self.tell("imds", 200, path, REGION, "text/plain")
        elif path == "/latest/meta-data/iam/security-credentials/" or path == "/latest/meta-data/iam/security-credentials":
            self.tell("imds", 200, path, role, "text/plain")
        elif path == "/latest/meta-data/iam/security-credentials/" + role:
            access_key, secret, token, expires = self.state.issue("IMDS")
            self.tell("imds", 200, path, json.dumps({
                "Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "AWS-HMAC", "AccessKeyId": access_key,
                "SecretAccessKey": secret, "Token": token, "Expiration": expires}, indent=2), "text/plain")
        else:
            self.tell("imds", 404, path, "", "text/plain")

    def container(self, path):
        if self.state.failing("container"):
            self.tell("container", 500, path, json.dumps({"code": "InternalServerError", "message": "injected"}))
        elif self.headers.get("Authorization") != self.state.settings["authorization"]:
            self.tell("container", 401, path, json.dumps({"code": "AccessDenied", "message": "wrong Authorization"}))
        else:
            access_key, secret, token, expires = self.state.issue("CONTAINER")
            self.tell("container", 200, path, json.dumps({
                "RoleArn": ROLE_ARN, "AccessKeyId": access_key, "SecretAccessKey": secret, "Token": token, "Expiration": expires}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--expires", type=float, default=3600)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.state = State(parser.parse_args().expires)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Where credentials come from: each source against a server that behaves as AWS's does, and the order of all of them.

usage: credentials.py DRIVER
"""
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

DRIVER = sys.argv.pop(1)
FAR = "2099-01-01T00:00:00Z"
HIDDEN = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"  # what no message may hold


class Server(ThreadingHTTPServer):
    """STS, a container's endpoint and an instance's metadata, at one address; fails as its attributes say."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.reset()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def reset(self):
        self.seen = []             # (method, path, headers, body)
        self.failures = []         # statuses to answer first
        self.container_token = None
        self.container_json = None
        self.role = "the-role"
        self.instance_code = "Success"
        self.sts_error = None
        self.expiration = FAR


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", kind="application/json"):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def keys(self, who):
        return {"AccessKeyId": "AKID" + who, "SecretAccessKey": HIDDEN + who, "Token": "T/+=" + who,
                "Expiration": self.server.expiration}

    def handle_any(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        server.seen.append((self.command, self.path, dict((k.lower(), v) for k, v in self.headers.items()), body))
        if server.failures:
            status = server.failures.pop(0)
            if status == 0:
                self.close_connection = True
                return
            self.answer(status, f'{{"message": "{HIDDEN}"}}')
        elif self.path == "/" and self.command == "POST":
            self.sts(parse_qs(body, strict_parsing=True))
        elif self.path.startswith("/container"):
            if server.container_token is not None and self.headers.get("authorization") != server.container_token:
                self.answer(403, "{}")
            else:
                self.answer(200, server.container_json or json.dumps(self.keys("CONTAINER")))
        elif self.path == "/latest/api/token":
            self.answer(200 if self.command == "PUT" and self.headers.get("x-aws-ec2-metadata-token-ttl-seconds") else 400, "METATOKEN")
        elif self.path.startswith("/latest/meta-data/iam/security-credentials/"):
            self.metadata(self.path.rsplit("/", 1)[1])
        else:
            self.answer(404)

    def sts(self, form):
        error = self.server.sts_error
        if error:
            self.answer(error[0], f"<ErrorResponse><Error><Code>{error[1]}</Code><Message>{form['WebIdentityToken'][0]}</Message>"
                        "</Error></ErrorResponse>", "text/xml")
            return
        keys = self.keys("WEB")
        self.answer(200, "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
                    f"<SessionToken>{keys['Token']}</SessionToken><SecretAccessKey>{keys['SecretAccessKey']}</SecretAccessKey>"
                    f"<Expiration>{keys['Expiration']}</Expiration><AccessKeyId>{keys['AccessKeyId']}</AccessKeyId></Credentials>"
                    "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>", "text/xml")

    def metadata(self, role):
        if self.headers.get("x-aws-ec2-metadata-token") != "METATOKEN":
            self.answer(401)
        elif not self.server.role:
            self.answer(404)
        elif not role:
            self.answer(200, self.server.role + "\n", "text/plain")
        elif role == self.server.role:
            self.answer(200, json.dumps({"Code": self.server.instance_code, "Type": "AWS-HMAC", **self.keys("INSTANCE")}))
        else:
            self.answer(404)

    do_GET = do_PUT = do_POST = handle_any


class Credentials(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    def setUp(self):
        self.server.reset()
        self.home = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.home)
        os.mkdir(os.path.join(self.home, ".aws"))

    def put(self, name, text):
        path = os.path.join(self.home, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def run_driver(self, environment, *arguments):
        base = {"HOME": self.home, "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
        base.update({name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")})
        base.update(environment)
        ran = subprocess.run([DRIVER, "credentials", *arguments], env=base, capture_output=True, text=True, timeout=60, check=False)
        self.assertNotIn(HIDDEN, ran.stderr)
        return ran

    def keys(self, environment, *arguments):
        ran = self.run_driver(environment, *arguments)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return json.loads(ran.stdout)

    def error(self, environment, *arguments):
        ran = self.run_driver(environment, *arguments)
        self.assertEqual(ran.returncode, 1, ran.stdout)
        self.assertEqual(ran.stdout, "")
        return ran.stderr

    def environment_of(self, name):
        """Variables (and files) that set one source up."""
        if name == "environment":
            return {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": HIDDEN}
        if name == "web identity":
            return {"AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": self.put("token", "JWT" + HIDDEN),
                    "AWS_ENDPOINT_URL_STS": self.server.url}
        if name == "shared files":
            self.put(".aws/credentials", f"[default]\naws_access_key_id=AKIDFILE\naws_secret_access_key={HIDDEN}\n")
        if name == "credential_process":
            script = self.put("tool.sh", "#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":\"AKIDPROCESS\",\"SecretAccessKey\":\"" + HIDDEN + "\"}'\n")
            os.chmod(script, 0o755)
            self.put(".aws/config", f"[default]\ncredential_process = {script}\n")
        if name == "container":
            return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.server.url + "/container"}
        if name == "instance":
            return {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.server.url + "/"}
        return {}

    ORDER = ["environment", "web identity", "shared files", "credential_process", "container", "instance"]

    def test_order_of_every_combination(self):
        for chosen in itertools.product([False, True], repeat=len(self.ORDER)):
            names = [name for name, there in zip(self.ORDER, chosen) if there]
            for leftover in (".aws/credentials", ".aws/config"):
                path = os.path.join(self.home, leftover)
                if os.path.exists(path):
                    os.remove(path)
            environment = {}
            for name in names:
                environment.update(self.environment_of(name))
            with self.subTest(names=names):
                if names:
                    self.assertEqual(self.keys(environment)["source"], names[0])
                else:
                    self.assertIn("no AWS credentials", self.error(environment))

    def test_profile_named_by_argument_hides_the_environments(self):
        environment = {**self.environment_of("environment"), **self.environment_of("web identity"), **self.environment_of("shared files")}
        self.assertEqual(self.keys(environment)["source"], "environment")
        self.assertEqual(self.keys(environment, "default")["source"], "shared files")

    def test_web_identity(self):
        environment = {**self.environment_of("web identity"), "AWS_ROLE_SESSION_NAME": "me & you"}
        self.assertEqual(self.keys(environment), {"source": "web identity", "id": "AKIDWEB", "secret": HIDDEN + "WEB", "token": "T/+=WEB"})
        method, path, headers, body = self.server.seen[0]
        self.assertEqual((method, path), ("POST", "/"))
        self.assertNotIn("authorization", headers)
        self.assertEqual(parse_qs(body), {"Action": ["AssumeRoleWithWebIdentity"], "Version": ["2011-06-15"],
                                          "RoleArn": ["arn:aws:iam::1:role/r"], "RoleSessionName": ["me & you"],
                                          "WebIdentityToken": ["JWT" + HIDDEN]})

    def test_web_identity_of_a_profile(self):
        token = self.put("token", "JWT\n")
        self.put(".aws/config", f"[default]\nrole_arn = arn:x\nweb_identity_token_file = {token}\nrole_session_name = s\n")
        self.assertEqual(self.keys({"AWS_ENDPOINT_URL_STS": self.server.url})["source"], "web identity")
        self.assertEqual(parse_qs(self.server.seen[0][3])["WebIdentityToken"], ["JWT"])

    def test_web_identity_is_tried_again_when_sts_is_down(self):
        self.server.failures = [503, 0]
        self.assertEqual(self.keys(self.environment_of("web identity"))["id"], "AKIDWEB")
        self.assertEqual(len(self.server.seen), 3)

    def test_web_identity_that_is_refused(self):
        self.server.sts_error = (400, "InvalidIdentityToken")
        environment = {**self.environment_of("web identity"), **self.environment_of("shared files")}
        text = self.error(environment)  # and the next source is not asked
        self.assertIn("400 InvalidIdentityToken", text)
        self.assertEqual(len(self.server.seen), 1)

    def test_process_failing_hanging_and_writing_too_much(self):
        for script, says in (("exit 3", "exit status 3"), ("kill -9 $$", "signal 9"), ("yes " + HIDDEN, "more than"),
                             ("echo " + HIDDEN, "no JSON"), (f"echo {HIDDEN} >&2; exit 1", "exit status 1")):
            path = self.put("tool.sh", "#!/bin/sh\n" + script.replace(HIDDEN, "secret") + "\n")
            os.chmod(path, 0o755)
            self.put(".aws/config", f"[default]\ncredential_process = {path}\n")
            with self.subTest(script=script):
                self.assertIn(says, self.error({}))
        self.put(".aws/config", "[default]\ncredential_process = /no/such/tool\n")
        self.assertIn("No such file", self.error({}))

    def test_container_with_token_from_file_or_variable(self):
        environment = self.environment_of("container")
        self.server.container_token = "Bearer of-the-file"
        token = self.put("container-token", "Bearer of-the-file\n")
        both = {**environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "other"}
        self.assertEqual(self.keys(both), {"source": "container", "id": "AKIDCONTAINER", "secret": HIDDEN + "CONTAINER",
                                           "token": "T/+=CONTAINER"})
        self.assertEqual(self.keys({**environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer of-the-file"})["id"], "AKIDCONTAINER")
        self.assertIn("answered 403", self.error(environment))

    def test_container_goes_through_no_proxy(self):
        environment = {**self.environment_of("container"), "http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
                       "ALL_PROXY": "http://127.0.0.1:1"}
        self.assertEqual(self.keys(environment)["id"], "AKIDCONTAINER")

    def test_container_is_tried_again_and_then_given_up(self):
        self.server.failures = [500, 429]
        self.assertEqual(self.keys(self.environment_of("container"))["id"], "AKIDCONTAINER")
        self.server.failures = [500, 500, 500]
        self.assertIn("answered 500", self.error(self.environment_of("container")))
        self.server.container_json = json.dumps({"AccessKeyId": "A", "SecretAccessKey": HIDDEN, "Token": "T", "Expiration": "2020-01-01T00:00:00Z"})
        self.assertIn("have expired", self.error(self.environment_of("container")))
        for broken in ("", "[]", '{"SecretAccessKey":"' + HIDDEN, json.dumps({"SecretAccessKey": HIDDEN})):
            self.server.container_json = broken or " "
            self.error(self.environment_of("container"))

    def test_instance_speaks_version_two(self):
        self.assertEqual(self.keys(self.environment_of("instance")), {"source": "instance", "id": "AKIDINSTANCE",
                                                                    "secret": HIDDEN + "INSTANCE", "token": "T/+=INSTANCE"})
        self.assertEqual([(method, path) for method, path, _, _ in self.server.seen],
                         [("PUT", "/latest/api/token"), ("GET", "/latest/meta-data/iam/security-credentials/"),
                          ("GET", "/latest/meta-data/iam/security-credentials/the-role")])

    def test_instance_with_stale_keys_goes_on_with_them(self):
        self.server.expiration = "2020-01-01T00:00:00Z"
        self.assertEqual(self.keys(self.environment_of("instance"))["id"], "AKIDINSTANCE")

    def test_instance_without_role_or_in_trouble(self):
        self.server.role = ""
        self.assertIn("no AWS credentials", self.error(self.environment_of("instance")))
        self.server.reset()
        self.server.failures = [403]
        self.assertIn("no AWS credentials", self.error(self.environment_of("instance")))
        self.server.failures = [500]
        self.assertIn("does not answer", self.error(self.environment_of("instance")))
        self.server.failures = [500]
        self.assertEqual(self.keys({**self.environment_of("instance"), "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "2"})["id"], "AKIDINSTANCE")
        self.server.instance_code = "AssumeRoleUnauthorizedAccess"
        self.assertIn("AssumeRoleUnauthorizedAccess", self.error(self.environment_of("instance")))

    def test_instance_that_is_none_is_soon_known(self):
        text = self.error({"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"})
        self.assertIn("no AWS credentials", text)


unittest.main(verbosity=1)

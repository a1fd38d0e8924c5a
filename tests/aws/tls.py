#!/usr/bin/env python3
"""The transport. TLS: a server whose certificate is of our own CA is trusted, one for another host, one that has expired and one of an
unknown CA are not; AWS_CA_BUNDLE and SSL_CERT_FILE are obeyed. HTTP/2 where it is
offered. Proxies that the environment names.

usage: tls.py DRIVER
"""
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DRIVER = sys.argv.pop(1)
FAILURE_NONE, FAILURE_UNREACHABLE, FAILURE_TLS = 0, 1, 2


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # handshakes that fail, as they should


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        for authority in ("ours", "strangers"):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={authority}",
                    "-days", "2", "-keyout", cls.path(authority + ".key"), "-out", cls.path(authority + ".pem"))

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    def certify(self, name, authority="ours", alternative="IP:127.0.0.1,DNS:localhost", days="1"):
        with open(self.path(name + ".ext"), "w", encoding="ascii") as out:
            out.write(f"subjectAltName={alternative}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=server",
                "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"))
        openssl("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path(authority + ".pem"), "-CAkey",
                self.path(authority + ".key"), "-CAcreateserial", "-days", days, "-extfile", self.path(name + ".ext"),
                "-out", self.path(name + ".pem"))

    def serve(self, name, **how):
        self.certify(name, **how)
        server = Quiet(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(name + ".pem"), self.path(name + ".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"https://127.0.0.1:{server.server_port}/"

    def ask(self, url, **environment):
        base = {"PATH": os.environ["PATH"]}
        base.update({name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")})
        ran = subprocess.run([DRIVER, "http", url], env={**base, **environment}, capture_output=True, text=True, timeout=60, check=False)
        self.assertIn(ran.returncode, (0, 1), ran.stderr)
        code, failure, status, length = ran.stdout.split()
        return code, int(failure), int(status), int(length), ran.stderr

    def refused(self, url, says, **environment):
        code, failure, status, length, text = self.ask(url, **environment)
        self.assertEqual((code, failure, status, length), ("EOUTPUT", FAILURE_TLS, 0, 0), text)
        self.assertRegex(text, says)
        self.assertIn(url[:-1], text)

    def test_our_own_authority_is_trusted_when_named(self):
        url = self.serve("good")
        for variable in ("AWS_CA_BUNDLE", "SSL_CERT_FILE"):
            self.assertEqual(self.ask(url, **{variable: self.path("ours.pem")})[:4], ("OK", FAILURE_NONE, 200, 5))
        self.assertEqual(self.ask(url.replace("127.0.0.1", "localhost"), AWS_CA_BUNDLE=self.path("ours.pem"))[0], "OK")

    def test_it_is_not_trusted_otherwise(self):
        url = self.serve("unnamed")
        self.refused(url, "certificate")
        self.refused(url, "certificate", AWS_CA_BUNDLE=self.path("strangers.pem"))
        self.refused(url, "certificate", AWS_CA_BUNDLE=self.path("strangers.pem"), SSL_CERT_FILE=self.path("ours.pem"))

    def test_wrong_host(self):
        url = self.serve("elsewhere", alternative="DNS:elsewhere.example,IP:127.0.0.9")
        self.refused(url, "127.0.0.1|match", AWS_CA_BUNDLE=self.path("ours.pem"))

    def test_expired(self):
        url = self.serve("expired", days="-1")
        self.refused(url, "expired", AWS_CA_BUNDLE=self.path("ours.pem"))

    def test_bundle_that_is_not_there(self):
        url = self.serve("any")
        self.refused(url, "/no/such/bundle", AWS_CA_BUNDLE="/no/such/bundle")

    def test_server_without_tls(self):
        server = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        code, failure, status, _, _ = self.ask(f"https://127.0.0.1:{server.server_port}/", AWS_CA_BUNDLE=self.path("ours.pem"))
        self.assertEqual((code, status), ("EOUTPUT", 0))
        self.assertEqual(failure, FAILURE_UNREACHABLE)

    def test_plain_http_loads_no_certificates(self):
        server = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        # A bundle that cannot be read would end an https request.
        self.assertEqual(self.ask(f"http://127.0.0.1:{server.server_port}/", AWS_CA_BUNDLE="/no/such/bundle")[0], "OK")

    def test_http2_where_it_is_offered(self):
        self.certify("h2")
        server = subprocess.Popen(["node", os.path.join(os.path.dirname(os.path.abspath(__file__)), "http2.mjs"), self.path("h2.key"),
                                   self.path("h2.pem")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (server.communicate(timeout=20)))
        port = server.stdout.readline().strip()
        body = os.urandom(300000)
        environment = {"PATH": os.environ["PATH"], "AWS_CA_BUNDLE": self.path("ours.pem"), "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S",
                       "AWS_REGION": "r", "AWS_ENDPOINT_URL": f"https://localhost:{port}",
                       **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}}
        call = "\t".join(field.hex() for field in (b"PUT", b"bucket", b"a//b=c", b"", body)) + "\n"
        ran = subprocess.run([DRIVER, "calls", "s3", "--show"], input=call * 2, env=environment, capture_output=True, text=True, timeout=60,
                             check=False)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        answers = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
        for got in answers:
            self.assertEqual((got["version"], got["method"], got["path"]), ("2.0", "PUT", "/bucket/a//b%3Dc"))
            self.assertEqual(got["host"], f"localhost:{port}")
            self.assertIn("SignedHeaders=host;x-amz-content-sha256;x-amz-date,", got["authorization"])
            self.assertEqual(got["body"], body.hex())
        self.assertEqual(len(answers), 2)
        self.assertEqual(answers[0]["ports"], answers[1]["ports"])

    def test_proxy_of_the_environment(self):
        paths = []

        class Proxy(Handler):
            def do_GET(self):
                paths.append(self.path)
                Handler.do_GET(self)

        server = Quiet(("127.0.0.1", 0), Proxy)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        proxy = f"http://127.0.0.1:{server.server_port}"
        self.assertEqual(self.ask("http://far.invalid/a//b", http_proxy=proxy)[0], "OK")
        self.assertEqual(paths, ["http://far.invalid/a//b"])
        self.assertEqual(self.ask("http://far.invalid/", http_proxy=proxy, no_proxy=".invalid")[0], "EOUTPUT")
        self.assertEqual(len(paths), 1)


unittest.main(verbosity=1)

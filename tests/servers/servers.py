#!/usr/bin/python3
"""Starts the real servers that tests talk to, on 127.0.0.1 and free ports, and ends them. README.md tells how to use it.

usage: servers.py run NAME[,NAME...] -- COMMAND [ARG...]    COMMAND with the servers' AWS_* variables; its exit code
       servers.py serve NAME[,NAME...]                      prints the variables, serves until standard input ends
       servers.py list

A server that is missing or does not answer is an error (exit code 3), never a reason to skip.
"""
import base64
import contextlib
import json
import os
import platform
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from aws_client import ACCESS_KEY, REGION, SECRET_KEY, Client  # noqa: E402
from identity import ROLE_ARN  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PYTHON = "/usr/bin/python3"  # Debian's: the one that apt's botocore belongs to
START_SECONDS = 90

# What a server speaks: the endpoint variables that point at it.
SPEAKS = {
    "identity": [],
    "dynalite": ["DYNAMODB"],
    "dynamodb-local": ["DYNAMODB"],
    "fauxqs": ["SQS"],
    "kinesalite": ["KINESIS"],
    "kinesis-local": ["KINESIS"],
    "local-aws-sqs": ["SQS"],
    "radosgw": ["S3"],
}


class Missing(Exception):
    """A server that should be there is not, or did not start: the text says what to do."""


def npm_directory():
    """Where ./dev test puts the packages of package-lock.json."""
    found = os.environ.get("TUMBLE_SERVERS_DIR") or os.path.join(ROOT, "build", "servers")
    if not os.path.isdir(os.path.join(found, "node_modules")):
        raise Missing(f"no npm packages in {found}: ./dev test puts them there (or name another by TUMBLE_SERVERS_DIR)")
    return found


def node():
    """The Node of build/tools, as ./dev test installs it: newer than Debian's."""
    tools = os.environ.get("TUMBLE_TOOLS_DIR") or os.path.join(ROOT, "build", "tools")
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = os.path.join(tools, "node_modules", "node-linux-" + machine, "bin", "node")
    if not os.access(found, os.X_OK):
        raise Missing(f"no Node at {found}: ./dev test puts it there")
    return found


def quiet_environment():
    """Variables that keep this machine's own AWS settings out of a test."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


class Server:
    """A running server. Ends with stop(), at the end of its with block, or with the process that started it."""

    def __init__(self, name, command):
        self.name = name
        self.log = tempfile.TemporaryFile()  # without a name: nothing is left behind
        began = time.monotonic()
        try:
            # Its standard input is its leash: when this process dies, however, the pipe closes and the server ends.
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        except OSError as error:
            self.log.close()
            raise Missing(f"{name}: {error}") from error
        self.pid = self.process.pid
        try:
            self.told = json.loads(self.first_line())
        except (ValueError, Missing) as error:
            text = self.log_text()
            self.stop()
            raise Missing(f"{name} did not start: {error}\n{text[-4000:]}") from error
        self.port = self.told["port"]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.start_seconds = time.monotonic() - began

    def first_line(self):
        deadline, line = time.monotonic() + START_SECONDS, b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0, deadline - time.monotonic())):
                    raise Missing(f"no answer within {START_SECONDS} s")
                byte = os.read(self.process.stdout.fileno(), 1)
                if not byte:
                    raise Missing(f"it ended with exit code {self.process.wait()}")
                line += byte
        return line

    def log_text(self):
        """What it wrote to standard error, at most the last 64 KiB. Until stop()."""
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), 65536, max(0, size - 65536)).decode(errors="replace")

    def stop(self):
        """Ends it and returns what it still wrote to standard output. May be called twice."""
        rest = b""
        if self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
            self.process.stdin = None
            try:
                rest = self.process.communicate(timeout=10)[0] or b""
            except subprocess.TimeoutExpired:
                self.process.kill()
                rest = self.process.communicate()[0] or b""
            self.log.close()
        return rest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def client(self, **keys):
        return Client(self.endpoint, **keys)

    def env(self, endpoint=None):
        """AWS_* variables for a program that is to talk to it; endpoint: another way to it, a proxy's."""
        return {**quiet_environment(),
                **{f"AWS_ENDPOINT_URL_{service}": endpoint or self.endpoint for service in SPEAKS.get(self.name, [])}}


def start_node(name, options=None):
    return Server(name, [node(), "--max-old-space-size=2048", os.path.join(HERE, "launch.mjs"), npm_directory(), name,
                         json.dumps(options or {})])


def start_radosgw():
    for program, package in (("radosgw", "radosgw"), ("ceph-mon", "ceph-mon"), ("ceph-osd", "ceph-osd"), ("ceph", "ceph-common")):
        if not shutil.which(program):
            raise Missing(f"no {program}: apt-get install --no-install-recommends {package} (./dev test does)")
    return Server("radosgw", [PYTHON, os.path.join(HERE, "radosgw.py")])


class FaultProxy(Server):
    """fault_proxy.py in front of a server; env() points at the proxy. stop() leaves its summary in .summary."""

    def __init__(self, behind, **options):
        arguments = []
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            if name == "verify":
                arguments += [] if value else ["--no-verify"]
            elif isinstance(value, (list, tuple)):
                arguments += [word for each in value for word in (flag, str(each))]
            else:
                arguments += [f"{flag}={value}"]
        self.behind, self.summary = behind, None
        super().__init__("fault_proxy", [PYTHON, os.path.join(HERE, "fault_proxy.py"), "--upstream", behind.endpoint, *arguments])

    def env(self, endpoint=None):
        return self.behind.env(endpoint or self.endpoint)

    def plan(self, **changes):
        """From now on: seed, rate, kinds, only, script."""
        answer = self.client().send("POST", "/__fault_proxy__/plan", body=json.dumps(changes).encode())
        if answer.status != 200:
            raise ValueError(answer.json()["error"])

    def summary_now(self):
        return self.client().send("GET", "/__fault_proxy__/summary").json()

    def stop(self):
        text = super().stop()
        if text:
            self.summary = json.loads(text.splitlines()[-1])
        return text


class TlsFront(Server):
    """TLS in front of a server, with the certificate of that name of make_certificates.sh; stop() leaves .summary."""

    def __init__(self, behind, certificates, name="good"):
        self.behind, self.summary = behind, None
        self.ca_file = os.path.join(certificates, "ca.pem")
        super().__init__("tls_front", [PYTHON, os.path.join(HERE, "tls_front.py"), str(behind.port),
                                       *(os.path.join(certificates, name + suffix) for suffix in (".pem", ".key"))])
        self.endpoint = f"https://localhost:{self.port}"

    def env(self, endpoint=None):
        return {**self.behind.env(endpoint or self.endpoint), "AWS_CA_BUNDLE": self.ca_file}

    def stop(self):
        text = super().stop()
        if text:
            self.summary = json.loads(text.splitlines()[-1])
        return text


def make_certificates(directory):
    """The tests' own authority and certificates; returns the directory."""
    try:
        subprocess.run([os.path.join(HERE, "make_certificates.sh"), directory], check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Missing(f"make_certificates.sh: {error}") from error
    return directory


class Identity(Server):
    """identity.py. env_sts, env_imds and env_container give the variables of one way to keys each, without keys of their own."""

    def __init__(self, **options):
        super().__init__("identity", [PYTHON, os.path.join(HERE, "identity.py"),
                                      *(f"--{name}={value}" for name, value in options.items())])

    def set(self, **settings):
        answer = self.client().send("POST", "/__identity__/set", body=json.dumps(settings).encode())
        if answer.status != 200:
            raise ValueError(answer.json()["error"])

    def asked(self):
        """What was asked so far: a list of {"source", "status", "detail"}."""
        return self.client().send("GET", "/__identity__/log").json()

    @staticmethod
    def env_without_keys():
        return {name: value for name, value in quiet_environment().items()
                if name not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}

    def env_sts(self, token_file):
        return {**self.env_without_keys(), "AWS_ENDPOINT_URL_STS": self.endpoint, "AWS_ROLE_ARN": ROLE_ARN,
                "AWS_ROLE_SESSION_NAME": "tests", "AWS_WEB_IDENTITY_TOKEN_FILE": token_file}

    def env_imds(self):
        return {**self.env_without_keys(), "AWS_EC2_METADATA_DISABLED": "false",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.endpoint}

    def env_container(self, token="tests-authorization"):
        return {**self.env_without_keys(), "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.endpoint + "/v2/credentials/tests",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": token}


def produce(server, stream, records, aggregate=0):
    """Puts (key, bytes) or (key, bytes, explicit hash key) by AWS's own JavaScript client; aggregate: that many to one record, as the
    Kinesis Producer Library does it. Returns {"records": N, "put": M}."""
    lines = [json.dumps({"key": key, "data": base64.b64encode(data).decode(), **({"hash": rest[0]} if rest else {})})
             for key, data, *rest in records]
    ran = subprocess.run([node(), os.path.join(HERE, "produce.mjs"), npm_directory(), stream, str(aggregate)], check=True,
                         input="\n".join(lines).encode(), stdout=subprocess.PIPE, env=environment(server))
    return json.loads(ran.stdout)


def lambda_ric():
    """The command that runs a Node function as Lambda does. It wants Lambda's variables: AWS_LAMBDA_RUNTIME_API, LAMBDA_TASK_ROOT (the
    directory of the function's file), _HANDLER ("file.function"), AWS_LAMBDA_FUNCTION_NAME, _VERSION and _MEMORY_SIZE,
    AWS_LAMBDA_LOG_GROUP_NAME and _STREAM_NAME."""
    package = os.path.join(npm_directory(), "node_modules", "aws-lambda-ric")
    if not os.path.exists(os.path.join(package, "rapid-client.node")):
        raise Missing("aws-lambda-ric is not compiled: tests/servers/build_lambda_ric.py does it (./dev test runs it)")
    return [node(), os.path.join(package, "index.mjs")]


def start_dynamodb_local():
    if os.environ.get("TEST_DYNAMODB_LOCAL") != "1":
        raise Missing("dynamodb-local is opt-in: set TEST_DYNAMODB_LOCAL=1 if its licence allows you to use it (it wants an AWS account)")
    return Server("dynamodb-local", [PYTHON, os.path.join(HERE, "dynamodb_local.py"), os.path.join(ROOT, "build", "dynamodb-local")])


# One real request each: it listens, and it answers.
QUESTIONS = {
    "dynalite": lambda client: client.dynamodb("ListTables")["TableNames"],
    "dynamodb-local": lambda client: client.dynamodb("ListTables")["TableNames"],
    "fauxqs": lambda client: client.sqs("ListQueues"),
    "identity": lambda client: client.send("GET", "/__identity__/log").json(),
    "kinesalite": lambda client: client.kinesis("ListStreams")["StreamNames"],
    "kinesis-local": lambda client: client.kinesis("ListStreams")["StreamNames"],
    "local-aws-sqs": lambda client: client.sqs("ListQueues"),
    "radosgw": lambda client: client.s3("GET", "/"),
}


def start(name, **options):
    """Starts the server of that name; see README.md for its options. Raises Missing."""
    if name not in SPEAKS:
        raise Missing(f"no such server: {name}; there are {', '.join(sorted(SPEAKS))}")
    began = time.monotonic()
    if name == "radosgw":
        server = start_radosgw()
    elif name == "dynamodb-local":
        server = start_dynamodb_local()
    elif name == "identity":
        server = Identity(**options)
    else:
        server = start_node(name, options)
    try:
        client = server.client(timeout=START_SECONDS)
        QUESTIONS[name](client)
        client.close()
    except Exception as error:
        text = server.log_text()
        server.stop()
        raise Missing(f"{name} listens but does not answer: {error!r}\n{text[-4000:]}") from error
    server.start_seconds = time.monotonic() - began
    return server


def environment(*servers):
    """A whole environment: this one's without its AWS_* variables, with those of the servers."""
    together = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    for server in servers:
        together.update(server.env())
    return together


def main(arguments):
    if arguments == ["list"]:
        print("\n".join(sorted(SPEAKS)))
        return 0
    if len(arguments) < 2 or arguments[0] not in ("run", "serve"):
        sys.exit(__doc__)
    command = arguments[2:]
    if (arguments[0] == "run") != (command[:1] == ["--"] and len(command) > 1):
        sys.exit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        try:
            started = [stack.enter_context(start(name)) for name in arguments[1].split(",")]
        except Missing as error:
            print(f"servers.py: {error}", file=sys.stderr)
            return 3
        variables = environment(*started)
        if command:
            code = subprocess.run(command[1:], env=variables, check=False).returncode
            return code if code >= 0 else 128 - code
        for name, value in sorted(variables.items()):
            if name.startswith("AWS_"):
                print(f"{name}={value}")
        sys.stdout.flush()
        sys.stdin.buffer.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

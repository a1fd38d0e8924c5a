#!/usr/bin/python3
"""A Lambda function of every temper, on Python's own HTTP: function.py MODE [ARGUMENT].

Ordinary modes answer each event; the others do what a function should not. What a mode sees of the Runtime API's answers it tells
in its response, so that a test can look at it."""

import base64
import http.client
import json
import os
import signal
import socket
import sys
import time

RUNTIME, EXTENSION = "/2018-06-01/runtime/", "/2020-01-01/extension/"
ADDRESS = os.environ["AWS_LAMBDA_RUNTIME_API"]
LIMIT = 6291556


class Api:
    def __init__(self):
        self.connection = http.client.HTTPConnection(ADDRESS)

    def call(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body=body, headers=headers or {})
        answer = self.connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

    def next(self):
        status, self.event, self.headers = self.call("GET", RUNTIME + "invocation/next")
        if status != 200:
            raise SystemExit("next: %d" % status)
        self.id = self.headers["lambda-runtime-aws-request-id"]
        self.invocation_id = self.headers["lambda-runtime-invocation-id"]
        return self.event

    def post(self, kind, body, request_id=None, invocation_id=True):
        headers = {}
        if invocation_id:
            headers["Lambda-Runtime-Invocation-Id"] = self.invocation_id if invocation_id is True else invocation_id
        return self.call("POST", "%sinvocation/%s/%s" % (RUNTIME, request_id or self.id, kind),
                         body if isinstance(body, bytes) else json.dumps(body).encode(), headers)[:2]

    def respond(self, body, **more):
        return self.post("response", body, **more)

    def raw(self, data):
        """What comes back for bytes that need not be HTTP, on a connection of its own."""
        host, port = ADDRESS.split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            got = b""
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    got += piece
            except OSError:
                pass
            return got


def every(api):
    count = 0
    while True:
        api.next()
        count += 1
        yield count


def echo(api):
    """The event itself."""
    for _ in every(api):
        api.respond(api.event)


def tell(api):
    """What a runtime sees: headers, environment, how many events this process had."""
    for count in every(api):
        names = [name for name in os.environ if name.startswith(("AWS_", "LAMBDA_", "_HANDLER", "TZ"))]
        api.respond({"headers": api.headers, "environment": {name: os.environ[name] for name in names}, "count": count,
                     "pid": os.getpid(), "left_ms": int(api.headers["lambda-runtime-deadline-ms"]) - time.time() * 1000,
                     "cwd": os.getcwd(), "stdin": sys.stdin.read()})


def error(api):
    for _ in every(api):
        api.post("error", {"errorMessage": "no", "errorType": "Boom", "stackTrace": []})


def hang(api):
    """Does not answer the event numbered by the argument (1); a child of it hangs with it."""
    which = int((sys.argv + ["1"])[2])
    for count in every(api):
        if count == which:
            if os.fork() == 0:
                signal.pause()
            time.sleep(1000)
        api.respond({"count": count, "pid": os.getpid()})


def crash(api):
    """Ends with status 3 in the event numbered by the argument (1)."""
    which = int((sys.argv + ["1"])[2])
    for count in every(api):
        if count == which:
            os._exit(3)
        api.respond({"count": count})


def once(api):
    """Ends after each answer."""
    api.next()
    api.respond({"pid": os.getpid()})


def init_error(api):
    status = api.call("POST", RUNTIME + "init/error", json.dumps({"errorMessage": "no spec", "errorType": "NoSpec"}))[0]
    sys.exit(0 if status == 202 else 9)


def slow_init(api):
    """The first process takes longer than it may, the next one does not; the argument is a file to remember in."""
    if not os.path.exists(sys.argv[2]):
        open(sys.argv[2], "w", encoding="ascii").close()
        api.call("PUT", "/2022-07-01/telemetry", b"{}")
        time.sleep(1000)
    echo(api)


def late_again(api):
    """Takes longer after the answer than the time-out is."""
    for _ in every(api):
        api.respond({})
        time.sleep(1000)


def wrong(api):
    """Everything that is refused, and then the right answer, which tells how it was refused."""
    for _ in every(api):
        seen = {
            "wrong id": api.respond({}, request_id="00000000-0000-0000-0000-000000000000"),
            "wrong invocation": api.respond({}, invocation_id="x"),
            "no such path": api.call("GET", RUNTIME + "invocation/last")[:2],
            "wrong method": api.call("POST", RUNTIME + "invocation/next", b"")[:2],
            "next in between": Api().call("GET", RUNTIME + "invocation/next")[:2],
            "init error": api.call("POST", RUNTIME + "init/error", b"{}")[:2],
            "stranger": api.call("GET", EXTENSION + "event/next", headers={"Lambda-Extension-Identifier": "x"})[:2],
            "late extension": api.call("POST", EXTENSION + "register", b"{}", {"Lambda-Extension-Name": "x"})[:2],
            "telemetry": api.call("PUT", "/2022-07-01/telemetry", b"{}")[:2],
        }
        api.respond({name: [status, body.decode()] for name, (status, body) in seen.items()}, invocation_id=False)


def twice(api):
    """Answers twice; the second time is told by the next event."""
    second = None
    for _ in every(api):
        api.respond({"second": second})
        second = [part if isinstance(part, int) else part.decode() for part in api.respond({"no": "no"})]


def too_large(api):
    """413, and then as the argument says: `next` at once, or an `error`, or nothing but the `end`."""
    seen = None
    for count in every(api):
        if count % 2 == 0:
            api.respond(seen)
            continue
        status, body = api.respond(b'"' + b"x" * (LIMIT - 1) + b'"')
        seen = [status, body.decode()]
        if sys.argv[2] == "error":
            status, body = api.post("error", {"errorMessage": "it was too large", "errorType": "Mine"})
            seen += [status, body.decode()]
        elif sys.argv[2] == "end":
            sys.exit(1)


def largest(api):
    for _ in every(api):
        api.respond(b'"' + b"x" * (LIMIT - 2) + b'"')


def garbage(api):
    """Bytes that are no requests, requests that are not whole, headers without end."""
    for _ in every(api):
        api.raw(b"\x00\xff\x16\x03\x01" * 100)
        api.raw(b"GET " + b"/" * 100000 + b" HTTP/1.1\r\n\r\n")
        api.raw(b"POST /2018-06-01/runtime/invocation/" + api.id.encode() + b"/response HTTP/1.1\r\nContent-Length: 99\r\n\r\nx")
        api.raw(b"POST /2018-06-01/runtime/invocation/" + api.id.encode() +
                b"/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        api.raw(b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % i for i in range(20000)) + b"\r\n")
        api.raw(b"POST /2018-06-01/runtime/invocation/%2e%2e%00/response HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        api.raw(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
        api.respond({"alive": True})


def flood(api):
    """Connections by the thousand, of which many say nothing, and some begin bodies that never end."""
    host, port = ADDRESS.split(":")
    for _ in every(api):
        open_ones = []
        for i in range(2000):
            connection = socket.socket()
            connection.settimeout(1)
            try:
                connection.connect((host, int(port)))
                if i % 3 == 0:
                    connection.sendall(b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nContent-Length: 6000000\r\n\r\n" + b"x" * 9000)
                if i % 3 == 1:
                    connection.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
            except OSError:
                pass
            open_ones.append(connection)
            if len(open_ones) > 150:
                open_ones.pop(0).close()
        for connection in open_ones:
            connection.close()
        api.respond({"alive": True})


def slow_body(api):
    """A byte at a time, with pauses: in all the argument's seconds."""
    for _ in every(api):
        host, port = ADDRESS.split(":")
        body = b'{"slow":true}'
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
                               % (api.id.encode(), len(body)))
            for at in range(len(body)):
                connection.sendall(body[at:at + 1])
                time.sleep(float(sys.argv[2]) / len(body))
            connection.recv(4096)


def endless_body(api):
    for _ in every(api):
        host, port = ADDRESS.split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                               % api.id.encode())
            while True:
                connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def deaf(api):
    """Answers without having read the event, and never reads what comes back. The argument: bytes of the event's head."""
    host, port = ADDRESS.split(":")
    while True:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect((host, int(port)))
        connection.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
        head = connection.recv(600).decode("latin-1")
        line = next(each for each in head.split("\r\n") if each.lower().startswith("lambda-runtime-aws-request-id"))
        api.connection = http.client.HTTPConnection(ADDRESS)
        api.call("POST", RUNTIME + "invocation/%s/response" % line.split(": ")[1], json.dumps({"pid": os.getpid()}))
        time.sleep(1000)


def gives_up(api):
    """Asks for events and drops the connection before one is there, and asks again: it comes to the last one that asks."""
    host, port = ADDRESS.split(":")
    for _ in every(api):
        api.respond({"alive": True})
        for _ in range(3):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
                time.sleep(0.02)


def ignores(api):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    extension(api)


def extension(api):
    """Registers as one, answers, and writes into the argument's file what happens at its end."""
    events = sys.argv[3].split(",") if len(sys.argv) > 3 and sys.argv[3] else []
    _, body, headers = api.call("POST", EXTENSION + "register", json.dumps({"events": events}), {"Lambda-Extension-Name": "x"})
    identifier = {"Lambda-Extension-Identifier": headers["lambda-extension-identifier"]}
    registered = json.loads(body)

    def note(text):
        with open(sys.argv[2], "a", encoding="utf-8") as file:
            file.write(text + "\n")

    def on_end(*_):
        note("SIGTERM")
        if "SHUTDOWN" not in events:
            os._exit(0)

    if sys.argv[1] != "ignores":
        signal.signal(signal.SIGTERM, on_end)
    if os.fork() == 0:
        own = Api()
        while True:
            status, body, _ = own.call("GET", EXTENSION + "event/next", headers=identifier)
            event = json.loads(body)
            note("%d %s" % (status, event["eventType"]))
            if event["eventType"] == "SHUTDOWN":
                note(event["shutdownReason"])
                os.kill(os.getppid(), signal.SIGKILL)
                os._exit(0)
    for count in every(api):
        api.respond({"registered": registered, "count": count})


def payloads(event):
    return [json.loads(base64.b64decode(record["kinesis"]["data"])) for record in event["Records"]]


def note(api):
    """Writes each event and its request's ids into the argument's file."""
    for _ in every(api):
        with open(sys.argv[2], "ab") as file:
            file.write(api.id.encode() + b" " + api.invocation_id.encode() + b" " + api.event + b"\n")
        api.respond({"state": json.loads(api.event).get("state", {})})


def emit(path, event, totals):
    with open(path, "a", encoding="utf-8") as file:
        for kind, total in sorted(totals.items()):
            file.write(json.dumps([event["window"]["start"], event["shardId"], kind, total]) + "\n")


def careful(api):
    """Sums `amount` by `kind`, in the event's state and nowhere else; at a window's end into the argument's file."""
    for _ in every(api):
        event = json.loads(api.event)
        totals = dict(event["state"])
        for payload in payloads(event):
            totals[payload["kind"]] = totals.get(payload["kind"], 0) + payload["amount"]
        if event["isFinalInvokeForWindow"]:
            emit(sys.argv[2], event, totals)
        api.respond({"state": totals})


def naive(api):
    """The same, in the memory of the process, as one does who knows neither retries nor sandboxes."""
    memory = {}
    for _ in every(api):
        event = json.loads(api.event)
        totals = memory.setdefault((event["shardId"], event["window"]["start"]), {})
        for payload in payloads(event):
            totals[payload["kind"]] = totals.get(payload["kind"], 0) + payload["amount"]
        if event["isFinalInvokeForWindow"]:
            emit(sys.argv[2], event, totals)
        api.respond({"state": {}})


def poison(api):
    """Fails whatever holds a record whose `amount` is the argument."""
    for _ in every(api):
        if any(payload["amount"] == int(sys.argv[2]) for payload in payloads(json.loads(api.event))):
            api.post("error", {"errorMessage": "poison", "errorType": "Poison"})
        else:
            api.respond({"state": {}})


def chatty(api):
    for _ in every(api):
        print("to standard output", flush=True)
        print("to standard error", file=sys.stderr, flush=True)
        api.respond({})


def main():
    modes = {name: value for name, value in globals().items() if callable(value) and name not in ("Api", "every", "payloads", "emit", "main")}
    modes[sys.argv[1]](Api())


if __name__ == "__main__":
    main()

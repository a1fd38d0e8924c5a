"""Lambda's Runtime API and Extensions API for one sandbox at a time, as AWS's own emulator answers: 202 with a status
document, 413 above 6,291,556 bytes, 400 for a request id that is not under way or an invocation id that is wrong, no
time-out on next. A request that breaks HTTP or names an unknown path is noted in `strangers`."""

import queue
import socket
import threading
import time
import uuid

LIMIT = 6291556


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body


class Answer:
    """What came back for one event."""

    def __init__(self, kind, request):
        self.kind, self.headers, self.body = kind, request.headers, request.body
        self.sent = self.done = self.again = 0.0


def read_request(stream):
    line = stream.readline(65536)
    if not line:
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    headers = {}
    while True:
        line = stream.readline(65536).decode("latin-1").rstrip("\r\n")
        if not line:
            break
        name, _, value = line.partition(":")
        if name.lower() in headers:
            raise ValueError("a header twice: " + name)
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    return Request(method, path, headers, stream.read(length) if length else b"")


class RuntimeApi:
    def __init__(self, extensions=True):
        self.extensions = extensions
        self.events = queue.Queue()
        self.answers = queue.Queue()
        self.init_errors = queue.Queue()
        self.nexts = 0               # how many next calls wait or waited
        self.next_waits = threading.Semaphore(0)
        self.registered = []         # headers and body of every extension/register
        self.extension_waits = threading.Semaphore(0)
        self.strangers = []
        self.refusals = []           # statuses for the coming next calls, before anything else
        self.post_status = []        # statuses for the coming posts, instead of the right one
        self.chunked = False         # how the event is transferred
        self.current = None
        self.generation = 0
        self.connections = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()
        self.drop_connections()

    def drop_connections(self):
        """As when the sandbox is gone."""
        with self.lock:
            self.generation += 1
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.connections.clear()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection, self.generation), daemon=True).start()

    def _serve(self, connection, generation):
        stream = connection.makefile("rb")
        try:
            while True:
                request = read_request(stream)
                if request is None or not self._handle(connection, request, generation):
                    return
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError):
                self.strangers.append(repr(error))
        finally:
            connection.close()

    @staticmethod
    def _send(connection, status, body=b'{"status":"OK"}\n', headers=()):
        head = ["HTTP/1.1 %d Status" % status, "Content-Type: application/json", "Content-Length: %d" % len(body)]
        head += ["%s: %s" % pair for pair in headers]
        connection.sendall("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
        return True

    @staticmethod
    def _send_chunked(connection, body, headers):
        head = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"] + ["%s: %s" % pair for pair in headers]
        connection.sendall("\r\n".join(head).encode("latin-1") + b"\r\n\r\n")
        for at in range(0, len(body), 4096):
            piece = body[at:at + 4096]
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        return True

    def _handle(self, connection, request, generation):
        runtime, path = "/2018-06-01/runtime/", request.path
        if request.method == "GET" and path == runtime + "invocation/next":
            return self._next(connection, generation)
        if request.method == "POST" and path == runtime + "init/error":
            self._send(connection, 202)
            self.init_errors.put(request)
            return True
        if request.method == "POST" and path.startswith(runtime + "invocation/"):
            return self._post(connection, request, path[len(runtime + "invocation/"):])
        if self.extensions and request.method == "POST" and path == "/2020-01-01/extension/register":
            self.registered.append(request)
            return self._send(connection, 200, b"{}", [("Lambda-Extension-Identifier", str(uuid.uuid4()))])
        if self.extensions and request.method == "GET" and path == "/2020-01-01/extension/event/next":
            self.extension_waits.release()
            connection.recv(1)  # until the process is gone
            return False
        self.strangers.append(request.method + " " + path)
        return self._send(connection, 404, b"404 page not found")

    def _next(self, connection, generation):
        with self.lock:
            self.nexts += 1
            if self.current and self.current["answer"]:
                self.current["answer"].again = time.perf_counter()
                self.answers.put(self.current["answer"])
                self.current = None
        if self.refusals:
            status = self.refusals.pop(0)
            return status != 0 and self._send(connection, status, b"{}")
        self.next_waits.release()
        event = self.events.get()
        if generation != self.generation:
            self.events.put(event)  # for who comes after
            return False
        self.current = event
        event["answer"] = None
        event["sent"] = time.perf_counter()
        if self.chunked:
            return self._send_chunked(connection, event["body"], event["headers"])
        return self._send(connection, 200, event["body"], event["headers"])

    def _post(self, connection, request, rest):
        request_id, _, kind = rest.partition("/")
        event = self.current
        done = time.perf_counter()
        if self.post_status:
            return self._send(connection, self.post_status.pop(0), b"{}")
        if kind not in ("response", "error") or not event or request_id != event["id"] or event["answer"]:
            return self._send(connection, 400, b'{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}')
        wanted = event["invocation_id"]
        given = request.headers.get("lambda-runtime-invocation-id")
        if given is not None and given != wanted:
            return self._send(connection, 400, b'{"errorMessage":"","errorType":"InvalidInvocationId"}')
        if len(request.body) > LIMIT:
            return self._send(connection, 413, b'{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).",'
                              b'"errorType":"RequestEntityTooLarge"}')
        answer = Answer(kind, request)
        answer.sent, answer.done = event["sent"], done
        event["answer"] = answer
        return self._send(connection, 202)

    def offer(self, body, deadline_ms=None, request_id=None, invocation_id=None, headers=(),
              trace="Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0"):
        """Queues an event; the answer comes from `answers` when the runtime asks for the next one."""
        request_id = request_id or str(uuid.uuid4())
        deadline_ms = int(time.time() * 1000) + 900000 if deadline_ms is None else deadline_ms
        lines = [("Lambda-Runtime-Aws-Request-Id", request_id), ("Lambda-Runtime-Deadline-Ms", str(deadline_ms)),
                 ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:clicks")]
        if trace:
            lines.append(("Lambda-Runtime-Trace-Id", trace))
        if invocation_id:
            lines.append(("Lambda-Runtime-Invocation-Id", invocation_id))
        self.events.put({"id": request_id, "invocation_id": invocation_id, "body": body, "headers": lines + list(headers),
                         "answer": None, "sent": 0.0})
        return request_id

    def invoke(self, body, timeout=60, **more):
        self.offer(body, **more)
        return self.answers.get(timeout=timeout)

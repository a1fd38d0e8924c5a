#!/usr/bin/python3
"""TLS in front of a plain server: what arrives is passed on, byte by byte.

usage: tls_front.py UPSTREAM_PORT CERTIFICATE.pem KEY.pem

Prints {"port": N} when it listens on 127.0.0.1; ends with its standard input or on SIGTERM, and then prints, one line of JSON,
how many handshakes were completed and how many broke off.
"""
import json
import os
import signal
import socket
import ssl
import sys
import threading


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for each in (source, sink):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    upstream = int(sys.argv[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    context.set_alpn_protocols(["http/1.1"])
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    counts, lock = {"handshakes": 0, "broken_off": 0}, threading.Lock()

    def serve(plain):
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            secure = context.wrap_socket(plain, server_side=True)
        except OSError:  # ssl.SSLError is one
            with lock:
                counts["broken_off"] += 1
            plain.close()
            return
        with lock:
            counts["handshakes"] += 1
        with secure, socket.create_connection(("127.0.0.1", upstream)) as behind:
            behind.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=pump, args=(behind, secure), daemon=True)
            back.start()
            pump(secure, behind)
            back.join()

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    threading.Thread(target=accept, daemon=True).start()
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), ending.set()), daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    ending.wait()
    print(json.dumps(counts), flush=True)
    os._exit(0)  # connections may still be open


if __name__ == "__main__":
    main()

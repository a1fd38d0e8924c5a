#!/usr/bin/python3
"""One Ceph monitor, one OSD in memory and one radosgw on 127.0.0.1: an S3 that verifies signatures and body hashes.

usage: radosgw.py

Prints {"port": N, "directory": ...} when the first request was answered, and ends with its standard input or on SIGTERM. The user's keys
are those of aws_client.py.
"""
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

from aws_client import ACCESS_KEY, SECRET_KEY

START_SECONDS = 120

# One object store in memory, nothing replicated, and a monitor that does not wait a second before each of its decisions.
CONFIGURATION = """[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{monitor}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = {directory}/keyring
run dir = {directory}
admin socket = {directory}/$name.asok
log file = {directory}/$name.log
crash dir = {directory}
mon data = {directory}/mon
osd data = {directory}/osd
osd objectstore = memstore
memstore device bytes = {bytes}
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
osd crush chooseleaf type = 0
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon max pg per osd = 1000
mon data avail crit = 1
paxos propose interval = 0.02
paxos min wait = 0.01
mon osd reporter subtree level = osd
[client.rgw]
rgw data = {directory}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw gc max objs = 1
rgw usage num shards = 1
rgw lc max objs = 1
rgw enable usage log = false
rgw thread pool size = 64
"""

KEYS = [
    ("mon.", ["mon", "allow *"]),
    ("client.admin", ["mon", "allow *", "osd", "allow *", "mgr", "allow *"]),
    ("osd.0", ["mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd"]),
    ("client.rgw", ["mon", "allow rw", "osd", "allow rwx"]),
]


def free_ports(count):
    """Ports below those that the kernel hands out to others by itself: nobody takes them between here and the bind."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        ceiling = int(file.read().split()[0])
    found = []
    while len(found) < count:
        port = random.randrange(10000, max(ceiling, 20000))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def end_with_parent():
    """Between fork and exec: whatever ends this program ends its children."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Cluster:
    def __init__(self, directory):
        self.directory = directory
        self.processes = []
        self.environment = dict(os.environ, CEPH_CONF=f"{directory}/ceph.conf")

    def path(self, name):
        return os.path.join(self.directory, name)

    def run(self, *command):
        with open(self.path("commands.log"), "ab") as log:
            log.write((" ".join(command) + "\n").encode())
            log.flush()
            subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True,
                           timeout=START_SECONDS)

    def spawn(self, name, *command):
        with open(self.path(name + ".out"), "wb") as log:
            process = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True, preexec_fn=end_with_parent)
        self.processes.append((name, process))
        return process

    def start(self):
        monitor, port = free_ports(2)
        for each in ("mon", "osd", "rgw"):
            os.makedirs(self.path(each))
        fsid = str(uuid.uuid4())
        with open(self.path("ceph.conf"), "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(directory=self.directory, fsid=fsid, monitor=monitor, port=port, bytes=4 << 30))
        keyring = self.path("keyring")
        for number, (name, capabilities) in enumerate(KEYS):
            pairs = [word for at in range(0, len(capabilities), 2) for word in ("--cap", *capabilities[at:at + 2])]
            self.run("ceph-authtool", *(["--create-keyring"] if number == 0 else []), keyring, "--gen-key", "-n", name, *pairs)
        self.run("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{monitor}]",
                 self.path("monmap"))
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", self.path("monmap"), "--keyring", keyring)
        self.spawn("mon", "ceph-mon", "-f", "-i", "a")
        self.run("ceph", "--connect-timeout", "30", "osd", "create")
        self.run("ceph-osd", "-i", "0", "--mkfs")
        self.run("ceph", "--connect-timeout", "30", "osd", "crush", "add", "osd.0", "1.0", "host=h", "root=default")
        self.spawn("osd", "ceph-osd", "-f", "-i", "0")
        gateway = self.spawn("rgw", "radosgw", "-f", "-n", "client.rgw")
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}/", timeout=10).close()
                break
            except (urllib.error.URLError, OSError) as error:
                if gateway.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"radosgw did not answer: {error}") from error
            time.sleep(0.05)
        self.run("radosgw-admin", "user", "create", "--uid=tests", "--display-name=tests", f"--access-key={ACCESS_KEY}",
                 f"--secret-key={SECRET_KEY}")
        return port

    def stop(self):
        # An OSD without its monitor outlives SIGTERM for long: the monitor goes last. Nothing here is worth a slow farewell.
        for _, process in reversed(self.processes):
            process.kill()
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    cluster = Cluster(tempfile.mkdtemp(prefix="rgw-", dir="/tmp"))  # a short name: the paths of sockets are limited
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143) if ending.is_set() else sys.exit(143))
    try:
        try:
            port = cluster.start()
        except (subprocess.SubprocessError, OSError, RuntimeError) as error:
            print(f"radosgw.py: {error}", file=sys.stderr)
            for name in ("commands.log", "mon.out", "osd.out", "rgw.out"):
                if os.path.exists(cluster.path(name)):
                    with open(cluster.path(name), encoding="utf-8", errors="replace") as file:
                        print(f"--- {name}\n" + file.read()[-4000:], file=sys.stderr)
            return 1
        print(json.dumps({"port": port, "directory": cluster.directory}), flush=True)
        sys.stdin.buffer.read()
        return 0
    finally:
        cluster.stop()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""function.zip starts and works in a root directory that holds nothing else, or in an older Debian.

    zip.py BOOTSTRAP LAMBDA_ZIP_SCRIPT [--bullseye DIRECTORY] [--size]

--bullseye: in a Debian 11 (glibc 2.31), made in DIRECTORY by debootstrap when it is not there yet. --size: the zip is
under 10 MB (of a release build; others carry debug code)."""

import argparse
import os
import shutil
import subprocess
import sys
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sandbox import Sandbox, Shard, sums  # noqa: E402
from harness import Failed, Workspace, check, run  # noqa: E402


def mirror():
    """This machine's own."""
    for path in ("/etc/apt/sources.list", *sorted(os.path.join("/etc/apt/sources.list.d", n) for n in os.listdir("/etc/apt/sources.list.d"))):
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as file:
            words = file.read().split()
        for i, word in enumerate(words):
            if "://" in word and "security" not in word and any("bookworm" in w for w in words[i:i + 4]):
                return word
    raise Failed("no Debian mirror in apt's sources")


def bullseye(directory):
    if not os.path.exists(os.path.join(directory, "complete")):
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        done = run(["debootstrap", "--variant=minbase", "bullseye", directory, mirror()], timeout=1500)
        check(done.code == 0, "debootstrap: " + done.text() + done.out.decode()[-2000:])
        open(os.path.join(directory, "complete"), "w").close()  # pylint: disable=consider-using-with
    version = run(["chroot", directory, "/usr/bin/ldd", "--version"]).out.split(b"\n")[0]
    check(b"2.31" in version, "not the C library wanted: %r" % version)
    return directory


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("script")
    parser.add_argument("--bullseye")
    parser.add_argument("--size", action="store_true")
    args = parser.parse_args()
    os.environ["SOURCE_DATE_EPOCH"] = "1607497440"
    with Workspace("zip") as work:
        archive = work.file("function.zip")
        done = run([args.script, args.bootstrap, archive])
        check(done.code == 0, done.text())
        print(done.out.decode().strip())
        if args.size:
            check(os.path.getsize(archive) < 10_000_000, "%d bytes" % os.path.getsize(archive))
        again = work.file("again.zip")
        check(run([args.script, args.bootstrap, again]).code == 0, "the second time")
        with open(archive, "rb") as a, open(again, "rb") as b:
            check(a.read() == b.read(), "the same program gives another zip")
        root = bullseye(os.path.abspath(args.bullseye)) if args.bullseye else work.file("root")
        task = os.path.join(root, "var/task")
        shutil.rmtree(task, ignore_errors=True)
        os.makedirs(task)
        os.makedirs(os.path.join(root, "tmp"), exist_ok=True)
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                path = opened.extract(entry, task)
                os.chmod(path, entry.external_attr >> 16 & 0o777)
        subprocess.run(["rm", "-rf", os.path.join(root, "tmp/rows.ndjson"), os.path.join(root, "tmp/tumble")], check=True)
        enter = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
        command = enter + [shutil.which("chroot", path="/usr/sbin:/sbin:/usr/bin:/bin"), root, "/var/task/bootstrap"]
        with Sandbox(command, work, LAMBDA_TASK_ROOT="/var/task", TUMBLE_STATE_DIR="/tmp/tumble", TUMBLE_OUTPUTS="file:/tmp/rows.ndjson") as sandbox:
            shard = Shard()
            for _ in range(3):
                shard.state = sandbox.respond(shard.batch(100))["state"]
            sandbox.respond(shard.final())
            rows = sandbox.rows(os.path.join(root, "tmp/rows.ndjson"))
            check(sums(rows) == shard.expected, "rows differ")
            check(sandbox.api.registered and sandbox.end() == 0, "SIGTERM")
    print("ok", "in Debian 11" if args.bullseye else "in an empty root")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        print("FAILED: %s" % error)
        sys.exit(1)

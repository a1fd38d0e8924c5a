#!/usr/bin/env python3
"""function-arm64.zip under qemu beside the bootstrap of this machine: the same events give the same bytes of state and
the same rows, so that a window may begin on one architecture and end on the other.

    arm64.py BOOTSTRAP ZIP"""

import json
import os
import shutil
import sys
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sandbox import Sandbox, Shard, sums  # noqa: E402
from harness import Failed, Workspace, check  # noqa: E402


def main():
    bootstrap, archive = (os.path.abspath(path) for path in sys.argv[1:])  # sandboxes have directories of their own
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    check(emulator, "no qemu-aarch64: apt-get install qemu-user-static")
    with Workspace("arm64") as there, Workspace("here") as here:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                os.chmod(opened.extract(entry, there.file("task")), entry.external_attr >> 16 & 0o777)
        task = there.file("task")
        command = [emulator, task + "/lib/ld-linux-aarch64.so.1", "--library-path", task + "/lib", task + "/bin/bootstrap"]
        with Sandbox(command, there) as arm64, Sandbox(bootstrap, here) as own:
            shard = Shard()
            for _ in range(6):
                this = shard.batch(200)
                one, other = arm64.invoke(this), own.invoke(this)
                check(one.kind == "response" and one.body == other.body, "%r differs from %r" % (one.body, other.body))
                shard.state = json.loads(one.body)["state"]
            arm64.respond(shard.final())
            own.respond(shard.final())
            check(sums(arm64.rows()) == shard.expected and arm64.rows() == own.rows(), "rows differ")
            check(arm64.end() == 0, "SIGTERM")
    print("ok")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        print("FAILED: %s" % error)
        sys.exit(1)

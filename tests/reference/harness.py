"""What the suites around the command share: running it, and keeping the files of a failure."""

import os
import shutil
import subprocess
import sys
import tempfile


class Failed(Exception):
    """Something was not as it should be; the text says what."""


def check(condition, text):
    if not condition:
        raise Failed(text)


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def text(self):
        return self.err.decode("utf-8", "replace")


def run(command, timeout=300, **more):
    """Runs to the end; a signal that ends it is always a failure."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False, **more)
    check(done.returncode >= 0, f"{shown(command)} was ended by signal {-done.returncode}\n"
          + done.stderr.decode("utf-8", "replace"))
    sanitizer = b"Sanitizer" in done.stderr or b"runtime error:" in done.stderr
    check(not sanitizer, f"{shown(command)}: a sanitizer complains\n" + done.stderr.decode("utf-8", "replace"))
    return Result(done.returncode, done.stdout, done.stderr)


def shown(command):
    return " ".join("'" + word + "'" if any(c in word for c in " *?'\"$;&|<>(){}") else word for word in command)


def difference(name, got, wanted):
    """The first line that differs."""
    got, wanted = got.splitlines(), wanted.splitlines()
    for i in range(max(len(got), len(wanted))):
        a = got[i] if i < len(got) else b"(nothing)"
        b = wanted[i] if i < len(wanted) else b"(nothing)"
        if a != b:
            return f"{name}: line {i + 1} of {len(got)} (wanted {len(wanted)})\n  got    {a.decode()}\n  wanted {b.decode()}"
    return f"{name}: same lines, other bytes"


class Workspace:
    """A temporary directory that stays when its block fails."""

    def __init__(self, name):
        self.path = tempfile.mkdtemp(prefix=f"tumble-{name}-")

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        if kind is None:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            print("files kept in " + self.path, file=sys.stderr)

    def file(self, name):
        return os.path.join(self.path, name)

    def write(self, name, data):
        with open(self.file(name), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode("utf-8"))
        return self.file(name)


def read(path):
    with open(path, "rb") as file:
        return file.read()

#!/usr/bin/python3
"""Compiles the native part of npm's aws-lambda-ric, which its package leaves to install scripts that ./dev does not run.

usage: build_lambda_ric.py        in the npm directory of servers.py; does nothing when it is done already

The scripts would build a curl of their own; Debian's does. Needs g++ and libcurl's headers; Node's come with node-linux-*.
"""
import os
import subprocess
import sys
import tarfile
import tempfile

import servers


def main():
    package = os.path.join(servers.npm_directory(), "node_modules", "aws-lambda-ric")
    built = os.path.join(package, "rapid-client.node")
    if os.path.exists(built):
        return
    headers = os.path.join(os.path.dirname(os.path.dirname(servers.node())), "include", "node")
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(os.path.join(package, "deps", "aws-lambda-cpp.tar.xz")) as archive:
            wanted = [each for each in archive if each.isfile() and each.name.lstrip("./").startswith(("src/", "include/"))]
            archive.extractall(scratch, wanted)
        version = os.path.join(scratch, "src", "version.cpp")
        with open(version + ".in", encoding="utf-8") as file:
            text = file.read()
        with open(version, "w", encoding="utf-8") as file:
            for word in ("MAJOR", "MINOR", "PATCH"):
                text = text.replace(f"@PROJECT_VERSION_{word}@", "0")
            file.write(text.replace("@PROJECT_VERSION@", "0.0.0"))
        sources = [os.path.join(package, "src", "native", "rapid-client.cc"),
                   *(os.path.join(scratch, "src", name + ".cpp") for name in ("runtime", "logging", "version"))]
        includes = [os.path.join(scratch, "include"), headers, os.path.join(package, "..", "node-addon-api")]
        made = os.path.join(scratch, "rapid-client.node")
        subprocess.run(["g++", "-std=c++17", "-O1", "-w", "-fPIC", "-shared", "-DNODE_GYP_MODULE_NAME=rapid_client",
                        "-DNAPI_CPP_EXCEPTIONS", *("-I" + each for each in includes), *sources, "-lcurl", "-pthread", "-o", made],
                       check=True)
        with open(made, "rb") as file, open(built + ".new", "wb") as copy:
            copy.write(file.read())
        os.replace(built + ".new", built)


if __name__ == "__main__":
    try:
        main()
    except (servers.Missing, OSError, tarfile.TarError, subprocess.CalledProcessError) as error:
        sys.exit(f"build_lambda_ric.py: {error}")

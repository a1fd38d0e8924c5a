#!/usr/bin/env python3
"""What libtumble.so exports is what the public headers declare and cmake/libtumble.map lists, each under its version.

    check_symbols.py ROOT [LIBRARY] [--fix]      --fix writes what is missing into the newest node of the map"""

import argparse
import glob
import os
import re
import subprocess
import sys


def declared(root):
    names = set()
    for path in glob.glob(os.path.join(root, "include/tumble/*.h")):
        with open(path, encoding="utf-8") as header:
            text = re.sub(r"/\*.*?\*/", " ", header.read(), flags=re.S)
        for declaration in re.findall(r"TUMBLE_EXPORT\s+([^;{]*);", text):
            match = re.search(r"\b(tumble_\w+)\s*(\(|$|\[)", declaration)
            if match:
                names.add(match.group(1))
    return names


def listed(text):
    """{symbol: version node}; a node is NAME { global: a; b; local: *; } PREVIOUS;"""
    out = {}
    for node, body in re.findall(r"^(\w+)\s*\{(.*?)\}", re.sub(r"#.*", "", text), flags=re.S | re.M):
        for part in re.findall(r"global:(.*?)(?:local:|$)", body, flags=re.S):
            for name in re.findall(r"[\w*]+", part):
                out[name] = node
    return out


def exported(library):
    done = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", library], stdout=subprocess.PIPE, check=True, text=True)
    out = {}
    for line in done.stdout.splitlines():
        kind, name = line.split()[-2:]
        symbol, _, version = name.partition("@")
        if kind != "A" and not re.match(r"__(asan|ubsan|tsan|odr_asan|start|stop)|_init$|_fini$|___", symbol):
            out[symbol] = version.lstrip("@")
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("library", nargs="?")
    parser.add_argument("--fix", action="store_true")
    args = parser.parse_args()
    path = os.path.join(args.root, "cmake/libtumble.map")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    names, nodes = declared(args.root), listed(text)
    if len(names) < 30:
        print("only %d public functions were found: the headers are not read as they should be" % len(names))
        return 1
    if args.fix:
        newest = re.findall(r"^(\w+)\s*\{", text, flags=re.M)[-1]
        keep = sorted(n for n in names if nodes.get(n, newest) == newest)
        body = "%s {\n  global:\n%s\n  local: *;\n}" % (newest, "\n".join("    %s;" % n for n in keep))
        text = re.sub(r"^%s\s*\{.*?\}" % newest, body, text, flags=re.S | re.M)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        nodes = listed(text)
    wrong = ["cmake/libtumble.map lacks %s: add it to the newest node (check_symbols.py %s --fix)" % (n, args.root) for n in sorted(names - set(nodes))]
    wrong += ["cmake/libtumble.map lists %s, which no public header declares" % n for n in sorted(set(nodes) - names)]
    if args.library:
        there = exported(args.library)
        wrong += ["%s is declared but not exported" % n for n in sorted(names - set(there))]
        wrong += ["%s is exported but not public" % n for n in sorted(set(there) - names)]
        wrong += ["%s has version \"%s\", the map says %s" % (n, v, nodes[n]) for n, v in sorted(there.items()) if n in nodes and nodes[n] != v]
    print("\n".join(wrong) or "%d public functions, listed and exported" % len(names))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""docs/conformance.md against the tests there are: every point has a test that exists, or says why it has none.

    check_points.py ROOT"""

import os
import re
import sys

POINTS = 55
NUMBERED = re.compile(r"point_((?:\d+_and_)*\d+)_")


def tests_of(root):
    """Every test's name → its file."""
    found = {}
    for directory, _, files in os.walk(os.path.join(root, "tests")):
        for name in files:
            pattern = {".c": r"cmocka_unit_test\((\w+)\)", ".py": r"^def (\w+)\("}.get(os.path.splitext(name)[1])
            if pattern:
                path = os.path.join(directory, name)
                with open(path, encoding="utf-8") as file:
                    for test in re.findall(pattern, file.read(), re.M):
                        found.setdefault(test, path)
    return found


def problems(page, tests):
    rows = {}
    for line in page.splitlines():
        row = re.match(r"\| (\d+) \| (.+?) \| (.*) \|$", line)
        if row and int(row.group(1)) in rows:
            yield "point %s stands there twice" % row.group(1)
        elif row:
            rows[int(row.group(1))] = row.group(3)
    for point in sorted(set(range(1, POINTS + 1)) ^ set(rows)):
        yield "point %d: %s" % (point, "is not in the table" if point <= POINTS else "there is no such point")
    for point, cell in rows.items():
        names = re.findall(r"`(\w+)`", cell)
        for name in names:
            if name not in tests:
                yield "point %d: there is no test %s" % (point, name)
        if not names and len(cell) < 40:
            yield "point %d: has neither a test nor a reason" % point
    for name in tests:
        match = NUMBERED.match(name)
        for point in match.group(1).split("_and_") if match else []:
            if "`%s`" % name not in rows.get(int(point), ""):
                yield "point %s: %s (%s) is not in the table" % (point, name, tests[name])
    for name in re.findall(r"\(`(\w+)`\)", page.rpartition("|")[2]):
        if name not in tests:
            yield "there is no test %s" % name


def main():
    root = sys.argv[1]
    tests = tests_of(root)
    with open(os.path.join(root, "docs", "conformance.md"), encoding="utf-8") as file:
        page = file.read()
    found = list(problems(page, tests))
    # It can tell: each kind of damage is one that it sees.
    first = re.search(r"`point_1_\w+`", page).group(0)
    for damaged in (page.replace(first, "`point_1_gone`"), re.sub(r"(?m)^\| 17 \|.*\n", "", page), re.sub(r"(\| 8 \| [^|]+\|).*", r"\1 |", page)):
        if not list(problems(damaged, tests)):
            found.append("a damaged table was not seen to be one")
    print("\n".join(found) or "%d points, %d tests" % (POINTS, len(re.findall(r"`\w+`", page))))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

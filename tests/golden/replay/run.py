#!/usr/bin/python3
"""Golden runs: each NAME.run is run in inputs/; what it prints and its exit status must be NAME.out, byte for byte.

    run.py TUMBLE [--refresh]      with --refresh the .out files are written anew: read their diff before committing"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "reference"))
from harness import difference, read, run  # noqa: E402


def main():
    tumble = os.path.abspath(sys.argv[1])
    failed = count = 0
    for name in sorted(os.listdir(HERE)):
        if not name.endswith(".run"):
            continue
        count += 1
        done = run(["bash", os.path.join(HERE, name)], cwd=os.path.join(HERE, "inputs"), env={**os.environ, "TUMBLE": tumble})
        got = done.out + b"exit %d\n" % done.code
        golden = os.path.join(HERE, name[:-4] + ".out")
        if "--refresh" in sys.argv:
            with open(golden, "wb") as file:
                file.write(got)
        elif got != read(golden):
            failed += 1
            print(difference(name, got, read(golden)) + "\n" + done.text())
    print(f"{count} golden runs, {failed} failed")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Runs the golden tests of the command.

A case is cases/NAME.sh, run by sh in an empty directory with $TUMBLE, the command, and $DATA, tests/cli/data. Beside it stand
  NAME.stdout.exact   what it prints, byte for byte (default: nothing)
  NAME.stderr.glob    what it says, line by line: * is any text, a line "..." any lines (default: nothing)
  NAME.exit           its exit status (default: 0)

  run.py --tumble build/dev/bin/tumble [--update] [NAME...]

--update writes what the cases gave into these files: look at the difference before you commit it.
"""
import argparse
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CASES = HERE / "cases"


def run_case(script, tumble):
    env = dict(os.environ, TUMBLE=str(tumble), DATA=str(HERE / "data"), LC_ALL="C.UTF-8", TERM="dumb")
    env.pop("TUMBLE_HASH_SEED", None)
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(["sh", "-u", str(script)], cwd=directory, env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=120, check=False)
    return done.stdout, done.stderr.decode("utf-8", "replace"), done.returncode


def line_matches(pattern, line):
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), line) is not None


def glob_matches(patterns, lines):
    if not patterns:
        return not lines
    if patterns[0] == "...":
        return any(glob_matches(patterns[1:], lines[i:]) for i in range(len(lines) + 1))
    return bool(lines) and line_matches(patterns[0], lines[0]) and glob_matches(patterns[1:], lines[1:])


def read(path, default):
    return path.read_bytes() if path.exists() else default


def write(path, data, default):
    if data == default:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(data)


def check(script, tumble, update):
    base = str(script)[: -len(".sh")]
    exact, glob, status = (pathlib.Path(base + end) for end in (".stdout.exact", ".stderr.glob", ".exit"))
    stdout, stderr, code = run_case(script, tumble)
    wanted_lines = read(glob, b"").decode().splitlines()
    wanted_code = int(read(status, b"0"))
    said = glob_matches(wanted_lines, stderr.splitlines())
    if update:
        write(exact, stdout, b"")
        write(status, b"%d\n" % code, b"0\n")
        if not said:
            write(glob, stderr.encode(), b"")
        return True
    good = True
    if stdout != read(exact, b""):
        good = False
        print(f"{script.stem}: stdout differs")
        wanted = read(exact, b"").decode("utf-8", "replace").splitlines()
        got = stdout.decode("utf-8", "replace").splitlines()
        print("\n".join(difflib.unified_diff(wanted, got, "expected", "got", lineterm="")))
    if not said:
        good = False
        print(f"{script.stem}: stderr does not match\n--- expected\n" + "\n".join(wanted_lines) + "\n--- got\n" + stderr)
    if code != wanted_code:
        good = False
        print(f"{script.stem}: exit {code}, expected {wanted_code}")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tumble", required=True, type=pathlib.Path)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    scripts = [CASES / (name + ".sh") for name in arguments.names] or sorted(CASES.glob("*.sh"))
    tumble = arguments.tumble.resolve()
    if not scripts or not tumble.is_file():
        sys.exit("no cases, or no command at " + str(tumble))
    failed = [script.stem for script in scripts if not check(script, tumble, arguments.update)]
    print(f"{len(scripts) - len(failed)} of {len(scripts)} cases pass")
    if failed:
        sys.exit("failed: " + " ".join(failed))


if __name__ == "__main__":
    main()

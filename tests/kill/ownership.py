#!/usr/bin/python3
"""Who may use a state directory, and with what: one process at a time, the run it began with, nothing after its end."""

import gzip
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
from harness import Failed, Workspace, check, read, run, shown  # noqa: E402

SPEC = {"window": {"seconds": 60}, "timestamp": {"field": "timestamp"}, "group_by": ["eventType"],
        "aggregates": [{"name": "n", "function": "count"}]}


def refused(command, words, **more):
    done = run(command, **more)
    check(done.code == 5, f"{shown(command)}\nended with {done.code}, wanted 5:\n{done.text()}")
    check(any(word in done.text() for word in words), f"{shown(command)}\ndoes not say any of {words}:\n{done.text()}")
    check(done.out == b"", f"{shown(command)}\nwrote {done.out[:200]}")


def main():
    tumble, generate = sys.argv[1:3]
    with Workspace("ownership") as work:
        data = subprocess.run([generate, "--records", "20000", "--rate", "100"], stdout=subprocess.PIPE, check=True).stdout
        path, spec, state = work.write("input", data), work.write("spec.json", json.dumps(SPEC)), work.file("state")
        other_spec = work.write("other.json", json.dumps({**SPEC, "aggregates": [{"name": "n", "function": "sum", "field": "amount"}]}))
        other_input = work.write("other", data.replace(b'"amount":1', b'"amount":2', 1))
        begin = [tumble, "replay", "--state", state, "--format", "ndjson"]
        command = begin + ["--spec", spec, "--output", "file:" + work.file("out"), path]

        # A first process that waits for more input holds the directory.
        fifo = work.file("fifo")
        os.mkfifo(fifo)
        first = subprocess.Popen(begin + ["--spec", spec, "--input-format", "ndjson", fifo], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        feed = open(fifo, "wb", buffering=0)
        feed.write(data.splitlines(keepends=True)[0])
        for _ in range(200):
            if os.path.isdir(state) and os.listdir(state):
                break
            time.sleep(0.02)
        time.sleep(0.2)
        refused(begin + ["--spec", spec, path], ["another process", "in use", "uses"])
        feed.close()
        first.communicate(timeout=60)
        check(first.returncode == 0, f"the first process ended with {first.returncode}")

        # The state of a complete run belongs to its input.
        refused(begin + ["--spec", spec, path], ["input"])
        state_2 = work.file("state-2")
        begin[3] = state_2
        command = begin + ["--spec", spec, "--output", "file:" + work.file("out"), path]
        done = run(command)
        check(done.code == 0, f"{shown(command)} ended with {done.code}:\n{done.text()}")
        rows = read(work.file("out"))
        check(rows.count(b"\n") > 10, "too few rows")
        again = run(command)
        check(again.code == 0 and again.out == b"" and again.err != b"", f"complete: exit {again.code}\n{again.text()}")
        check(read(work.file("out")) == rows, "complete: the output changed")
        for options in (["--batch-size", "7"], ["--threads", "3"], ["--format", "ndjson"]):  # these may change
            done = run(command[:-1] + options + [path])
            check(done.code == 0 and read(work.file("out")) == rows, f"{options}: exit {done.code}\n{done.text()}")

        # What decides rows may not.
        begin += ["--output", "file:" + work.file("out")]
        refused(begin + ["--spec", other_spec, path], ["spec"])
        refused(begin + ["--spec", spec, "--shards", "2", path], ["shards"])
        refused(begin + ["--spec", spec, "--partition-key", "userId", path], ["partition"])
        refused(begin + ["--spec", spec, "--allowed-lateness", "9", path], ["lateness"])
        refused(begin + ["--spec", spec, other_input], ["input"])
        refused(begin + ["--spec", spec, path, other_input], ["input"])
        refused(begin + ["--spec", spec, "--output", "-", path], ["output"])
        check(read(work.file("out")) == rows, "a refused run changed the output")

        # An output that lost rows after they were committed is not written on.
        cut_state, cut_out = work.file("state-3"), work.file("cut")
        piped = [tumble, "replay", "--state", cut_state, "--spec", spec, "--format", "ndjson", "--batch-size", "100",
                 "--output", "file:" + cut_out, "-"]
        process = subprocess.Popen(piped, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        process.stdin.write(data[:len(data) * 3 // 4])
        process.stdin.flush()
        for _ in range(500):
            if os.path.exists(cut_out) and os.path.getsize(cut_out):
                break
            time.sleep(0.02)
        time.sleep(0.2)
        process.kill()
        process.communicate()
        kept = read(cut_out)
        check(kept and rows.startswith(kept), "killed: the output is not the beginning of the rows")
        with open(cut_out, "r+b") as file:
            file.truncate(kept.index(b"\n") + 1 if kept.count(b"\n") > 1 else 0)
        done = run(piped, input=data)
        check(done.code in (4, 5) and b"cut" in done.err, f"a shorter output: exit {done.code}\n{done.text()}")
        work.write("cut", kept)
        done = run(piped, input=data)
        check(done.code == 0 and read(cut_out) == rows, f"the output put right again: exit {done.code}\n{done.text()}")

        # Killed before the first record came: nothing is lost, nothing is damaged.
        piped[3], piped[-2] = work.file("state-0"), "file:" + work.file("begun")
        process = subprocess.Popen(piped, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(500):
            if os.path.exists(work.file("begun")):
                break
            time.sleep(0.02)
        time.sleep(0.3)
        process.kill()
        process.communicate()
        done = run(piped, input=data)
        check(done.code == 0 and read(work.file("begun")) == rows, f"killed before the first record: exit {done.code}\n{done.text()}")

        # A polite signal stops after a commit; the same command goes on.
        state_4, out_4 = work.file("state-4"), work.file("stopped")
        piped[3], piped[-2] = state_4, "file:" + out_4
        process = subprocess.Popen(piped, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        process.stdin.write(data[:len(data) // 2])
        process.stdin.flush()
        time.sleep(0.5)
        process.terminate()
        process.stdin.close()
        process.stdin = None
        process.communicate(timeout=60)
        done = run(piped, input=data)
        check(done.code == 0 and read(out_4) == rows, f"after SIGTERM: exit {done.code}\n{done.text()}")

        zipped = work.write("input.gz", gzip.compress(data))
        done = run([tumble, "replay", "--spec", spec, "--format", "ndjson", zipped])
        check(done.code == 0 and done.out == rows, f"gzip: other rows\n{done.text()}")

        # file: appends to what is there.
        work.write("old", "an older line\n")
        done = run([tumble, "replay", "--spec", spec, "--format", "ndjson", "--output", "file:" + work.file("old"), path])
        check(done.code == 0 and read(work.file("old")) == b"an older line\n" + rows, f"append: exit {done.code}\n{done.text()}")
    print("ok")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(str(error))

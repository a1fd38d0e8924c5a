#!/usr/bin/env python3
"""The examples that embed the engine in a handler: real events in, and their rows and responses compared with those of
`tumble invoke`.

    run.py LANGUAGE TUMBLE LIBRARY PROGRAM...      LANGUAGE: c, python or node; PROGRAM: what runs it"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lambda"))
from sandbox import SPEC, Shard, event, record, sums  # noqa: E402
from harness import Failed, Workspace, check, run  # noqa: E402

EXAMPLES = os.path.join(HERE, "..", "..", "examples")
# What the runtime of the language does: a line is an event, the answer is a line.
PYTHON = """
import json, sys, time
sys.path.insert(0, %r)
import handler
class Context:
    def get_remaining_time_in_millis(self): return 30000
for line in sys.stdin:
    try:
        answer = handler.handler(json.loads(line), Context())
    except Exception as error:
        answer = {"errorMessage": str(error), "errorType": getattr(error, "type", type(error).__name__), "stackTrace": []}
    print(json.dumps(answer), flush=True)
"""
NODE = """
import { createInterface } from 'node:readline';
const { handler } = await import(%s);
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await handler(JSON.parse(line), { getRemainingTimeInMillis: () => 30000 });
  } catch (error) {
    answer = { errorMessage: error.message, errorType: error.name, stackTrace: [] };
  }
  console.log(JSON.stringify(answer));
}
process.exit(0);
"""


class Handler:
    def __init__(self, language, library, program, work):
        self.rows_path = work.file("handler-rows.ndjson")
        spec = work.write("spec.json", json.dumps(SPEC))
        environment = dict(os.environ, TUMBLE_LIBRARY=library, ROWS_FILE=self.rows_path)
        command = list(program)
        if language == "c":
            command += [spec, self.rows_path]
        elif language == "python":
            command += ["-c", PYTHON % os.path.join(EXAMPLES, "embed-python")]
        else:
            # koffi is installed under build/, the example's files stand in examples/: brought together here
            for name in ("handler.mjs", "tumble.mjs"):
                with open(os.path.join(EXAMPLES, "embed-node", name), encoding="utf-8") as file:
                    work.write(name, file.read())
            os.symlink(os.path.abspath(command.pop()), work.file("node_modules"))
            command.append(work.write("drive.mjs", NODE % json.dumps("file://" + work.file("handler.mjs"))))
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def invoke(self, this):
        self.process.stdin.write(json.dumps(this) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Failed("the handler ended with %s" % self.process.wait(20))
        return json.loads(line)

    def rows(self):
        with open(self.rows_path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def end(self):
        self.process.stdin.close()
        check(self.process.wait(20) == 0, "the handler ended with %s" % self.process.returncode)


def by_command(tumble, work, this):
    done = run([tumble, "invoke", "--spec", work.file("spec.json"), "--output", "file:" + work.file("rows.ndjson")], input=json.dumps(this).encode())
    return json.loads(done.out)


def main():
    language, tumble, library, *program = sys.argv[1:]
    with Workspace("embed") as work:
        handler = Handler(language, library, program, work)
        shard = Shard()
        for window in range(3):
            for batch in range(8):
                this = shard.batch(40 + batch)
                answer, wanted = handler.invoke(this), by_command(tumble, work, this)
                check(answer == wanted, "window %d, batch %d:\n  got    %r\n  wanted %r" % (window, batch, answer, wanted))
                if batch == 3:  # what fails leaves no trace
                    bad = event([record(shard.number + 1, {"kind": "a", "amount": "x"}, shard.window)], answer["state"], shard.window)
                    failed = handler.invoke(bad)
                    check(failed.get("errorType") == "Tumble.BadRecord" and "amount" in failed["errorMessage"], repr(failed))
                    check(handler.invoke({"Records": []})["errorType"] == "Tumble.WindowNotConfigured", "an event without a window")
                shard.state = answer["state"]
            check(handler.invoke(shard.final()) == by_command(tumble, work, shard.final()), "final %d" % window)
            shard.next_window()
        handler.end()
        check(sums(handler.rows()) == shard.expected, "rows differ from what was counted")
        with open(work.file("rows.ndjson"), encoding="utf-8") as file:
            check(handler.rows() == [json.loads(line) for line in file], "rows differ from the command's")
    print("ok: %d rows" % sum(1 for _ in shard.expected))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        print("FAILED: %s" % error)
        sys.exit(1)

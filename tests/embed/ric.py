#!/usr/bin/python3
"""examples/embed-node as Lambda runs it: under AWS's own runtime for Node, and a Runtime API of the tests' own.

    ric.py LIBRARY NODE_MODULES"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lambda"))
sys.path.insert(0, os.path.join(HERE, "..", "servers"))
import servers  # noqa: E402
from sandbox import Sandbox, Shard, event, record, sums  # noqa: E402
from harness import Failed, Workspace, check  # noqa: E402

LAMBDA = {"AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/clicks",
          "AWS_LAMBDA_LOG_STREAM_NAME": "stream", "_HANDLER": "handler.handler"}


def main():
    library, modules = sys.argv[1:]
    with Workspace("ric") as work:
        for name in ("handler.mjs", "tumble.mjs"):
            with open(os.path.join(HERE, "..", "..", "examples", "embed-node", name), encoding="utf-8") as file:
                work.write(name, file.read())
        os.symlink(os.path.abspath(modules), work.file("node_modules"))
        rows = work.file("rows.ndjson")
        with Sandbox(servers.lambda_ric(), work, False, TUMBLE_LIBRARY=library, ROWS_FILE=rows, TUMBLE_OUTPUTS=None, **LAMBDA) as sandbox:
            shard = Shard()
            for window in range(2):
                for _ in range(5):
                    shard.state = sandbox.respond(shard.batch(30))["state"]
                bad = sandbox.invoke(event([record(9999, {"kind": "a", "amount": "x"}, shard.window)], shard.state, shard.window))
                check(bad.kind == "error" and b"Tumble.BadRecord" in bad.body, repr(bad.body))
                check("state" in sandbox.respond(shard.final()), "final %d" % window)
                shard.next_window()
            check(sums(sandbox.rows()) == shard.expected, "rows differ")
    print("ok: %d rows under aws-lambda-ric" % len(shard.expected))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        print("FAILED: %s" % error)
        sys.exit(1)

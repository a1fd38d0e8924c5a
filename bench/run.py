#!/usr/bin/python3
"""The whole suite: every part into DIR/*.md, *.json and *.svg, and all tables into DIR/results.md.

    run.py [--quick] [--long] [--only PART,...] [--rounds N] [--records N] [--core N] [--bin DIR] [--tools DIR] [--directory DIR]"""

import importlib
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from measure import parse_arguments, say  # noqa: E402

PARTS = ("figures", "commits", "ingest", "scaling", "memory", "latency", "matrix")


def main():
    settings = parse_arguments(__doc__, lambda parser: parser.add_argument("--only", default=",".join(PARTS), help="parts, of " + ", ".join(PARTS)))
    chosen = settings.args.only.split(",")
    for part in chosen:
        if part not in PARTS:
            raise SystemExit(f"run.py: there is no part {part}; there are {', '.join(PARTS)}")
    import measure
    began = time.monotonic()
    for part in chosen:
        module = importlib.import_module(part)
        result = module.measure(settings)
        measure.write(settings, part, module.report(result), result)
        settings.forget()
        say(f"   {time.monotonic() - began:.0f} s so far")
    with open(os.path.join(settings.out, "results.md"), "w", encoding="utf-8") as out:
        for part in chosen:
            with open(os.path.join(settings.out, part + ".md"), encoding="utf-8") as file:
                out.write(file.read() + "\n")
    say(f"== all tables: {os.path.join(settings.out, 'results.md')}")


if __name__ == "__main__":
    main()

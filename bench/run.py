#!/usr/bin/python3
"""The whole suite: every part into DIR/*.md, *.json and *.svg, and all tables into DIR/results.md."""

import importlib
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from measure import PARTS, parse_arguments, refuse, run_part, say  # noqa: E402


def main():
    settings = parse_arguments(__doc__, lambda parser: parser.add_argument("--only", metavar="PART,…", default=",".join(PARTS), help="parts, of " + ", ".join(PARTS)))
    chosen = settings.args.only.split(",")
    for part in chosen:
        if part not in PARTS:
            refuse(f"--only: there is no part {part}; there are {', '.join(PARTS)}")
    began = time.monotonic()
    for part in chosen:
        module = importlib.import_module(part)
        run_part(settings, part, module.measure, module.report)
        settings.forget()
        say(f"   {time.monotonic() - began:.0f} s so far")
    say(f"== all tables, of earlier runs too: {os.path.join(settings.out, 'results.md')}")


if __name__ == "__main__":
    main()

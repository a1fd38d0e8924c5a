#!/bin/sh
# Runs the example; its rows must be these, and its source as short as it claims.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$1" | diff -u "$here/hello_engine.expected" -
lines=$(wc -l < "$here/../../examples/hello_engine.c")
test "$lines" -lt 60 || { echo "hello_engine.c has $lines lines: it should stay under 60"; exit 1; }

#!/bin/bash
# Compiles what has forms of its own for some machines, for a machine that is not this one. Nothing is kept, nothing run.
#
# usage: check_portable.sh CC FLAGS...     e.g. check_portable.sh gcc -Wall -Wextra -DTW_NO_SIMD -U__SSE2__
set -u
cd "$(dirname "$0")/.." || exit 2
[ $# -ge 1 ] || { echo 'usage: check_portable.sh CC FLAGS...' >&2; exit 2; }

failed=0
checked=0
for source in engine/{base,codec,event,aggregate,window}/*.c; do
    checked=$((checked + 1))
    if ! "$@" -std=gnu17 -Werror -Iinclude -I. -S -o /dev/null "$source"; then
        echo "$source: does not compile with: $*" >&2
        failed=1
    fi
done
[ "$checked" -gt 50 ] || { echo "only $checked sources found" >&2; exit 1; }
echo "$checked sources compiled with: $*"
exit "$failed"

#!/bin/bash
# Every header stands alone. Public ones are compiled by themselves, twice in one file, as C11 and as C++17, with every
# compiler given; internal ones twice as C11 with the C library's extensions.
#
# usage: check_headers.sh "CC..." "CXX..."      e.g. check_headers.sh "gcc clang" "g++ clang++"
set -u
cd "$(dirname "$0")/.." || exit 2
[ $# -eq 2 ] || { echo 'usage: check_headers.sh "CC..." "CXX..."' >&2; exit 2; }

failed=0
checked=0
flags=(-Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude -I.)

# compile NAME COMPILER FLAGS...: the header NAME included twice
compile() {
    local name=$1
    shift
    checked=$((checked + 1))
    if ! printf '#include %s\n#include %s\nextern int tw_not_empty;\n' "$name" "$name" | "$@" "${flags[@]}" -; then
        echo "$name: does not compile alone with: $*" >&2
        failed=1
    fi
}

for header in include/tumble/*.h; do
    name="<tumble/$(basename "$header")>"
    for cc in $1; do compile "$name" "$cc" -x c -std=c11; done
    for cxx in $2; do compile "$name" "$cxx" -x c++ -std=c++17; done
done
first=${1%% *}
while IFS= read -r header; do
    compile "\"$header\"" "$first" -x c -std=gnu11
done < <(find engine adapters emulator runner cli -name '*.h' | sort)

[ "$checked" -gt 0 ] || { echo "no header found" >&2; exit 1; }
echo "$checked compilations of headers alone"
exit "$failed"

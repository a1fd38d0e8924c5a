#!/bin/bash
# function.zip for provided.al2023 out of a built bootstrap: the program, every library it needs, the C library and its
# loader among them, and a static launcher that ties them together. It starts on any kernel of the architecture, in an
# image that holds nothing.
#
# usage: lambda_zip.sh BOOTSTRAP ZIP [FILE...]     FILEs (spec.json, plug-ins) go to the root of the zip
#
# The architecture is BOOTSTRAP's. SOURCE_DATE_EPOCH sets the time of the files (default: the last commit's).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 2 ] || { echo "usage: lambda_zip.sh BOOTSTRAP ZIP [FILE...]" >&2; exit 2; }
bootstrap=$1 zip=$2
shift 2
most=10000000 # bytes of the zip

die() {
    printf 'lambda_zip.sh: %s\n' "$*" >&2
    exit 1
}

machine=$(readelf -h "$bootstrap" | awk -F': *' '/Machine:/ {print $2}')
case $machine in
*X86-64*) triplet=x86_64-linux-gnu loader=ld-linux-x86-64.so.2 ;;
AArch64) triplet=aarch64-linux-gnu loader=ld-linux-aarch64.so.1 ;;
*) die "$bootstrap: for a machine that Lambda does not have: $machine" ;;
esac
prefix=
[ "$(uname -m)-linux-gnu" = "$triplet" ] || prefix=$triplet-
directories=("/lib/$triplet" "/usr/lib/$triplet" "/usr/$triplet/lib" "/lib64" "/usr/lib64")

# where NAME: the file that a library's name means
where() {
    local directory
    for directory in "${directories[@]}"; do
        if [ -e "$directory/$1" ]; then
            printf '%s\n' "$directory/$1"
            return
        fi
    done
    return 1
}

needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/zip/bin" "$work/zip/lib"
"${prefix}strip" -o "$work/zip/bin/bootstrap" "$bootstrap"
"${prefix}gcc" -O2 -static -s -Wall -Wextra -Werror -DLOADER="\"$loader\"" "$root/packaging/launcher.c" -o "$work/zip/bootstrap"

# Every library that the program or one of its libraries names.
wanted=("$loader")
mapfile -t -O 1 wanted < <(needed "$bootstrap")
for ((i = 0; i < ${#wanted[@]}; i++)); do
    name=${wanted[i]}
    [ -e "$work/zip/lib/$name" ] && continue
    file=$(where "$name") || die "$name is needed and stands in none of: ${directories[*]}"
    cp -L "$file" "$work/zip/lib/$name"
    chmod 755 "$work/zip/lib/$name"
    mapfile -t -O "${#wanted[@]}" wanted < <(needed "$file")
done

# What is asked of the C library must be in the one that goes along; and it is worth knowing whether al2023's own, 2.34,
# would do (a bundle without lib/libc.so.6 then works too).
newest() {
    "${prefix}objdump" -T "$@" 2>/dev/null | grep -o 'GLIBC_2\.[0-9.]*' | sort -uV | tail -n 1
}
shopt -s extglob
libc_provides=$("${prefix}objdump" -T "$work/zip/lib/libc.so.6" | grep -o 'GLIBC_2\.[0-9.]*' | sort -uV | tail -n 1)
libc_wanted=$(newest "$work/zip/bin/bootstrap" "$work"/zip/lib/!(libc.so.6|ld-linux*|libm.so.6|libresolv.so.2))
[ "$(printf '%s\n%s\n' "$libc_wanted" "$libc_provides" | sort -V | tail -n 1)" = "$libc_provides" ] ||
    die "the bundled C library ends at $libc_provides, $libc_wanted is needed"

for file in "$@"; do
    cp -L "$file" "$work/zip/"
done
epoch=${SOURCE_DATE_EPOCH-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 315619200)}
find "$work/zip" -exec touch -h -d "@$epoch" {} +
rm -f "$work/function.zip"
(cd "$work/zip" && find . -type f -printf '%P\n' | LC_ALL=C sort | TZ=UTC zip -q -9 -X "$work/function.zip" -@)
bytes=$(stat -c %s "$work/function.zip")
[ "$bytes" -lt $most ] || die "the zip has $bytes bytes: more than $most"
mkdir -p "$(dirname "$zip")"
cp "$work/function.zip" "$zip"
printf '%s: %s, %d files, %d bytes, %d unzipped; apart from the C library itself, %s is the newest that is needed\n' \
    "$zip" "$triplet" "$(find "$work/zip" -type f | wc -l)" "$bytes" "$(du -sb "$work/zip" | cut -f1)" "$libc_wanted"

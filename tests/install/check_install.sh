#!/bin/sh
# Installs a build into an empty prefix, moves the prefix, and builds a program against it three ways: the CMake package's
# shared and static library, and pkg-config. Usage: check_install.sh BUILD_DIRECTORY C_COMPILER [C_FLAGS]
set -eu
build=$1 compiler=$2 flags=${3-}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" > "$work/install.log" || { cat "$work/install.log"; exit 1; }
mv "$work/first" "$work/moved"
prefix=$work/moved

for file in bin/tumble include/tumble/engine.h; do
    test -f "$prefix/$file" || { echo "not installed: $file"; exit 1; }
done
"$prefix/bin/tumble" version

mkdir "$work/source"
cp "$here/consumer/consumer.c" "$work/source/consumer.c"
cp "$here/consumer/CMakeLists.txt" "$work/source/CMakeLists.txt"
cmake -S "$work/source" -B "$work/build" -DCMAKE_C_COMPILER="$compiler" -DCMAKE_C_FLAGS="$flags" \
    -DCMAKE_PREFIX_PATH="$prefix" > "$work/configure.log" 2>&1 || { cat "$work/configure.log"; exit 1; }
cmake --build "$work/build" > "$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
"$work/build/consumer_shared"
"$work/build/consumer_static"

library=$(dirname "$(find "$prefix" -name tumble.pc)")
export PKG_CONFIG_PATH="$library"
# shellcheck disable=SC2046,SC2086 # flags are words
"$compiler" $flags "$work/source/consumer.c" -o "$work/with_pkg_config" $(pkg-config --cflags --libs tumble)
LD_LIBRARY_PATH=$(dirname "$library") "$work/with_pkg_config"

# Nothing but the public functions leaves the library.
nm -D --defined-only "$(dirname "$library")/libtumble.so" | awk '$2 != "A" {print $3}' | sed 's/@.*//' |
    grep -v '^tumble_' > "$work/strangers" || true
if grep -Ev '^(__asan|__ubsan|__tsan|__odr_asan|_init|_fini|__start_|__stop_|___)' "$work/strangers"; then
    echo "exported, but not public"
    exit 1
fi

#!/bin/sh
# Builds main.c with what pkg-config says about the SDK, shared and static, and runs both.
#
# Usage: build.sh PREFIX OUTPUT-FOLDER. The compiler is $CC, or cc.
set -eu

prefix=${1:?usage: build.sh PREFIX OUTPUT-FOLDER}
output=${2:?usage: build.sh PREFIX OUTPUT-FOLDER}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
warnings='-std=c11 -Wall -Wextra -Wpedantic -Werror'

PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export PKG_CONFIG_PATH
mkdir -p "$output"
pkg-config --exists 'llam >= 2.1'

# shellcheck disable=SC2046,SC2086
${CC:-cc} $warnings "$here/main.c" -o "$output/with_shared" \
    $(pkg-config --cflags --libs llam) "-Wl,-rpath,$prefix/lib"

# The static library alone, so that nothing falls back to the shared one.
mkdir -p "$output/static"
cp "$prefix/lib/libllam_runtime.a" "$output/static/"
# shellcheck disable=SC2046,SC2086
${CC:-cc} $warnings "$here/main.c" -o "$output/with_static" \
    "-L$output/static" $(pkg-config --static --cflags --libs llam \
        | sed 's/-lllam_runtime/-Wl,-Bstatic -lllam_runtime -Wl,-Bdynamic/')

for program in with_shared with_static; do
    answer=$("$output/$program")
    case $answer in
    'ok 2.'*) echo "$program: $answer" ;;
    *)
        echo "$program said: $answer" >&2
        exit 1
        ;;
    esac
done

if ldd "$output/with_static" | grep -q libllam_runtime; then
    echo 'with_static needs the shared library' >&2
    exit 1
fi
if ! ldd "$output/with_shared" | grep -q 'libllam_runtime\.so\.2'; then
    echo 'with_shared does not use the shared library' >&2
    exit 1
fi

#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs the library below a folder of its own, as a distribution would build it, and uses it from
# there: what was installed, what pkg-config says, a C and a C++ program, dynamic and static, the
# size, and a build without io_uring.
# usage: package.sh CONSUMER.C WORK-FOLDER
set -u
mkdir -p "$2"
source=$(realpath "$1")
work=$(realpath "$2")
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/structure/tap.sh
. tests/structure/tap.sh

# 200 KiB for the core with its char, timer and uart classes, 48 for gpio, 24 for mmio with
# its interrupts and UIO, 24 for dma, 32 for VFIO and edu, 8 for gpiomem, 16 for the engine and the
# timer of the Raspberry Pi, 48 for i2c, spi, pwm, mem and valio with what they share.
size_limit=$((400 * 1024))
time_limit=30

install_package() { # NAME OPTION…: everything below $work/NAME
    local build=$work/$1/build
    local prefix=$work/$1/prefix
    shift
    rm -rf "$prefix"
    [ -e "$build/build.ninja" ] || meson setup "$build" --prefix "$prefix" --libdir lib \
        --buildtype release -Dtests=disabled -Dexamples=disabled --werror "$@" || return 1
    ninja -C "$build" -j2 && meson install -C "$build" --no-rebuild
}

use_package() { # NAME: later commands find this one
    prefix=$work/$1/prefix
    export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
}

build_consumer() { # OUTPUT STATIC? COMPILER FLAG…
    local output=$1 static=$2
    shift 2
    # What pkg-config prints is meant to be split into words.
    # shellcheck disable=SC2046,SC2086
    "$@" -Wall -Wextra -Werror "$source" -o "$work/$output" \
        $(pkg-config --cflags --libs $static libkroutine)
}

consumer() { # NAME OUTPUT STATIC? COMPILER FLAG…
    local name=$1 output=$2
    shift
    if ! command -v "$3" >/dev/null; then
        skip "$name" "$3 is not installed"
        return
    fi
    check "$name compiles" build_consumer "$@" &&
        check "$name runs" timeout "$time_limit" "$work/$output"
}

missing_files() {
    local file
    for file in include/kroutine.h include/kroutine/*.h lib/libkroutine.so lib/libkroutine.a \
        lib/pkgconfig/libkroutine.pc; do
        [ -e "$prefix/$file" ] || echo "$file"
    done
    for file in man/*.[1-9]; do
        [ -e "$prefix/share/man/man${file##*.}/${file#man/}" ] || echo "share/$file"
    done
}

# Ends here when there is nothing to use.
end_if_broken() {
    [ "$1" -eq 0 ] || {
        tap_end
        exit
    }
}

check "a package builds without a warning, and installs" install_package full
end_if_broken $?
use_package full
check_empty "every header, library and man page is installed" "$(missing_files)"
check_empty "no private header is installed" \
    "$(cd "$prefix/include" && find . -name '*.h' | while read -r file; do
        [ -e "$OLDPWD/include/$file" ] || echo "$file"
    done)"
check "pkg-config knows the version" test "$(pkg-config --modversion libkroutine)" = \
    "$(sed -n "s/^ *version : '\(.*\)',/\1/p" meson.build | head -n 1)"
check_empty "a dynamic program needs no library but ours and the thread library" \
    "$(pkg-config --libs libkroutine | tr ' ' '\n' | grep -Ev '^(-L.*|-lkroutine|-pthread|)$')"
consumer "C program" c "" gcc -std=c11 -D_GNU_SOURCE
consumer "C++ program" c++ "" g++ -std=c++17 -x c++
consumer "static C program" c-static --static gcc -std=c11 -D_GNU_SOURCE -static
consumer "static C++ program" c++-static --static g++ -std=c++17 -x c++ -static

strip --strip-unneeded -o "$work/stripped.so" "$prefix/lib/libkroutine.so"
size=$(stat -c %s "$work/stripped.so")
echo "# stripped shared library: $size bytes, at most $size_limit"
check "the stripped shared library stays below its limit" test "$size" -lt "$size_limit"

check "the library builds without liburing" install_package no-uring -During=disabled
end_if_broken $?
use_package no-uring
check_empty "it asks for no liburing" "$(pkg-config --static --libs libkroutine | grep -e -luring)"
check "a program compiles against it" build_consumer no-uring.out "" gcc -D_GNU_SOURCE
check "it uses epoll, and says what is missing" timeout "$time_limit" "$work/no-uring.out" no-uring
tap_end

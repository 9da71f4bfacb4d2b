#!/bin/bash
# SPDX-License-Identifier: MIT
# Each public header compiles alone, without a warning: C11 and C++17, gcc and clang.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/structure/tap.sh
. tests/structure/tap.sh

compile_alone() { # HEADER COMPILER FLAG…
    local header=$1
    shift
    # Twice: the guard must hold.
    printf '#include "%s"\n#include "%s"\nint alone;\n' "$header" "$header" |
        "$@" -fsyntax-only -Iinclude -
}

for header in include/kroutine.h include/kroutine/*.h; do
    header=${header#include/}
    for compiler in "gcc -std=c11 -x c" "clang -std=c11 -x c" "g++ -std=c++17 -x c++" \
        "clang++ -std=c++17 -x c++"; do
        read -r -a command <<<"$compiler"
        command+=(-Wall -Wextra -Wpedantic -Wundef -Werror)
        # Given even where __extension__ asks for silence.
        [ "${command[0]}" != clang++ ] || command+=(-Wno-nested-anon-types)
        if command -v "${command[0]}" >/dev/null; then
            check "$header ${command[0]} ${command[1]#-std=}" compile_alone "$header" "${command[@]}"
        else
            skip "$header ${command[0]}" "${command[0]} is not installed"
        fi
    done
done
tap_end

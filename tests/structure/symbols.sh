#!/bin/bash
# SPDX-License-Identifier: MIT
# One list of public functions, told four times: KROUTINE_API in the headers, the version map, what
# the shared library really exports, and the man pages.
# usage: symbols.sh SHARED-LIBRARY
set -u
library=$(realpath "$1")
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/structure/tap.sh
. tests/structure/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Declarations may span lines: join them, then take the name before the first parenthesis.
grep -hv '^#define' include/kroutine/*.h | tr '\n' ' ' | grep -o 'KROUTINE_API [^;(]*(' |
    sed -E 's/.*[ *]([a-z_0-9]+)\($/\1/' | sort >"$work/headers"
sed -n '/global:/,/local:/p' lib/libkroutine.map | grep -o '^ *[a-z_0-9]*;' | tr -d ' ;' |
    sort >"$work/map"
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
    sort >"$work/exported"

same() { # FILE FILE: lists what only one of them has
    diff --label "$1" --label "$2" -U0 "$work/$1" "$work/$2" | grep '^[-+]'
}

check_empty "headers: no function is declared twice" "$(uniq -d "$work/headers")"
check_empty "version map lists what the headers declare" "$(same headers map)"
check_empty "the library exports what the version map lists" "$(same map exported)"
check_empty "every exported name has a prefix of ours" \
    "$(grep -Ev '^(kroutine|device|driver|dev)_' "$work/exported")"
check "the library carries its soname" sh -c \
    "readelf -d '$library' | grep -q 'SONAME.*\[libkroutine\.so\.[0-9]\]'"
check_empty "the library writes to no text relocation, and needs no executable stack" \
    "$(readelf -dlW "$library" | grep -E 'TEXTREL|GNU_STACK.*RWE')"

# A man page, or a link to one, by the name of each function, so that `man NAME` finds it.
man/aliases.sh >"$work/aliases"
missing=
unshown=
while read -r symbol; do
    [ -e "man/$symbol.3" ] || grep -q "^$symbol\.3 " "$work/aliases" || missing+="$symbol"$'\n'
    grep -qsE "^\.F[no] $symbol( |$)" man/*.3 || unshown+="$symbol"$'\n'
done <"$work/headers"
check_empty "every function has a man page" "${missing%$'\n'}"
check_empty "every function is in a SYNOPSIS" "${unshown%$'\n'}"
tap_end

#!/bin/bash
# SPDX-License-Identifier: MIT
# The rules of the house that a script can see: what each folder may include, that each file says its
# license and is built, that none grows too long, and that the formatter agrees.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/structure/tap.sh
. tests/structure/tap.sh

sources=(include/*.h include/kroutine/*.h)
while read -r file; do
    sources+=("$file")
done < <(find lib backends examples tests -name '*.[ch]' | sort)

# All of C11 and the part of POSIX.1-2008 that a library has a use for. What is not in the list is
# Linux's, or glibc's, and lives in backends/.
portable='assert|ctype|errno|fcntl|fnmatch|inttypes|limits|poll|pthread|sched|semaphore|signal|stdarg|stdatomic|'
portable+='stdbool|stddef|stdint|stdio|stdlib|string|strings|time|unistd|sys/(mman|socket|stat|time|types|uio)'
check_empty "lib and include: no header that C11 and POSIX do not have" \
    "$(grep -nE '^ *# *include *<' lib/*.[ch] include/*.h include/kroutine/*.h |
        grep -vE "<($portable)\.h>")"
check_empty "lib: no header of a backend" "$(grep -nE '#include ".*backends/' lib/*.[ch])"

# A backend may include the public headers, those of lib/, and its own.
foreign=
for file in backends/*/*.[ch]; do
    while read -r header; do
        [ -e "$(dirname "$file")/$header" ] || [ -e "lib/$header" ] || [ -e "include/$header" ] ||
            foreign+="$file: $header"$'\n'
    done < <(sed -nE 's/^ *# *include *"([^"]+)".*/\1/p' "$file")
done
check_empty "no backend includes another's private header" "${foreign%$'\n'}"

# The drivers that are there to be copied.
check_empty "examples/drivers: public headers only, and the C library's" \
    "$(grep -nE '^ *# *include' examples/drivers/*.[ch] |
        grep -vE "<(kroutine/driver|errno|string)\.h>|\"chips\.h\"")"
check_empty "examples/drivers: each below 200 lines" \
    "$(wc -l examples/drivers/*.c | awk '$1 >= 200 && $2 != "total" { print $2 ": " $1 " lines" }')"
check_empty "examples/drivers: nothing waits, and there are no threads" \
    "$(grep -nE '_wait_|pthread_|sleep\(|thrd_' examples/drivers/*.[ch])"

unmarked=
for file in "${sources[@]}"; do
    head -n 1 "$file" | grep -q 'SPDX-License-Identifier: MIT' || unmarked+="$file"$'\n'
done
check_empty "each source file begins with its license" "${unmarked%$'\n'}"

unbuilt=
while read -r file; do
    folder=$(dirname "$file")
    while [ "$folder" != . ] && [ ! -e "$folder/meson.build" ]; do
        folder=$(dirname "$folder")
    done
    # Test programs are listed by what follows test_ or bench_.
    base=$(basename "$file" .c)
    grep -qE "['/]($base\.c|$base|${base#*_})'" "$folder/meson.build" || unbuilt+="$file"$'\n'
done < <(find lib backends examples tests -name '*.c' | sort)
check_empty "each C file is in a meson.build" "${unbuilt%$'\n'}"

check_empty "no note of unfinished work" \
    "$(grep -nE '\b(TODO|FIXME|XXX|HACK)\b' "${sources[@]}")"
long=$(wc -l "${sources[@]}" | awk '$1 > 1000 && $2 != "total" { print $2 ": " $1 " lines" }')
check_empty "no source file has more than 1000 lines" "$long"
wc -l "${sources[@]}" |
    awk '$1 > 500 && $2 != "total" { print "# long, could be two files: " $2 ", " $1 " lines" }'

if command -v clang-format >/dev/null; then
    check "clang-format changes nothing" clang-format --dry-run -Werror "${sources[@]}"
else
    skip "clang-format changes nothing" "clang-format is not installed"
fi
if command -v shellcheck >/dev/null; then
    mapfile -t scripts < <(grep -rlE '^#!/bin/(ba)?sh' .ci examples man tests | sort)
    check "shellcheck has no complaint" shellcheck -x -S warning "${scripts[@]}"
else
    skip "shellcheck has no complaint" "shellcheck is not installed"
fi
tap_end

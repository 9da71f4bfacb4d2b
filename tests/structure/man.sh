#!/bin/bash
# SPDX-License-Identifier: MIT
# Man pages: mandoc has no complaint, and each page that another one names exists.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/structure/tap.sh
. tests/structure/tap.sh

if ! command -v mandoc >/dev/null; then
    echo '1..0 # SKIP mandoc is not installed'
    exit 0
fi
# Left out: what depends on the pages that this machine has, and on the system mandoc takes it for.
lint() {
    mandoc -T lint "$1" 2>/dev/null |
        grep -vE 'referenced manual not found|operating system explicitly specified'
}

for page in man/*.[1-9]; do
    check_empty "mandoc -T lint $page" "$(lint "$page")"
done

aliases=$(man/aliases.sh)
check_empty "no name is claimed by two pages" "$(cut -d ' ' -f 1 <<<"$aliases" | uniq -d)"
dangling=
while read -r name section; do
    [ -e "man/$name.$section" ] || grep -q "^$name\.$section " <<<"$aliases" ||
        dangling+="$name($section)"$'\n'
done < <(sed -nE 's/^\.Xr ((kroutine|device|driver|dev|krctl|KROUTINE|DEVICE)[^ ]*) ([1-9]).*/\1 \3/p' \
    man/*.[1-9] | sort -u)
check_empty "each page of ours that is referred to exists" "${dangling%$'\n'}"

uninstalled=
unlinked=
for page in man/*.[1-9]; do
    grep -q "'${page#man/}'" man/meson.build || uninstalled+="$page"$'\n'
    grep -qF "($page)" README.md || unlinked+="$page"$'\n'
done
check_empty "each page is installed" "${uninstalled%$'\n'}"
check_empty "each page is in the tables of the README" "${unlinked%$'\n'}"
check_empty "each file that the README links to exists" \
    "$(grep -oE '\]\([^)#:]+\)' README.md | sed 's/^](//; s/)$//' |
        while read -r file; do [ -e "$file" ] || echo "$file"; done)"
tap_end

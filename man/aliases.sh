#!/bin/sh
# SPDX-License-Identifier: MIT
# A page describes a family of functions, and its NAME section lists them. This prints, for each name
# that is not the page's own, "NAME.SECTION PAGE": the links by which man(1) finds the page.
cd "$(dirname "$0")" || exit 1
for page in *.[1-9]; do
    sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([^ ]*\).*/\1/p' "$page" | while read -r name; do
        alias=$name.${page##*.}
        [ -e "$alias" ] || echo "$alias $page"
    done
done

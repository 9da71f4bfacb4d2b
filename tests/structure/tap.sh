# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by the checks in this folder: reports each of them as a TAP test case.

tap_count=0
tap_failed=0

# ok NAME / not_ok NAME [DETAIL]: the detail is printed as a diagnostic.
ok() {
    tap_count=$((tap_count + 1))
    printf 'ok %d - %s\n' "$tap_count" "$1"
}

not_ok() {
    tap_count=$((tap_count + 1))
    tap_failed=$((tap_failed + 1))
    printf 'not ok %d - %s\n' "$tap_count" "$1"
    if [ -n "${2-}" ]; then
        printf '%s\n' "$2" | sed 's/^/# /'
    fi
}

# skip NAME REASON
skip() {
    tap_count=$((tap_count + 1))
    printf 'ok %d - %s # SKIP %s\n' "$tap_count" "$1" "$2"
}

# check NAME COMMAND…: passes, and succeeds, when the command does; its output is the detail.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        ok "$name"
    else
        not_ok "$name" "$output"
        return 1
    fi
}

# check_empty NAME TEXT: passes when the text, a list of what is wrong, is empty.
check_empty() {
    if [ -z "$2" ]; then
        ok "$1"
    else
        not_ok "$1" "$2"
    fi
}

# Last call of every script.
tap_end() {
    printf '1..%d\n' "$tap_count"
    [ "$tap_failed" -eq 0 ]
}

#!/bin/bash
# SPDX-License-Identifier: MIT
# krctl from outside: its reports, its exit statuses, and what it says when something is wrong.
#
# usage: krctl.sh KRCTL
set -u
krctl=$(realpath "$1") || exit 1
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/structure/tap.sh
. tests/structure/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
out=$work/out
err=$work/err

# run STATUS ARGUMENT…: krctl has to end with that status; its output is in $out and $err.
run() {
    local expected=$1 status
    shift
    timeout -k 5 60 "$krctl" "$@" >"$out" 2>"$err" </dev/null
    status=$?
    [ "$status" -eq "$expected" ] && return
    echo "krctl $* ended with $status, not $expected"
    cat "$out" "$err"
    return 1
}

# has FILE TEXT…: the file contains each text.
has() {
    local file=$1 text
    shift
    for text; do
        grep -qF -- "$text" "$file" && continue
        echo "'$text' is not in:"
        cat "$file"
        return 1
    done
}

narrow() {
    if grep -nE '.{81}' "$out"; then
        echo "more than 80 columns"
        return 1
    fi
    if grep -n $'\033' "$out"; then
        echo "colours, and this is no terminal"
        return 1
    fi
}

# --- each command ---

basics() {
    run 0 --version && grep -qE '^krctl [0-9]+\.[0-9]+\.[0-9]+$' "$out" || return
    run 2 && has "$err" usage: || return
    run 0 --help && has "$out" usage: char demo dma drivers gpio i2c info irq list mem mmio \
        player pwm spi uart value vfio && narrow || return
    local command
    for command in char demo dma drivers gpio i2c info irq list mem mmio player pwm spi uart value vfio; do
        run 0 "$command" --help && has "$out" "usage: krctl $command" && narrow || return
        run 0 help "$command" && has "$out" "usage: krctl $command" || return
    done
    run 0 info && has "$out" backend because pool && narrow || return
    run 0 list && has "$out" SPEC CLASS "HELD BY" timer0 timer1 timer2 dma0 || return
    run 0 drivers && has "$out" tty: baud= file: fd: && narrow || return
    run 0 drivers tty: && has "$out" baud= && run 1 drivers nonsense && has "$err" "no driver" "try:"
}
check "version, help, info, list and drivers" basics

# --- the demo ---

# The player says what it sent, and krctl fails when it is not what came out: status 0 says that
# every line was accounted for.
demo() {
    run 0 demo --backend "$1" --seconds 1 && narrow &&
        has "$out" "all accounted for" "$1" GGA RMC GSA GSV VTG p50 p99 max IMMEDIATE SCHED_SWITCH \
            DEFERRED SEQ_DEFERRED QUEUE "/krctl-demo-" || return
    local log bytes
    log=$(grep -o "$work/krctl-demo-.*\.log" "$out") || return
    bytes=$(sed -nE 's/^log .* ([0-9]+) bytes written.*/\1/p' "$out")
    if [ "$(stat -c %s "$log")" -ne "$bytes" ]; then
        echo "$bytes bytes in the report, $(stat -c %s "$log") in $log"
        return 1
    fi
}
check "demo with epoll" demo epoll
if "$krctl" info --backend uring >/dev/null 2>&1; then
    check "demo with uring" demo uring
else
    skip "demo with uring" "$("$krctl" info --backend uring 2>&1 | head -n 1)"
fi

# 276 lines of the track, twelve of which are damaged. Faster than a serial line, to save time.
input() {
    local file=examples/krctl/track.nmea
    run 0 player --print 276 && cmp "$out" "$file" || return
    run 0 demo --input "$file" --baud 400000 --seconds 1.5 --log "$work/log of 100% ?&" &&
        has "$out" "264 good, 12 bad" "player sent 264 good, 12 damaged: all accounted for" || return
    [ "$(wc -l <"$work/log of 100% ?&")" -eq 276 ]
}
check "demo with a file of its own" input

# Every kind of rubbish is one bad line or another, and no more.
rubbish() {
    {
        head -c 20000 /dev/urandom
        # shellcheck disable=SC2016
        printf '\n$GPGGA,1*46\n$A*41\n'
        head -c 3000 /dev/zero
        printf '$$$$****\n'
    } >"$work/rubbish"
    run 0 demo --input "$work/rubbish" --baud 1000000 --seconds 1 &&
        has "$out" "all accounted for"
}
check "demo with rubbish" rubbish

interrupted() {
    "$krctl" demo --seconds 60 >"$out" 2>"$err" &
    local pid=$!
    sleep 1
    kill -INT "$pid"
    wait "$pid" && has "$out" "early, by a signal" "all accounted for"
}
# A shell without job control starts background programs with SIGINT ignored: krctl blocks it and
# reads it from a descriptor, which an ignored signal never reaches.
set -m
check "Ctrl-C ends the demo with its report" interrupted
set +m

port() {
    "$krctl" player --input examples/krctl/track.nmea --baud 400000 >"$work/player" &
    local pid=$! path=
    for _ in {1..100}; do
        path=$(grep -oE '/dev/pts/[0-9]+' "$work/player" | head -n 1)
        [ -n "$path" ] && break
        sleep 0.05
    done
    # The player ends, and with it the terminal: as when a receiver is unplugged.
    run 1 demo --tty "$path" --baud 400000 --seconds 30 &&
        has "$out" "264 good, 12 bad" && has "$err" "unplugged"
    local status=$?
    wait "$pid" && return "$status"
}
check "demo of a port, which is unplugged in the end" port

# --- what is wrong, and what to try ---

wrong() {
    run 1 demo --tty /dev/ttyNone0 && has "$err" "No such file" "try:" || return
    run 1 demo --tty /dev/null && has "$err" "not a tty" "try:" || return
    run 1 demo --input "$work/none" && has "$err" "No such file" "try:" || return
    run 1 demo --input "$work" && has "$err" directory "try:" || return
    run 1 demo --log "$work/none/log" && has "$err" "No such file" "try:" || return
    run 1 demo --log /dev/full --seconds 0.2 && has "$err" "No space left" || return
    run 2 demo --baud fast && has "$err" "not 'fast'" "try:" || return
    run 2 demo --baud 0 && run 2 demo --baud 9999999 && run 2 demo --seconds 0 || return
    run 2 demo --tty '' && run 2 demo --tty a --input b && run 2 demo extra || return
    run 2 demo --backend kqueue && has "$err" "auto, uring or epoll" || return
    run 2 demo --nonsense && run 2 nonsense && has "$err" "no command 'nonsense'" || return
    run 2 player --baud 1 && run 2 player --print none && run 2 list extra && run 2 info extra
}
check "errors" wrong

full() {
    "$krctl" list >/dev/full 2>"$err"
    [ $? -eq 1 ] && has "$err" "cannot write the output"
}
check "an output that cannot be written" full
tap_end

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl mmio and krctl irq, on simulated registers and interrupts.

usage: test_mmio.py KRCTL
"""
import re
import signal
import time

from support import case, contains, end, equal, main, run, start

SPEC = "sim-mmio:test?size=64"


def fails(*words, expected=1):
    return run(*words, expected=expected).err


@case("mmio read: each width has its digits")
def read(_):
    for width, digits in ((8, 2), (16, 4), (32, 8), (64, 16)):
        equal(run("mmio", "read", SPEC, "8", "--width", width).out, b"0" * digits + b"\n")
    equal(run("mmio", "read", SPEC, "0x3c", "--big-endian").out, b"00000000\n")


@case("mmio write says nothing; what does not fit is refused")
def write(_):
    equal(run("mmio", "write", SPEC, "0x10", "0xdeadbeef").out, b"")
    equal(run("mmio", "write", SPEC, "0x10", "0xdeadbeef00000000", "-w", "64").out, b"")
    contains(fails("mmio", "write", SPEC, "0x10", "0x100", "-w", "8", expected=2), "VALUE", "too large")
    contains(fails("mmio", "write", SPEC, "0x10", expected=2), "VALUE is missing")


@case("mmio dump: all of it, from an offset, and so many bytes")
def dump(_):
    lines = run("mmio", "dump", SPEC).out.decode().splitlines()
    equal(lines, [f"{at:08x}: " + " ".join(["00000000"] * 4) for at in range(0, 64, 16)])
    equal(run("mmio", "dump", SPEC, "0x30", "-w", "8").out.decode().split()[0], "00000030:")
    equal(run("mmio", "dump", SPEC, "4", "8").out, b"00000004: 00000000 00000000\n")
    equal(len(run("mmio", "dump", SPEC, "60", "1000").out.split()), 2)


@case("mmio: what is outside or askew is an error, not an abort")
def bounds(_):
    contains(fails("mmio", "read", SPEC, "64"), "outside", "0x40 bytes")
    contains(fails("mmio", "read", SPEC, "0xffffffffffffffff", "-w", "8"), "outside")
    contains(fails("mmio", "read", SPEC, "2"), "multiple of 4")
    contains(fails("mmio", "dump", SPEC, "64"), "outside")
    contains(fails("mmio", "dump", SPEC, "0", "1"), "SIZE", "multiple of 4")
    contains(fails("mmio", "read", SPEC, "0", "-r", "1"), "region 1")


@case("mmio: wrong words, and devices that are none")
def usage(_):
    contains(fails("mmio", "read", SPEC, "x", expected=2), "OFFSET", "krctl mmio read --help")
    contains(fails("mmio", "read", SPEC, "0", "-w", "7", expected=2), "--width")
    contains(fails("mmio", "read", SPEC, "0", "0", expected=2), "too many")
    contains(fails("mmio", "read", expected=2), "SPEC is missing")
    contains(fails("mmio", "read", "uio:no-such-device", "0"), "uio")
    for spec in ("uio:no-such-device", "vfio:ffff:ff:1f.7"):
        assert "krctl list" not in fails("mmio", "read", spec, "0"), spec
    contains(fails("mmio", "read", "uio:", "0"), "krctl drivers")
    contains(fails("mmio", "read", "sim-char:x", "0"), "class mmio")


FOUND = re.compile(r"(\w+) (\d+): fired (\d+), handled (\d+), missed (\d+), in [\d.]+ s, [\d.]+ a second\n")


def counts(out):
    found = FOUND.fullmatch(out.decode())
    assert found, out
    kind, *numbers = found.groups()
    return (kind, *map(int, numbers))


@case("irq count: until so many have fired")
def count(_):
    kind, vector, fired, handled, missed = counts(run("irq", "count", SPEC + "&every=1000000", "-n", "5").out)
    equal((kind, vector), ("msi", 0))
    assert fired >= 5 and fired == handled + missed, (fired, handled, missed)


@case("irq count: the time is over")
def limit(_):
    equal(counts(run("irq", "count", SPEC, "--kind", "line", "--timeout", "20ms").out), ("line", 0, 0, 0, 0))
    out = run("irq", "count", SPEC, "-v", "1", "-n", "1", "-t", "20ms", expected=3).out
    equal(counts(out), ("msi", 1, 0, 0, 0))


@case("irq count: Ctrl-C prints what there was")
def interrupted(_):
    process = start("irq", "count", SPEC + "&every=1000000")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert counts(end(process, 130).out)[2] > 0


@case("irq count: interrupts that there are not")
def missing(_):
    contains(fails("irq", "count", SPEC, "-k", "msix"), "cannot take", "kind")
    contains(fails("irq", "count", SPEC, "-v", "9"), "vector 9")
    contains(fails("irq", "count", SPEC, "-k", "pin", expected=2), "--kind")
    contains(fails("irq", "count", SPEC, "-v", "x", expected=2), "--vector")


main()

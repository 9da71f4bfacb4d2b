#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl spi, on simulated chips: a loop, and a converter.

usage: test_spi.py KRCTL
"""
import json

from support import case, contains, equal, main, run

LOOP = "sim-spi:test.0"
ADC = "sim-spi:test.1?chip=mcp3008&values=0,512,1023"


def spi(*arguments, **options):
    return run("spi", *arguments, **options)


def fails(*arguments, expected=1, **options):
    result = spi(*arguments, expected=expected, **options)
    equal(result.out, b"")
    return result.err


@case("xfer: hexadecimal words out, hexadecimal bytes in")
def xfer(_):
    equal(spi("xfer", LOOP, "9f", "00").out, b"9f 00\n")
    equal(spi("xfer", LOOP, "0x01,0x02", "03:04", "0506").out, b"01 02 03 04 05 06\n")
    equal(spi("xfer", ADC, "01", "90", "00").out.split()[2], b"00")  # 512 of input 1
    low = spi("xfer", ADC, "01 a0 00").out.split()  # 1023 of input 2
    equal((int(low[1], 16) & 3, low[2]), (3, b"ff"))


@case("xfer: what is read after what was sent")
def read(_):
    equal(spi("xfer", LOOP, "9f", "--read", "3").out, b"00 00 00\n")
    equal(spi("xfer", LOOP, "--read", "2").out, b"00 00\n")
    equal(spi("xfer", LOOP, "9f", "-r", "2", "--delay", "20us", "--raw").out, b"\0\0")
    low = spi("xfer", ADC, "01 a0", "--read", "1").out  # the same conversion: the chip stays selected
    equal(low, b"ff\n")


@case("xfer: standard input, as spi-pipe takes it")
def pipe(_):
    data = bytes(range(256)) * 8
    equal(spi("xfer", LOOP, "--raw", data=data).out, data)
    equal(spi("xfer", LOOP, "-", "--raw", data=data).out, data)
    equal(spi("xfer", LOOP, "-", data=b"az").out, b"61 7a\n")
    contains(fails("xfer", LOOP, "-", "00", expected=2), "one word too many")
    contains(fails("xfer", LOOP, expected=2), "no byte to send")


@case("xfer: longer than a message: the limit is named, and --split goes on")
def split(_):
    data = bytes(100)
    contains(fails("xfer", LOOP + "?size-max=64", "--raw", data=data), "64 bytes in a message", "--split")
    equal(spi("xfer", LOOP + "?size-max=64", "--raw", "--split", data=data).out, data)


@case("xfer: mode, speed, bits")
def settings(_):
    # In modes 1 and 2 the converter does not understand, and sends ones.
    equal(spi("xfer", ADC, "01 80 00", "--mode", "1").out, b"ff ff ff\n")
    assert spi("xfer", ADC, "01 80 00", "--mode", "3").out != b"ff ff ff\n"
    equal(spi("xfer", LOOP, "01 02", "-m", "0", "-s", "500k", "-b", "8", "--lsb-first", "--cs-high").out, b"01 02\n")
    contains(fails("xfer", LOOP, "00", "-m", "4", expected=2), "--mode", "'4'")
    contains(fails("xfer", LOOP, "00", "-b", "33", expected=2), "--bits", "32")
    contains(fails("xfer", LOOP, "00", "-s", "0", expected=2), "--speed")
    contains(fails("xfer", LOOP, "00", "-d", "1s", expected=2), "--delay", "65535us")
    fails("xfer", LOOP, "01 02 03", "-b", "16")  # no whole words


@case("xfer: what cannot be")
def wrong(_):
    contains(fails("xfer", expected=2), "SPEC is missing")
    contains(fails("xfer", LOOP, "xy", expected=2), "'xy'", "hexadecimal")
    contains(fails("xfer", LOOP, "123", expected=2), "'123'")
    contains(fails("xfer", "sim-spi:test.0?chop=1", "00"), "chop", "krctl drivers")
    contains(fails("xfer", "77.9", "00"), "krctl list --class spi")
    equal(fails("xfer", LOOP + "?latency=400000000", "00", "-t", "50ms", expected=3), "")


@case("info: the settings of a chip select")
def info(_):
    text = spi("info", "sim-spi:test.3?mode=3&hz=500k").out.decode()
    contains(text, "chip select 3, simulated", "mode 3, 500000 Hz, 8 bits", "4096 bytes")
    facts = json.loads(spi("info", "sim-spi:test.3?mode=2", "--json").out)
    equal((facts["mode"], facts["size_max"], facts["simulated"], facts["loop"]), (2, 4096, True, False))


main()

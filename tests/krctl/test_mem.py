#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl mem and krctl value, on chips of a simulated I2C bus and their drivers.

usage: test_mem.py KRCTL
"""
import json
import re

from support import case, contains, equal, main, run

EEPROM = "at24:sim-i2c:test?addr=0x50&size=4096&page=32"
THERMOMETER = "tmp105:sim-i2c:test"
CLOCK = "ds1307:sim-i2c:test"


def fails(*words, expected=1, **options):
    result = run(*words, expected=expected, **options)
    equal(result.out, b"")
    return result.err


# A krctl has a bus of its own, whose memories are new: 0xff. What was written is seen by --verify.
@case("mem info: size, pages")
def info(_):
    contains(run("mem", "info", EEPROM).out, b"4096 bytes, pages of 32")
    facts = json.loads(run("mem", "info", EEPROM, "--json").out)
    equal((facts["size"], facts["page"], facts["erase"], facts["read_only"]), (4096, 32, 0, False))
    equal(json.loads(run("mem", "info", EEPROM + "&ro=yes", "-j").out)["read_only"], True)


@case("mem read: a table, raw bytes, all or a part")
def read(_):
    line = b"00000020  " + b"ff " * 8 + b" " + b"ff " * 8 + b" |" + b"." * 16 + b"|\n"
    equal(run("mem", "read", EEPROM, "32", "16").out, line)
    equal(run("mem", "read", EEPROM, "--raw").out, b"\xff" * 4096)
    equal(run("mem", "read", EEPROM, "4000", "--raw").out, b"\xff" * 96)
    equal(run("mem", "read", EEPROM, "0", "0").out, b"")
    contains(fails("mem", "read", EEPROM, "4096"), "outside", "4096")
    contains(fails("mem", "read", EEPROM, "4090", "7"), "outside")
    contains(fails("mem", "read", EEPROM, "x", expected=2), "OFFSET")


@case("mem write: words, standard input, more than a page, and what is read again")
def write(_):
    equal(run("mem", "write", EEPROM, "0x1e", "de ad", "be:ef", "--verify").out, b"")
    equal(run("mem", "write", EEPROM, "0x1e", "-", "-v", data=bytes(range(256)) * 2).out, b"")
    # All of it, and nothing beyond.
    equal(run("mem", "write", EEPROM, "0", "-", "-v", data=b"\x5a" * 4096).out, b"")
    contains(fails("mem", "write", EEPROM, "1", "-", data=b"x" * 4096), "outside")
    contains(fails("mem", "write", EEPROM + "&ro=yes", "0", "00"), "only be read")


@case("mem: what cannot be")
def wrong(_):
    contains(fails("mem", "write", EEPROM, "0", expected=2), "HEX is missing")
    contains(fails("mem", "write", EEPROM, "0", "xy", expected=2), "'xy'", "hexadecimal")
    contains(fails("mem", "write", EEPROM, "0", "-", expected=2), "no byte to write")
    contains(fails("mem", "write", EEPROM, "0", "-", "00", expected=2), "one word too many")
    contains(fails("mem", "read", expected=2), "SPEC is missing")
    contains(fails("mem", "read", "at24:sim-i2c:test?addr=0x55&size=256", "0", "1"), "no chip answers")
    contains(fails("mem", "read", "timer0", "0", "1"), "class mem")
    contains(fails("mem", "read", "at24:sim-i2c:test?addr=0x50"), "size", "krctl drivers")


@case("value get: a temperature, its limits, lines of JSON")
def temperature(_):
    text = run("value", "get", THERMOMETER, "temperature").out.decode()
    assert re.fullmatch(r"temperature( 0)?: 25\.000 C\n", text), text
    lines = [json.loads(line) for line in run("value", "get", THERMOMETER, "--json").out.splitlines()]
    equal(lines[0], {"value": "temperature", "channel": 0, "celsius": 25.0})
    assert any(line["value"] == "limit" for line in lines), lines
    equal(run("value", "set", THERMOMETER, "limit=80.5").out, b"")
    contains(fails("value", "set", THERMOMETER, "limit=warm", expected=2), "'warm'")
    contains(fails("value", "get", THERMOMETER, "clock"), "no clock")
    contains(fails("value", "get", THERMOMETER, "pressure", expected=2), "'pressure'")
    contains(fails("value", "get", THERMOMETER + "?addr=0x4f"), "no chip answers")


@case("value: a clock that has to be set, and one that is")
def clock(_):
    contains(fails("value", "get", CLOCK), "has to be set")
    equal(run("value", "set", CLOCK, "clock=now").out, b"")
    equal(run("value", "set", CLOCK, "clock=2026-11-23T03:40:00Z").out, b"")
    contains(fails("value", "set", CLOCK, "clock=1970-01-01T00:00:00Z"), "cannot keep")  # 2000 to 2099
    contains(fails("value", "set", CLOCK, "clock=later", expected=2), "'later'")
    contains(fails("value", "set", CLOCK, "clock", expected=2), "NAME=VALUE")
    contains(fails("value", "set", CLOCK, "limit=3"), "no limit")
    contains(fails("value", "set", CLOCK, expected=2), "NAME=VALUE is missing")


main()

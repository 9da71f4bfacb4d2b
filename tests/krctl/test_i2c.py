#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl i2c, on a simulated bus with chips. Words, tables and output are those of i2c-tools 4.

usage: test_i2c.py KRCTL
"""
import json
import re

from support import case, contains, equal, main, run

BUS = "sim-i2c:test?chips=24c32@0x50,24c02@0x51,tmp105@0x48,ds1307@0x68,held@0x20"


def i2c(*arguments, **options):
    return run("i2c", *arguments, **options)


def out(*arguments):
    return i2c(*arguments).out.decode()


def fails(*arguments, expected=1):
    result = i2c(*arguments, expected=expected)
    equal(result.out, b"")
    return result.err


def table(first, last, special):
    """What i2cdetect prints, i2cdetect.c of i2c-tools 4.3."""
    text = "     0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f\n"
    for row in range(0, 128, 16):
        text += f"{row:02x}: "
        for addr in range(row, row + 16):
            text += special.get(addr, "--") + " " if first <= addr <= last else "   "
        text += "\n"
    return text


CHIPS = {0x20: "UU", 0x48: "48", 0x50: "50", 0x51: "51", 0x68: "68"}


@case("scan: the table of i2cdetect, to the byte")
def scan(_):
    equal(out("scan", BUS), table(0x08, 0x77, CHIPS))
    equal(out("scan", BUS, "-y", "-q"), table(0x08, 0x77, CHIPS))
    equal(out("scan", "-y", "-r", BUS), table(0x08, 0x77, CHIPS))
    equal(out("scan", BUS, "--all"), table(0x00, 0x7F, CHIPS))
    equal(out("scan", BUS, "0x40", "0x50"), table(0x40, 0x50, CHIPS))
    equal(out("scan", BUS, "-a", "0", "127"), table(0x00, 0x7F, CHIPS))


@case("scan: lines of JSON; words that are wrong")
def scan_more(_):
    lines = [json.loads(line) for line in out("scan", BUS, "--json").splitlines()]
    equal([line["address"] for line in lines], list(CHIPS))
    equal([line["address"] for line in lines if line["held"]], [0x20])
    contains(fails("scan", expected=2), "BUS is missing", "krctl i2c scan --help")
    contains(fails("scan", BUS, "3", "0x77", expected=2), "0x08", "0x77", "--all")
    contains(fails("scan", BUS, "0x50", "0x40", expected=2), "no range")
    contains(fails("scan", BUS, "0x50", expected=2), "LAST is missing")
    contains(fails("scan", BUS, "-q", "-r", expected=2), "exclude each other")
    contains(fails("scan", BUS, "8", "9", "10", expected=2), "one word too many")


@case("get: modes b, w, c, s and i, and a byte without a register")
def get(_):
    equal(out("get", BUS, "0x48", "0"), "0x19\n")  # 25 degrees
    equal(out("get", BUS, "0x48", "0", "w"), "0x0019\n")  # a word has its low byte first
    equal(out("get", BUS, "0x48"), "0x19\n")
    equal(out("get", BUS, "0x51", "0x10", "c"), "0xff\n")
    equal(out("get", BUS, "0x51", "0", "i", "3"), "0xff 0xff 0xff\n")
    equal(len(out("get", BUS, "0x51", "0", "i").split()), 32)
    equal(out("get", BUS, "0x50", "0x0ff0", "b", "--wide"), "0xff\n")
    equal(out("get", "-y", "-f", BUS, "0x48", "0"), "0x19\n")
    contains(fails("get", BUS, "0x51", "0", "s"), "count of 1 to 32")  # 0xff is none


@case("get: chips that are not there, or somebody else's")
def absent(_):
    contains(fails("get", BUS, "0x33", "0"), "no chip answers at 0x33", "krctl i2c scan")
    contains(fails("get", BUS, "0x20", "0"), "driver of the kernel", "0x20", "--force")
    contains(fails("get", BUS, "0x20", "0", "--force"), "no chip answers")  # nobody but the driver
    contains(fails("get", BUS, "0x33", "0", "--retries", "3"), "no chip answers")


@case("get: addresses, registers and modes that cannot be")
def wrong(_):
    for addr in "0x07", "0", "0x78", "0x7f":
        contains(fails("get", BUS, addr, "0", expected=2), "reserved", "--all")
    contains(fails("get", BUS, "0x07", "0", "--all"), "no chip answers at 0x07")
    contains(fails("get", BUS, "0x80", "0", expected=2), "seven bits", "--ten-bit")
    contains(fails("get", BUS, "0x400", "0", "--ten-bit", expected=2), "ten bits")
    contains(fails("get", BUS, "0x250", "0", "--ten-bit"), "no chip answers at 0x250")
    contains(fails("get", BUS, "x", expected=2), "CHIP", "'x'")
    contains(fails("get", BUS, "-1", expected=2), "krctl i2c get --help")
    contains(fails("get", BUS, "0x50", "256", expected=2), "REG", "too large")
    contains(fails("get", BUS, "0x50", "0", "q", expected=2), "MODE is b, w, c, s or i, not 'q'")
    contains(fails("get", BUS, "0x50", "0", "i", "0", expected=2), "LENGTH")
    contains(fails("get", BUS, "0x50", "0", "i", "257", expected=2), "LENGTH")
    contains(fails("get", BUS, "0x50", "0", "b", "1", expected=2), "one word too many")
    contains(fails("get", BUS, "0x50", "--retries", "256", expected=2), "--retries", "255")
    contains(fails("get", BUS, expected=2), "CHIP is missing")
    contains(fails("get", "sim-i2c:x?chip=1", "0x50"), "chip", "krctl drivers")
    contains(fails("get", "timer0:", "0x50"), "timer0", "krctl list --class i2c")
    fails("get", "no-such-bus", "0x50")


# Each krctl is a bus of its own, whose chips are new: what was written is read back by the same one.
@case("set: values, words, blocks, and what is read back")
def write(_):
    equal(out("set", BUS, "0x68", "8", "0x42", "--read-back"), "Value 0x42 written, readback matched\n")
    equal(out("set", BUS, "0x68", "8", "0x1234", "w", "-r"), "Value 0x1234 written, readback matched\n")
    equal(out("set", BUS, "0x51", "8", "1", "2", "3", "i", "-r"), "3 bytes written, readback matched\n")
    equal(out("set", BUS, "0x51", "8", "1", "2", "3", "s", "-r"), "4 bytes written, readback matched\n")
    equal(out("set", BUS, "0x50", "0x0180", "0x99", "-W", "-r"), "Value 0x99 written, readback matched\n")
    equal(out("set", BUS, "0x51", "8"), "")  # the register alone
    equal(out("set", BUS, "0x51", "8", "c", "-y"), "")
    # 0xff from the start: the mask leaves the upper half.
    equal(out("set", BUS, "0x51", "8", "0x0a", "-m", "0x0f", "-r"), "Value 0xfa written, readback matched\n")
    # The temperature of a TMP105 cannot be written.
    result = i2c("set", BUS, "0x48", "0", "0x55", "-r", expected=1)
    contains(result.err, "wrote 0x55, read back 0x19")


@case("set: what cannot be")
def write_wrong(_):
    contains(fails("set", BUS, "0x51", expected=2), "REG is missing")
    contains(fails("set", BUS, "0x51", "0", "256", expected=2), "VALUE", "0xff")
    contains(fails("set", BUS, "0x51", "0", "0x10000", "w", expected=2), "VALUE", "0xffff")
    contains(fails("set", BUS, "0x51", "0", "1", "2", expected=2), "MODE i or s")
    contains(fails("set", BUS, "0x51", "0", "1", "c", expected=2), "MODE c has no VALUE")
    contains(fails("set", BUS, "0x51", "0", "b", expected=2), "VALUE is missing")
    contains(fails("set", BUS, "0x51", "0", *["1"] * 33, "s", expected=2), "32")
    contains(fails("set", BUS, "0x51", "0", "-m", "1", expected=2), "--mask")
    contains(fails("set", BUS, "0x51", "0", "-r", expected=2), "--read-back")
    contains(fails("set", BUS, "0x51", "0", "1", "-m", "x", expected=2), "--mask")
    contains(fails("set", BUS, "0x20", "0", "1"), "--force")
    contains(fails("set", BUS, "0x33", "0", "1"), "no chip answers")


HEAD = "     0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f    0123456789abcdef\n"


@case("dump: the tables of i2cdump")
def dump(_):
    full = "".join(f"{row:02x}: " + "ff " * 16 + "   " + "." * 16 + "\n" for row in range(0, 256, 16))
    for mode in "b", "i", "c":
        equal(out("dump", BUS, "0x51", mode), HEAD + full)
    part = "10: " + "   " * 4 + "ff " * 8 + "   " * 4 + "   " + " " * 4 + "." * 8 + " " * 4 + "\n"
    equal(out("dump", BUS, "0x51", "-r", "0x14-0x1b"), HEAD + part)
    words = out("dump", BUS, "0x51", "w", "-r", "8-0x17").splitlines()
    equal(words[0], "     0,8  1,9  2,a  3,b  4,c  5,d  6,e  7,f")
    equal(words[1:], ["08: " + "ffff " * 8, "10: " + "ffff " * 8])
    # The clock of a DS1307 stands at first, 2000-01-01: text is what can be printed, ? the rest, . 00 and ff.
    line = out("dump", BUS, "0x68", "-r", "0-7").splitlines()[1]
    assert re.fullmatch(r"00: 80 00 00 \w\w 01 01 00 \w\w (   ){8}   \?\.\.\?\?\?\.\?        ", line), line


@case("dump: no chip; words that are wrong")
def dump_wrong(_):
    for mode in "b", "w", "i", "c":
        contains(fails("dump", BUS, "0x33", mode), "no chip answers at 0x33")
    contains(fails("dump", BUS, "0x51", "s", expected=2), "MODE")
    for word in "5", "9-3", "0-256", "a-b":
        contains(fails("dump", BUS, "0x51", "-r", word, expected=2), "--range")
    result = i2c("dump", BUS + "&latency=50000000", "0x51", "--timeout", "100ms", expected=3)
    equal(result.out, b"")


@case("transfer: messages as of i2ctransfer, what fills them, what was read")
def transfer(_):
    equal(out("transfer", BUS, "w2@0x50", "0x01", "0", "r4"), "0xff 0xff 0xff 0xff\n")
    equal(out("transfer", BUS, "r2@0x48", "r1@0x48"), "0x19 0x00\n0x19\n")
    # A DS1307 takes what follows the register: its RAM begins at 8.
    for how, values in ("=", [7] * 4), ("+", [7, 8, 9, 10]), ("-", [7, 6, 5, 4]), ("p", [7, 0x52, 0xAC, 0x89]):
        text = out("transfer", BUS, "w5@0x68", "8", "7" + how, "w1", "8", "r4")
        equal(text, " ".join(f"0x{value:02x}" for value in values) + "\n")
    equal(out("transfer", "-y", "-f", BUS, "w3@0x68", "8", "1", "2", "w1", "9", "r1"), "0x02\n")


@case("transfer: what cannot be")
def transfer_wrong(_):
    contains(fails("transfer", BUS, expected=2), "message is missing")
    contains(fails("transfer", BUS, "r1", expected=2), "who it is for")
    contains(fails("transfer", BUS, "x1@0x50", expected=2), "'x1@0x50' is no message")
    contains(fails("transfer", BUS, "r9999@0x50", expected=2), "8192")
    contains(fails("transfer", BUS, "w2@0x50", "1", expected=2), "1 values are missing")
    contains(fails("transfer", BUS, "w1@0x50", "0x100", expected=2), "'0x100'")
    contains(fails("transfer", BUS, "r1@0x50", "r1@0x51", expected=2), "several")
    contains(fails("transfer", BUS, "r1@0x03", expected=2), "--all")
    contains(fails("transfer", BUS, *["r1@0x50"] * 43, expected=2), "42")
    contains(fails("transfer", BUS, "r1@0x33"), "no chip answers")
    contains(fails("transfer", BUS, "r1@0x20"), "--force")


@case("info: what the adapter can do")
def info(_):
    contains(out("info", BUS), "sim-i2c:test", "transfers up to a stop", "simulated")
    facts = json.loads(out("info", BUS, "--json"))
    equal((facts["plain"], facts["simulated"]), (True, True))


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The completion of krctl, in a bash that somebody sits in front of.

usage: test_completion.py KRCTL
"""
import os
import pathlib
import re

from support import Terminal, case, equal, main, run

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "examples/krctl/krctl.bash"


def complete(text, folder):
    """What bash makes of the text and a Tab: the words of the line."""
    with Terminal(program="bash", arguments=["--norc", "--noprofile", "-i"], cwd=folder) as shell:
        os.write(shell.master, f"PS1=; . {SCRIPT}; bind 'set enable-bracketed-paste off'\n".encode())
        os.write(shell.master, b"krctl() { printf '%s|' READY \"$@\"; echo END; }; krctl\n")
        shell.expect(b"READY|END")
        os.write(shell.master, f"krctl {text}\t".encode())
        os.write(shell.master, b"\n")
        seen = shell.read(lambda seen: re.search(rb"READY\|.*END", seen)).decode()
    return re.search(r"READY\|(.*)END", seen)[1].rstrip("|").split("|")


@case("commands and their commands", needs="bash")
def commands(folder):
    equal(complete("ch", folder), ["char"])
    equal(complete("char mon", folder), ["char", "monitor"])
    equal(complete("uart br", folder), ["uart", "break"])
    equal(complete("gpio unt", folder), ["gpio", "until"])
    equal(complete("vfio un", folder), ["vfio", "unbind"])
    equal(complete("help pl", folder), ["help", "player"])
    equal(complete("i2c tra", folder), ["i2c", "transfer"])
    equal(complete("driv", folder), ["drivers"])


@case("options, and their words", needs="bash")
def options(folder):
    equal(complete("char read x --fr", folder), ["char", "read", "x", "--frames"])
    equal(complete("char read x --backend ur", folder), ["char", "read", "x", "--backend", "uring"])
    equal(complete("vfio bind x --us", folder), ["vfio", "bind", "x", "--user"])
    equal(complete("uart lines x dtr=of", folder), ["uart", "lines", "x", "dtr=off"])
    equal(complete("uart set x parity=ev", folder), ["uart", "set", "x", "parity=even"])
    equal(complete("gpio mon x --edges ri", folder), ["gpio", "mon", "x", "--edges", "rising"])
    equal(complete("i2c get x 1 --ten", folder), ["i2c", "get", "x", "1", "--ten-bit"])
    equal(complete("pwm set x pol", folder), ["pwm", "set", "x", "polarity="])
    equal(complete("list --class i2", folder), ["list", "--class", "i2c"])
    equal(complete("gpio get x --bias pull-u", folder), ["gpio", "get", "x", "--bias", "pull-up"])


@case("specs: paths, drivers, keys", needs="bash")
def specs(folder):
    with open(os.path.join(folder, "port-a"), "wb"):
        pass
    equal(complete("char read ./por", folder), ["char", "read", "./port-a"])
    equal(complete("char read file:./por", folder), ["char", "read", "file:./port-a"])
    equal(complete("char read fi", folder), ["char", "read", "file:"])
    equal(complete("uart show tty:/dev/x?pa", folder), ["uart", "show", "tty:/dev/x?parity="])
    equal(complete("spi xfer sim-", folder), ["spi", "xfer", "sim-spi:"])
    equal(complete("gpio get sim-", folder), ["gpio", "get", "sim-gpio:"])
    equal(complete("gpio get sim-gpio:x/0?pu", folder), ["gpio", "get", "sim-gpio:x/0?pull="])


@case("the options that are completed are those that the commands have", needs="bash")
def complete_list(_):
    text = SCRIPT.read_text()
    for command in re.findall(r'"((?:char|dma|gpio|i2c|irq|mem|mmio|pwm|spi|uart|value|vfio) \w+)"|^    (\w+)\) echo', text, re.M):
        command = command[0] or command[1]
        place = rf'("{command}"|^    {command}\)).*echo'
        line = next(line for line in text.splitlines() if re.search(place, line))
        text_of_help = run(*command.split(), "--help").out.decode()
        assert max(map(len, text_of_help.splitlines())) <= 80, command
        known = set(re.findall(r"--[a-z][a-z-]*", text_of_help))
        for option in re.findall(r"--[a-z][a-z-]*", line):
            assert option in known, f"{command} has no {option}"
        for option in known - {"--count", "--timeout"}:
            assert option in line, f"{command} {option} is not completed"


main()

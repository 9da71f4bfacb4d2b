#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl uart: on pseudo-terminals, which have speed, parity and flow control, and no modem lines.

usage: test_uart.py KRCTL
"""
import json
import subprocess
import termios

from support import Port, Terminal, case, contains, equal, main, run


def stty(port):
    return subprocess.run(
        ["stty", "-a"], stdin=port.slave, capture_output=True, check=True
    ).stdout.decode()


def baud(port):
    return json.loads(run("uart", "show", port.path, "--json").out)["baud"]


@case("show: the settings, and why the port has not the others")
def show(_):
    with Port() as port:
        result = run("uart", "show", port.path)
        table = dict((line[:14].strip(), line[14:]) for line in result.out.decode().splitlines())
        equal(table["port"], port.path)
        equal(table["baud"], "38400")
        equal(table["format"], "8 data bits, parity none, 1 stop bit")
        contains(table["modem lines"], "not supported: ", "pseudo-terminals")
        contains(table["errors"], "not supported: ")
        assert max(len(line) for line in result.out.decode().splitlines()) <= 80, result.out


@case("show --json: one line, null for what there is not")
def show_json(_):
    with Port() as port:
        out = run("uart", "show", port.path, "--json").out
        equal(out.count(b"\n"), 1)
        facts = json.loads(out)
        equal(
            {key: facts[key] for key in ("port", "baud", "data", "parity", "stop", "lines")},
            {"port": port.path, "baud": 38400, "data": 8, "parity": "none", "stop": 1, "lines": None},
        )


@case("show changes nothing, whatever the settings are")
def untouched(_):
    with Port() as port:
        settings = termios.tcgetattr(port.slave)
        settings[2] |= termios.CSTOPB  # parity is nothing that a pseudo-terminal has
        settings[0] |= termios.IXON | termios.IXOFF | termios.ICRNL
        settings[4] = settings[5] = termios.B9600
        termios.tcsetattr(port.slave, termios.TCSANOW, settings)
        before = termios.tcgetattr(port.slave)
        facts = json.loads(run("uart", "show", port.path, "--json").out)
        equal([facts[key] for key in ("baud", "stop", "flow")], [9600, 2, "xonxoff"])
        equal(termios.tcgetattr(port.slave), before)


@case("set: keeps what it sets and, of the rest, what there was", needs="stty")
def keep(_):
    with Port() as port:
        settings = termios.tcgetattr(port.slave)
        settings[2] |= termios.HUPCL
        termios.tcsetattr(port.slave, termios.TCSANOW, settings)
        result = run("uart", "set", port.path, "baud=230400", "stop=2")
        contains(result.out.decode(), "230400", "2 stop bits")
        equal(baud(port), 230400)
        contains(stty(port), " cstopb")
        result = run("uart", "set", port.path, "flow=rtscts", "--json")
        equal(json.loads(result.out)["flow"], "rtscts")
        equal(baud(port), 230400)
        contains(stty(port), " cstopb", " crtscts", "-icanon", " hupcl")
        contains(run("uart", "set", port.path, "baud=12345", "restore=yes").out, b"12345")
        equal(baud(port), 230400)


@case("set: what the port refuses, and what is wrong")
def refused(_):
    with Port() as port:
        contains(run("uart", "set", port.path, "data=7", expected=1).err, "refused data=7")
        contains(run("uart", "set", port.path, "rs485=yes", expected=1).err, "rs485")
        contains(run("uart", "set", port.path, "flow=dtrdsr", expected=1).err, "flow=rtscts")
        contains(run("uart", "set", port.path, "parity=maybe", expected=1).err, "parity", "even")
        contains(run("uart", "set", port.path, "speed=1", expected=1).err, "speed", "krctl drivers")
        contains(run("uart", "set", port.path, "baud=0", expected=1).err, "baud", "try:")
        for words in [], ["baud"], ["=3"], ["baud=1&stop=1"], ["baud=9600", "--nonsense"]:
            contains(run("uart", "set", port.path, *words, expected=2).err, "krctl uart set --help")
        contains(stty(port), "speed 38400 baud", "-cstopb")


@case("lines and break: not on a pseudo-terminal")
def no_lines(_):
    with Port() as port:
        for arguments in [], ["dtr=on"], ["--wait", "--timeout", "1s"]:
            result = run("uart", "lines", port.path, *arguments, expected=1)
            contains(result.err, "no modem lines")
        contains(run("uart", "break", port.path, "1ms", expected=1).err, "break", port.path)


@case("lines, break and settings of a simulated port whose plug is looped back")
def looped(_):
    def lines(*words):
        out = run("uart", "lines", "sim-char:loop", "--json", *words).out
        return {name for name, on in json.loads(out)["lines"].items() if on}

    equal(lines("dtr=on", "rts=on"), {"dtr", "rts", "cts", "dsr", "dcd"})
    equal(lines("dtr=off"), {"rts", "cts"})
    equal(lines("rts=off", "dtr=off"), set())
    text = run("uart", "lines", "sim-char:loop", "rts=off").out.decode().split(maxsplit=1)[1]
    equal(text, "DTR on  RTS off  CTS off  DSR on  DCD on  RI off\n")
    result = run("uart", "lines", "sim-char:loop", "--wait", "--timeout", "200ms", expected=3)
    equal(result.out.count(b"\n"), 1)
    assert run("uart", "break", "sim-char:loop", "50ms").seconds >= 0.05
    facts = json.loads(run("uart", "set", "sim-char:loop", "baud=9600", "parity=odd", "--json").out)
    equal([facts["baud"], facts["parity"], facts["rs485"]], [9600, "odd", None])
    contains(run("uart", "set", "sim-char:loop", "flow=rtscts", expected=1).err, "flow", "try:")


@case("errors: ports and words")
def errors(_):
    for command in ["show"], ["set", "baud=9600"], ["lines"], ["break"]:
        arguments = ["uart", command[0], "/dev/ttyNone0", *command[1:]]
        contains(run(*arguments, expected=1).err, "/dev/ttyNone0", "No such file", "try:")
        arguments[2] = "/dev/null"
        contains(run(*arguments, expected=1).err, "not a tty", "try:")
        arguments[2] = "timer0"
        contains(run(*arguments, expected=1).err, "uart", "try:")
    for arguments in (
        ["show"],
        ["show", "a", "b"],
        ["lines", "a", "cts=on"],
        ["lines", "a", "dtr=maybe"],
        ["lines", "a", "dtr=on", "dtr=off"],
        ["lines", "a", "--timeout", "1s"],
        ["break", "a", "long"],
        ["break", "a", "0"],
        ["break", "a", "2m"],
        ["break", "a", "1s", "b"],
        ["show", "a", "--backend", "kqueue"],
        ["nonsense"],
        [],
    ):
        contains(run("uart", *arguments, expected=2).err, "krctl uart")


@case("colours on a terminal, and none elsewhere")
def colours(_):
    with Port() as port:
        with Terminal("uart", "show", port.path) as terminal:
            contains(terminal.ended(0), b"\x1b[1mbaud")
        with Terminal("uart", "show", port.path, environment={"NO_COLOR": "1"}) as terminal:
            assert b"\x1b" not in terminal.ended(0)
        assert b"\x1b" not in run("uart", "show", port.path).out


@case("help fits 80 columns")
def help_texts(_):
    for arguments in (
        ["uart", "--help"],
        ["help", "uart"],
        *(["uart", command, "--help"] for command in ("show", "set", "lines", "break")),
        *(["help", "uart", command] for command in ("show", "set", "lines", "break")),
    ):
        lines = run(*arguments).out.decode().splitlines()
        assert lines[0].startswith("usage: krctl uart"), lines[0]
        assert max(map(len, lines)) <= 80


main()

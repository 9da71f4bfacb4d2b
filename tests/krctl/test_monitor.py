#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl char monitor, in front of a terminal: keys, screen, and the ways to leave.

usage: test_monitor.py KRCTL
"""
import os
import signal
import subprocess
import time

from support import KRCTL, Port, Socat, Terminal, case, contains, end, equal, main, run, start, until

LEAVE = b"\x1d"


def started(terminal):
    """Waits for the greeting: from then on the terminal is raw."""
    seen = terminal.expect(b"Ctrl-] leaves", b"\r\n")
    assert terminal.is_raw(), "the terminal is not raw"
    return seen


def type_in(terminal, keys):
    os.write(terminal.master, keys)


@case("keys reach the device, its bytes the screen, and Ctrl-] leaves")
def session(_):
    with Port() as port, Terminal("char", "monitor", port.path) as terminal:
        contains(started(terminal), port.path.encode(), b"8N1")
        type_in(terminal, b"abc\r\x03\x04\x1a\x1c\x7f")
        port.exactly(b"abc\r\x03\x04\x1a\x1c\x7f")
        port.write(b"hi\nthere\r\n\x1b[1m")
        equal(terminal.expect(b"\x1b[1m"), b"hi\nthere\r\n\x1b[1m")
        type_in(terminal, b"last" + LEAVE + b"never")
        port.exactly(b"last")
        contains(terminal.ended(0), b"left")
        port.empty()


@case("--echo and --crlf")
def echo(_):
    with Port() as port, Terminal("char", "monitor", port.path, "--echo", "--crlf") as terminal:
        started(terminal)
        type_in(terminal, b"AT\r")
        port.exactly(b"AT\r\n")
        equal(terminal.expect(b"\n"), b"AT\r\n")
        port.write(b"one\ntwo\r\n")
        equal(terminal.expect(b"two\r\n"), b"one\r\ntwo\r\n")
        type_in(terminal, LEAVE)
        terminal.ended(0)


@case("--hex shows a row when the device pauses")
def in_hex(_):
    with Port() as port, Terminal("char", "monitor", port.path, "--hex") as terminal:
        started(terminal)
        port.write(b"hi\n")
        equal(
            terminal.expect(b"\r\n"),
            b"00000000  68 69 0a                                          |hi.|\r\n",
        )
        type_in(terminal, LEAVE)
        terminal.ended(0)


@case("--timestamps: one a line, in one column")
def timestamps(_):
    with Port() as port, Terminal("char", "monitor", port.path, "--timestamps") as terminal:
        started(terminal)
        port.write(b"one\n\r")
        terminal.expect(b" one\r\n")
        port.write(b"two\r\n\nthr")
        port.write(b"ee")
        lines = terminal.expect(b"three").strip(b"\r").split(b"\r\n")
        equal([line[15:] for line in lines], [b" two", b" ", b" three"])
        for line in lines:
            time.strptime(line[:15].decode(), "%H:%M:%S.%f")
        type_in(terminal, LEAVE)
        terminal.ended(0)


@case("signals leave the terminal as it was")
def signals(_):
    for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT:
        with Port() as port, Terminal("char", "monitor", port.path) as terminal:
            started(terminal)
            terminal.process.send_signal(number)
            terminal.ended(128 + number)


@case("the terminal is closed")
def hang_up(_):
    with Port() as port, Terminal("char", "monitor", port.path) as terminal:
        started(terminal)
        os.close(terminal.master)
        terminal.master = -1
        until(lambda: terminal.process.poll() is not None)
        equal(terminal.process.returncode, 128 + signal.SIGHUP)


@case("stopped and continued: the terminal is the shell's in between")
def stopped(_):
    with Port() as port, Terminal("char", "monitor", port.path) as terminal:
        started(terminal)
        terminal.process.send_signal(signal.SIGTSTP)
        until(terminal.is_restored)
        until(lambda: os.waitpid(terminal.process.pid, os.WUNTRACED | os.WNOHANG)[0])
        terminal.process.send_signal(signal.SIGCONT)
        until(terminal.is_raw)
        type_in(terminal, b"again")
        port.exactly(b"again")
        type_in(terminal, LEAVE)
        terminal.ended(0)


@case("Ctrl-] leaves also when the device takes no more")
def stuck(_):
    with Port() as port, Terminal("char", "monitor", port.path) as terminal:
        started(terminal)
        for _ in range(60):  # far more than a pseudo-terminal holds
            type_in(terminal, b"z" * 1000)
            time.sleep(0.005)
        type_in(terminal, LEAVE)
        terminal.ended(0)


@case("unplugged: an error, and the terminal as it was", needs="socat")
def unplugged(folder):
    link = os.path.join(folder, "port")
    with Socat(link, "EXEC:cat") as socat:
        with Terminal("char", "monitor", link) as terminal:
            started(terminal)
            socat.stop()
            contains(terminal.ended(1), b"is gone")


@case("--reconnect survives the death of the port", needs="socat")
def reconnect(folder):
    link = os.path.join(folder, "port")
    first = Socat(link, "EXEC:cat")
    with Terminal("char", "monitor", link, "--reconnect") as terminal:
        started(terminal)
        type_in(terminal, b"first")
        terminal.expect(b"first")
        first.stop()
        terminal.expect(b"waiting for its return")
        type_in(terminal, b"lost")
        terminal.expect(b"\a")
        with Socat(link, "EXEC:cat"):
            terminal.expect(b"again", b"Ctrl-] leaves", b"\r\n")
            type_in(terminal, b"second")
            equal(terminal.expect(b"second"), b"second")
            type_in(terminal, LEAVE)
            terminal.ended(0)


@case("--reconnect: leaving while the port is away", needs="socat")
def leave_while_away(folder):
    link = os.path.join(folder, "port")
    socat = Socat(link, "EXEC:cat")
    with Terminal("char", "monitor", link, "--reconnect") as terminal:
        started(terminal)
        socat.stop()
        terminal.expect(b"waiting for its return")
        type_in(terminal, LEAVE)
        terminal.ended(0)


@case("colours on a terminal, and none with NO_COLOR")
def colours(_):
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        with Port() as port, Terminal(
            "char", "monitor", port.path, environment=environment
        ) as terminal:
            equal(b"\x1b" in started(terminal), coloured)
            type_in(terminal, LEAVE)
            terminal.ended(0)


@case("without a terminal, and without a port")
def wrong(_):
    with Port() as port:
        contains(run("char", "monitor", port.path, expected=1).err, "not a terminal", "char cat")
    with Terminal("char", "monitor", "/dev/ttyNone0") as terminal:
        contains(terminal.ended(1), b"No such file", b"try:")
    with Terminal("char", "monitor", "/dev/null", "--hex", "--echo") as terminal:
        contains(terminal.ended(2), b"--hex")


@case("the screen may be a file")
def to_file(folder):
    path = os.path.join(folder, "log")
    with Port() as port, Port() as keys, open(path, "wb") as log:
        process = start("char", "monitor", port.path, stdin=keys.slave, stdout=log)
        port.write(b"data\n")
        until(lambda: os.path.getsize(path) == 5)
        keys.write(LEAVE)
        contains(end(process).err, "Ctrl-] leaves")
    with open(path, "rb") as log:
        equal(log.read(), b"data\n")


main()

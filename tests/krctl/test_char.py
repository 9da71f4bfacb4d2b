#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl char read, write and cat: what goes in and comes out, exit statuses, errors.

usage: test_char.py KRCTL
"""
import os
import signal
import subprocess
import time

from support import (
    Port,
    Skip,
    Socat,
    Terminal,
    case,
    contains,
    end,
    equal,
    main,
    run,
    start,
    until,
)

TEXT = b"hello\nw\xc3\xb6rld \\\t\r\n\x01\xff\xc2\x9b[m end"


def make(folder, data, name="data"):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


# --- read ---


@case("read: raw, text and hexadecimal views")
def views(folder):
    path = make(folder, TEXT)
    equal(run("char", "read", path).out, TEXT)
    equal(
        run("char", "read", path, "--text").out,
        b"hello\nw\xc3\xb6rld \\\\\\t\\r\n\\x01\\xff\\xc2\\x9b[m end\n",
    )
    equal(
        run("char", "read", make(folder, bytes(range(0x20, 0x44))), "--hex").out,
        b"00000000  20 21 22 23 24 25 26 27  28 29 2a 2b 2c 2d 2e 2f  | !\"#$%&'()*+,-./|\n"
        b"00000010  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  |0123456789:;<=>?|\n"
        b"00000020  40 41 42 43                                       |@ABC|\n",
    )
    # Characters that are cut off, or are none: overlong, a surrogate, a byte alone.
    equal(
        run("char", "read", make(folder, b"\xc0\xaf \xed\xa0\x80 \xbf \xe2\x82"), "--text").out,
        b"\\xc0\\xaf \\xed\\xa0\\x80 \\xbf \\xe2\\x82\n",
    )


@case("read: every byte through the hexadecimal view, as hexdump -C prints it", needs="hexdump")
def hexdump(folder):
    path = make(folder, bytes(range(256)) + b"end")
    expected = subprocess.run(["hexdump", "-C", path], capture_output=True, check=True).stdout
    equal(run("char", "read", path, "--hex").out, expected[: expected.rindex(b"00000103")])


@case("read: a number of bytes, and no more is taken")
def count(_):
    with Port() as port:
        port.write(b"pingpong")
        equal(run("char", "read", port.path, "-n", 4).out, b"ping")
    result = run("char", "read", "/dev/zero", "--count", "64k")
    equal(result.out, bytes(64000))


@case("read: a stream that ends too early is an error, with what came")
def too_early(folder):
    result = run("char", "read", make(folder, b"abc"), "-n", 10, expected=1)
    equal(result.out, b"abc")
    contains(result.err, "after 3 of 10 bytes")


@case("read: the time-out has a status of its own, and shows what came")
def timeout(_):
    with Port() as port:
        result = run("char", "read", port.path, "--timeout", "300ms", expected=3)
        equal(result.out, b"")
        assert result.seconds >= 0.3
        port.write(b"partial")
        result = run("char", "read", port.path, "--hex", "--timeout", "0.3", expected=3)
        contains(result.out, b"|partial|")


@case("read: a silence ends it, once the minimum is there")
def gap(_):
    with Port() as port:
        port.write(b"answer\r\n")
        equal(run("char", "read", port.path, "--gap", "100ms").out, b"answer\r\n")

        process = start("char", "read", port.path, "--gap", "100ms", "--min", 8)
        port.write(b"four")
        time.sleep(0.5)
        assert process.poll() is None, "ended before the minimum"
        port.write(b"more")
        equal(end(process).out, b"fourmore")


@case("read: frames, in each view")
def frames(folder):
    path = make(folder, b"one\n\ntwo\\\r\n")
    spec = f"file:{path}?frame=line"
    equal(run("char", "read", spec, "--frames").out, b"one\n\ntwo\\\r\n")
    equal(run("char", "read", spec, "--frames", "--text").out, b"one\n\ntwo\\\\\\r\n")
    equal(
        run("char", "read", path + "?frame=line", "--frames", "--hex").out,
        b"00000000  6f 6e 65                                          |one|\n"
        b"00000000                                                    ||\n"
        b"00000000  74 77 6f 5c 0d                                    |two\\.|\n",
    )
    equal(run("char", "read", spec, "--frames", "-n", 1).out, b"one\n")
    with Port() as port:
        port.write(b"\0\3a\nb\0\1c")
        equal(
            run("char", "read", port.path + "?frame=length:2be", "--frames", "--text", "-n", 2).out,
            b"a\\nb\nc\n",
        )


@case("read: a stream that ends inside a frame")
def half_frame(folder):
    result = run("char", "read", make(folder, b"one\ntw") + "?frame=line", "--frames", expected=1)
    equal(result.out, b"one\ntw\n")
    contains(result.err, "inside a frame")


@case("read: time stamps")
def timestamps(folder):
    lines = run("char", "read", make(folder, b"a\nb\n"), "--timestamps", "--text").out.splitlines()
    equal([line[15:] for line in lines], [b" a", b" b"])
    for line in lines:
        time.strptime(line[:15].decode(), "%H:%M:%S.%f")
    rows = run("char", "read", "/dev/zero", "-n", 13, "--timestamps", "--hex").out.splitlines()
    equal([row.count(b" 00") for row in rows], [12, 1])


@case("read: Ctrl-C ends it with status 130, and on a terminal nothing waits for a full row")
def interrupted(_):
    with Port() as port, Terminal("char", "read", port.path, "--hex") as terminal:
        port.write(b"abc")
        terminal.expect(b"|abc|")
        os.write(terminal.master, b"\x03")
        terminal.ended(130)


@case("read: text on a terminal, and the prompt gets a line of its own")
def on_terminal(_):
    with Port() as port, Terminal("char", "read", port.path, "-n", 4) as terminal:
        port.write(b"\x1b[2J")
        terminal.expect(b"\\x1b[2J\r\n")
        terminal.ended(0)


@case("read: the unplugged port, a FIFO, a file with odd characters in its name", needs="socat")
def ends(folder):
    link = os.path.join(folder, "port")
    with Socat(link, "EXEC:'echo bye'"):
        result = run("char", "read", link, expected=1)
    equal(result.out, b"bye\n")
    contains(result.err, "is gone")

    fifo = os.path.join(folder, "fifo")
    os.mkfifo(fifo)
    process = start("char", "read", fifo, "-n", 3)
    with open(fifo, "wb") as file:
        file.write(b"abc")
    equal(end(process).out, b"abc")

    equal(run("char", "read", make(folder, b"odd", "100% & a?b=c")).out, b"odd")


@case("read: outputs that take nothing")
def bad_output(_):
    with open("/dev/full", "wb") as full:
        contains(end(start("char", "read", "/dev/zero", stdout=full), 1).err, "No space left")
    reader, writer = os.pipe()
    process = start("char", "read", "/dev/zero", "-t", "500ms", stdout=writer)
    os.close(writer)
    end(process, 3)  # the pipe is full, and nobody reads it
    os.close(reader)
    reader, writer = os.pipe()
    os.close(reader)
    process = start("char", "read", "/dev/zero", stdout=writer)
    os.close(writer)
    contains(end(process, 1).err, "cannot write the output")


# --- write ---


@case("write: words, escapes, hexadecimal")
def words(_):
    with Port() as port:
        run("char", "write", port.path, r"AT\r\n", r"\x41\t\0\e\\")
        port.exactly(b"AT\r\n A\t\0\x1b\\")
        run("char", "write", port.path, "--hex", "de ad BE:ef", "0x01,2a")
        port.exactly(b"\xde\xad\xbe\xef\x01\x2a")
        run("char", "write", port.path, "--", "-x")
        port.exactly(b"-x")
        port.empty()


@case("write: standard input")
def from_input(_):
    data = bytes(range(256)) * 64
    with Port() as port:
        process = start("char", "write", port.path, "-", stdin=subprocess.PIPE)
        process.stdin.write(data)
        process.stdin.close()
        process.stdin = None
        port.exactly(data)
        end(process)
        run("char", "write", port.path)  # from /dev/null
        port.empty()


@case("write: frames, of words and of lines")
def write_frames(_):
    with Port() as port:
        spec = port.path + "?frame=length:2be"
        run("char", "write", spec, "--frames", "abc", "de")
        port.exactly(b"\0\3abc\0\2de")
        run("char", "write", spec, "--frames", data=b"one\n\nthree")
        port.exactly(b"\0\3one\0\5three")


@case("write: --flush, and a port that takes no more")
def flush(_):
    with Port() as port:
        run("char", "write", port.path, "--flush", "--timeout", "30s", "now")
        port.exactly(b"now")
        result = run("char", "write", port.path, "--timeout", "500ms", expected=3, data=bytes(100000))
        sent = len(port.read(len))
        while True:
            try:
                sent += len(os.read(port.master, 65536))
            except BlockingIOError:
                break
        # What the terminal still held when the port was closed is thrown away.
        told = int(result.err.split("after ")[1].split()[0])
        assert sent <= told < 100000, (sent, result.err)


# --- cat ---


@case("cat: both ways, and --hold waits for the answer", needs="socat")
def cat(folder):
    link = os.path.join(folder, "port")
    data = b"".join(b"line %d\n" % i for i in range(2000))
    with Socat(link, "EXEC:'tr a-z A-Z'"):
        result = run("char", "cat", link, "--hold", "2s", data=data)
    # tr sends when its input ends or its buffer is full: whole blocks.
    assert len(result.out) >= 4096 and data.upper().startswith(result.out), result.out[:100]


@case("cat: an echo comes back complete", needs="socat")
def echo(folder):
    link = os.path.join(folder, "port")
    data = os.urandom(100000)
    with Socat(link, "EXEC:cat"):
        equal(run("char", "cat", link, "--hold", "1s", data=data).out, data)


@case("cat: ends with its input, at a time-out, and with the port", needs="socat")
def cat_ends(folder):
    with Port() as port:
        run("char", "cat", port.path, data=b"hello")
        port.exactly(b"hello")
        process = start("char", "cat", port.path, "-t", "300ms", stdin=subprocess.PIPE)
        until(lambda: process.poll() is not None)
        end(process, 3)
        process = start("char", "cat", port.path, stdin=subprocess.PIPE)
        process.stdin.write(b"x")
        process.stdin.flush()
        port.exactly(b"x")
        process.send_signal(signal.SIGTERM)
        until(lambda: process.poll() is not None)  # before `end` closes its input
        end(process, 128 + signal.SIGTERM)
    link = os.path.join(folder, "port")
    with Socat(link, "EXEC:'head -c 3'") as socat:
        process = start("char", "cat", link, stdin=subprocess.PIPE)
        process.stdin.write(b"abc")
        process.stdin.flush()
        until(lambda: socat.process.poll() is not None)
        contains(end(process, 1).err, "is gone")


# --- what is wrong, and what to try ---


@case("errors: ports, specs, options")
def errors(folder):
    for command in "read", "write", "cat":
        result = run("char", command, "/dev/ttyNone0", expected=1)
        contains(result.err, "/dev/ttyNone0", "No such file", "try:")
    contains(run("char", "read", "/dev/null?baud=1", expected=1).err, "baud", "krctl drivers")
    contains(run("char", "read", "tty:/dev/null", expected=1).err, "not a tty", "try:")
    contains(run("char", "read", "timer0", expected=1).err, "char", "try:")
    contains(run("char", "read", "nothing", expected=1).err, "nothing is named", "try:")
    contains(run("char", "read", "tty:/dev/tty?parity=none?", expected=1).err, "parity", "try:")
    contains(run("char", "read", "/dev/" + "x" * 5000, expected=1).err, "name too long")
    contains(run("char", "read", make(folder, b""), "--frames", expected=1).err, "--frames")
    for arguments in (
        ["read"],
        ["read", "a", "b"],
        ["read", "a", "-n", "0"],
        ["read", "a", "-n", "-1"],
        ["read", "a", "--timeout", "5 s"],
        ["read", "a", "--timeout", "-1s"],
        ["read", "a", "--timeout", "9999999999s"],
        ["read", "a", "--min", "3"],
        ["read", "a", "--gap", "1ms", "--frames"],
        ["read", "a", "--backend", "kqueue"],
        ["write", "a", r"\q"],
        ["write", "a", r"\x1"],
        ["write", "a", "--hex", "abc"],
        ["write", "a", "--hex", "-"],
        ["write", "a", "--nonsense"],
        ["cat"],
        ["cat", "a", "b"],
        ["cat", "a", "--hold", "soon"],
        ["monitor"],
        ["nonsense"],
        [],
    ):
        contains(run("char", *arguments, expected=2).err, "krctl char")


def nobody():
    """Options for krctl as a user who may not open what somebody else has for himself."""
    if os.geteuid() != 0:
        return {}
    options = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    try:
        end(start("--version", **options))
    except (OSError, AssertionError, LookupError) as error:
        raise Skip(f"root may open everything, and nobody cannot run krctl: {error}") from None
    return options


@case("errors: a port that somebody has for himself, with his name")
def busy(_):
    options = nobody()
    with Port() as port:
        os.chmod(port.path, 0o666)
        process = start("char", "read", f"tty:{port.path}?exclusive=yes", **options)
        port.write(b"x")
        equal(process.stdout.read(1), b"x")
        result = end(start("char", "read", port.path, **options), 1)
        contains(result.err, "exclusive", f"process {process.pid}, krctl")
        process.send_signal(signal.SIGINT)
        end(process, 130)


@case("errors: a port that others may not open, with the group that may")
def forbidden(_):
    options = nobody()
    with Port() as port:
        os.chmod(port.path, 0)
        contains(end(start("char", "read", port.path, **options), 1).err, "denied", "dialout", "try:")


@case("each backend")
def backends(_):
    for backend in "epoll", "auto":
        with Port() as port:
            port.write(b"x")
            equal(run("char", "read", port.path, "-n", 1, "--backend", backend).out, b"x")


@case("help fits 80 columns")
def help_texts(_):
    for arguments in (
        ["char", "--help"],
        ["help", "char"],
        *(["char", command, "--help"] for command in ("read", "write", "cat", "monitor")),
        *(["help", "char", command] for command in ("read", "write", "cat", "monitor")),
    ):
        lines = run(*arguments).out.decode().splitlines()
        assert lines[0].startswith("usage: krctl char"), lines[0]
        assert max(map(len, lines)) <= 80
    run("help", "char", "nonsense", expected=2)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl gpio, on simulated chips, whose lines --simulate moves.

usage: test_gpio.py KRCTL

With KT_GPIO_CHIP and KT_GPIO_SYSFS, as tests/vm/gpio-sim sets them, some cases use that chip too.
"""
import glob
import json
import os
import re
import signal
import struct

from support import Skip, Terminal, case, contains, end, equal, main, run, start, until

COMMANDS = "list", "info", "get", "set", "toggle", "mon", "until"


def gpio(*arguments, **options):
    return run("gpio", *arguments, **options)


def watch(*arguments):
    """A krctl whose output can be read line by line: what readline() buffers, end() would miss."""
    return start("gpio", *arguments, bufsize=0)


def lines_of(result):
    return [json.loads(line) for line in result.out.splitlines()]


def values(*arguments):
    return {line["line"]: line["value"] for line in lines_of(gpio(*arguments, "--json"))}


@case("list: chips by name or spec")
def list_chips(_):
    equal(gpio("list", "sim-gpio:demo").out, b"demo [sim-gpio] (64 lines)\n")
    equal(
        lines_of(gpio("list", "sim-gpio:a", "sim-gpio:b", "--json")),
        [{"chip": name, "label": "sim-gpio", "lines": 64, "spec": f"sim-gpio:{name}"} for name in "ab"],
    )
    result = gpio("list", "no-such-chip", "sim-gpio:demo", expected=1)
    contains(result.err, "no-such-chip")
    contains(result.out, b"demo [sim-gpio]")
    chips = glob.glob("/dev/gpiochip*")
    if not chips:
        contains(gpio("list").err, "no GPIO chips", "sim-gpio:demo")
    elif all(os.access(chip, os.R_OK) for chip in chips):
        equal(gpio("list").out.count(b"\n"), len(chips))


@case("info: a chip, lines of it, JSON")
def info(_):
    text = gpio("info", "sim-gpio:demo").out.decode().splitlines()
    equal(text[0], "demo - 64 lines:")
    equal(text[4], '\tline   3:\t"GPIO3"          input')
    equal(len(text), 65)
    equal(gpio("info", "-c", "sim-gpio:demo").out.decode().splitlines(), text)
    text = gpio("info", "sim-gpio:demo/3,GPIO9-", "--unquoted", expected=1)
    contains(text.err, "GPIO9-", "krctl gpio info sim-gpio:demo")
    text = gpio("info", "sim-gpio:demo/3,GPIO9", "--unquoted").out.decode()
    equal(re.findall(r"line +(\d+):\t(\S+) +(\w+)", text), [("3", "GPIO3", "input"), ("9", "GPIO9", "input")])
    equal(
        lines_of(gpio("info", "sim-gpio:demo/5", "--json")),
        [
            {
                "chip": "demo", "offset": 5, "line": "GPIO5", "direction": "input", "drive": None,
                "bias": None, "edges": None, "active_low": False, "debounce_us": 0, "used": False,
                "consumer": None,
            }
        ],
    )  # fmt: skip


@case("get: names, offsets, ranges, several chips, in the order of the words")
def get(_):
    equal(
        gpio("get", "sim-gpio:b/7?pull=up", "sim-gpio:a/GPIO1,4-5", "sim-gpio:b/2").out,
        b'"GPIO7"=active "GPIO1"=inactive "GPIO4"=inactive "GPIO5"=inactive "GPIO2"=inactive\n',
    )
    equal(gpio("get", "-c", "sim-gpio:a", "3", "GPIO1", "--numeric", "-b", "pull-up").out, b"1 1\n")
    equal(gpio("get", "-c", "sim-gpio:a", "3", "--bias", "pull-up", "-l", "--unquoted").out, b"GPIO3=inactive\n")
    equal(gpio("get", "sim-gpio:a/3", "--as-is").out, b'"GPIO3"=inactive\n')
    assert gpio("get", "sim-gpio:a/3", "--hold-period", "60ms").seconds >= 0.06
    equal(
        lines_of(gpio("get", "sim-gpio:a/3-4?pull=up", "--json")),
        [{"chip": "a", "offset": n, "line": f"GPIO{n}", "value": 1} for n in (3, 4)],
    )


@case("set: the values are driven, what is held and how long is said")
def set_lines(_):
    result = gpio("set", "-c", "sim-gpio:a", "GPIO1=active", "4=0", "5=on", "-p", "50ms", "-v")
    equal(result.out, b'"GPIO1"=active "GPIO4"=inactive "GPIO5"=active\n')
    equal(result.err, 'krctl: holding "GPIO1"=active "GPIO4"=inactive "GPIO5"=active for 0.05 s\n')
    assert result.seconds >= 0.05
    result = gpio("set", "sim-gpio:a/0-3=0b", "-p", "0", expected=2)
    contains(result.err, "0b", "bit for each")
    result = gpio("set", "sim-gpio:a/0-3=0x5", "sim-gpio:a/4-5=on", "-p", "0", "-v", "--numeric")
    equal(result.out, b"1 0 1 0 1 1\n")
    contains(result.err, "let go")
    equal(gpio("set", "sim-gpio:a/0=1", "-p", "0", "-q").err, "")
    # Nobody pulls it up, so an open drain is low either way.
    equal(values("set", "sim-gpio:a/0=1", "-p", "0", "--drive", "open-drain"), {"GPIO0": 0})
    equal(values("set", "sim-gpio:a/0=1", "-p", "0", "--drive", "open-source"), {"GPIO0": 1})
    equal(values("set", "sim-gpio:a/0=1", "-p", "0", "--active-low"), {"GPIO0": 1})
    # Keys of a spec go first, and the value of the word before those.
    equal(values("set", "sim-gpio:a/0?mode=open-drain&value=0=1", "-p", "0"), {"GPIO0": 0})
    equal(values("set", "sim-gpio:a/0?value=0=1", "-p", "0"), {"GPIO0": 1})


@case("set holds lines until a signal, and says so")
def hold(_):
    for number in signal.SIGINT, signal.SIGTERM:
        process = watch("set", "sim-gpio:a/0=1")
        equal(process.stderr.readline(), b'krctl: holding "GPIO0"=active; Ctrl-C lets go\n')
        assert process.poll() is None
        process.send_signal(number)
        equal(end(process, 128 + number).err, "")


@case("set --toggle: a sequence, once or over and over")
def sequence(_):
    result = gpio("set", "sim-gpio:a/0-1=2", "-t", "10ms,20ms,0", "-v", "--numeric")
    equal(result.out, b"0 1\n1 0\n0 1\n")
    assert result.seconds >= 0.03
    result = gpio("set", "sim-gpio:a/0=1", "--toggle", "1ms,2ms", "--count", "5", "-v", "--numeric")
    equal(result.out, b"1\n0\n1\n0\n1\n0\n")
    equal(gpio("set", "sim-gpio:a/0=1", "-t", "0", "-v", "--numeric").out, b"1\n")


@case("toggle: begins with the opposite of what is there")
def toggle(_):
    equal(values("toggle", "sim-gpio:a/0-1", "-p", "0"), {"GPIO0": 1, "GPIO1": 1})
    equal(values("toggle", "sim-gpio:a/0", "-p", "0", "-l"), {"GPIO0": 0})
    result = gpio("toggle", "sim-gpio:a/0", "-t", "1ms", "-n", "3", "-v", "--numeric")
    equal(result.out, b"1\n0\n1\n0\n")


EDGE = rb'^\d+\.\d{9}\t(rising|falling)\tdemo (\d+) "GPIO(\d+)"$'


@case("mon: edges as they come, and a summary")
def mon(_):
    result = gpio("mon", "sim-gpio:demo/4-5", "--simulate", "1ms", "-n", "6")
    equal(
        re.findall(EDGE, result.out, re.M),
        [(edge, line, line) for edge in (b"rising", b"falling", b"rising") for line in (b"4", b"5")],
    )
    equal(result.out.count(b"\n"), 6)
    assert re.fullmatch(r"krctl: 6 edges in \d+\.\d{3} s, none lost\n", result.err), result.err
    result = gpio("mon", "sim-gpio:demo/4", "--simulate", "1ms", "-n", "3", "-e", "falling")
    equal(re.findall(EDGE, result.out, re.M), [(b"falling", b"4", b"4")] * 3)
    result = gpio("mon", "sim-gpio:demo/4", "--simulate", "1ms", "-n", "2", "-q")
    equal(result.out, b"")
    contains(result.err, "2 edges")
    # Both chips at once.
    result = gpio("mon", "sim-gpio:a/1", "sim-gpio:b/2", "--simulate", "1ms", "-n", "8", "-F", "%c %o")
    equal(set(result.out.splitlines()), {b"a 1", b"b 2"})


@case("mon ends cleanly with a signal, its summary included")
def mon_signal(_):
    for number in signal.SIGINT, signal.SIGTERM:
        process = watch("mon", "sim-gpio:demo/0", "--banner", "--simulate", "5ms")
        equal(process.stdout.readline(), b'# watching "GPIO0"\n')
        process.stdout.readline()
        process.send_signal(number)
        result = end(process, 128 + number)
        assert re.fullmatch(r"krctl: \d+ edges? in \d+\.\d{3} s, none lost\n", result.err), result.err
        seen = int(result.err.split()[1])
        equal(len(re.findall(EDGE, result.out, re.M)) + 1, seen)


@case("mon --idle-timeout, --debounce-period")
def mon_times(_):
    result = gpio("mon", "sim-gpio:demo/0", "--idle-timeout", "50ms")
    contains(result.err, "0 edges")
    assert result.seconds >= 0.05
    # Three moves at once are one, when the line must be quiet afterwards.
    result = gpio("mon", "sim-gpio:demo/0", "-p", "1ms", "--simulate", "300ms,3", "-n", "2", "-F", "%E")
    equal(result.out, b"rising\nfalling\n")
    contains(result.err, "2 edges", "none lost")


@case("mon --format")
def mon_format(_):
    result = gpio("mon", "sim-gpio:demo/7", "--simulate", "1ms", "-n", "2", "--format",
                  "%o|%l|%c|%C|%e|%E|%q|%Q|%x|%%|%S|%t|%s.%n|%U|%L")  # fmt: skip
    for number, text in enumerate(result.out.decode().splitlines()):
        words = text.split("|")
        edge = ["rising", "falling"][number]
        equal(words[:10], ["7", "GPIO7", "demo", "sim-gpio", str(number + 1), edge,
                           str(number + 1), str(number + 1), "0", "%"])  # fmt: skip
        equal(words[10], words[12])
        equal(words[10].replace(".", ""), words[11])
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", words[13]), words
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}", words[14]), words
    contains(gpio("mon", "sim-gpio:demo/7", "-F", "%o %z", expected=2).err, "'%z'")
    contains(gpio("mon", "sim-gpio:demo/7", "-F", "%o %", expected=2).err, "'%'")


@case("mon --json, and the clock of timestamps")
def mon_json(_):
    edges = lines_of(gpio("mon", "sim-gpio:demo/7", "--simulate", "1ms", "-n", "3", "--json"))
    equal(
        [{key: edge[key] for key in edge if key not in ("timestamp", "time")} for edge in edges],
        [
            {"edge": edge, "chip": "demo", "offset": 7, "line": "GPIO7", "seqno": n, "line_seqno": n, "lost": 0}
            for n, edge in enumerate(("rising", "falling", "rising"), 1)
        ],
    )
    stamps = [edge["timestamp"] for edge in edges]
    equal(stamps, sorted(stamps))
    options = "--simulate", "1ms", "-n", "1", "--json", "-E", "realtime"
    edge = lines_of(gpio("mon", "sim-gpio:demo/7", *options))[0]
    assert abs(edge["timestamp"] / 1e9 - edge["time"]) < 1e-3, edge
    assert edge["timestamp"] > stamps[0]


@case("mon: lost edges are told, counted where that is possible, and make status 1")
def lost(_):
    bursts = "--simulate", "20ms,100"
    small = "sim-gpio:demo/0?buffer=8"
    result = gpio("mon", small, *bursts, "-n", "16", expected=1)
    contains(result.out, b"# 92 edges lost here\n")
    contains(result.err, "16 edges", "184 lost")
    edges = lines_of(gpio("mon", small, *bursts, "-n", "16", "--json", expected=1))
    equal(sum(edge["lost"] for edge in edges), 184)
    equal(edges[-1]["seqno"], 200)
    result = gpio("mon", small, *bursts, "-n", "8", "-F", "%x", expected=1)
    equal(result.out.split()[1:], [b"0"] * 7)
    contains(result.err, "92 edges lost here")
    # As the first interface of the kernel: nobody knows how many.
    first = "sim-gpio:demo/0?uapi=1"
    result = gpio("mon", first, *bursts, "-n", "16", expected=1)
    contains(result.out, b"nobody knows how many")
    contains(result.err, "others may be lost")
    edges = lines_of(gpio("mon", first, *bursts, "-n", "16", "--json", expected=1))
    equal([edge["lost"] for edge in edges if edge["lost"] != 0], [None])
    contains(gpio("mon", first, *bursts, "-n", "16", "-q", expected=1).err, "others may be lost")


@case("until: all of them, any of them, a time-out")
def until_levels(_):
    result = gpio("until", "sim-gpio:a/3=1", "sim-gpio:b/1=active", "--simulate", "5ms")
    equal(result.out, b'"GPIO3"=active "GPIO1"=active\n')
    # The first one moves first, and is enough.
    result = gpio("until", "sim-gpio:a/3=1", "sim-gpio:a/4=1", "--any", "--simulate", "5ms", "--numeric")
    equal(result.out, b"1 0\n")
    # a/3 is up when a/4 is, and down again when that goes down: both have to be so at once.
    result = gpio("until", "sim-gpio:a/3=0", "sim-gpio:a/4=1", "--simulate", "5ms", "--numeric")
    equal(result.out, b"0 1\n")


@case("registers: a file stands for them, nothing is behind them")
def registers(folder):
    path = os.path.join(folder, "registers")
    with open(path, "wb") as file:
        file.write(bytes(0x30000))
    chip = f"gpiomem:bcm2835?device={path}"
    equal(gpio("list", chip).out, b"bcm2835 [pinctrl-bcm2835] (54 lines)\n")
    gpio("set", f"gpiomem:bcm2835/17,35?device={path}=active", "-p", "0")
    with open(path, "r+b") as file:
        words = struct.unpack("<16I", file.read(64))
        # GPFSEL1, GPFSEL3, GPSET0, GPSET1
        equal([words[n] for n in (1, 3, 7, 8)], [1 << 21, 1 << 15, 1 << 17, 1 << 3])
        file.seek(0x34)
        file.write(struct.pack("<I", 1 << 4))  # GPLEV0
        file.seek(0x4)
        file.write(struct.pack("<I", 4 << 12))  # GPFSEL1: GPIO14 has function 0
    equal(gpio("get", "-c", chip, "4", "GPIO5").out, b'"GPIO4"=active "GPIO5"=inactive\n')
    info = {line["offset"]: line for line in lines_of(gpio("info", chip, "--json"))}
    equal([info[14][key] for key in ("direction", "used", "consumer")], [None, True, "alt0"])
    equal([info[35][key] for key in ("direction", "used", "consumer")], ["output", False, None])
    contains(gpio("info", f"gpiomem:bcm2835/14?device={path}").out, b'other consumer="alt0"')
    contains(gpio("get", f"gpiomem:bcm2835/14?device={path}", expected=1).err, "force=yes")
    contains(gpio("mon", f"gpiomem:bcm2835/4?device={path}", expected=1).err, "gpiod:")
    if not os.path.exists("/proc/device-tree/compatible"):
        for command in "get", "info":
            contains(gpio(command, "gpiomem:17", expected=1).err, "no Raspberry Pi")


@case("until: at once, and never")
def until_ends(_):
    equal(gpio("until", "sim-gpio:a/3=0", "-t", "60s").out, b'"GPIO3"=inactive\n')
    equal(gpio("until", "sim-gpio:a/3=0", "--bias", "pull-up", "-l").out, b'"GPIO3"=inactive\n')
    result = gpio("until", "sim-gpio:a/3=1", "-t", "50ms", expected=3)
    equal(result.out, b"")
    assert result.seconds >= 0.05
    # A pulse that is over when anybody looks: up and down again in one go.
    result = gpio("until", "sim-gpio:a/3=1", "--simulate", "20ms,2", "--json")
    equal([line["value"] for line in lines_of(result)], [1])


@case("a busy line: the error says who holds it")
def busy(_):
    result = gpio("get", "sim-gpio:a/0-3", "sim-gpio:a/2?pull=up", "-C", "thermostat", expected=1)
    contains(result.err, "GPIO2", "held by 'thermostat'", "krctl gpio info sim-gpio:a")


@case("errors: chips, lines, words")
def errors(_):
    for arguments, text in (
        (["get", "gpiod:no-such-chip/1"], "no-such-chip"),
        (["get", "-c", "no-such-chip", "1"], "no-such-chip"),
        (["get", "no-such-line"], "no-such-line"),
        (["get", "sim-gpio:a/64"], "0 to 63"),
        (["get", "sim-gpio:a/3-1"], "3-1"),
        (["get", "sim-gpio:a/door"], "no line called 'door'"),
        (["get", "--by-name", "-c", "sim-gpio:a", "5"], "no line called '5'"),
        (["get", "sim-gpio:a/1?nonsense=1"], "nonsense"),
        (["get", "sim-gpio:a/1?pull=sideways"], "sideways"),
        (["info", "sim-gpio:a/door"], "door"),
        (["mon", "sim-gpio:a/1?mode=output"], "for inputs"),
        (["set", "sim-gpio:a/64=1"], "0 to 63"),
    ):
        contains(gpio(*arguments, expected=1).err, "krctl: ", text)
    for arguments, text in (
        ([], "list"),
        (["nonsense"], "nonsense"),
        (["get"], "LINE"),
        (["get", "5"], "--chip"),
        (["get", "sim-gpio:a"], "no lines"),
        (["get", "sim-gpio:a/"], "no lines"),
        (["get", "sim-gpio:a/1,,2"], "list of lines"),
        (["get", "sim-gpio:a/1,1"], "twice"),
        (["get", "sim-gpio:a/1", "-b", "sideways"], "sideways"),
        (["get", "sim-gpio:a/1", "-C", "a&b"], "a&b"),
        (["get", "sim-gpio:a/1", "--as-is", "-b", "pull-up"], "exclude"),
        (["set", "sim-gpio:a/1"], "LINE=VALUE"),
        (["set", "sim-gpio:a/1=2"], "'2'"),
        (["set", "sim-gpio:a/1?mode=input=1"], "input"),
        (["set", "sim-gpio:a/1=1", "-d", "pull"], "open-drain"),
        (["set", "sim-gpio:a/1=1", "-t", "1ms,0,1ms"], "--toggle"),
        (["set", "sim-gpio:a/1=1", "-n", "3"], "--toggle"),
        (["set", "sim-gpio:a/1=1", "-p", "long"], "long"),
        (["toggle"], "LINE"),
        (["mon", "sim-gpio:a/1", "-e", "all"], "rising"),
        (["mon", "sim-gpio:a/1", "-E", "wrist"], "monotonic"),
        (["mon", "sim-gpio:a/1", "-F", "%o", "--json"], "exclude"),
        (["mon", "sim-gpio:a/1", "--simulate", "often"], "--simulate"),
        (["until", "sim-gpio:a/1"], "LINE=active"),
        (["until", "sim-gpio:a/1=5"], "LINE=active"),
        (["list", "--backend", "kqueue"], "kqueue"),
        (["list", "--nonsense"], "nonsense"),
    ):
        contains(gpio(*arguments, expected=2).err, "krctl gpio", text)


@case("colours on a terminal, and none elsewhere")
def colours(_):
    words = "gpio", "mon", "sim-gpio:demo/0", "--simulate", "1ms", "-n", "2"
    with Terminal(*words) as terminal:
        contains(terminal.ended(0), b"\x1b[32mrising\x1b[0m", b"\x1b[31mfalling\x1b[0m")
    with Terminal("gpio", "get", "sim-gpio:demo/0?pull=up", "sim-gpio:demo/1") as terminal:
        contains(terminal.ended(0), b"\x1b[32mactive\x1b[0m", b"\x1b[2minactive\x1b[0m")
    with Terminal(*words, environment={"NO_COLOR": "1"}) as terminal:
        seen = terminal.ended(0)
        contains(seen, b"rising")
        assert b"\x1b" not in seen, seen
    assert b"\x1b" not in run(*words).out
    with Terminal("gpio", "list", "sim-gpio:demo") as terminal:
        contains(terminal.ended(0), b"\x1b[1mdemo\x1b[0m [sim-gpio]")


@case("help fits 80 columns")
def help_texts(_):
    for arguments in (
        ["gpio", "--help"],
        ["help", "gpio"],
        *(["gpio", command, "--help"] for command in COMMANDS),
        *(["help", "gpio", command] for command in COMMANDS),
    ):
        lines = run(*arguments).out.decode().splitlines()
        assert lines[0].startswith("usage: krctl gpio"), lines[0]
        assert max(map(len, lines)) <= 80, max(lines, key=len)


def kernel_chip():
    if "KT_GPIO_CHIP" not in os.environ or "KT_GPIO_SYSFS" not in os.environ:
        raise Skip("KT_GPIO_CHIP and KT_GPIO_SYSFS do not name a chip of gpio-sim")
    return os.environ["KT_GPIO_CHIP"]


def wire(line, file):
    return glob.glob(f"{os.environ['KT_GPIO_SYSFS']}/gpiochip*/sim_gpio{line}/{file}")[0]


@case("a chip of the kernel: names, values, edges, holders")
def kernel(_):
    chip = kernel_chip()
    contains(gpio("list").out.decode(), f"[{chip}] (8 lines)")
    equal(gpio("list", chip, "--json").out, gpio("list", f"gpiod:{chip}", "--json").out)
    with open(wire(3, "pull"), "w") as pull:
        pull.write("pull-up")
    equal(gpio("get", "door").out, b'"door"=active\n')
    contains(gpio("get", "twin", expected=1).err, "several lines")
    process = watch("set", "-c", chip, "0=1", "1=0", "-C", "test")
    process.stderr.readline()
    equal([open(wire(line, "value")).read().strip() for line in (0, 1)], ["1", "0"])
    contains(gpio("info", chip).out, b'consumer="test"')
    contains(gpio("get", "-c", chip, "1", expected=1).err, "held by 'test'")
    process.send_signal(signal.SIGINT)
    end(process, 130)
    process = watch("mon", "door", "--banner", "-n", "2", "-F", "%E")
    process.stdout.readline()
    for level in "pull-down", "pull-up":
        with open(wire(3, "pull"), "w") as pull:
            pull.write(level)
        until(lambda: open(wire(3, "value")).read().strip() == str(int(level == "pull-up")))
    equal(end(process).out, b"falling\nrising\n")


main()

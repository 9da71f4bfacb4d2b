#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl pwm, on a simulated chip.

usage: test_pwm.py KRCTL
"""
import json
import signal

from support import case, contains, end, equal, main, run, start

CHIP = "sim-pwm:test"
SPEC = CHIP + "/0"


def pwm(*arguments, **options):
    return run("pwm", *arguments, **options)


def fails(*arguments, expected=1):
    result = pwm(*arguments, expected=expected)
    equal(result.out, b"")
    return result.err


def held(*words):
    """What `pwm set` says that the channel does."""
    facts = json.loads(pwm("set", SPEC, *words, "--json", "--quiet", "-p", "1ms").out)
    return facts["period_ns"], facts["duty_ns"], facts["inverted"], facts["enabled"]


@case("set: frequency, period, duty, polarity, enable")
def settings(_):
    equal(held("frequency=25k", "duty=40%"), (40000, 16000, False, True))
    equal(held("hz=50", "duty=1.5ms"), (20000000, 1500000, False, True))
    equal(held("period=20ms", "duty=0%"), (20000000, 0, False, True))
    equal(held("period=40us", "duty=100%", "polarity=inversed"), (40000, 40000, True, True))
    equal(held("period=1ms", "duty=0", "enable=no"), (1000000, 0, False, False))
    equal(held("period=1ms", "duty=12.5"), (1000000, 125000, False, True))  # as in specs
    equal(held("frequency=1.5MHz", "duty=50%")[:2], (667, 334))
    # A part of the period that there is.
    facts = json.loads(pwm("set", SPEC + "?hz=1000", "duty=25%", "-jq", "-p", "1ms").out)
    equal((facts["period_ns"], facts["duty_ns"]), (1000000, 250000))


@case("set: holds it until a signal, and says what")
def hold(_):
    for number in signal.SIGINT, signal.SIGTERM:
        process = start("pwm", "set", SPEC, "frequency=25k", "duty=40%", bufsize=0)
        said = process.stderr.readline().decode()
        contains(said, "holding", "25000 Hz, period 40 us, duty 40 %, 16 us, normal, on", "Ctrl-C lets go")
        assert process.poll() is None
        process.send_signal(number)
        equal(end(process, 128 + number).out, b"")
    contains(pwm("set", SPEC, "hz=50", "-p", "10ms").err, "for 0.01 s")


@case("get: channels of the spec, of the chip, one of them")
def get(_):
    lines = pwm("get", SPEC + "?hz=1000&duty=25&enable=yes").out.decode().splitlines()
    equal(len(lines), 1)
    contains(lines[0], "1000 Hz, period 1000 us, duty 25 %, 250 us, normal, on")
    every = [json.loads(line) for line in pwm("get", CHIP, "--json").out.splitlines()]
    equal([line["channel"] for line in every], list(range(len(every))))
    one = [json.loads(line) for line in pwm("get", CHIP, "-j", "--channel", "1").out.splitlines()]
    equal([line["channel"] for line in one], [1])
    contains(pwm("set", CHIP, "-c", "1", "hz=50", "-p", "1ms").err, " 1: 50 Hz")


@case("what cannot be")
def wrong(_):
    contains(fails("set", SPEC, expected=2), "KEY=VALUE is missing")
    contains(fails("set", SPEC, "dut=3", expected=2), "'dut=3'", "duty=")
    for word in "frequency=fast", "frequency=0", "frequency=-1", "hz=1x":
        contains(fails("set", SPEC, word, expected=2), "a number of hertz")
    for word in "duty=101%", "duty=x", "duty=%", "duty=":
        contains(fails("set", SPEC, word, expected=2), "duty is a part")
    contains(fails("set", SPEC, "period=0", expected=2), "period is a time")
    contains(fails("set", SPEC, "polarity=up", expected=2), "normal or inversed")
    contains(fails("set", SPEC, "enable=maybe", expected=2), "yes or no")
    contains(fails("set", SPEC, "hz=50", "-c", "32", expected=2), "--channel", "31")
    contains(fails("set", SPEC, "hz=50", "-c", "1"), "no channel 1")
    contains(fails("set", SPEC, "period=1ms", "duty=2ms"), "2000000 ns of a period of 1000000 ns")
    contains(fails("set", SPEC + "?inverts=no", "polarity=inversed"), "polarity")
    contains(fails("get", "sim-pwm:test/0?x=1"), "x", "krctl drivers")
    contains(fails("get", "pwmchip77"), "krctl list --class pwm")
    contains(fails("get", expected=2), "SPEC is missing")


main()

# SPDX-License-Identifier: MIT
"""button and gpio-mirror: on simulated lines, which they move themselves, and on a chip of gpio-sim
where KT_GPIO_CHIP and KT_GPIO_SYSFS name one (tests/vm/gpio-sim). usage: gpio.py BUTTON MIRROR"""
import glob
import os
import re
import signal
import subprocess
import sys

from peers import PATIENCE, Skip, check, equal, run, start, wait_for

BUTTON, MIRROR = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])


def shown(program, *arguments, status=0):
    result = subprocess.run([program, *arguments], capture_output=True, timeout=PATIENCE,
                            check=False, text=True)
    equal(result.returncode, status, f"status of {program} {arguments}: {result.stderr}")
    return result


def presses(_):
    """button: what the finger did, at the times of the edges, whatever the contacts did."""
    # Down at 100 ms for 80; at 1080 for 60 and, 150 later, for 70; at 2260 for 1000.
    equal(shown(BUTTON).stdout,
          " 0.480 s: short press\n 1.360 s: double press\n 2.860 s: long press\n", "presses")


def refusals(_):
    """button and gpio-mirror: errors and usage."""
    check("no-such-chip" in shown(BUTTON, "gpiod:no-such-chip/1", status=1).stderr, "the chip")
    check("usage" in shown(MIRROR, "sim-gpio:a/1", status=2).stderr, "usage")
    spec = "sim-gpio:a/0-1?mode=input", "sim-gpio:a/2?mode=output"
    check("2 inputs, but 1 outputs" in shown(MIRROR, *spec, status=1).stderr, "numbers of lines")
    spec = "sim-gpio:a/0?mode=input", "sim-gpio:a/0?mode=output"
    check("held" in shown(MIRROR, *spec, status=1).stderr, "a busy line")


STATISTICS = re.compile(r"edges (\d+) lost (\d+)"
                        r"(?: latency us min ([\d.]+) p50 ([\d.]+) p99 ([\d.]+) max ([\d.]+))?\n")


def mirror(_):
    """gpio-mirror: a thousand edges, each of them followed."""
    found = STATISTICS.fullmatch(shown(MIRROR).stdout)
    check(found, "statistics")
    equal(found.groups()[:2], ("1000", "0"), "edges")
    times = [float(text) for text in found.groups()[2:]]
    equal(times, sorted(times), "latencies")
    check(times[0] > 0, "a latency of 0")


def chip():
    if "KT_GPIO_CHIP" not in os.environ or "KT_GPIO_SYSFS" not in os.environ:
        raise Skip("KT_GPIO_CHIP and KT_GPIO_SYSFS do not name a chip of gpio-sim")
    return f"gpiod:{os.environ['KT_GPIO_CHIP']}"


def wire(line, file):
    return glob.glob(f"{os.environ['KT_GPIO_SYSFS']}/gpiochip*/sim_gpio{line}/{file}")[0]


def pull(line, high):
    with open(wire(line, "pull"), "w", encoding="ascii") as file:
        file.write("pull-up" if high else "pull-down")


def level(line):
    with open(wire(line, "value"), encoding="ascii") as file:
        return file.read().strip() == "1"


def mirror_kernel(_):
    """gpio-mirror: lines of a kernel chip, until a signal."""
    spec = chip()
    pull(0, True)
    pull(1, False)
    process = start([MIRROR, f"{spec}/0-1?mode=input", f"{spec}/4-5?mode=output"],
                    stdout=subprocess.PIPE, text=True)
    wait_for(lambda: level(4), "the first level is copied")
    for number in range(20):
        high = number % 2 == 0
        pull(1, high)
        wait_for(lambda h=high: level(5) == h, "the output follows")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    equal(process.returncode, 0, "status")
    equal(STATISTICS.fullmatch(out).groups()[:2], ("20", "0"), "edges")


run([presses, refusals, mirror, mirror_kernel])

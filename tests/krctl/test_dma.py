#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl dma: files through engines, and how fast those are.

usage: test_dma.py KRCTL
"""
import json
import os
import signal

from support import Terminal, case, contains, equal, main, run


def files(folder, size):
    data = os.urandom(size)
    source = os.path.join(folder, "from")
    with open(source, "wb") as file:
        file.write(data)
    return data, source, os.path.join(folder, "to")


def content(path):
    with open(path, "rb") as file:
        return file.read()


@case("copy: every byte, of files of any size")
def copy(folder):
    for size in (0, 1, 4095, 4 << 20, (9 << 20) + 17):
        data, source, target = files(folder, size)
        out = run("dma", "copy", source, target).out
        contains(out.decode(), f"{size} bytes, engine memdma: ", " MB/s\n")
        equal(content(target) == data, True)


@case("copy: through an engine that moves words, over a longer file")
def words(folder):
    data, source, target = files(folder, 100003)
    with open(target, "wb") as file:
        file.write(b"x" * 200000)
    equal(run("dma", "copy", "-q", "-e", "sim-dma:x?align=64&rate=100M", source, target).out, b"")
    equal(content(target) == data, True)


@case("copy: what cannot be")
def refused(folder):
    _, source, target = files(folder, 10)
    contains(run("dma", "copy", source, source, expected=1).err, "the same file")
    contains(run("dma", "copy", folder, target, expected=1).err, "is not a file")
    contains(run("dma", "copy", folder + "/none", target, expected=1).err, "No such file")
    contains(run("dma", "copy", source, folder, expected=1).err, "directory")
    contains(run("dma", "copy", "-e", "timer0", source, target, expected=1).err, "no class dma")
    contains(run("dma", "copy", "-e", "sim-dma:x?rat=1", source, target, expected=1).err, "rat")
    contains(run("dma", "copy", source, expected=2).err, "TO is missing")
    contains(run("dma", "copy", source, target, "x", expected=2).err, "one word too many")
    equal(os.path.exists(target), False)


@case("copy: a bar on a terminal, and Ctrl-C")
def progress(folder):
    _, source, target = files(folder, 20 << 20)
    with Terminal("dma", "copy", "-e", "sim-dma:x?rate=30M", source, target) as terminal:
        terminal.expect(b"[####", b" MB/s")
        os.write(terminal.master, b"\x03")
        terminal.ended(128 + signal.SIGINT)
    assert os.path.getsize(target) < 20 << 20


@case("bench: a table, or a line of JSON for each size")
def bench(_):
    table = run("dma", "bench", "--time", "5ms", "--largest", "1M").out.decode().splitlines()
    equal(table[0].split(), ["size", "transfers", "MB/s", "us", "each"])
    equal([line.split()[:2] for line in table[1:]], [["64", "B"], ["512", "B"], ["4", "KiB"], ["32", "KiB"], ["256", "KiB"]])
    lines = run("dma", "bench", "sim-dma:x?rate=10M", "-t", "5ms", "-l", "4k", "--json").out
    for line, size in zip(lines.splitlines(), (64, 512), strict=True):
        facts = json.loads(line)
        equal((facts["engine"], facts["size"]), ("sim-dma", size))
        assert 0 < facts["mb_per_s"] <= 10 and facts["transfers"] > 0, facts


@case("bench: what cannot be")
def bench_refused(_):
    contains(run("dma", "bench", "--largest", "63", expected=2).err, "64 to")
    contains(run("dma", "bench", "--time", "x", expected=2).err, "--time is a time")
    contains(run("dma", "bench", "nothing0", expected=1).err, "nothing is named")


main()

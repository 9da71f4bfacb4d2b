#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl vfio show, on the devices of this machine. It never binds one here: tests/vm does.

usage: test_vfio.py KRCTL
"""
import json
import os

from support import Skip, case, contains, equal, main, run

DEVICES = "/sys/bus/pci/devices"


def devices():
    found = sorted(os.listdir(DEVICES)) if os.path.isdir(DEVICES) else []
    if not found:
        raise Skip("this machine has no PCI devices")
    return found


def number(name, file):
    with open(f"{DEVICES}/{name}/{file}", encoding="ascii") as text:
        return int(text.read(), 16)


def last(name, link):
    path = f"{DEVICES}/{name}/{link}"
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else None


@case("JSON has what /sys has")
def as_sysfs(_):
    names = devices()
    told = json.loads(run("vfio", "show", "--json").out)
    equal([d["device"] for d in told["devices"]], names)
    equal(told["iommu"], os.path.isdir("/sys/class/iommu") and os.listdir("/sys/class/iommu") != [])
    for d in told["devices"]:
        name = d["device"]
        equal(d["vendor"], number(name, "vendor"))
        equal(d["id"], number(name, "device"))
        equal(d["class"], number(name, "class"))
        equal(d["bridge"], number(name, "class") >> 16 == 6)
        equal(d["driver"], last(name, "driver"))
        group = last(name, "iommu_group")
        equal(d["group"], None if group is None else int(group))


@case("the table has a line for each device, in 80 columns or few more")
def table(_):
    names = devices()
    lines = run("vfio", "show").out.decode().splitlines()
    contains(lines[0], "IOMMU: ")
    equal([line.split()[0] for line in lines[3:]], names)
    for line in lines:
        assert len(line) <= 100, line


@case("one device, with or without its domain")
def one(_):
    name = devices()[0]
    told = json.loads(run("vfio", "show", name, "-j").out)
    assert name in [d["device"] for d in told["devices"]], told
    if name.startswith("0000:"):
        equal(json.loads(run("vfio", "show", "-j", name[5:]).out), told)


@case("what is wrong is said")
def wrong(_):
    contains(run("vfio", "show", "eth0", expected=1).err, "no PCI address", "try:")
    contains(run("vfio", "show", "a", "b", expected=2).err, "one word too many")
    contains(run("vfio", "bind", expected=2).err, "DEVICE is missing")
    contains(run("vfio", "unbind", expected=2).err, "DEVICE is missing")
    contains(run("vfio", "bind", "eth0", expected=1).err, "no PCI address")
    devices()
    contains(run("vfio", "show", "ffff:ff:1f.7", expected=1).err, "there is no PCI device")


main()

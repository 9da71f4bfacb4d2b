#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""krctl list: what this machine offers, and a copy of what a Raspberry Pi shows in /sys.

usage: test_list.py KRCTL OPEN_SPEC
"""
import glob
import json
import os
import subprocess
import sys

from support import KRCTL, PATIENCE, Skip, case, contains, equal, main, run

OPEN_SPEC = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else None


def rows(*arguments):
    return [json.loads(line) for line in run("list", "--json", *arguments).out.splitlines()]


def specs(*arguments):
    return [row["spec"] for row in rows(*arguments)]


def put(root, path, text=""):
    path = root + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def link(root, path, target):
    path = root + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(target, path)


def attributes(root, folder, **files):
    for name, text in files.items():
        put(root, f"{folder}/{name}", text + "\n")


def raspberry(root):
    """Folders, links and files as the kernel makes them: 6.12 on a Pi with a HAT and a USB adapter."""
    soc = "/sys/devices/platform/soc"
    # A PL011, which is the console, and a USB adapter.
    uart = f"{soc}/3f201000.serial"
    link(root, f"{uart}/driver", "../../../../bus/amba/drivers/uart-pl011")
    link(root, f"{uart}/subsystem", "../../../../bus/amba")
    port = f"{uart}/3f201000.serial:0/3f201000.serial:0.0"
    link(root, f"{port}/driver", "../../../../../../bus/serial-base/drivers/port")
    link(root, f"{port}/subsystem", "../../../../../../bus/serial-base")
    link(root, f"{uart}/3f201000.serial:0/subsystem", "../../../../../bus/serial-base")
    link(root, f"{port}/tty/ttyAMA0/device", "../../../3f201000.serial:0.0")
    attributes(root, f"{port}/tty/ttyAMA0", type="32", dev="204:64")
    link(root, "/sys/class/tty/ttyAMA0", f"../../{port[5:]}/tty/ttyAMA0")
    usb = f"{soc}/3f980000.usb/usb1/1-1/1-1.2"
    attributes(root, usb, product="FT232R USB UART", manufacturer="FTDI")
    link(root, f"{usb}/1-1.2:1.0/ttyUSB0/driver", "../../../../../../../../bus/usb-serial/drivers/ftdi_sio")
    link(root, f"{usb}/1-1.2:1.0/ttyUSB0/subsystem", "../../../../../../../../bus/usb-serial")
    link(root, f"{usb}/1-1.2:1.0/ttyUSB0/tty/ttyUSB0/device", "../../../ttyUSB0")
    link(root, "/sys/class/tty/ttyUSB0", f"../../{usb[5:]}/1-1.2:1.0/ttyUSB0/tty/ttyUSB0")
    link(root, "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A1-if00-port0", "../../ttyUSB0")
    # One that a PC kernel has a name for, and no chip; a virtual terminal; the list of consoles.
    os.makedirs(root + "/sys/class/tty/tty1")
    link(root, "/sys/class/tty/ttyS0/device", "../../../devices/platform/serial8250")
    attributes(root, "/sys/class/tty/ttyS0", type="0")
    attributes(root, "/sys/class/tty/console", active="tty1 ttyAMA0")
    for name in "ttyAMA0", "ttyUSB0", "ttyS0", "i2c-1", "spidev0.0", "uio0":
        put(root, f"/dev/{name}")
    buses(root, soc)
    others(root, soc)
    # Who has what open.
    for pid, name, target in ((700, "agetty", "/dev/ttyAMA0"), (812, "minicom", "/dev/ttyUSB0")):
        put(root, f"/proc/{pid}/comm", name + "\n")
        link(root, f"/proc/{pid}/fd/0", "/dev/null")
        link(root, f"/proc/{pid}/fd/3", target)


def buses(root, soc):
    bus = "/sys/bus/i2c/devices"
    i2c = f"{soc}/3f804000.i2c/i2c-1"
    attributes(root, i2c, name="bcm2835 (i2c@7e804000)")
    link(root, f"{bus}/i2c-1", f"../../../{i2c[5:]}")
    for addr, name, driver in (("0050", "24c32", "at24"), ("0068", "ds1307", "rtc-ds1307"), ("0048", "tmp105", None)):
        attributes(root, f"{i2c}/1-{addr}", name=name)
        link(root, f"{bus}/1-{addr}", f"../../../{i2c[5:]}/1-{addr}")
        if driver:
            link(root, f"{i2c}/1-{addr}/driver", f"../../../../../../bus/i2c/drivers/{driver}")
    attributes(root, f"{soc}/3f805000.i2c/i2c-2", name="bcm2835 (i2c@7e805000)")  # no file in /dev
    link(root, f"{bus}/i2c-2", f"../../../{soc[5:]}/3f805000.i2c/i2c-2")
    put(root, f"{i2c}/1-0050/1-00500/nvmem", "\xff" * 16)
    link(root, "/sys/bus/nvmem/devices/1-00500", f"../../../{i2c[5:]}/1-0050/1-00500")
    spi = f"{soc}/3f204000.spi/spi_master/spi0"
    for select, alias, driver in (("spi0.0", "spi:spidev", "spidev"), ("spi0.1", "spi:mcp3008", "mcp320x")):
        attributes(root, f"{spi}/{select}", modalias=alias)
        link(root, f"{spi}/{select}/driver", f"../../../../../../../bus/spi/drivers/{driver}")
        link(root, f"/sys/bus/spi/devices/{select}", f"../../../{spi[5:]}/{select}")


def others(root, soc):
    pwm = f"{soc}/3f20c000.pwm/pwm/pwmchip0"
    attributes(root, pwm, npwm="2")
    os.makedirs(root + f"{pwm}/pwm1")
    link(root, f"{pwm}/device", "../../../3f20c000.pwm")
    link(root, "/sys/class/pwm/pwmchip0", f"../../{pwm[5:]}")
    put(
        root,
        "/sys/kernel/debug/pwm",
        "platform/3f20c000.pwm, 2 PWM devices\n"
        " pwm-0   (fan                 ): requested enabled period: 40000 ns duty: 16000 ns polarity: normal\n"
        " pwm-1   (sysfs               ): requested period: 0 ns duty: 0 ns polarity: normal\n",
    )
    uio = f"{soc}/3f007500.dma/uio/uio0"
    attributes(root, uio, name="kroutine-dma", dev="244:0")
    link(root, f"{uio}/device", "../../../3f007500.dma")
    link(root, f"{soc}/3f007500.dma/driver", "../../../../bus/platform/drivers/uio_pdrv_genirq")
    link(root, "/sys/class/uio/uio0", f"../../{uio[5:]}")
    pci = "/sys/devices/pci0000:00/0000:00:03.0"
    attributes(root, pci, vendor="0x1234", device="0x11e8")
    link(root, f"{pci}/driver", "../../../bus/pci/drivers/vfio-pci")
    link(root, f"{pci}/iommu_group", "../../../kernel/iommu_groups/7")
    link(root, "/sys/bus/pci/devices/0000:00:03.0", f"../../../{pci[5:]}")
    attributes(root, "/sys/devices/pci0000:00/0000:00:02.0", vendor="0x8086", device="0x10d3")
    link(root, "/sys/bus/pci/devices/0000:00:02.0", "../../../devices/pci0000:00/0000:00:02.0")
    os.makedirs(root + "/sys/bus/gpio/devices/gpiochip0")


def names(row):
    return [(holder["name"], holder.get("pid")) for holder in row["holders"]]


@case("a Raspberry Pi: every device, its spec, and who holds it")
def everything(folder):
    raspberry(folder)
    found = {row["spec"] or row["what"]: row for row in rows("--sysroot", folder)}
    expected = {
        "timer0": [], "timer1": [], "timer2": [], "dma0": [],
        "tty:/dev/ttyAMA0": [("kernel console", None), ("agetty", 700)],
        "tty:/dev/ttyUSB0": [("minicom", 812)],
        "i2c:i2c-1": [],
        "bcm2835 (i2c@7e805000), no /dev/i2c-2: modprobe i2c-dev": [],
        "chip 0x48 on i2c-1: tmp105": [],
        "chip 0x50 on i2c-1: 24c32": [("driver at24", None)],
        "chip 0x68 on i2c-1: ds1307": [("driver rtc-ds1307", None)],
        "spi:0.0": [],
        "chip select 0.1: mcp3008": [("driver mcp320x", None)],
        "pwm:pwmchip0": [("fan", None), ("sysfs", None)],
        "file:/sys/bus/nvmem/devices/1-00500/nvmem": [("driver at24", None)],
        "uio:uio0": [],
        "vfio:0000:00:03.0": [],
    }  # fmt: skip
    equal({key: names(row) for key, row in found.items() if key != "gpiod:gpiochip0"}, expected)
    equal(found["gpiod:gpiochip0"]["holders"], None)  # a copy has no lines to ask for
    contains(found["tty:/dev/ttyUSB0"]["what"], "FTDI FT232R USB UART", "driver ftdi_sio", "/dev/serial/by-id/usb-FTDI")
    contains(found["tty:/dev/ttyAMA0"]["what"], "driver uart-pl011")
    contains(found["pwm:pwmchip0"]["what"], "3f20c000.pwm, 2 channels, 1 exported")
    contains(found["uio:uio0"]["what"], "kroutine-dma", "3f007500.dma", "driver uio_pdrv_genirq")
    contains(found["vfio:0000:00:03.0"]["what"], "1234:11e8", "group 7")
    equal(found["tty:/dev/ttyUSB0"]["classes"], ["char", "uart"])


@case("--class: the devices of a class, or of one among others")
def classes(folder):
    raspberry(folder)
    equal(specs("--sysroot", folder, "--class", "i2c"), ["i2c:i2c-1", None, None, None, None])
    equal(specs("--sysroot", folder, "-c", "uart"), ["tty:/dev/ttyAMA0", "tty:/dev/ttyUSB0"])
    equal(specs("--sysroot", folder, "-c", "mem"), ["file:/sys/bus/nvmem/devices/1-00500/nvmem"])
    equal(len(specs("--sysroot", folder, "-c", "char")), 3)
    equal(specs("--sysroot", folder, "-c", "mmio"), ["uio:uio0", "vfio:0000:00:03.0"])
    equal(specs("-c", "timer"), ["timer0", "timer1", "timer2"])
    contains(run("list", "-c", "toaster", expected=2).err, "no class 'toaster'")
    contains(run("list", "x", expected=2).err, "one word too many")
    contains(run("list", "--sysroot", folder + "/none", expected=1).err, "/none/sys")


@case("the table: one line each, columns with a head; locks of old programs")
def table(folder):
    raspberry(folder)
    os.remove(folder + "/proc/812/fd/3")
    put(folder, "/run/lock/LCK..ttyUSB0", "       812\n")
    lines = run("list", "--sysroot", folder).out.decode().splitlines()
    equal(lines[0].split("  ")[0], "SPEC")
    head = lines[0]
    usb = next(line for line in lines if line.startswith("tty:/dev/ttyUSB0 "))
    equal(usb[head.index("HELD BY") :].split("  ")[0], "minicom (812)")
    contains(usb[head.index("WHAT") :], "FTDI FT232R USB UART")
    adc = next(line for line in lines if "mcp3008" in line)
    assert adc.startswith("- "), adc
    # A lock whose program has ended holds nothing.
    put(folder, "/run/lock/LCK..ttyUSB0", "      4711\n")
    row = next(row for row in rows("--sysroot", folder) if row["spec"] == "tty:/dev/ttyUSB0")
    equal(row["holders"], [])


@case("processes whose files cannot be seen: a question mark, and how to see them")
def unseen(folder):
    raspberry(folder)
    os.chmod(folder, 0o755)
    os.chmod(folder + "/proc/812/fd", 0)
    if os.geteuid() == 0:
        # Somebody else looks, as most users do.
        def other():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

        if not os.access(KRCTL, os.X_OK):
            raise Skip("krctl cannot be run")
        command = [KRCTL, "list", "--sysroot", folder]
        try:
            result = subprocess.run(command, preexec_fn=other, capture_output=True, timeout=PATIENCE, check=False)
        except (PermissionError, subprocess.SubprocessError):
            raise Skip("the build folder is not readable by nobody") from None
        text = result.stdout.decode()
        equal((result.returncode, result.stderr), (0, b""))
    else:
        text = run("list", "--sysroot", folder).out.decode()
    usb = next(line for line in text.splitlines() if line.startswith("tty:/dev/ttyUSB0 "))
    contains(usb, " ? ")
    contains(text, "sudo krctl list")
    os.chmod(folder + "/proc/812/fd", 0o755)


@case("this machine: each spec opens, but for ports, which would notice")
def opens(_):
    if OPEN_SPEC is None:
        raise Skip("no program that opens specs was given")
    found = [row for row in rows() if row["spec"]]
    equal([row["spec"] for row in found][:4], ["timer0", "timer1", "timer2", "dma0"])
    wanted = [row for row in found if not row["spec"].startswith("tty:") and not row["holders"]]
    asked = "".join(f"{row['classes'][0]} {row['spec']}\n" for row in wanted)
    result = subprocess.run([OPEN_SPEC], input=asked.encode(), capture_output=True, timeout=PATIENCE, check=True)
    answers = result.stdout.decode().splitlines()
    equal(len(answers), len(wanted))
    for answer in answers:
        # Who may not open a device has found it, all the same.
        assert answer.split()[0] in ("0", "-13", "-1"), answer


@case("this machine: each port, chip and bus in /dev is listed")
def complete(_):
    listed = specs()
    for pattern, spec in (
        ("/dev/ttyUSB*", "tty:{path}"), ("/dev/ttyACM*", "tty:{path}"), ("/dev/ttyAMA*", "tty:{path}"),
        ("/dev/gpiochip*", "gpiod:{name}"), ("/dev/uio[0-9]*", "uio:{name}"),
        ("/dev/i2c-*", "i2c:{name}"), ("/sys/class/pwm/*", "pwm:{name}"),
    ):  # fmt: skip
        for path in glob.glob(pattern):
            assert spec.format(path=path, name=os.path.basename(path)) in listed, path


main()

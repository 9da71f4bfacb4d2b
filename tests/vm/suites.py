# SPDX-License-Identifier: MIT
"""What tests/vm/run runs: on which kernels, with which devices, how long at most."""

KERNELS = ("6.1", "6.12")

# Two 16550 of which each is the other's peer: ttyS4 and ttyS5. QEMU's monitor is on ttyS6, so that a
# test can make a break by itself. A client connects at once, as the server exists by then.
SERIAL_PAIR = [
    "-chardev", "socket,id=near,path={dir}/pair,server=on,wait=off",
    "-chardev", "socket,id=far,path={dir}/pair,reconnect=1",
    "-chardev", "socket,id=monitor,path={dir}/monitor,server=on,wait=off",
    "-chardev", "socket,id=operator,path={dir}/monitor,reconnect=1",
    "-mon", "chardev=monitor,mode=readline",
    "-device", "pci-serial,chardev=near",
    "-device", "pci-serial,chardev=far",
    "-device", "pci-serial,chardev=operator",
]  # fmt: skip


class Suite:
    """Programs that share a guest. `limit` is in seconds, for each of them and, `boot_limit`, for
    all: a guest that takes longer has hung."""

    def __init__(self, name, programs, cpus=1, devices=(), limit=60, boot_limit=240):
        self.name = name
        self.programs = programs  # (path in the build folder, argument…)
        self.cpus = cpus
        self.devices = devices
        self.limit = limit
        self.boot_limit = boot_limit


CONTRACT = (
    "char_cancel char_close char_end char_file char_frame char_load char_read char_record "
    "char_timeout char_wait char_write timer timer_clock timer_many"
).split()

SUITES = [
    *(
        Suite(backend, [(f"tests/contract/test_{name}", "--tap", backend) for name in CONTRACT])
        for backend in ("uring", "epoll")
    ),
    Suite(
        "serial",
        [
            (f"tests/vm/test_{name}", "--tap", backend)
            for name in ("vm_16550", "vm_usb")
            for backend in ("uring", "epoll")
        ],
        devices=SERIAL_PAIR,
        limit=100,
    ),
    Suite("unit", [("tests/unit/test_tty", "--tap"), ("tests/unit/test_tty_line", "--tap")]),
]

# SPDX-License-Identifier: MIT
"""What tests/vm/run runs: in which machines, on which kernels, how long at most."""
from dataclasses import dataclass, replace

KERNELS = ("6.1", "6.12")

# Two 16550 of which each is the other's peer: ttyS4 and ttyS5. QEMU's monitor is on ttyS6, so that a
# test can make a break by itself. A client connects at once, as the server exists by then.
SERIAL_PAIR = (
    "-chardev", "socket,id=near,path={dir}/pair,server=on,wait=off",
    "-chardev", "socket,id=far,path={dir}/pair,reconnect=1",
    "-chardev", "socket,id=monitor,path={dir}/monitor,server=on,wait=off",
    "-chardev", "socket,id=operator,path={dir}/monitor,reconnect=1",
    "-mon", "chardev=monitor,mode=readline",
    "-device", "pci-serial,chardev=near",
    "-device", "pci-serial,chardev=far",
    "-device", "pci-serial,chardev=operator",
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """A guest. Suites whose machines are the same share one, if they run together."""

    name: str
    architecture: str = "x86_64"  # of ARCHITECTURES in tests/vm/run
    model: str = "q35"  # QEMU's -machine, with its options; or one of BOARDS in tests/vm/run
    cpus: int = 1
    memory: int = 512  # MiB
    kernel: str = ""  # that of another architecture, or a variant: see tests/vm/kernel
    cpu: str = ""  # instead of the architecture's, in software
    devices: tuple = ()  # QEMU's options; {dir} is a folder for sockets
    append: str = ""  # to the kernel's command line
    kernels: tuple = KERNELS


@dataclass(frozen=True)
class Suite:
    """Programs that run one after the other. `limit` is in seconds, for each of them; `time` is for
    all: a guest that takes longer than its suites together has hung. Guests with more of it start
    first, so it is some four times what they take on a busy machine."""

    name: str
    machine: Machine
    programs: tuple = ()  # "path-in-the-build-folder argument…"
    tests: str = ""  # or all of that suite in the build's meson.build, so that none is forgotten
    without: tuple = ()  # of those, not the ones whose names begin so
    build: str = "main"  # which build folder: see BUILDS in tests/vm/run
    through: str = ""  # script of tests/vm that starts each program, with what it needs
    environment: str = ""  # "NAME=value …" of the programs
    tolerates: str = ""  # a warning of the kernel with this in it is none of ours
    limit: int = 60
    time: int = 240
    named: bool = False  # long: runs only when the command line names it


PLAIN = Machine("plain")
# The same, so that they run beside the others.
LINES = Machine("lines")
PAIR = Machine("pair", devices=SERIAL_PAIR)
DUAL = Machine("dual", cpus=2)
# QEMU's edu behind an IOMMU: on the root complex, and behind a port (a reset of its own). Two more
# that are one IOMMU group come with each machine. A disk of virtio has MSI-X: four queues with a
# vector each (e1000e would do, but QEMU 7.2 aborts when MSI-X ends while it spaces interrupts out).
# The serial port has I/O ports.
PCI = (
    "-device", "edu,addr=05.0",
    "-device", "pcie-root-port,id=port1,chassis=1,addr=06.0",
    "-device", "edu,id=edu1,bus=port1",
    "-device", "pcie-root-port,id=port2,chassis=2,addr=07.0",
    "-blockdev", "null-co,node-name=nothing,size=1048576,read-zeroes=on",
    "-device", "virtio-blk-pci,addr=08.0,drive=nothing,num-queues=4,serial=kroutine"
    ",disable-legacy=on,iommu_platform=on",
    "-chardev", "null,id=nobody",
    "-device", "pci-serial,chardev=nobody,addr=09.0",
)  # fmt: skip
# A group, as all behind this bridge has the bridge's address.
BRIDGE = (
    "-device", "pcie-pci-bridge,id=bridge,bus=port2",
    "-device", "edu,bus=bridge,addr=01.0",
    "-device", "edu,bus=bridge,addr=02.0",
)  # fmt: skip
# A group, as nothing keeps functions of one device apart. Linux's driver of SMMUv3 takes no second
# device behind a bridge, "stream already in tree".
FUNCTIONS = (
    "-device", "edu,bus=port2,addr=00.0,multifunction=on",
    "-device", "edu,bus=port2,addr=00.1",
)  # fmt: skip
IOMMU = Machine(
    "iommu",
    model="q35,kernel-irqchip=split",
    append="intel_iommu=on",
    devices=("-device", "intel-iommu,intremap=on", *PCI, *BRIDGE),
)
# Without one, and an edu that reaches all of the guest's memory.
EDU = Machine("edu", devices=("-device", "edu,addr=05.0,dma_mask=0xffffffff"))
# With an IOMMU that leaves addresses as they are: for UIO.
IDENTITY = Machine(
    "identity",
    model="q35,kernel-irqchip=split",
    append="intel_iommu=on iommu=pt",
    devices=(
        "-device", "intel-iommu,intremap=on",
        "-device", "edu,addr=05.0,dma_mask=0xffffffffff",
    ),
)  # fmt: skip
# An edu that can be pulled out with QEMU's monitor, which is on ttyS4.
FAULTS = tuple(
    Machine(
        f"faults-{name}",
        model="q35,kernel-irqchip=split",
        append="intel_iommu=on",
        devices=(
            "-device", "intel-iommu,intremap=on",
            "-device", "edu,addr=05.0",
            "-device", "pcie-root-port,id=port1,chassis=1,addr=06.0",
            "-device", "edu,id=edu1,bus=port1",
            "-chardev", "socket,id=monitor,path={dir}/monitor,server=on,wait=off",
            "-chardev", "socket,id=operator,path={dir}/monitor,reconnect=1",
            "-mon", "chardev=monitor,mode=readline",
            "-device", "pci-serial,chardev=operator,addr=09.0",
        ),
    )
    for name in ("uring", "epoll")
)  # fmt: skip
# With two processors, as each of them may see the other's writes late.
ARM64 = Machine("arm64", "arm64", "virt,gic-version=3", cpus=2, kernels=("6.12",))
# The same devices; MSI goes through the ITS of GICv3.
ARM64_SMMU = Machine("arm64-smmu", "arm64", "virt,gic-version=3,iommu=smmuv3", cpus=2,
                     devices=(*PCI, *FUNCTIONS), kernels=("6.12",))  # fmt: skip
# Pages of 16 KiB: kernel and processor are those of a Raspberry Pi 5.
ARM64_16K = Machine("arm64-16k", "arm64", "virt,gic-version=3,iommu=smmuv3", cpus=2,
                    kernel="arm64-16k", cpu="cortex-a76", devices=(*PCI, *FUNCTIONS),
                    kernels=("6.12",))  # fmt: skip
# Programs of 32-bit ARM on a 64-bit kernel, which has io_uring for them.
ARMHF = Machine("armhf", "armhf", "virt,gic-version=3", cpus=2, kernel="arm64", kernels=("6.12",))
# A Raspberry Pi 3, its I2C bus with a thermometer, two EEPROMs and a clock, its SPI with a flash; see
# raspi3b.dtso and the script raspi.
RASPI = Machine(
    "raspi",
    "arm64",
    "raspi3b",
    append="uio_pdrv_genirq.of_id=kroutine,uio",
    devices=(
        "-device", "tmp105,bus=i2c-bus.1,address=0x48",
        "-device", "at24c-eeprom,bus=i2c-bus.1,address=0x50,rom-size=4096",
        "-device", "at24c-eeprom,bus=i2c-bus.1,address=0x51,rom-size=256,address-size=1",
        "-device", "ds1338,bus=i2c-bus.1,address=0x68",
        "-device", "w25q80bl,bus=spi",
    ),
    kernels=("6.12",),
)  # fmt: skip

# One processor of it: for benchmarks, as the others are no faster than one on a small machine.
RASPI_ONE = replace(RASPI, name="raspi-one", append=RASPI.append + " maxcpus=1")

CHAR = (
    "char_cancel char_close char_end char_file char_frame char_read char_record "
    "char_timeout char_wait char_write timer timer_clock"
).split()
# Long, and mostly of the processor; what differs between kernels is io_uring.
LOAD = ["char_load", "timer_many"]
GPIO = ["gpio", "gpio_event", "gpio_idle", "gpio_until"]
BACKENDS = ("uring", "epoll")


def contract(names, backends=BACKENDS):
    return tuple(f"tests/contract/test_{n} --tap {b}" for n in names for b in backends)


# A chip that goes while its lines are held, on 6.1: gpio_sim_dispose_mappings() gives its interrupts
# back before they are freed.
GONE = "removing non-empty directory 'irq/"

SUITES = [
    Suite("uring", PLAIN, contract(CHAR + LOAD, ["uring"])),
    Suite("epoll", PLAIN, contract(CHAR, ["epoll"])),
    Suite("unit", PLAIN, ("tests/unit/test_tty --tap", "tests/unit/test_tty_line --tap"),
          time=60),
    # Of libgpiod, the machine's own generation and the other one.
    *(
        Suite(name, LINES, contract(GPIO), build=build, through="gpio-sim", tolerates=GONE)
        for name, build in (("gpio", "main"), ("gpio2", "gpiod2"))
    ),
    # With a processor for the lines and one for who reads them; ten seconds with io_uring, one
    # with epoll.
    *(
        Suite(name, DUAL, contract(["gpio_load"], [backend]), build=build, through="gpio-sim",
              environment=f"KT_GPIO_VERBOSE=1 KT_GPIO_SECONDS={seconds}", time=100)
        for name, build in (("gpio-load", "main"), ("gpio2-load", "gpiod2"))
        for backend, seconds in (("uring", 10), ("epoll", 1))
    ),
    Suite("serial", PAIR,
          tuple(f"tests/vm/test_{n} --tap {b}" for n in ("vm_16550", "vm_usb") for b in BACKENDS),
          limit=100, time=400),
    Suite("uio", EDU, tuple(f"tests/vm/test_vm_uio --tap {b}" for b in BACKENDS), limit=100,
          time=100),
    Suite("vfio", IOMMU,
          tuple(f"tests/vm/test_{n} --tap {b}"
                for n in ("vfio", "vfio_dma", "vfio_errors", "vfio_msix") for b in BACKENDS)
          + ("tests/vm/test_vfio_krctl --tap",), limit=120, time=200),
    Suite("vfio-none", EDU, tuple(f"tests/vm/test_vfio_none --tap {b}" for b in BACKENDS),
          time=100),
    Suite("edu", IOMMU, tuple(f"tests/vm/test_edu --tap {b}" for b in BACKENDS)
          + ("tests/vm/test_edu_example --tap",), limit=200),
    Suite("edu-contract", IOMMU, contract(["dma_cancel"], ["uring"]),
          through="edu-device", limit=100),
    # A guest for each, as the one loses a device.
    *(Suite("edu-faults", machine, (f"tests/vm/test_edu_faults --tap {b}",), limit=200)
      for machine, b in zip(FAULTS, BACKENDS)),
    Suite("edu-uio", IDENTITY, tuple(f"tests/vm/test_edu --tap {b}" for b in BACKENDS),
          environment="KT_EDU=uio", limit=200),
    # The other architecture, whose processors order memory less.
    Suite("vfio-arm64", ARM64_SMMU,
          tuple(f"tests/vm/test_{n} --tap {b}"
                for n in ("vfio", "vfio_dma", "vfio_errors", "vfio_msix", "edu")
                for b in BACKENDS),
          build="arm64", limit=200, time=450),
    Suite("raspi", RASPI, ("tests/vm/test_raspi --tap",), build="arm64", through="raspi", time=60),
    Suite("raspi-gpiomem", RASPI,
          contract(["gpio"]) + tuple(f"tests/vm/test_raspi_gpiomem --tap {b}" for b in BACKENDS),
          build="arm64", through="raspi", time=100),
    # tests/bench/gpio-vm --raspi prints what it says.
    Suite("raspi-bench", RASPI, ("tests/bench/bench_gpiomem 21 --tap",), build="arm64",
          through="raspi", named=True),
    Suite("raspi-i2c", RASPI,
          tuple(f"tests/vm/test_i2c_adapter --tap {b}" for b in BACKENDS) + contract(["i2c", "i2c_held"]),
          build="arm64", through="raspi", limit=100, time=200),
    # Its DMA engine and its system timer, over UIO.
    Suite("raspi-dma", RASPI,
          tuple(f"tests/vm/test_raspi_{n} --tap {b}" for n in ("dma", "timer") for b in BACKENDS),
          build="arm64", through="raspi", time=200),
    Suite("raspi-spi", RASPI,
          ("tests/vm/test_raspi_spi --tap uring", "tests/vm/test_raspi_spi --tap epoll",
           *contract(["spi"])), build="arm64", through="raspi", limit=150, time=300),
    Suite("raspi-pwm", RASPI,
          ("tests/vm/test_raspi_pwm --tap uring", "tests/vm/test_raspi_pwm --tap epoll",
           *contract(["pwm"])), build="arm64", through="raspi", limit=150, time=300),
    # The drivers of examples/drivers, on the chips behind that bus.
    Suite("raspi-chips", RASPI, contract(["chips_bus"]), build="arm64", through="raspi", time=60),
    Suite("raspi-krctl", RASPI, ("tests/vm/test_krctl_buses --tap",), build="arm64", through="raspi",
          time=60),
    *(Suite(name, machine, tuple(f"tests/bench/bench_i2c 21 {b}" for b in BACKENDS),
            build="arm64", through="raspi", limit=100, time=200, named=True)
      for name, machine in (("bench-i2c", RASPI), ("bench-i2c-one", RASPI_ONE))),
    Suite("raspi-sensord", RASPI, ("tests/vm/test_sensord --tap",), build="arm64", through="raspi",
          limit=100, time=100),
    Suite("arm64-unit", ARM64, tests="unit", build="arm64", limit=300, time=900, named=True),
    # The others of its programs have the suites after it.
    Suite("arm64-contract", ARM64, tests="contract", without=("gpio",), build="arm64", limit=200,
          time=1800, named=True),
    Suite("arm64-16k", ARM64_16K,
          tuple(f"tests/unit/test_{n} --tap" for n in ("mmio", "space", "uio_find", "noalloc", "runtime"))
          + contract(["dma", "dma_memory", "dma_cancel", "mmio", "irq", "char_read", "timer"])
          + tuple(f"tests/vm/test_{n} --tap {b}"
                  for n in ("vfio", "vfio_dma", "vfio_errors", "vfio_msix", "edu")
                  for b in BACKENDS),
          build="arm64", limit=200, time=900, named=True),
    Suite("armhf", ARMHF, ("tests/unit/test_runtime --tap",
                           *contract(["timer", "char_read", "char_cancel", "uart"])),
          build="armhf", limit=100, time=100),
    Suite("armhf-unit", ARMHF, tests="unit", build="armhf", limit=300, time=900, named=True),
    Suite("armhf-contract", ARMHF, tests="contract", without=("gpio",), build="armhf", limit=200,
          time=1800, named=True),
    Suite("arm64-gpio", ARM64, contract(["gpio", "gpio_event", "gpio_until", "gpio_load"]),
          build="arm64", through="gpio-sim", named=True),
]  # fmt: skip

/* SPDX-License-Identifier: MIT */
/*
 * From an interrupt to its IMMEDIATE handler, against a thread in a blocking read of an eventfd.
 *
 *     bench_irq                          eventfds of this machine: sim-mmio
 *     bench_irq ROUNDS SPEC ADDRESS      two edu devices of QEMU, on VFIO: the interrupt of SPEC
 *                                        through the library, that of the PCI device at ADDRESS by
 *                                        hand
 */
#include <fcntl.h>
#include <kroutine.h>
#include <kroutine/sim.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define INTERRUPTS    60 /* a round, each way */

#define EDU_IRQ_RAISE 0x60
#define EDU_IRQ_ACK   0x64

/* --- whoever waits says when it woke --- */

static uint64_t seen_at; /* atomic: bits of a double */

static void note(void)
{
    double now = bench_now();
    uint64_t bits;

    memcpy(&bits, &now, sizeof bits);
    __atomic_store_n(&seen_at, bits, __ATOMIC_SEQ_CST);
}

static double latency(void (*raise)(void))
{
    double start, end;
    uint64_t bits;

    __atomic_store_n(&seen_at, 0, __ATOMIC_SEQ_CST);
    usleep(300); /* it sleeps again */
    start = bench_now();
    raise();
    for (unsigned i = 0; !(bits = __atomic_load_n(&seen_at, __ATOMIC_SEQ_CST)); i++) {
        bench_require(i < 50000, "the interrupt comes");
        usleep(200);
    }
    memcpy(&end, &bits, sizeof end);
    return end - start;
}

static double round_of(void (*raise)(void))
{
    struct bench_series_s s = {.name = "interrupt", .unit = "ns"};

    for (int i = 0; i < INTERRUPTS; i++)
        bench_add(&s, latency(raise));
    return bench_median(&s);
}

/* --- the library --- */

static struct device_mmio_s dev = DEVICE_ACCESSOR_INIT;
static struct dev_mmio_s regs;
static struct dev_irq_s irq;
static bool hardware;

static void raise_library(void)
{
    if (hardware)
        dev_mmio_write32_le(&regs, EDU_IRQ_RAISE, 1);
    else
        kroutine_sim_irq_raise(&dev.base, DEV_IRQ_MSI, 0);
}

static KROUTINE_EXEC(handler)
{
    (void)kr, (void)flags;
    note();
    if (hardware)
        dev_mmio_write32_le(&regs, EDU_IRQ_ACK, 1);
}

static void open_library(const char *spec)
{
    error_t err = device_get_accessor_by_path(&dev.base, NULL, spec, DRIVER_CLASS_MMIO);

    if (!err)
        err = DEVICE_OP(&dev, map, 0, &regs);
    dev_irq_init_immediate(&irq, handler);
    irq.kind = DEV_IRQ_MSI;
    if (!err)
        err = dev_irq_request(&dev, &irq);
    if (!err && hardware)
        err = DEVICE_OP(&dev, bus_master, true);
    bench_require(!err, kroutine_error_text());
}

/* --- by hand --- */

static int bare_fd;
static volatile uint32_t *bare_regs;

static void raise_bare(void)
{
    uint64_t one = 1;

    if (hardware)
        bare_regs[EDU_IRQ_RAISE / 4] = 1;
    else
        bench_require(write(bare_fd, &one, sizeof one) == sizeof one, "write");
}

static void *reader(void *arg)
{
    uint64_t count;

    (void)arg;
    while (read(bare_fd, &count, sizeof count) == sizeof count) {
        note();
        if (hardware)
            bare_regs[EDU_IRQ_ACK / 4] = 1;
    }
    return NULL;
}

/* Documentation/driver-api/vfio.rst: container, group, device. */
static int open_bare_device(const char *address)
{
    char path[128], target[128], node[32];
    int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), group, device;
    ssize_t n;

    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/iommu_group", address);
    n = readlink(path, target, sizeof target - 1);
    bench_require(container >= 0 && n > 0, "a device with an IOMMU group");
    target[n] = 0;
    snprintf(node, sizeof node, "/dev/vfio/%.16s", strrchr(target, '/') + 1);
    group = open(node, O_RDWR | O_CLOEXEC);
    bench_require(group >= 0 && ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0 &&
                      ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0,
                  node);
    device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
    bench_require(device >= 0, "VFIO_GROUP_GET_DEVICE_FD");
    return device;
}

static void open_bare(const char *address)
{
    union { /* with the descriptor behind it */
        struct vfio_irq_set set;
        char bytes[sizeof(struct vfio_irq_set) + sizeof(int)];
    } irqs = {.set = {.argsz = sizeof irqs.bytes,
                      .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                      .index = VFIO_PCI_MSI_IRQ_INDEX,
                      .count = 1}};
    struct vfio_region_info info = {.argsz = sizeof info, .index = VFIO_PCI_CONFIG_REGION_INDEX};
    uint16_t command = 6; /* memory, bus master */
    int device = open_bare_device(address);

    memcpy(irqs.set.data, &bare_fd, sizeof bare_fd);
    bench_require(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0 &&
                      pwrite(device, &command, 2, (off_t)info.offset + 4) == 2,
                  "configuration space");
    info.index = VFIO_PCI_BAR0_REGION_INDEX;
    bench_require(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0, "BAR 0");
    bare_regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset);
    bench_require(bare_regs != MAP_FAILED, "mmap");
    bench_require(ioctl(device, VFIO_DEVICE_SET_IRQS, &irqs) == 0, "VFIO_DEVICE_SET_IRQS");
}

int main(int argc, char **argv)
{
    int rounds = bench_rounds(argc, argv, 21);
    struct bench_series_s bare = {.name = "blocking read of an eventfd", .unit = "ns"};
    struct bench_series_s immediate = {.name = "IMMEDIATE handler", .unit = "ns"};
    pthread_t thread;

    hardware = argc > 3;
    bare_fd = eventfd(0, EFD_CLOEXEC);
    bench_require(bare_fd >= 0, "eventfd");
    if (hardware)
        open_bare(argv[3]);
    open_library(hardware ? argv[2] : "sim-mmio:bench?eventfd=yes");
    bench_require(pthread_create(&thread, NULL, reader, NULL) == 0, "thread");
    for (int i = 0; i < rounds; i++) {
        bench_add(&bare, round_of(raise_bare));
        bench_add(&immediate, round_of(raise_library));
    }
    bench_print(&bare);
    bench_print(&immediate);
    bench_result("irq-over-read", bench_ratio(&immediate, &bare), "x", 1.1);
    return 0;
}

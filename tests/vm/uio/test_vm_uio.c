/* SPDX-License-Identifier: MIT */
/*
 * The driver uio on QEMU's edu device, under uio_pci_generic: its registers, its interrupt, its
 * configuration space, and DMA by physical address. QEMU, docs/specs/edu.rst.
 */
#include "kt.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/mman.h>

#define ID          0x00 /* 0x010000ed */
#define INVERT      0x04 /* reads as the complement of what was written */
#define FACTORIAL   0x08
#define STATUS      0x20 /* bit 0: computing; 0x80: interrupt when it is over */
#define IRQ_STATUS  0x24
#define IRQ_RAISE   0x60
#define IRQ_ACK     0x64
#define DMA_SOURCE  0x80
#define DMA_TARGET  0x88
#define DMA_COUNT   0x90
#define DMA_COMMAND 0x98 /* 1: start, 2: from the device, 4: interrupt */
#define DMA_BUFFER  0x40000
#define DMA_SIZE    2048 /* a whole 4096 aborts QEMU 7.2 */

static struct kt_env_s env;
static struct device_mmio_s edu;
static struct dev_mmio_s regs;
static char address[32];

/* --- the device --- */

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    if (write(fd, text, strlen(text)) < 0)
        ck_assert_msg(errno == EEXIST || errno == ENODEV, "%s: %s", path, strerror(errno));
    close(fd);
}

/* Where edu is; "": nowhere. */
static void find_edu(void)
{
    glob_t list;
    char id[16];

    address[0] = 0;
    if (glob("/sys/bus/pci/devices/*/device", 0, NULL, &list))
        return;
    for (size_t i = 0; i < list.gl_pathc; i++) {
        FILE *file = fopen(list.gl_pathv[i], "r");

        if (file && fgets(id, sizeof id, file) && strncmp(id, "0x11e8", 6) == 0)
            sscanf(list.gl_pathv[i], "/sys/bus/pci/devices/%31[^/]", address);
        if (file)
            fclose(file);
    }
    globfree(&list);
}

static bool is_bound(void)
{
    char path[128];

    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/driver", address);
    return access(path, F_OK) == 0;
}

static void bind_edu(void)
{
    char path[128];

    if (is_bound())
        return;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/driver_override", address);
    put(path, "uio_pci_generic");
    put("/sys/bus/pci/drivers_probe", address);
    ck_assert_msg(is_bound(), "edu was not bound to uio_pci_generic");
}

static error_t open_spec(const char *spec)
{
    return device_get_accessor_by_path(&edu.base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_MMIO);
}

/* False: there is no edu here. */
static bool set_up(int round, const char *keys)
{
    char spec[96];

    find_edu();
    if (!address[0])
        return false;
    bind_edu();
    kt_env_open(&env, round ? KT_EMBEDDED : KT_THREADS);
    snprintf(spec, sizeof spec, "uio:%s%s", address, keys);
    ck_assert_msg(open_spec(spec) == 0, "%s", kroutine_error_text());
    ck_assert_msg(DEVICE_OP(&edu, map, 0, &regs) == 0, "%s", kroutine_error_text());
    dev_mmio_write32_le(&regs, IRQ_ACK, 0xffffffff);
    return true;
}

static void tear_down(void)
{
    device_put_accessor(&edu.base);
    kt_env_close(&env);
}

#define SET_UP(round, keys)                                                                        \
    do {                                                                                           \
        if (!set_up(round, keys))                                                                  \
            kt_skip("there is no edu device: tests/vm/run uio");                                   \
    } while (0)

/* --- registers and what the device is --- */

START_TEST(registers)
{
    struct dev_mmio_s again;

    SET_UP(_i, "");
    ck_assert_uint_eq(dev_mmio_read32_le(&regs, ID), 0x010000ed);
    ck_assert_uint_eq(dev_mmio_read32_be(&regs, ID), 0xed000001);
    dev_mmio_write32_le(&regs, INVERT, 0x12345678);
    ck_assert_uint_eq(dev_mmio_read32_le(&regs, INVERT), ~0x12345678u);
    ck_assert_int_eq(DEVICE_OP(&edu, map, 0, &again), 0);
    ck_assert_uint_eq(dev_mmio_read32_le(&again, INVERT), ~0x12345678u);
    ck_assert_int_eq(DEVICE_OP(&edu, unmap, &again), 0);
    ck_assert_ptr_null((void *)again.base);
    ck_assert_uint_eq(dev_mmio_read32_le(&regs, ID), 0x010000ed);
    ck_assert_int_eq(DEVICE_OP(&edu, map, 1, &again), -ENXIO);
    tear_down();
}
END_TEST

START_TEST(what_it_is)
{
    struct dev_mmio_region_s region;
    struct dev_mmio_info_s info;
    uint16_t vendor = 0;
    uint32_t bar = 0;

    SET_UP(_i, "");
    ck_assert_int_eq(DEVICE_OP(&edu, info, &info), 0);
    ck_assert_str_eq(info.name, address);
    ck_assert_str_eq(info.bus, "pci");
    ck_assert_uint_eq(info.vendor, 0x1234);
    ck_assert_uint_eq(info.device, 0x11e8);
    ck_assert_uint_eq(info.class_code >> 16, 0); /* unclassified */
    ck_assert_uint_eq(info.regions, 1);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_INTX], 1);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_MSI], 0);
    ck_assert(info.cap & DEV_MMIO_CAP_CONFIG);
    ck_assert(!(info.cap & (DEV_MMIO_CAP_DMA | DEV_MMIO_CAP_PROTECTED | DEV_MMIO_CAP_VIRTUAL)));
    ck_assert_int_eq(DEVICE_OP(&edu, region, 0, &region), 0);
    ck_assert_uint_eq(region.size, 1 << 20);
    ck_assert_uint_eq(regs.size, 1 << 20);
    ck_assert_int_eq(DEVICE_OP(&edu, config, 0, &vendor, 2, false), 0);
    ck_assert_uint_eq(vendor, 0x1234);
    ck_assert_int_eq(DEVICE_OP(&edu, config, 0x10, &bar, 4, false), 0);
    ck_assert_uint_eq(bar & ~0xfu, region.physical);
    ck_assert_int_eq(DEVICE_OP(&edu, config, 0x2000, &bar, 4, false), -EINVAL);
    tear_down();
}
END_TEST

START_TEST(names_of_a_device)
{
    static const char *const names[] = {"uio:uio0", "uio:uio_pci_generic"};

    SET_UP(_i, "");
    device_put_accessor(&edu.base);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(open_spec(names[i]) == 0, "%s: %s", names[i], kroutine_error_text());
        device_put_accessor(&edu.base);
    }
    ck_assert_int_eq(open_spec("uio:uio7"), -ENOENT);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "uio0"));
    ck_assert_int_eq(open_spec("uio:"), -EINVAL);
    ck_assert_int_eq(open_spec("uio:0000:00:00.0"), -ENOENT); /* the host bridge */
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "uio_pci_generic"));
    kt_env_close(&env);
}
END_TEST

/* Another program is another runtime, as far as the lock is concerned. */
START_TEST(one_user_at_a_time)
{
    struct device_mmio_s other = DEVICE_ACCESSOR_INIT;
    struct kt_env_s elsewhere;
    struct device_s *root;

    SET_UP(_i, "");
    kt_env_open(&elsewhere, (enum kt_mode_e)_i);
    root = kroutine_runtime_devices(elsewhere.rt);
    ck_assert_int_eq(device_get_accessor_by_path(&other.base, root, "uio:uio0", DRIVER_CLASS_MMIO),
                     -EBUSY);
    ck_assert_msg(strstr(kroutine_error_text(), "exclusive=no"), "%s", kroutine_error_text());
    ck_assert_int_eq(
        device_get_accessor_by_path(&other.base, root, "uio:uio0?exclusive=no", DRIVER_CLASS_MMIO),
        0);
    device_put_accessor(&other.base);
    device_put_accessor(&edu.base);
    ck_assert_int_eq(device_get_accessor_by_path(&other.base, root, "uio:uio0", DRIVER_CLASS_MMIO),
                     0);
    device_put_accessor(&other.base);
    kt_env_close(&elsewhere);
    kt_env_close(&env);
}
END_TEST

START_TEST(bus_master)
{
    uint16_t command;

    SET_UP(_i, "");
    ck_assert_int_eq(DEVICE_OP(&edu, config, 4, &command, 2, false), 0);
    ck_assert_uint_eq(command & 4, 0);
    ck_assert_int_eq(DEVICE_OP(&edu, bus_master, true), 0);
    ck_assert_int_eq(DEVICE_OP(&edu, config, 4, &command, 2, false), 0);
    ck_assert_uint_eq(command & 4, 4);
    device_put_accessor(&edu.base); /* goes off */
    ck_assert_int_eq(open_spec("uio:uio0"), 0);
    ck_assert_int_eq(DEVICE_OP(&edu, config, 4, &command, 2, false), 0);
    ck_assert_uint_eq(command & 4, 0);
    tear_down();
}
END_TEST

/* --- the interrupt --- */

static struct dev_irq_s irq;
static unsigned runs;

static KROUTINE_EXEC(quiet)
{
    (void)flags;
    dev_mmio_write32_le(&regs, IRQ_ACK, dev_mmio_read32_le(&regs, IRQ_STATUS));
    ck_assert_int_eq(dev_irq_unmask(dev_irq_from_kr(kr)), 0);
    kt_inc(&runs);
}

START_TEST(factorials)
{
    struct dev_irq_counts_s counts;
    uint32_t expected = 1;

    SET_UP(_i, "");
    runs = 0;
    dev_irq_init(&irq, quiet);
    ck_assert_msg(dev_irq_request(&edu, &irq) == 0, "%s", kroutine_error_text());
    ck_assert_int_eq(irq.kind, DEV_IRQ_INTX);
    dev_mmio_write32_le(&regs, STATUS, 0x80);
    for (uint32_t n = 1; n <= 12; n++) {
        expected *= n;
        dev_mmio_write32_le(&regs, FACTORIAL, n);
        kt_await(&env, kt_get(&runs) == n);
        ck_assert_uint_eq(dev_mmio_read32_le(&regs, FACTORIAL), expected);
    }
    dev_irq_counts(&irq, &counts);
    ck_assert_uint_eq(counts.fired, 12);
    ck_assert_uint_eq(counts.handled, 12);
    ck_assert_int_eq(dev_irq_release(&irq), 0);
    tear_down();
}
END_TEST

static KROUTINE_EXEC(count_only)
{
    (void)kr;
    (void)flags;
    kt_inc(&runs);
}

START_TEST(it_fires_again_while_raised)
{
    SET_UP(_i, "");
    runs = 0;
    dev_irq_init(&irq, count_only);
    ck_assert_int_eq(dev_irq_request(&edu, &irq), 0);
    dev_mmio_write32_le(&regs, IRQ_RAISE, 1);
    kt_await(&env, kt_get(&runs) == 1);
    kt_idle(&env, 50);
    ck_assert_uint_eq(kt_get(&runs), 1); /* the kernel has masked it */
    ck_assert_int_eq(dev_irq_unmask(&irq), 0);
    kt_await(&env, kt_get(&runs) == 2);
    dev_mmio_write32_le(&regs, IRQ_ACK, 1);
    ck_assert_int_eq(dev_irq_unmask(&irq), 0);
    kt_idle(&env, 50);
    ck_assert_uint_eq(kt_get(&runs), 2);
    ck_assert_int_eq(dev_irq_mask(&irq), 0);
    dev_mmio_write32_le(&regs, IRQ_RAISE, 1);
    kt_idle(&env, 50);
    ck_assert_uint_eq(kt_get(&runs), 2);
    ck_assert_int_eq(dev_irq_unmask(&irq), 0);
    kt_await(&env, kt_get(&runs) == 3);
    tear_down(); /* with the interrupt requested, and raised */
    ck_assert_int_eq(dev_irq_release(&irq), 0);
}
END_TEST

/* An interrupt of before the request does not count, one after it does; the second time too. */
START_TEST(requested_again)
{
    struct dev_irq_s other;

    SET_UP(_i, "");
    runs = 0;
    for (unsigned i = 1; i <= 5; i++) {
        dev_irq_init(&irq, quiet);
        ck_assert_int_eq(dev_irq_request(&edu, &irq), 0);
        dev_irq_init(&other, quiet);
        ck_assert_int_eq(dev_irq_request(&edu, &other), -EBUSY);
        kt_idle(&env, 10);
        ck_assert_uint_eq(kt_get(&runs), i - 1);
        dev_mmio_write32_le(&regs, IRQ_RAISE, i);
        kt_await(&env, kt_get(&runs) == i);
        ck_assert_int_eq(dev_irq_release(&irq), 0);
    }
    dev_irq_init(&irq, quiet);
    irq.kind = DEV_IRQ_MSI;
    ck_assert_int_eq(dev_irq_request(&edu, &irq), -ENOTSUP);
    irq.kind = DEV_IRQ_INTX;
    irq.vector = 1;
    ck_assert_int_eq(dev_irq_request(&edu, &irq), -ENXIO);
    tear_down();
}
END_TEST

START_TEST(affinity)
{
    unsigned number = 0;
    char path[64];

    SET_UP(_i, "");
    dev_irq_init(&irq, quiet);
    ck_assert_int_eq(dev_irq_request(&edu, &irq), 0);
    ck_assert_int_eq(dev_irq_number(&irq, &number), 0);
    snprintf(path, sizeof path, "/proc/irq/%u/uio_pci_generic", number);
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_eq(dev_irq_set_affinity(&irq, 0), 0);
    ck_assert_int_eq(dev_irq_set_affinity(&irq, 9999), -EINVAL);
    tear_down();
}
END_TEST

START_TEST(a_thread_waits)
{
    if (_i)
        kt_skip("the reactor is this thread");
    SET_UP(_i, "");
    dev_irq_init_none(&irq);
    ck_assert_int_eq(dev_irq_request(&edu, &irq), 0);
    ck_assert_int_eq(dev_irq_wait(&irq, KROUTINE_MSEC(50)), -ETIMEDOUT);
    for (unsigned i = 0; i < 20; i++) {
        dev_mmio_write32_le(&regs, IRQ_RAISE, 1);
        ck_assert_int_eq(dev_irq_wait(&irq, 0), 0);
        dev_mmio_write32_le(&regs, IRQ_ACK, 1);
        ck_assert_int_eq(dev_irq_unmask(&irq), 0);
    }
    tear_down();
}
END_TEST

/* A read of a blocking descriptor would have made a worker of io_uring. */
START_TEST(no_thread_is_parked)
{
    unsigned threads;

    SET_UP(_i, "");
    threads = kt_threads();
    dev_irq_init_sched_switch(&irq, quiet);
    ck_assert_int_eq(dev_irq_request(&edu, &irq), 0);
    kt_idle(&env, 50);
    ck_assert_uint_eq(kt_threads(), threads);
    tear_down();
}
END_TEST

/* --- DMA --- */

static void reserve_huge_pages(void)
{
    put("/proc/sys/vm/nr_hugepages", "4");
}

static void transfer(uint64_t from, uint64_t to, uint32_t command)
{
    dev_mmio_write64_le(&regs, DMA_SOURCE, from);
    dev_mmio_write64_le(&regs, DMA_TARGET, to);
    dev_mmio_write64_le(&regs, DMA_COUNT, DMA_SIZE);
    dev_mmio_write64_le(&regs, DMA_COMMAND, command | 1);
    while (dev_mmio_read64_le(&regs, DMA_COMMAND) & 1)
        kt_sleep_ms(1);
}

START_TEST(physical_addresses)
{
    struct dev_dma_map_s map = {.size = 8192, .flags = DEV_DMA_MAP_READ | DEV_DMA_MAP_WRITE};
    uint8_t *memory;

    reserve_huge_pages();
    SET_UP(_i, "?physical=yes");
    memory = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
                  -1, 0);
    ck_assert_msg(memory != MAP_FAILED, "no huge page: %s", strerror(errno));
    map.base = memory + 4096;
    ck_assert_msg(DEVICE_OP(&edu, dma_map, &map) == 0, "%s", kroutine_error_text());
    for (unsigned i = 0; i < DMA_SIZE; i++)
        memory[4096 + i] = (uint8_t)(i * 7 + _i);
    ck_assert_int_eq(DEVICE_OP(&edu, bus_master, true), 0);
    transfer(map.bus, DMA_BUFFER, 0);
    transfer(DMA_BUFFER, map.bus + 4096, 2);
    ck_assert_int_eq(memcmp(memory + 4096, memory + 8192, DMA_SIZE), 0);
    ck_assert_uint_eq(memory[8193], (uint8_t)(7 + _i));
    ck_assert_int_eq(DEVICE_OP(&edu, bus_master, false), 0);
    ck_assert_int_eq(DEVICE_OP(&edu, dma_unmap, &map), 0);
    map.mask = 0xfff; /* reaches nothing */
    ck_assert_int_eq(DEVICE_OP(&edu, dma_map, &map), -ENOSPC);
    munmap(memory, 2 << 20);
    tear_down();
}
END_TEST

START_TEST(memory_that_is_refused)
{
    struct dev_dma_map_s map = {.size = 4096, .flags = DEV_DMA_MAP_READ};
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    SET_UP(_i, "");
    map.base = page;
    ck_assert_int_eq(DEVICE_OP(&edu, dma_map, &map), -EPERM);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "physical=yes"));
    map.size = 100;
    ck_assert_int_eq(DEVICE_OP(&edu, dma_map, &map), -EINVAL);
    device_put_accessor(&edu.base);
    ck_assert_int_eq(open_spec("uio:uio0?physical=yes"), 0);
    map.size = 4096;
    ck_assert_int_eq(DEVICE_OP(&edu, dma_map, &map), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "huge"));
    map.base = (void *)0x1000;
    ck_assert_int_eq(DEVICE_OP(&edu, dma_map, &map), -EFAULT);
    munmap(page, 4096);
    tear_down();
}
END_TEST

static const char *label(int round)
{
    return kt_mode_label(round ? KT_EMBEDDED : KT_THREADS);
}

Suite *kt_suite(void)
{
    Suite *s = suite_create("vm_uio");

    kt_add_loop(s, registers, 2, label, 30);
    kt_add_loop(s, what_it_is, 2, label, 30);
    kt_add_loop(s, names_of_a_device, 2, label, 30);
    kt_add_loop(s, one_user_at_a_time, 2, label, 30);
    kt_add_loop(s, bus_master, 2, label, 30);
    kt_add_loop(s, factorials, 2, label, 60);
    kt_add_loop(s, it_fires_again_while_raised, 2, label, 60);
    kt_add_loop(s, requested_again, 2, label, 60);
    kt_add_loop(s, affinity, 2, label, 30);
    kt_add_loop(s, a_thread_waits, 2, label, 60);
    kt_add_loop(s, no_thread_is_parked, 2, label, 30);
    kt_add_loop(s, physical_addresses, 2, label, 60);
    kt_add_loop(s, memory_that_is_refused, 2, label, 30);
    return s;
}

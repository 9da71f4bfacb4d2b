/* SPDX-License-Identifier: MIT */
/* The driver vfio on QEMU's edu: registers, configuration space, interrupts, reset, and a device
   that the kernel takes back. */
#include "vfio_edu.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define COMMAND        4
#define COMMAND_MASTER 4

static uint16_t command(const struct edu_s *edu)
{
    uint8_t value[2];

    ck_assert_int_eq(DEVICE_OP(&edu->mmio, config, COMMAND, value, 2, false), 0);
    return (uint16_t)(value[0] | value[1] << 8);
}

START_TEST(registers)
{
    char keys[32];
    struct kt_env_s env;
    struct edu_s edu;

    if (!iommu_available(_i))
        kt_skip("this kernel has no files for devices: iommufd needs Linux 6.6");
    kt_env_open(&env, KT_THREADS);
    snprintf(keys, sizeof keys, "?iommu=%s", iommu_label(_i));
    edu_open(&edu, &env, EDU_ROOT, keys);
    ck_assert_uint_eq(edu.bar.size, 1 << 20);
    ck_assert_uint_eq(edu_read(&edu, EDU_ID), EDU_IDENTITY);
    edu_write(&edu, EDU_LIVENESS, 0x12345678);
    ck_assert_uint_eq(edu_read(&edu, EDU_LIVENESS), ~0x12345678u);
    edu_close(&edu);
    kt_env_close(&env);
}
END_TEST

START_TEST(what_it_is)
{
    struct dev_mmio_region_s region;
    struct dev_mmio_info_s info;
    struct kt_env_s env;
    struct edu_s edu;

    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "");
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, info, &info), 0);
    ck_assert_str_eq(info.name, edu.name);
    ck_assert_str_eq(info.bus, "pci");
    ck_assert_uint_eq(info.vendor, EDU_VENDOR);
    ck_assert_uint_eq(info.device, EDU_DEVICE);
    ck_assert_uint_eq(info.class_code, 0x00ff00);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_MSI], 1);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_INTX], 1);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_MSIX], 0);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_ANY], 1);
    ck_assert_uint_eq(info.cap, DEV_MMIO_CAP_CONFIG | DEV_MMIO_CAP_DMA | DEV_MMIO_CAP_PROTECTED);

    ck_assert_int_eq(DEVICE_OP(&edu.mmio, region, 0, &region), 0);
    ck_assert_uint_eq(region.size, 1 << 20);
    ck_assert_uint_eq(region.flags,
                      DEV_MMIO_REGION_READ | DEV_MMIO_REGION_WRITE | DEV_MMIO_REGION_MAPPABLE);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, region, 1, &region), -ENXIO);
    says("no BAR1");
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, region, 6, &region), -ENXIO);
    edu_close(&edu);
    kt_env_close(&env);
}
END_TEST

START_TEST(windows)
{
    struct dev_mmio_s again, copy, other = {0};
    struct kt_env_s env;
    struct edu_s edu;

    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "");
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, map, 1, &other), -ENXIO);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, map, 0, &again), 0);
    ck_assert(again.base == edu.bar.base);
    copy = again;
    copy.base += copy.size;
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, unmap, &copy), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, unmap, &again), 0);
    ck_assert(!again.base);
    ck_assert_uint_eq(edu_read(&edu, EDU_ID), EDU_IDENTITY); /* the other one stays */
    edu_close(&edu);
    kt_env_close(&env);
}
END_TEST

START_TEST(configuration_space)
{
    struct kt_env_s env;
    struct edu_s edu;
    uint8_t id[4], all[256];

    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "");
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, config, 0, id, 4, false), 0);
    ck_assert_mem_eq(id, "\x34\x12\xe8\x11", 4);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, config, 0, all, sizeof all, false), 0);
    ck_assert_mem_eq(all, id, 4);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, config, 4096, id, 1, false), -EINVAL);
    says("configuration space");
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, config, 4094, id, 4, false), -EINVAL);

    ck_assert_uint_eq(command(&edu) & COMMAND_MASTER, 0);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, bus_master, true), 0);
    ck_assert_uint_eq(command(&edu) & COMMAND_MASTER, COMMAND_MASTER);
    edu_close(&edu);
    edu_open(&edu, &env, EDU_ROOT, ""); /* off again, by the end */
    ck_assert_uint_eq(command(&edu) & COMMAND_MASTER, 0);
    edu_close(&edu);
    kt_env_close(&env);
}
END_TEST

/* --- interrupts --- */

static const char *kind_label(int round)
{
    return round == 0 ? "MSI" : "INTx";
}

static enum dev_irq_kind_e kind_of(int round)
{
    return round == 0 ? DEV_IRQ_MSI : DEV_IRQ_INTX;
}

START_TEST(factorial)
{
    struct dev_irq_counts_s counts;
    struct edu_irq_s irq;
    struct kt_env_s env;
    struct edu_s edu;

    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "");
    edu_irq_init(&irq, &edu, kind_of(_i));
    edu_irq_request(&irq);
    edu_write(&edu, EDU_STATUS, EDU_IRQ_ON_DONE);
    for (unsigned i = 1; i <= 20; i++) {
        edu_write(&edu, EDU_FACTORIAL, 10);
        kt_await(&env, kt_get(&irq.runs) >= i);
        ck_assert_uint_eq(edu_read(&edu, EDU_FACTORIAL), 3628800);
    }
    ck_assert_uint_eq(irq.status, 1);
    dev_irq_counts(&irq.irq, &counts);
    ck_assert_uint_eq(counts.fired, 20);
    ck_assert_uint_eq(counts.handled, 20);
    ck_assert_uint_eq(counts.missed, 0);
    ck_assert_int_eq(dev_irq_release(&irq.irq), 0);
    edu_write(&edu, EDU_IRQ_RAISE, 2);
    kt_idle(&env, 50);
    ck_assert_uint_eq(irq.runs, 20);
    edu_write(&edu, EDU_IRQ_ACK, 2);
    edu_close(&edu);
    kt_env_close(&env);
}
END_TEST

START_TEST(masked_and_unmasked)
{
    struct edu_irq_s irq;
    struct kt_env_s env;
    struct edu_s edu;

    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "");
    edu_irq_init(&irq, &edu, kind_of(_i));
    edu_irq_request(&irq);
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_int_eq(dev_irq_mask(&irq.irq), 0);
        edu_write(&edu, EDU_IRQ_RAISE, 1u << i);
        kt_idle(&env, 50);
        ck_assert_uint_eq(kt_get(&irq.runs), i - 1);
        ck_assert_int_eq(dev_irq_unmask(&irq.irq), 0); /* nothing was lost */
        kt_await(&env, kt_get(&irq.runs) == i);
        ck_assert_uint_eq(irq.status, (2u << i) - 2);
    }
    ck_assert_int_eq(dev_irq_release(&irq.irq), 0);
    ck_assert_int_eq(dev_irq_mask(&irq.irq), -ECANCELED);
    edu_close(&edu);
    kt_env_close(&env);
}
END_TEST

/* Level: unmasked without having been quieted, it comes again. */
static KROUTINE_EXEC(unmasks_first)
{
    struct edu_irq_s *irq = KROUTINE_CONTAINER(dev_irq_from_kr(kr), struct edu_irq_s, irq);

    (void)flags;
    if (kt_inc(&irq->runs) == 3)
        edu_write(irq->edu, EDU_IRQ_ACK, 8);
    dev_irq_unmask(&irq->irq);
}

START_TEST(intx_is_level)
{
    struct edu_irq_s irq;
    struct kt_env_s env;
    struct edu_s edu;

    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "?irq=intx");
    edu_irq_init(&irq, &edu, DEV_IRQ_ANY);
    dev_irq_init_immediate(&irq.irq, unmasks_first);
    edu_irq_request(&irq);
    ck_assert_int_eq(irq.irq.kind, DEV_IRQ_INTX);
    edu_write(&edu, EDU_IRQ_RAISE, 8);
    kt_await(&env, kt_get(&irq.runs) >= 3);
    kt_idle(&env, 50);
    ck_assert_uint_eq(kt_get(&irq.runs), 3);
    ck_assert_int_eq(dev_irq_release(&irq.irq), 0);
    edu_close(&edu);
    kt_env_close(&env);
}
END_TEST

/* With descriptors for the interrupt itself, but none for the eventfd that unmasks it. */
START_TEST(unmask_without_eventfd)
{
    struct edu_irq_s irq;
    struct kt_env_s env;
    struct rlimit limit;
    struct edu_s edu;
    int next;

    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "");
    edu_irq_init(&irq, &edu, DEV_IRQ_INTX);
    next = eventfd(0, 0);
    ck_assert_int_ge(next, 0);
    close(next);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)next + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(dev_irq_request(&edu.mmio, &irq.irq), 0);
    ck_assert_int_eq(eventfd(0, 0), -1);
    for (unsigned i = 1; i <= 5; i++) {
        edu_write(&edu, EDU_IRQ_RAISE, 1);
        kt_await(&env, kt_get(&irq.runs) == i);
    }
    ck_assert_int_eq(dev_irq_release(&irq.irq), 0);
    edu_close(&edu);
    kt_env_close(&env);
}
END_TEST

START_TEST(one_kind_at_a_time)
{
    struct edu_irq_s msi, intx, more;
    struct kt_env_s env;
    struct edu_s edu;
    unsigned number;

    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "");
    edu_irq_init(&msi, &edu, DEV_IRQ_ANY);
    edu_irq_init(&intx, &edu, DEV_IRQ_INTX);
    edu_irq_init(&more, &edu, DEV_IRQ_MSIX);
    edu_irq_request(&msi);
    ck_assert_int_eq(msi.irq.kind, DEV_IRQ_MSI);
    ck_assert_int_eq(dev_irq_request(&edu.mmio, &intx.irq), -EBUSY);
    says("MSI is in use");
    ck_assert_int_eq(dev_irq_request(&edu.mmio, &more.irq), -ENOTSUP);
    says("no MSI-X");
    edu_irq_init(&more, &edu, DEV_IRQ_MSI);
    ck_assert_int_eq(dev_irq_request(&edu.mmio, &more.irq), -EBUSY);
    says("taken");
    more.irq.vector = 1;
    ck_assert_int_eq(dev_irq_request(&edu.mmio, &more.irq), -ENXIO);
    ck_assert_int_eq(dev_irq_number(&msi.irq, &number), 0);
    ck_assert_uint_gt(number, 0);
    ck_assert_int_eq(dev_irq_release(&msi.irq), 0);
    edu_irq_request(&intx);
    ck_assert_int_eq(dev_irq_number(&intx.irq, &number), 0);
    edu_write(&edu, EDU_IRQ_RAISE, 1);
    kt_await(&env, kt_get(&intx.runs) == 1);
    /* Closing releases it. */
    edu_close(&edu);
    ck_assert_int_eq(dev_irq_release(&intx.irq), 0);
    kt_env_close(&env);
}
END_TEST

/* --- reset --- */

START_TEST(reset)
{
    struct dev_mmio_info_s info;
    struct edu_irq_s irq;
    struct kt_env_s env;
    struct edu_s edu;

    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "");
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, reset), -ENOTSUP);
    says("no reset");
    edu_close(&edu);

    edu_open(&edu, &env, EDU_PORT, "");
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, info, &info), 0);
    ck_assert(info.cap & DEV_MMIO_CAP_RESET);
    edu_irq_init(&irq, &edu, DEV_IRQ_MSI);
    edu_irq_request(&irq);
    edu_write(&edu, EDU_IRQ_RAISE, 1);
    kt_await(&env, kt_get(&irq.runs) == 1);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, reset), 0);
    ck_assert_uint_eq(edu_read(&edu, EDU_ID), EDU_IDENTITY); /* the window is there */
    edu_write(&edu, EDU_IRQ_RAISE, 1);                       /* and the interrupt */
    kt_await(&env, kt_get(&irq.runs) == 2);
    ck_assert_int_eq(dev_irq_release(&irq.irq), 0);
    edu_close(&edu);
    kt_env_close(&env);
}
END_TEST

/* --- the kernel takes it back --- */

static void *unbind(void *name)
{
    return (void *)(intptr_t)guest_unbind(name);
}

START_TEST(taken_back)
{
    struct dev_mmio_info_s info;
    struct edu_irq_s irq;
    struct kt_env_s env;
    struct edu_s edu;
    uint8_t byte;
    void *result;
    pthread_t thread;
    char driver[32];

    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, _i == 0 ? EDU_ROOT : EDU_BRIDGE_1, "");
    edu_irq_init(&irq, &edu, kind_of(_i));
    edu_irq_request(&irq);
    edu_write(&edu, EDU_IRQ_RAISE, 1);
    kt_await(&env, kt_get(&irq.runs) == 1);

    thread = kt_thread(unbind, edu.name);
    kt_await(&env, kt_get(&irq.runs) == 2);
    ck_assert_int_eq(kt_get(&irq.error), -ENODEV);
    ck_assert_int_eq(pthread_join(thread, &result), 0); /* although it is open */
    ck_assert_int_eq((intptr_t)result, 0);
    guest_driver(driver, edu.name);
    ck_assert_str_eq(driver, "");

    /* What is left reads as a bus without a device does. */
    ck_assert_uint_eq(edu_read(&edu, EDU_ID), UINT32_MAX);
    edu_write(&edu, EDU_LIVENESS, 1);
    ck_assert_uint_eq(edu_read(&edu, EDU_DMA_SRC), UINT32_MAX);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, info, &info), -ENODEV);
    says("gone");
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, config, 0, &byte, 1, false), -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, bus_master, true), -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, reset), -ENODEV);
    ck_assert_int_eq(dev_irq_mask(&irq.irq), -ENODEV);
    ck_assert_int_eq(dev_irq_wait(&irq.irq, KROUTINE_SEC(1)), -ENODEV);
    ck_assert_int_eq(dev_irq_release(&irq.irq), 0);
    edu_close(&edu);

    edu_open(&edu, &env, _i == 0 ? EDU_ROOT : EDU_BRIDGE_1, "");
    ck_assert_uint_eq(edu_read(&edu, EDU_ID), EDU_IDENTITY);
    edu_close(&edu);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("vfio");

    kt_add_loop(s, registers, IOMMU_WAYS, iommu_label, 20);
    kt_add(s, what_it_is, 20);
    kt_add(s, windows, 20);
    kt_add(s, configuration_space, 20);
    kt_add_loop(s, factorial, 2, kind_label, 20);
    kt_add_loop(s, masked_and_unmasked, 2, kind_label, 20);
    kt_add(s, intx_is_level, 20);
    kt_add(s, unmask_without_eventfd, 20);
    kt_add(s, one_kind_at_a_time, 20);
    kt_add(s, reset, 20);
    kt_add_loop(s, taken_back, 2, kind_label, 20);
    return s;
}

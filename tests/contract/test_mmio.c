/* SPDX-License-Identifier: MIT */
/* The mmio class on a simulated device: windows, configuration space, reset, and its end. */
#include "kt_irq.h"

static struct kt_env_s env;
static struct kt_irq_s t;

START_TEST(windows_are_the_same_registers)
{
    struct dev_mmio_s a, b;

    kt_irq_open(&t, &env, _i, "size=8192");
    ck_assert_int_eq(DEVICE_OP(&t.dev, map, 0, &a), 0);
    ck_assert_int_eq(DEVICE_OP(&t.dev, map, 0, &b), 0);
    ck_assert_uint_eq(a.size, 8192);
    ck_assert_uint_eq(a.index, 0);
    ck_assert_str_eq(a.name, device_name(t.dev.dev));
    dev_mmio_write32_le(&a, 8188, 0x12345678);
    ck_assert_uint_eq(dev_mmio_read32_le(&b, 8188), 0x12345678);
    ck_assert_int_eq(DEVICE_OP(&t.dev, unmap, &a), 0);
    ck_assert_ptr_null((void *)a.base);
    ck_assert_int_eq(DEVICE_OP(&t.dev, unmap, &a), -EINVAL);
    ck_assert_uint_eq(dev_mmio_read32_le(&b, 8188), 0x12345678);
    ck_assert_int_eq(DEVICE_OP(&t.dev, unmap, &b), 0);
    ck_assert_int_eq(DEVICE_OP(&t.dev, map, 0, &a), 0); /* registers keep what they have */
    ck_assert_uint_eq(dev_mmio_read32_le(&a, 8188), 0x12345678);
    kt_irq_close(&t); /* with a window */
}
END_TEST

START_TEST(windows_that_are_none)
{
    struct dev_mmio_s window = {.base = NULL}, foreign;
    static uint8_t elsewhere[16];

    kt_irq_open(&t, &env, _i, "");
    ck_assert_int_eq(DEVICE_OP(&t.dev, map, 1, &window), -ENXIO);
    ck_assert_ptr_null((void *)window.base); /* untouched */
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "region 1"));
    foreign = (struct dev_mmio_s){.base = elsewhere, .size = sizeof elsewhere};
    ck_assert_int_eq(DEVICE_OP(&t.dev, unmap, &foreign), -EINVAL);
    ck_assert_ptr_eq((void *)foreign.base, elsewhere);
    kt_irq_close(&t);
}
END_TEST

START_TEST(what_it_is)
{
    struct dev_mmio_region_s region;
    struct dev_mmio_info_s info;

    kt_irq_open(&t, &env, _i, "size=64&lines=3&msi=5");
    ck_assert_int_eq(DEVICE_OP(&t.dev, info, &info), 0);
    ck_assert_str_eq(info.bus, "sim");
    ck_assert_uint_eq(info.vendor, 0x6b72);
    ck_assert_uint_eq(info.device, 1);
    ck_assert_uint_eq(info.regions, 1);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_LINE], 3);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_MSI], 5);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_INTX], 0);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_ANY], 5);
    ck_assert(info.cap & DEV_MMIO_CAP_VIRTUAL);
    ck_assert_int_eq(DEVICE_OP(&t.dev, region, 0, &region), 0);
    ck_assert_uint_eq(region.size, 64);
    ck_assert(region.flags & DEV_MMIO_REGION_MAPPABLE);
    ck_assert_int_eq(DEVICE_OP(&t.dev, region, 1, &region), -ENXIO);
    kt_irq_close(&t);
}
END_TEST

START_TEST(configuration_space)
{
    uint32_t value = 0;
    uint16_t command = 0;

    kt_irq_open(&t, &env, _i, "");
    ck_assert_int_eq(DEVICE_OP(&t.dev, config, 0, &value, 4, false), 0);
    ck_assert_uint_eq(value, 0x00016b72);
    value = 0xffffffff;
    ck_assert_int_eq(DEVICE_OP(&t.dev, config, 0, &value, 4, true), 0); /* read only */
    ck_assert_int_eq(DEVICE_OP(&t.dev, config, 0, &value, 4, false), 0);
    ck_assert_uint_eq(value, 0x00016b72);
    ck_assert_int_eq(DEVICE_OP(&t.dev, bus_master, true), 0);
    ck_assert_int_eq(DEVICE_OP(&t.dev, config, 4, &command, 2, false), 0);
    ck_assert_uint_eq(command, 4);
    ck_assert_int_eq(DEVICE_OP(&t.dev, bus_master, false), 0);
    ck_assert_int_eq(DEVICE_OP(&t.dev, config, 4, &command, 2, false), 0);
    ck_assert_uint_eq(command, 0);
    ck_assert_int_eq(DEVICE_OP(&t.dev, config, 253, &value, 4, false), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&t.dev, config, UINT32_MAX, &value, 4, false), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&t.dev, config, 0, &value, 0, false), -EINVAL);
    kt_irq_close(&t);
}
END_TEST

START_TEST(reset)
{
    struct dev_mmio_s window;

    kt_irq_open(&t, &env, _i, "");
    ck_assert_int_eq(DEVICE_OP(&t.dev, map, 0, &window), 0);
    dev_mmio_write32_le(&window, 16, 99);
    kt_irq_take(&t, 0, DEV_IRQ_LINE, 0);
    kt_irq_raise(&t, DEV_IRQ_LINE, 0);
    kt_await(&env, kt_get(&t.irq[0].runs) == 1);
    ck_assert_int_eq(DEVICE_OP(&t.dev, reset), 0);
    ck_assert_uint_eq(dev_mmio_read32_le(&window, 16), 0); /* the window stays */
    ck_assert_int_eq(dev_irq_unmask(&t.irq[0].irq), 0);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&t.irq[0].runs), 1); /* nothing is raised any more */
    kt_irq_raise(&t, DEV_IRQ_LINE, 0);
    kt_await(&env, kt_get(&t.irq[0].runs) == 2);
    kt_irq_close(&t);
}
END_TEST

START_TEST(memory_for_the_device)
{
    struct dev_dma_map_s map = {.base = NULL, .size = 4096, .flags = DEV_DMA_MAP_READ};

    kt_irq_open(&t, &env, _i, "");
    ck_assert_int_eq(DEVICE_OP(&t.dev, dma_map, &map), -ENOTSUP); /* it has no DMA */
    ck_assert(!DEVICE_HAS_OP(&t.dev, dma_map));
    map.size = 4097;
    ck_assert_int_eq(DEVICE_OP(&t.dev, dma_map, &map), -EINVAL);
    map.size = 0;
    ck_assert_int_eq(DEVICE_OP(&t.dev, dma_map, &map), -EINVAL);
    map.size = (size_t)sysconf(_SC_PAGESIZE);
    map.flags = 0;
    ck_assert_int_eq(DEVICE_OP(&t.dev, dma_map, &map), -EINVAL);
    kt_irq_close(&t);
}
END_TEST

START_TEST(after_the_end)
{
    struct dev_mmio_s window = {.base = NULL};
    struct device_mmio_s copy;
    struct dev_mmio_info_s info;
    uint32_t value;

    kt_irq_open(&t, &env, _i, "");
    copy = t.dev;
    ck_assert_int_eq(kroutine_sim_mmio_unplug(&t.dev.base), 0);
    ck_assert_int_eq(DEVICE_OP(&t.dev, map, 0, &window), -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&t.dev, reset), -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&t.dev, config, 0, &value, 4, false), -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&t.dev, bus_master, true), -ENODEV);
    kt_env_close(&env); /* the accessor stays */
    ck_assert_int_eq(DEVICE_OP(&copy, map, 0, &window), -ECANCELED);
    ck_assert_int_eq(DEVICE_OP(&copy, info, &info), -ECANCELED);
    ck_assert_int_eq(DEVICE_OP(&copy, reset), -ECANCELED);
    ck_assert_int_eq(kroutine_sim_irq_raise(&copy.base, DEV_IRQ_LINE, 0), -ECANCELED);
    device_put_accessor(&t.dev.base);
    ck_assert_int_eq(DEVICE_OP(&t.dev, map, 0, &window), -ECANCELED);
    ck_assert_int_eq(DEVICE_OP(&t.dev, info, &info), -ECANCELED);
}
END_TEST

START_TEST(specs)
{
    struct kroutine_runtime_s *rt;
    struct device_mmio_s dev;

    kt_irq_open(&t, &env, _i, "");
    rt = env.rt;
#define OPEN(spec)                                                                                 \
    device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(rt), spec, DRIVER_CLASS_MMIO)
    ck_assert_int_eq(OPEN("sim-mmio:"), -EINVAL);
    ck_assert_int_eq(OPEN("sim-mmio:x?size=1"), -ERANGE);
    ck_assert_int_eq(OPEN("sim-mmio:x?lines=33"), -ERANGE);
    ck_assert_int_eq(OPEN("sim-mmio:x?msi=0&every=10"), -EINVAL);
    ck_assert_int_eq(OPEN("sim-mmio:x?bits=7"), -EINVAL);
    ck_assert_int_eq(OPEN("uio:"), -EINVAL);
    ck_assert_int_eq(OPEN("uio:no-such-thing"), -ENOENT);
    ck_assert_str_ne(kroutine_error_text(), "");
    ck_assert_int_eq(OPEN("uio:uio0?physical=perhaps"), -EINVAL);
    ck_assert_int_eq(OPEN("timer0"), -ENOTSUP);
    if (kt_backend == KROUTINE_BACKEND_SIM)
        ck_assert_int_eq(OPEN("sim-mmio:x?eventfd=yes"), -ENOTSUP);
    kt_irq_close(&t);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("mmio");

    kt_irq_add(s, windows_are_the_same_registers, 30);
    kt_irq_add(s, windows_that_are_none, 30);
    kt_irq_add(s, what_it_is, 30);
    kt_irq_add(s, configuration_space, 30);
    kt_irq_add(s, reset, 30);
    kt_irq_add(s, memory_for_the_device, 30);
    kt_irq_add(s, after_the_end, 30);
    kt_irq_add(s, specs, 30);
    return s;
}

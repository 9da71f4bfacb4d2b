/* SPDX-License-Identifier: MIT */
/* The driver vfio on a machine without an IOMMU: refused, or asked for by name. */
#include "vfio_edu.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>

#define UNSAFE "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

START_TEST(refused)
{
    struct device_mmio_s mmio = DEVICE_ACCESSOR_INIT;
    struct device_s *root;
    struct kt_env_s env;
    char name[16], spec[48];

    edu_find(name, EDU_ROOT);
    kt_env_open(&env, KT_THREADS);
    root = kroutine_runtime_devices(env.rt);
    snprintf(spec, sizeof spec, "vfio:%s", name);
    ck_assert_int_eq(device_get_accessor_by_path(&mmio.base, root, spec, DRIVER_CLASS_MMIO),
                     -ENODEV);
    says("no IOMMU: the machine has none or it is off (intel_iommu=on");
    guest_write(UNSAFE, "Y");
    guest_bind(name, "vfio-pci");
    ck_assert_int_eq(device_get_accessor_by_path(&mmio.base, root, spec, DRIVER_CLASS_MMIO),
                     -ENODEV);
    says("no IOMMU"); /* allowed by root, but not asked for */
    kt_env_close(&env);
}
END_TEST

START_TEST(asked_for_by_name)
{
    struct dev_dma_map_s map = {.flags = DEV_DMA_MAP_READ};
    struct dev_mmio_info_s info;
    struct edu_irq_s irq;
    struct kt_env_s env;
    struct edu_s edu;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *memory = aligned_alloc(page, page);

    guest_write(UNSAFE, "Y");
    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "?iommu=none");
    ck_assert_uint_eq(edu_read(&edu, EDU_ID), EDU_IDENTITY);
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, info, &info), 0);
    ck_assert_uint_eq(info.cap & (DEV_MMIO_CAP_DMA | DEV_MMIO_CAP_PROTECTED), 0);
    edu_irq_init(&irq, &edu, DEV_IRQ_ANY);
    edu_irq_request(&irq);
    edu_write(&edu, EDU_IRQ_RAISE, 1);
    kt_await(&env, kt_get(&irq.runs) == 1);
    ck_assert_int_eq(dev_irq_release(&irq.irq), 0);
    map.base = memory;
    map.size = page;
    ck_assert_int_eq(DEVICE_OP(&edu.mmio, dma_map, &map), -ENOTSUP);
    says("iommu=none");
    edu_close(&edu);
    free(memory);
    kt_env_close(&env);
}
END_TEST

START_TEST(takes_a_capability)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    struct kt_env_s env;
    struct edu_s edu;

    guest_write(UNSAFE, "Y");
    kt_env_open(&env, KT_THREADS);
    ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_SYS_RAWIO);
    ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
    ck_assert_int_eq(edu_try(&edu, &env, EDU_ROOT, "?iommu=none"), -EPERM);
    says("CAP_SYS_RAWIO");
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("vfio_none");

    kt_add(s, refused, 20);
    kt_add(s, asked_for_by_name, 20);
    kt_add(s, takes_a_capability, 20);
    return s;
}

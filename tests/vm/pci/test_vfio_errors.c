/* SPDX-License-Identifier: MIT */
/* What the driver vfio says when a device cannot be had. */
#include "vfio_edu.h"

#include <stdio.h>
#include <sys/wait.h>

static error_t open_spec(struct kt_env_s *env, const char *spec)
{
    struct device_mmio_s mmio = DEVICE_ACCESSOR_INIT;
    error_t err = device_get_accessor_by_path(&mmio.base, kroutine_runtime_devices(env->rt), spec,
                                              DRIVER_CLASS_MMIO);

    if (!err)
        device_put_accessor(&mmio.base);
    return err;
}

START_TEST(addresses)
{
    struct kt_env_s env;
    char name[16], spec[40];

    kt_env_open(&env, KT_THREADS);
    ck_assert_int_eq(open_spec(&env, "vfio:"), -EINVAL);
    says("0000:00:03.0");
    ck_assert_int_eq(open_spec(&env, "vfio:eth0"), -EINVAL);
    ck_assert_int_eq(open_spec(&env, "vfio:0000:00:20.0"), -EINVAL);
    ck_assert_int_eq(open_spec(&env, "vfio:0000:00:1e.8"), -EINVAL);
    ck_assert_int_eq(open_spec(&env, "vfio:0000:00:1e.7"), -ENOENT);
    says("no such PCI device: 0000:00:1e.7");
    edu_find(name, EDU_ROOT);
    guest_bind(name, "vfio-pci");
    snprintf(spec, sizeof spec, "vfio:%s", name + 5); /* without the domain */
    ck_assert_int_eq(open_spec(&env, spec), 0);
    snprintf(spec, sizeof spec, "vfio:%s?irq=msix", name);
    ck_assert_int_eq(open_spec(&env, spec), -ENOTSUP);
    says("no MSI-X");
    kt_env_close(&env);
}
END_TEST

START_TEST(bound_to_another_driver)
{
    struct kt_env_s env;
    char name[16], spec[40], text[96];

    kt_env_open(&env, KT_THREADS);
    edu_find(name, EDU_ROOT);
    snprintf(spec, sizeof spec, "vfio:%s", name);
    guest_bind(name, NULL);
    ck_assert_int_eq(open_spec(&env, spec), -ENODEV);
    snprintf(text, sizeof text, "%s is bound to no driver; bind it with krctl vfio bind %s", name,
             name);
    says(text);
    guest_bind(name, "uio_pci_generic");
    ck_assert_int_eq(open_spec(&env, spec), -EBUSY);
    says("is bound to driver uio_pci_generic; bind it with krctl vfio bind");
    guest_bind(name, "vfio-pci");
    ck_assert_int_eq(open_spec(&env, spec), 0);
    kt_env_close(&env);
}
END_TEST

START_TEST(another_in_the_group)
{
    struct kt_env_s env;
    char one[16], two[16], spec[48], text[96];

    if (!iommu_available(_i))
        kt_skip("this kernel has no files for devices: iommufd needs Linux 6.6");
    kt_env_open(&env, KT_THREADS);
    edu_find(one, EDU_BRIDGE_1);
    edu_find(two, EDU_BRIDGE_2);
    guest_bind(two, NULL); /* or else the kernel lets no driver in */
    guest_bind(one, "vfio-pci");
    guest_bind(two, "uio_pci_generic");
    snprintf(spec, sizeof spec, "vfio:%s?iommu=%s", one, iommu_label(_i));
    ck_assert_int_eq(open_spec(&env, spec), -EPERM);
    snprintf(text, sizeof text,
             "group not viable: %s in the same group is bound to uio_pci_generic", two);
    says(text);
    guest_bind(two, NULL);
    ck_assert_int_eq(open_spec(&env, spec), 0);
    kt_env_close(&env);
}
END_TEST

/* In a process of its own, which ends when the pipe does. */
static pid_t hold(const char *spec, int pipe_fd[2])
{
    pid_t pid;

    ck_assert_int_eq(pipe(pipe_fd), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct device_mmio_s mmio = DEVICE_ACCESSOR_INIT;
        struct kt_env_s env;
        char byte = 1;

        kt_env_open(&env, KT_THREADS);
        if (device_get_accessor_by_path(&mmio.base, kroutine_runtime_devices(env.rt), spec,
                                        DRIVER_CLASS_MMIO) == 0)
            byte = 0;
        if (write(pipe_fd[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    return pid;
}

START_TEST(another_program)
{
    int pipe_fd[2], status;
    struct kt_env_s env;
    char name[16], spec[48], byte;
    pid_t pid;

    if (!iommu_available(_i))
        kt_skip("this kernel has no files for devices: iommufd needs Linux 6.6");
    edu_find(name, EDU_ROOT);
    guest_bind(name, "vfio-pci");
    snprintf(spec, sizeof spec, "vfio:%s?iommu=%s", name, iommu_label(_i));
    pid = hold(spec, pipe_fd);
    ck_assert_int_eq(read(pipe_fd[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 0);
    kt_env_open(&env, KT_THREADS);
    ck_assert_int_lt(open_spec(&env, spec), 0);
    says("another program");
    /* Killed in the middle of it, it leaves nothing behind. */
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(open_spec(&env, spec), 0);
    kt_env_close(&env);
}
END_TEST

START_TEST(two_ways_at_once)
{
    struct kt_env_s env;
    struct edu_s edu;
    char spec[48];

    if (!iommu_available(IOMMU_IOMMUFD))
        kt_skip("this kernel has no files for devices: iommufd needs Linux 6.6");
    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "");
    snprintf(spec, sizeof spec, "vfio:%s?iommu=iommufd", edu.name);
    ck_assert_int_eq(open_spec(&env, spec), -EBUSY);
    says("is open already, with iommu=type1");
    edu_close(&edu);
    ck_assert_int_eq(open_spec(&env, spec), 0);
    kt_env_close(&env);
}
END_TEST

START_TEST(without_permission)
{
    struct kt_env_s env;
    char name[16], spec[48];

    if (!iommu_available(_i))
        kt_skip("this kernel has no files for devices: iommufd needs Linux 6.6");
    edu_find(name, EDU_ROOT);
    guest_bind(name, "vfio-pci");
    ck_assert_int_eq(setuid(1000), 0);
    kt_env_open(&env, KT_THREADS);
    snprintf(spec, sizeof spec, "vfio:%s?iommu=%s", name, iommu_label(_i));
    ck_assert_int_eq(open_spec(&env, spec), -EACCES);
    says("Permission denied");
    says("kroutine-vfio(7)");
    kt_env_close(&env);
}
END_TEST

/* An IOMMU is there, so nobody gets around it. */
START_TEST(no_iommu_is_refused)
{
    struct kt_env_s env;
    char name[16], spec[48];

    kt_env_open(&env, KT_THREADS);
    edu_find(name, EDU_ROOT);
    guest_bind(name, "vfio-pci");
    snprintf(spec, sizeof spec, "vfio:%s?iommu=none", name);
    ck_assert_int_eq(open_spec(&env, spec), -EINVAL);
    says("has an IOMMU");
    kt_env_close(&env);
}
END_TEST

/* A window of I/O ports is no memory. */
START_TEST(io_ports)
{
    struct edu_s port = {.env = NULL};
    struct kt_env_s env;
    unsigned ports = 0;
    char spec[40];

    /* The last one: where there are two, the first takes what is reported. */
    while (guest_find(port.name, 0x1b36, 0x0002, ports))
        ports++;
    ck_assert_msg(ports > 0, "the machine has no pci-serial");
    guest_bind(port.name, "vfio-pci");
    kt_env_open(&env, KT_THREADS);
    snprintf(spec, sizeof spec, "vfio:%s", port.name);
    ck_assert_msg(device_get_accessor_by_path(&port.mmio.base, kroutine_runtime_devices(env.rt),
                                              spec, DRIVER_CLASS_MMIO) == 0,
                  "%s", kroutine_error_text());
    ck_assert_int_eq(DEVICE_OP(&port.mmio, map, 0, &port.bar), -ENOTSUP);
    says("cannot be mapped");
    device_put_accessor(&port.mmio.base);
    guest_bind(port.name, "serial"); /* which it is for the other tests */
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("vfio_errors");

    kt_add(s, addresses, 20);
    kt_add(s, bound_to_another_driver, 20);
    kt_add_loop(s, another_in_the_group, IOMMU_WAYS, iommu_label, 20);
    kt_add_loop(s, another_program, IOMMU_WAYS, iommu_label, 20);
    kt_add(s, two_ways_at_once, 20);
    kt_add_loop(s, without_permission, IOMMU_WAYS, iommu_label, 20);
    kt_add(s, no_iommu_is_refused, 20);
    kt_add(s, io_ports, 20);
    return s;
}

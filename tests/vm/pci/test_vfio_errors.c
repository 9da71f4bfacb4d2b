/* SPDX-License-Identifier: MIT */
/* What the driver vfio says when a device cannot be had, and MSI-X on a device that has it. */
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

/* --- MSI-X: e1000e, whose interrupts can be caused by software --- */

/* Intel 82574 datasheet, 10.2.4: causes 20 to 23 go to the vectors that IVAR names. */
enum e1000e_register_e {
    E1000E_CTRL = 0x00,
    E1000E_ICR = 0xc0,
    E1000E_ICS = 0xc8,
    E1000E_IMS = 0xd0,
    E1000E_IVAR = 0xe4,
};
#define E1000E_CTRL_RESET (1u << 26)
#define VECTORS           3
#define CAUSE(n)          (1u << (20 + (n)))

static KROUTINE_EXEC(counted)
{
    struct edu_irq_s *irq = KROUTINE_CONTAINER(dev_irq_from_kr(kr), struct edu_irq_s, irq);

    (void)flags;
    kt_inc(&irq->runs);
}

static void fire(struct dev_mmio_s *bar, unsigned vector)
{
    dev_mmio_write32_le(bar, E1000E_ICR, CAUSE(vector));
    dev_mmio_write32_le(bar, E1000E_IMS, CAUSE(vector));
    dev_mmio_write32_le(bar, E1000E_ICS, CAUSE(vector));
}

/* QEMU spaces interrupts out, and forgets one that comes while the one before is not cleared: it is
   caused again when it has not come for long. */
static void fire_until(struct edu_irq_s *irq, unsigned runs)
{
    uint64_t end = kt_now() + kt_patience();

    while (kt_get(&irq->runs) < runs && kt_now() < end) {
        fire(&irq->edu->bar, irq->irq.vector);
        for (unsigned i = 0; i < 50 && kt_get(&irq->runs) < runs; i++)
            kt_idle(irq->edu->env, 10);
    }
    ck_assert_uint_ge(kt_get(&irq->runs), runs);
}

START_TEST(msix)
{
    struct dev_mmio_info_s info;
    struct edu_irq_s irq[VECTORS];
    struct edu_s nic = {.env = NULL};
    struct kt_env_s env;
    unsigned runs;
    char spec[40];

    ck_assert_msg(guest_find(nic.name, 0x8086, 0x10d3, 0), "the machine has no e1000e");
    guest_bind(nic.name, "vfio-pci");
    kt_env_open(&env, KT_THREADS);
    nic.env = &env;
    snprintf(spec, sizeof spec, "vfio:%s", nic.name);
    ck_assert_msg(device_get_accessor_by_path(&nic.mmio.base, kroutine_runtime_devices(env.rt),
                                              spec, DRIVER_CLASS_MMIO) == 0,
                  "%s", kroutine_error_text());
    ck_assert_int_eq(DEVICE_OP(&nic.mmio, info, &info), 0);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_MSIX], 5);
    ck_assert_uint_eq(info.irqs[DEV_IRQ_ANY], 5);
    ck_assert_int_eq(DEVICE_OP(&nic.mmio, map, 0, &nic.bar), 0);
    ck_assert_int_eq(DEVICE_OP(&nic.mmio, map, 2, &nic.bar), -ENOTSUP); /* I/O ports */
    says("cannot be mapped");
    for (unsigned i = 0; i < VECTORS; i++) {
        edu_irq_init(&irq[i], &nic, DEV_IRQ_ANY);
        dev_irq_init_immediate(&irq[i].irq, counted);
        irq[i].irq.vector = (uint16_t)i;
        edu_irq_request(&irq[i]);
        ck_assert_int_eq(irq[i].irq.kind, DEV_IRQ_MSIX);
    }
    dev_mmio_write32_le(&nic.bar, E1000E_IVAR, 0xba98); /* valid, and the numbers 0 to 3 */
    for (unsigned i = 0; i < VECTORS; i++)
        fire_until(&irq[i], 1);
    ck_assert_int_eq(dev_irq_release(&irq[1].irq), 0);
    runs = irq[1].runs;
    fire(&nic.bar, 1);
    fire_until(&irq[2], irq[2].runs + 1);
    ck_assert_uint_eq(irq[1].runs, runs);
    edu_irq_init(&irq[1], &nic, DEV_IRQ_MSIX);
    dev_irq_init_immediate(&irq[1].irq, counted);
    irq[1].irq.vector = 1;
    irq[1].irq.kind = DEV_IRQ_MSIX;
    edu_irq_request(&irq[1]);
    fire_until(&irq[1], 1);
    /* Interrupts are spaced out by a timer, 128 us, at whose end QEMU 7.2 takes MSI-X for enabled,
       or aborts. */
    kt_idle(&env, 300);
    dev_mmio_write32_le(&nic.bar, E1000E_CTRL, E1000E_CTRL_RESET);
    for (unsigned i = 0; i < VECTORS; i++)
        ck_assert_int_eq(dev_irq_release(&irq[i].irq), 0);
    edu_close(&nic);
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
    kt_add(s, msix, 20);
    return s;
}

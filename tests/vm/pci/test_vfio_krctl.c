/* SPDX-License-Identifier: MIT */
/* krctl vfio: bind, show and unbind, on devices that may be taken away. */
#include "vfio_edu.h"

#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../../../examples/krctl/vfio.h"

/* What the command printed, errors included. */
static char output[16384];

static int krctl(const struct krctl_command_s *command, const char *a, const char *b, const char *c)
{
    const char *argv[] = {command->name, a, b, c, NULL};
    int argc = 1 + (a != NULL) + (b != NULL) + (c != NULL), status;

    fflush(stdout);
    int out = dup(1), err = dup(2);
    int fd = memfd_create("output", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    dup2(fd, 1);
    dup2(fd, 2);
    optind = 0;
    status = command->run(argc, (char **)(uintptr_t)argv);
    fflush(stdout);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    ssize_t size = pread(fd, output, sizeof output - 1, 0);
    ck_assert_int_ge(size, 0);
    output[size] = '\0';
    close(fd);
    return status;
}

static void printed(const char *part)
{
    ck_assert_msg(strstr(output, part), "no '%s' in:\n%s", part, output);
}

static void driver_is(const char *name, const char *driver)
{
    char now[32];

    guest_driver(now, name);
    ck_assert_str_eq(now, driver);
}

static error_t open_and_close(const char *name)
{
    struct device_mmio_s mmio = DEVICE_ACCESSOR_INIT;
    char spec[40];
    error_t err;

    snprintf(spec, sizeof spec, "vfio:%s", name);
    err = device_get_accessor_by_path(&mmio.base, NULL, spec, DRIVER_CLASS_MMIO);
    if (!err)
        device_put_accessor(&mmio.base);
    return err;
}

/* A serial port: a device that a driver of the kernel fits. */
#define SERIAL_VENDOR 0x1b36
#define SERIAL_DEVICE 0x0002

START_TEST(there_and_back)
{
    char name[16], text[64];

    ck_assert(guest_find(name, SERIAL_VENDOR, SERIAL_DEVICE, 0));
    driver_is(name, "serial");
    ck_assert_int_eq(krctl(&krctl_vfio_bind, name, NULL, NULL), KRCTL_OK);
    snprintf(text, sizeof text, "%s: vfio-pci instead of serial\n", name);
    ck_assert_str_eq(output, text);
    driver_is(name, "vfio-pci");
    ck_assert_int_eq(krctl(&krctl_vfio_bind, name + 5, NULL, NULL), KRCTL_OK);
    printed("already");
    ck_assert_int_eq(open_and_close(name), 0);
    ck_assert_int_eq(krctl(&krctl_vfio_unbind, name, NULL, NULL), KRCTL_OK);
    snprintf(text, sizeof text, "%s: serial\n", name);
    ck_assert_str_eq(output, text);
    driver_is(name, "serial");
    ck_assert_int_eq(krctl(&krctl_vfio_unbind, name, NULL, NULL), KRCTL_OK);
    printed("not bound to VFIO but to serial");
    driver_is(name, "serial");
}
END_TEST

START_TEST(shown)
{
    char name[16], group[64];

    edu_find(name, EDU_ROOT);
    guest_bind(name, "vfio-pci");
    ck_assert_int_eq(krctl(&krctl_vfio_show, NULL, NULL, NULL), KRCTL_OK);
    printed("IOMMU: on");
    printed("bridge");
    ck_assert_int_eq(krctl(&krctl_vfio_show, name, NULL, NULL), KRCTL_OK);
    printed("1234:11e8");
    printed("vfio-pci");
    printed("/dev/vfio/");
    printed(": root");
    ck_assert_int_eq(krctl(&krctl_vfio_show, "--json", name, NULL), KRCTL_OK);
    snprintf(group, sizeof group, "{\"iommu\":true,\"devices\":[{\"device\":\"%s\"", name);
    printed(group);
    printed("\"driver\":\"vfio-pci\",\"bridge\":false,\"file\":\"/dev/vfio/");
    printed("\"open\":true}]}\n");
    ck_assert_int_eq(krctl(&krctl_vfio_show, "0000:00:1e.7", NULL, NULL), KRCTL_FAILED);
    printed("no PCI device 0000:00:1e.7");
    ck_assert_int_eq(krctl(&krctl_vfio_show, "eth0", NULL, NULL), KRCTL_FAILED);
    printed("no PCI address");
}
END_TEST

START_TEST(bridges_stay)
{
    char name[16];

    ck_assert(guest_find(name, 0x1b36, 0x000c, 0)); /* pcie-root-port */
    driver_is(name, "pcieport");
    ck_assert_int_eq(krctl(&krctl_vfio_bind, name, NULL, NULL), KRCTL_FAILED);
    printed("is a bridge");
    driver_is(name, "pcieport");
}
END_TEST

START_TEST(whole_group)
{
    char one[16], two[16];

    edu_find(one, EDU_BRIDGE_1);
    edu_find(two, EDU_BRIDGE_2);
    guest_bind(one, NULL);
    guest_bind(two, "uio_pci_generic");
    ck_assert_int_eq(krctl(&krctl_vfio_bind, one, NULL, NULL), KRCTL_FAILED);
    printed("the group cannot be opened yet");
    printed(two);
    ck_assert_int_lt(open_and_close(one), 0);
    ck_assert_int_eq(krctl(&krctl_vfio_bind, "--group", one, NULL), KRCTL_OK);
    driver_is(one, "vfio-pci");
    driver_is(two, "vfio-pci");
    ck_assert_int_eq(open_and_close(one), 0);
    ck_assert_int_eq(krctl(&krctl_vfio_unbind, one, NULL, NULL), KRCTL_OK);
    ck_assert_int_eq(krctl(&krctl_vfio_unbind, two, NULL, NULL), KRCTL_OK);
    driver_is(one, "");
    driver_is(two, "");
}
END_TEST

START_TEST(for_a_user)
{
    char name[16];
    struct stat st;
    FILE *f = fopen("/etc/passwd", "we");

    /* The guest has no users. */
    if (f == NULL) {
        mkdir("/etc", 0755);
        f = fopen("/etc/passwd", "we");
    }
    ck_assert_ptr_nonnull(f);
    fputs("root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n", f);
    fclose(f);
    if (getpwnam("alice") == NULL)
        kt_skip("the C library of this guest reads no /etc/passwd");
    edu_find(name, EDU_ROOT);
    ck_assert_int_eq(krctl(&krctl_vfio_bind, "--user=alice", name, NULL), KRCTL_OK);
    printed("is alice's");
    struct vfio_device_s d;
    char path[48];
    vfio_look(&d, name);
    ck_assert(vfio_node(&d, path));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_uid, 1000);
    ck_assert_int_eq(krctl(&krctl_vfio_bind, "--user=nobody-there", name, NULL), KRCTL_FAILED);
    printed("no user");
    ck_assert_int_eq(krctl(&krctl_vfio_show, name, NULL, NULL), KRCTL_OK);
    printed(": alice");
    ck_assert_int_eq(chown(path, 0, 0), 0);
    ck_assert_int_eq(setuid(1000), 0);
    ck_assert_int_eq(krctl(&krctl_vfio_unbind, name, NULL, NULL), KRCTL_FAILED);
    printed("only root may");
}
END_TEST

/* A program that has it open, and is asked for it. */
START_TEST(unbound_while_open)
{
    struct edu_irq_s irq;
    struct kt_env_s env;
    struct edu_s edu;

    kt_env_open(&env, KT_THREADS);
    edu_open(&edu, &env, EDU_ROOT, "");
    edu_irq_init(&irq, &edu, DEV_IRQ_ANY);
    edu_irq_request(&irq);
    ck_assert_int_eq(krctl(&krctl_vfio_unbind, edu.name, NULL, NULL), KRCTL_OK);
    printed("no driver fits");
    kt_await(&env, kt_get(&irq.error) == -ENODEV);
    driver_is(edu.name, "");
    ck_assert_int_eq(dev_irq_release(&irq.irq), 0);
    edu_close(&edu);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("vfio_krctl");

    kt_add(s, there_and_back, 20);
    kt_add(s, shown, 20);
    kt_add(s, bridges_stay, 20);
    kt_add(s, whole_group, 20);
    kt_add(s, for_a_user, 20);
    kt_add(s, unbound_while_open, 20);
    return s;
}

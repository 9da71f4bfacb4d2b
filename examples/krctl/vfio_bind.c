/* SPDX-License-Identifier: MIT */
/*
 * krctl vfio bind, unbind: driver_override says which driver is to serve a device, and
 * drivers_probe asks the kernel to look again (Documentation/ABI/testing/sysfs-bus-pci).
 */
#include "vfio.h"

#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"
#define VFIO    "vfio-pci"

extern char **environ;

/* --- changing the driver --- */

static int explain(const struct vfio_device_s *d, const char *what, error_t err)
{
    krctl_fail("cannot %s %s: %s", what, d->name, strerror(-err));
    if (err == -EACCES || err == -EPERM)
        krctl_hint("sudo krctl vfio ...: only root may");
    return KRCTL_FAILED;
}

/* Makes `driver` ("": the one that fits) serve the device; `*d` is what came of it. */
static error_t move(struct vfio_device_s *d, const char *driver)
{
    char name[24], wanted[40];
    error_t err;

    snprintf(name, sizeof(name), "%s", d->name);
    snprintf(wanted, sizeof(wanted), "%s\n", driver);
    err = vfio_write(wanted, DEVICES "/%s/driver_override", name);
    if (err == 0 && d->driver[0] != '\0')
        err = vfio_write(name, DEVICES "/%s/driver/unbind", name);
    if (err == 0)
        err = vfio_write(name, "/sys/bus/pci/drivers_probe");
    vfio_look(d, name);
    return err;
}

/* --- bind --- */

/* The kernel's side of VFIO, built in or loaded now. */
static bool have_driver(void)
{
    char *argv[] = {"modprobe", "-q", VFIO, NULL};
    pid_t pid;

    if (access("/sys/bus/pci/drivers/" VFIO, F_OK) == 0)
        return true;
    if (posix_spawnp(&pid, "modprobe", NULL, NULL, argv, environ) == 0)
        waitpid(pid, NULL, 0);
    if (access("/sys/bus/pci/drivers/" VFIO, F_OK) == 0)
        return true;
    krctl_fail("the kernel has no driver " VFIO);
    krctl_hint("sudo modprobe " VFIO);
    return false;
}

static bool allowed(const struct vfio_device_s *d)
{
    if (vfio_is_bridge(d)) {
        krctl_fail("%s is a bridge: VFIO serves the devices behind it, not the bridge", d->name);
        return false;
    }
    if (d->group[0] == '\0' && !vfio_has_iommu() &&
        access("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", F_OK) != 0) {
        krctl_fail("no IOMMU: the machine has none, or it is off");
        krctl_hint("intel_iommu=on on the kernel's command line, VT-d or AMD-Vi in the firmware's "
                   "set-up; man kroutine-vfio");
        return false;
    }
    return true;
}

static int refused(struct vfio_device_s *d, error_t err)
{
    bool no_iommu = d->group[0] == '\0';

    move(d, "");
    explain(d, "bind", err != 0 ? err : -ENODEV);
    if (no_iommu)
        krctl_hint("an IOMMU: none stands before this device (man kroutine-vfio)");
    else if (err != -EACCES && err != -EPERM)
        krctl_hint("dmesg | tail: the kernel says there what is wrong");
    return KRCTL_FAILED;
}

static int bind_one(struct vfio_device_s *d)
{
    char before[32];

    if (vfio_is_bound(d)) {
        printf("%s: bound to %s already\n", d->name, d->driver);
        return KRCTL_OK;
    }
    snprintf(before, sizeof(before), "%s", d->driver);
    error_t err = move(d, VFIO);
    if (!vfio_is_bound(d))
        return refused(d, err);
    printf("%s: %s instead of %s\n", d->name, d->driver, before[0] != '\0' ? before : "no driver");
    return KRCTL_OK;
}

/* What else is in the group, and would keep it from being opened. */
struct rest_s {
    const char *name; /* the device that is asked for */
    bool bind;
    int status;
};

static bool rest_of_group(const struct vfio_device_s *other, void *arg)
{
    struct rest_s *rest = arg;
    struct vfio_device_s d = *other;

    if (strcmp(d.name, rest->name) == 0 || vfio_is_bridge(&d) || vfio_is_bound(&d))
        return true;
    if (rest->bind) {
        rest->status = bind_one(&d);
        return rest->status == KRCTL_OK;
    }
    if (d.driver[0] == '\0')
        return true;
    krctl_fail("the group cannot be opened yet: %s is in it, bound to %s", d.name, d.driver);
    krctl_hint("krctl vfio bind --group %s", rest->name);
    rest->status = KRCTL_FAILED;
    return false;
}

/* The file appears when udev, or the kernel itself, gets to it. */
static int give_to(const struct vfio_device_s *d, const char *user)
{
    const struct passwd *entry = getpwnam(user);
    char path[48];

    if (entry == NULL)
        return krctl_fail("there is no user '%s'", user);
    for (int i = 0; i < 100 && !vfio_node(d, path); i++)
        usleep(20000);
    if (!vfio_node(d, path))
        return krctl_fail("%s: no file in /dev/vfio opens it", d->name);
    if (chown(path, entry->pw_uid, (gid_t)-1) != 0)
        return krctl_fail("cannot give %s to %s: %s", path, user, strerror(errno));
    printf("%s: %s is %s's\n", d->name, path, user);
    return KRCTL_OK;
}

static int bind_all(const char *text, bool group, const char *user)
{
    struct vfio_device_s d;

    if (!vfio_find(&d, text) || !allowed(&d) || !have_driver())
        return KRCTL_FAILED;
    int status = bind_one(&d);
    struct rest_s rest = {d.name, group, KRCTL_OK};
    if (status == KRCTL_OK && d.group[0] != '\0') {
        vfio_each(d.group, rest_of_group, &rest);
        status = rest.status;
    }
    if (status == KRCTL_OK && user != NULL)
        status = give_to(&d, user);
    if (status == KRCTL_OK && d.no_iommu)
        krctl_hint("an IOMMU if you can: this device reaches all memory; vfio:%s?iommu=none",
                   d.name);
    return status;
}

static int run_bind(int argc, char **argv)
{
    static const struct option options[] = {
        {"group", no_argument, NULL, 'g'},
        {"help", no_argument, NULL, 'h'},
        {"user", required_argument, NULL, 'u'},
        {0},
    };
    const char *user = NULL;
    bool group = false;
    int option, status = KRCTL_OK;

    while ((option = getopt_long(argc, argv, "ghu:", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            return krctl_help(&krctl_vfio_bind);
        case 'g':
            group = true;
            break;
        case 'u':
            user = optarg;
            break;
        default:
            return krctl_usage(&krctl_vfio_bind, NULL);
        }
    }
    const char *device = krctl_operand(&krctl_vfio_bind, argc, argv, "DEVICE", &status);
    if (device == NULL)
        return status;
    if (optind < argc)
        return krctl_usage(&krctl_vfio_bind, "'%s' is one word too many", argv[optind]);
    return bind_all(device, group, user);
}

const struct krctl_command_s krctl_vfio_bind = {
    .name = "vfio bind",
    .summary = "takes a device from its driver, so that vfio:DEVICE can be opened",
    .help = "usage: krctl vfio bind DEVICE [OPTION]...\n"
            "\n"
            "Takes a PCI device from the driver that serves it, and binds it to vfio-pci,\n"
            "until `krctl vfio unbind` or the next boot. What that driver made of the device,\n"
            "such as disks and network interfaces, is gone meanwhile: do not take what the\n"
            "machine runs on. Bridges are refused.\n"
            "\n"
            "Devices of one IOMMU group are opened together or not at all. With --group the\n"
            "others are bound as well; without, they are named when they are in the way.\n"
            "\n"
            "  -g, --group         all devices of its IOMMU group\n"
            "  -u, --user NAME     lets that user open it\n"
            "  -h, --help          this text\n",
    .run = run_bind,
};

/* --- unbind --- */

/* The kernel waits until nobody has the device open. */
static void name_holders(const struct vfio_device_s *d)
{
    glob_t list = {0};
    struct stat file, st;
    char path[48];

    if (!vfio_node(d, path) || stat(path, &file) != 0)
        return;
    glob("/proc/[0-9]*/fd/*", GLOB_NOSORT, NULL, &list);
    for (size_t i = 0; i < list.gl_pathc; i++) {
        const char *pid = list.gl_pathv[i] + strlen("/proc/");

        if (stat(list.gl_pathv[i], &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == file.st_rdev)
            krctl_hint("ending process %.*s, which has it open, if this takes long",
                       (int)strcspn(pid, "/"), pid);
    }
    globfree(&list);
}

static int unbind(const char *text)
{
    struct vfio_device_s d;

    if (!vfio_find(&d, text))
        return KRCTL_FAILED;
    if (!vfio_is_bound(&d) && strstr(d.wanted, "vfio") == NULL) {
        printf("%s: not bound to VFIO but to %s\n", d.name,
               d.driver[0] != '\0' ? d.driver : "no driver");
        return KRCTL_OK;
    }
    name_holders(&d);
    error_t err = move(&d, "");
    if (vfio_is_bound(&d) || err == -EACCES)
        return explain(&d, "unbind", err != 0 ? err : -EBUSY);
    printf("%s: %s\n", d.name, d.driver[0] != '\0' ? d.driver : "no driver fits");
    return KRCTL_OK;
}

static int run_unbind(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option = getopt_long(argc, argv, "h", options, NULL), status = KRCTL_OK;

    if (option == 'h')
        return krctl_help(&krctl_vfio_unbind);
    if (option != -1)
        return krctl_usage(&krctl_vfio_unbind, NULL);
    const char *device = krctl_operand(&krctl_vfio_unbind, argc, argv, "DEVICE", &status);
    if (device == NULL)
        return status;
    if (optind < argc)
        return krctl_usage(&krctl_vfio_unbind, "'%s' is one word too many", argv[optind]);
    return unbind(device);
}

const struct krctl_command_s krctl_vfio_unbind = {
    .name = "vfio unbind",
    .summary = "gives a device back to the driver that fits it",
    .help = "usage: krctl vfio unbind DEVICE\n"
            "\n"
            "Gives a PCI device back to the driver of the kernel that serves such devices. A\n"
            "program that has it open is asked to let it go, which programs of libkroutine\n"
            "do; the kernel waits for others.\n"
            "\n"
            "  -h, --help          this text\n",
    .run = run_unbind,
};

/* SPDX-License-Identifier: MIT */
#include "vfio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"

/* --- names --- */

bool vfio_address(char name[24], const char *text)
{
    unsigned domain = 0, bus, slot, function;
    int end = 0;

    if (sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4 ||
        text[end] != '\0') {
        domain = 0;
        end = 0;
        if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) != 3 || text[end] != '\0')
            end = 0;
    }
    if (end == 0 || slot > 0x1f || function > 7) {
        krctl_fail("'%s' is no PCI address", text);
        krctl_hint("one such as 0000:00:03.0; krctl vfio show lists them");
        return false;
    }
    snprintf(name, 24, "%04x:%02x:%02x.%x", domain, bus, slot, function);
    return true;
}

/* --- files --- */

static unsigned number(const char *name, const char *file)
{
    char path[128];
    unsigned value = 0;

    snprintf(path, sizeof(path), DEVICES "/%s/%s", name, file);
    FILE *f = fopen(path, "re");
    if (f != NULL && fscanf(f, "%x", &value) != 1)
        value = 0;
    if (f != NULL)
        fclose(f);
    return value;
}

/* The first line of a file; "" when there is none. */
static void line(char *to, int size, const char *path)
{
    FILE *f = fopen(path, "re");

    if (f == NULL || fgets(to, size, f) == NULL)
        to[0] = '\0';
    to[strcspn(to, "\n")] = '\0';
    if (f != NULL)
        fclose(f);
}

static void link_name(char *to, size_t size, const char *name, const char *file)
{
    char path[128], target[512];

    snprintf(path, sizeof(path), DEVICES "/%s/%s", name, file);
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    target[n > 0 ? n : 0] = '\0';
    const char *last = strrchr(target, '/');
    snprintf(to, size, "%.*s", (int)size - 1, last != NULL ? last + 1 : target);
}

error_t vfio_write(const char *text, const char *format, ...)
{
    error_t err = 0;
    char path[192];
    va_list args;

    va_start(args, format);
    vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, text, strlen(text)) < 0)
        err = -errno;
    close(fd);
    return err;
}

/* --- devices --- */

void vfio_look(struct vfio_device_s *d, const char *name)
{
    char path[128], group_name[32];

    memset(d, 0, sizeof(*d));
    snprintf(d->name, sizeof(d->name), "%s", name);
    link_name(d->driver, sizeof(d->driver), d->name, "driver");
    link_name(d->group, sizeof(d->group), d->name, "iommu_group");
    snprintf(path, sizeof(path), DEVICES "/%s/driver_override", d->name);
    line(d->wanted, sizeof(d->wanted), path);
    if (strcmp(d->wanted, "(null)") == 0) /* how the kernel writes "none" */
        d->wanted[0] = '\0';
    snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/name", d->group);
    line(group_name, sizeof(group_name), path);
    d->no_iommu = d->group[0] != '\0' && strncmp(group_name, "vfio-noiommu", 12) == 0;
    d->vendor = number(d->name, "vendor");
    d->device = number(d->name, "device");
    d->class_code = number(d->name, "class");
}

bool vfio_find(struct vfio_device_s *d, const char *text)
{
    char path[128], name[24];

    if (!vfio_address(name, text))
        return false;
    snprintf(path, sizeof(path), DEVICES "/%s", name);
    if (access(path, F_OK) != 0) {
        krctl_fail("there is no PCI device %s", name);
        krctl_hint("krctl vfio show, which lists those of this machine");
        return false;
    }
    vfio_look(d, name);
    return true;
}

/* Base class 6 of the class code: "PCI Code and ID Assignment Specification", 1.7. */
bool vfio_is_bridge(const struct vfio_device_s *d)
{
    return d->class_code >> 16 == 0x06;
}

bool vfio_is_bound(const struct vfio_device_s *d)
{
    return strstr(d->driver, "vfio") != NULL;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

bool vfio_has_iommu(void)
{
    struct dirent **list;
    int count = scandir("/sys/class/iommu", &list, visible, NULL);

    for (int i = 0; i < count; i++)
        free(list[i]);
    if (count >= 0)
        free(list);
    return count > 0;
}

bool vfio_node(const struct vfio_device_s *d, char path[48])
{
    if (d->group[0] == '\0')
        return false;
    snprintf(path, 48, "/dev/vfio/%s%s", d->no_iommu ? "noiommu-" : "", d->group);
    return access(path, F_OK) == 0;
}

int vfio_each(const char *group, vfio_each_t *fn, void *arg)
{
    struct dirent **list;
    bool go_on = true;
    int count = scandir(DEVICES, &list, visible, alphasort);

    if (count < 0)
        return krctl_fail("this machine has no PCI bus: %s: %s", DEVICES, strerror(errno));
    for (int i = 0; i < count; i++) {
        struct vfio_device_s d;

        vfio_look(&d, list[i]->d_name);
        if (go_on && (group == NULL || strcmp(group, d.group) == 0))
            go_on = fn(&d, arg);
        free(list[i]);
    }
    free(list);
    return KRCTL_OK;
}

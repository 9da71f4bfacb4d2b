/* SPDX-License-Identifier: MIT */
/* Devices that UIO or VFIO gives to programs. */
#include "host.h"

#include <stdio.h>
#include <string.h>

static void add_uio(struct host_s *h, const char *name, void *arg)
{
    char text[64], device[64], driver[32];

    (void)arg;
    struct host_row_s *row = host_add(h, DRIVER_CLASS_MMIO, "uio:%s", name);
    if (row == NULL)
        return;
    host_text(h, text, sizeof(text), "/sys/class/uio/%s/name", name);
    host_link(h, device, sizeof(device), "/sys/class/uio/%s/device", name);
    host_link(h, driver, sizeof(driver), "/sys/class/uio/%s/device/driver", name);
    host_say(row, "%s", text);
    if (device[0] != '\0')
        host_say(row, "%s", device);
    if (driver[0] != '\0' && strcmp(driver, text) != 0)
        host_say(row, "driver %s", driver);
    host_held(h, row, "%s", name);
}

void host_uio(struct host_s *h)
{
    host_each(h, "/sys/class/uio", add_uio, NULL);
}

/* The file of a device of its own, from Linux 6.6 on: /dev/vfio/devices/vfio0. */
static void held_by_cdev(struct host_s *h, const char *name, void *arg)
{
    host_held(h, arg, "vfio/devices/%s", name);
}

static void add_pci(struct host_s *h, const char *name, void *arg)
{
    char folder[96], driver[32], group[24], kind[32], vendor[16], id[16];

    (void)arg;
    snprintf(folder, sizeof(folder), "/sys/bus/pci/devices/%.24s", name);
    host_link(h, driver, sizeof(driver), "%s/driver", folder);
    if (strstr(driver, "vfio") == NULL)
        return;
    struct host_row_s *row = host_add(h, DRIVER_CLASS_MMIO, "vfio:%s", name);
    if (row == NULL)
        return;
    host_text(h, vendor, sizeof(vendor), "%s/vendor", folder);
    host_text(h, id, sizeof(id), "%s/device", folder);
    host_link(h, group, sizeof(group), "%s/iommu_group", folder);
    host_text(h, kind, sizeof(kind), "/sys/kernel/iommu_groups/%s/name", group);
    host_say(row, "PCI %s:%s", vendor + 2 * (vendor[0] == '0'), id + 2 * (id[0] == '0'));
    host_say(row, "driver %s", driver);
    if (group[0] != '\0')
        host_say(row, "group %s", group);
    host_held(h, row, "vfio/%s%s", strncmp(kind, "vfio-noiommu", 12) == 0 ? "noiommu-" : "", group);
    snprintf(folder, sizeof(folder), "/sys/bus/pci/devices/%.24s/vfio-dev", name);
    if (row->holders == 0)
        host_each(h, folder, held_by_cdev, row);
}

void host_vfio(struct host_s *h)
{
    host_each(h, "/sys/bus/pci/devices", add_pci, NULL);
}

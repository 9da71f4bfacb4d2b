/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own refusals are bare numbers: EINVAL for a group that is not viable, ENOENT for a
 * device file that was never made. So what can be known beforehand is looked up, and said.
 */
#include "pci.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform.h"

#define DEVICES "/sys/bus/pci/devices"

/* --- names --- */

static bool hex(const char **at, unsigned digits_min, unsigned digits_max, unsigned *value)
{
    unsigned digits = 0;

    *value = 0;
    for (; isxdigit((unsigned char)**at) && digits < digits_max; (*at)++, digits++) {
        int c = tolower((unsigned char)**at);

        *value = *value << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return digits >= digits_min;
}

error_t pci_name(char name[24], const char *text)
{
    unsigned domain, bus, slot, function;
    const char *at = text;
    bool ok = hex(&at, 1, 8, &domain) && *at++ == ':' && hex(&at, 1, 2, &bus);

    if (ok && *at == '.') { /* no domain */
        slot = bus;
        bus = domain;
        domain = 0;
    } else {
        ok = ok && *at++ == ':' && hex(&at, 1, 2, &slot);
    }
    ok = ok && *at++ == '.' && hex(&at, 1, 1, &function) && *at == '\0';
    if (!ok || bus > 0xff || slot > 0x1f || function > 7)
        return device_error(-EINVAL,
                            "'%s' is no PCI address; one looks like 0000:00:03.0 (lspci -D has "
                            "those of this machine)",
                            text);
    snprintf(name, 24, "%04x:%02x:%02x.%x", domain, bus, slot, function);
    return 0;
}

/* --- sysfs --- */

void pci_path(char path[PCI_PATH], const char *name, const char *file)
{
    snprintf(path, PCI_PATH, DEVICES "/%s/%s", name, file);
}

static bool is_no_iommu(int group)
{
    char folder[64], name[32];

    snprintf(folder, sizeof(folder), "/sys/kernel/iommu_groups/%d", group);
    return kr_platform_attribute(name, sizeof(name), folder, "name") > 0 &&
           strncmp(name, "vfio-noiommu", strlen("vfio-noiommu")) == 0;
}

static void look(struct pci_s *pci)
{
    char folder[PCI_PATH], group[16];

    pci_path(folder, pci->name, "");
    kr_platform_link_name(pci->driver, sizeof(pci->driver), folder, "driver");
    kr_platform_link_name(group, sizeof(group), folder, "iommu_group");
    pci->group = group[0] ? atoi(group) : -1;
    pci->no_iommu = pci->group >= 0 && is_no_iommu(pci->group);
}

error_t pci_find(struct pci_s *pci, const char *text)
{
    char path[PCI_PATH];
    error_t err = pci_name(pci->name, text);

    if (err)
        return err;
    pci_path(path, pci->name, "");
    if (access(path, F_OK) && access(DEVICES, F_OK))
        return device_error(-ENOENT, "no such PCI device: %s; this machine has no PCI bus",
                            pci->name);
    if (access(path, F_OK))
        return device_error(-ENOENT,
                            "no such PCI device: %s (krctl vfio show has those of this machine)",
                            pci->name);
    look(pci);
    return 0;
}

/* --- what is in the way --- */

static bool is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    bool empty = true;

    if (!dir)
        return true;
    while (empty && (entry = readdir(dir)))
        empty = entry->d_name[0] == '.';
    closedir(dir);
    return empty;
}

/* vfio-pci, and what does the same for the devices of one maker: those show a vfio-dev folder,
   from Linux 6.1 on, and have it in their names by convention. */
static bool serves_vfio(const char *name, const char *driver)
{
    char path[PCI_PATH];

    pci_path(path, name, "vfio-dev");
    return driver[0] && (strstr(driver, "vfio") || access(path, F_OK) == 0);
}

static error_t check_iommu(const struct pci_s *pci)
{
    if (pci->group >= 0 && !pci->no_iommu)
        return 0;
    if (is_empty("/sys/class/iommu"))
        return device_error(-ENODEV,
                            "no IOMMU: the machine has none or it is off (intel_iommu=on on the "
                            "kernel's command line, VT-d or AMD-Vi in the firmware's set-up; "
                            "kroutine-vfio(7))");
    return device_error(-ENODEV,
                        "no IOMMU: the one of this machine does not stand before %s "
                        "(kroutine-vfio(7))",
                        pci->name);
}

static error_t check_no_iommu(const struct pci_s *pci)
{
    if (pci->group >= 0 && !pci->no_iommu)
        return device_error(-EINVAL, "iommu=none: %s has an IOMMU; leave the key out", pci->name);
    if (pci->group < 0 && serves_vfio(pci->name, pci->driver))
        return device_error(-ENODEV,
                            "iommu=none: %s was bound while that was not allowed; write Y to "
                            "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode and bind it "
                            "again",
                            pci->name);
    return 0;
}

error_t pci_check(const struct pci_s *pci, bool no_iommu)
{
    error_t err = no_iommu ? check_no_iommu(pci) : check_iommu(pci);

    if (err || serves_vfio(pci->name, pci->driver))
        return err;
    if (!pci->driver[0])
        return device_error(-ENODEV, "%s is bound to no driver; bind it with krctl vfio bind %s",
                            pci->name, pci->name);
    return device_error(-EBUSY, "%s is bound to driver %s; bind it with krctl vfio bind %s",
                        pci->name, pci->driver, pci->name);
}

/* Drivers that leave DMA to user space: driver_managed_dma in the kernel's drivers/. */
static bool stays_out(const char *name, const char *driver)
{
    return !driver[0] || serves_vfio(name, driver) || strcmp(driver, "pci-stub") == 0 ||
           strcmp(driver, "pcieport") == 0;
}

static bool in_the_way(struct pci_s *other, const char *name)
{
    snprintf(other->name, sizeof(other->name), "%.23s", name);
    look(other);
    return !stays_out(other->name, other->driver);
}

error_t pci_blame(const struct pci_s *pci)
{
    struct pci_s other = {.name = ""};
    const struct dirent *entry;
    char path[PCI_PATH];
    bool found = false;
    DIR *dir;

    pci_path(path, pci->name, "iommu_group/devices");
    dir = opendir(path);
    while (dir && !found && (entry = readdir(dir)))
        found = entry->d_name[0] != '.' && in_the_way(&other, entry->d_name);
    if (dir)
        closedir(dir);
    if (!found)
        return device_error(-EPERM, "group not viable: another driver uses a device of group %d",
                            pci->group);
    return device_error(-EPERM,
                        "group not viable: %s in the same group is bound to %s; bind it to VFIO as "
                        "well, or unbind it",
                        other.name, other.driver);
}

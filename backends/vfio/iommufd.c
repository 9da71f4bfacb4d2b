/* SPDX-License-Identifier: MIT */
/*
 * iommufd: one address space object for the devices that are attached to it, and a file for each
 * device, from Linux 6.6 on (Documentation/userspace-api/iommufd.rst). Debian 13 has it switched
 * off, so type1 comes first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iommu.h"
#include "iommufd_abi.h"

static error_t iommufd_open(struct space_s *s, const struct pci_s *pci)
{
    struct abi_ioas_alloc_s alloc = {.size = sizeof(alloc)};

    s->container = open("/dev/iommu", O_RDWR | O_CLOEXEC);
    if (s->container < 0 && errno == ENOENT)
        return device_error(-ENOENT,
                            "%s: the kernel has no /dev/iommu (modprobe iommufd; Linux 6.6 with "
                            "CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV; or iommu=type1)",
                            pci->name);
    if (s->container < 0)
        return iommu_open_error("/dev/iommu", pci);
    if (ioctl(s->container, ABI_IOAS_ALLOC, &alloc))
        return device_error(-errno, "%s: iommufd gives no address space: %s", pci->name,
                            strerror(errno));
    s->ioas = alloc.out_ioas_id;
    return 0;
}

/* The name in /sys/bus/pci/devices/NAME/vfio-dev/. */
static error_t find_node(const struct pci_s *pci, char path[280])
{
    const struct dirent *entry;
    char folder[PCI_PATH];
    bool found = false;
    DIR *dir;

    pci_path(folder, pci->name, "vfio-dev");
    dir = opendir(folder);
    while (dir && !found && (entry = readdir(dir))) {
        found = strncmp(entry->d_name, "vfio", 4) == 0;
        if (found)
            snprintf(path, 280, "/dev/vfio/devices/%s", entry->d_name);
    }
    if (dir)
        closedir(dir);
    if (found && access(path, F_OK) == 0)
        return 0;
    return device_error(-ENOENT,
                        "%s: the kernel has no file for it in /dev/vfio/devices (Linux 6.6 with "
                        "CONFIG_VFIO_DEVICE_CDEV; or iommu=type1)",
                        pci->name);
}

static error_t attach(struct space_s *s, const struct pci_s *pci, int fd)
{
    struct abi_bind_iommufd_s bind = {.argsz = sizeof(bind), .iommufd = s->container};
    struct abi_attach_iommufd_pt_s pt = {.argsz = sizeof(pt), .pt_id = s->ioas};

    if (ioctl(fd, ABI_DEVICE_BIND_IOMMUFD, &bind)) {
        /* EBUSY: the group is open; EINVAL: the device (vfio_df_open in the kernel) */
        if (errno == EBUSY || errno == EINVAL)
            return device_error(-EBUSY, "%s: another program has it, or group %d, open", pci->name,
                                pci->group);
        if (errno == EPERM)
            return pci_blame(pci);
        return device_error(-errno, "%s: iommufd does not take it: %s", pci->name, strerror(errno));
    }
    if (ioctl(fd, ABI_DEVICE_ATTACH_IOMMUFD_PT, &pt))
        return device_error(-errno, "%s: its IOMMU refuses the address space: %s", pci->name,
                            strerror(errno));
    return 0;
}

static error_t iommufd_attach(struct space_s *s, const struct pci_s *pci, int *device_fd)
{
    char path[280];
    error_t err = find_node(pci, path);
    int fd;

    if (err)
        return err;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return iommu_open_error(path, pci);
    err = attach(s, pci, fd);
    if (err)
        close(fd);
    else
        *device_fd = fd;
    return err;
}

static void iommufd_close(struct space_s *s)
{
    if (s->container >= 0)
        close(s->container);
    s->container = -1;
}

static error_t iommufd_ranges(struct space_s *s, struct iova_range_s **list, size_t *count)
{
    struct abi_ioas_iova_ranges_s get = {.size = sizeof(get), .ioas_id = s->ioas};
    struct abi_iova_range_s *ranges;
    error_t err = 0;

    if (ioctl(s->container, ABI_IOAS_IOVA_RANGES, &get) && errno != EMSGSIZE)
        return device_error(-errno, "iommufd does not tell the valid ranges: %s", strerror(errno));
    *count = get.num_iovas;
    ranges = calloc(*count + 1, sizeof(*ranges));
    *list = calloc(*count + 1, sizeof(**list));
    get.allowed_iovas = (uintptr_t)ranges;
    if (!ranges || !*list)
        err = -ENOMEM;
    else if (ioctl(s->container, ABI_IOAS_IOVA_RANGES, &get))
        err = device_error(-errno, "iommufd does not tell the valid ranges: %s", strerror(errno));
    for (size_t i = 0; !err && i < *count; i++)
        (*list)[i] = (struct iova_range_s){ranges[i].start, ranges[i].last};
    free(ranges);
    if (err)
        free(*list);
    else if (get.out_iova_alignment > s->page)
        s->page = get.out_iova_alignment;
    return err;
}

static error_t iommufd_map(struct space_s *s, void *base, size_t size, uint64_t iova,
                           unsigned flags)
{
    struct abi_ioas_map_s map = {
        .size = sizeof(map),
        .flags = ABI_IOAS_MAP_FIXED_IOVA | (flags & IOMMU_READ ? ABI_IOAS_MAP_READABLE : 0) |
                 (flags & IOMMU_WRITE ? ABI_IOAS_MAP_WRITEABLE : 0),
        .ioas_id = s->ioas,
        .user_va = (uintptr_t)base,
        .length = size,
        .iova = iova,
    };

    return ioctl(s->container, ABI_IOAS_MAP, &map) ? -errno : 0;
}

static error_t iommufd_unmap(struct space_s *s, size_t size, uint64_t iova)
{
    struct abi_ioas_unmap_s unmap = {
        .size = sizeof(unmap), .ioas_id = s->ioas, .iova = iova, .length = size};

    return ioctl(s->container, ABI_IOAS_UNMAP, &unmap) ? -errno : 0;
}

const struct iommu_ops_s iommu_iommufd = {
    .name = "iommufd",
    .protects = true,
    .open = iommufd_open,
    .attach = iommufd_attach,
    .close = iommufd_close,
    .ranges = iommufd_ranges,
    .map = iommufd_map,
    .unmap = iommufd_unmap,
};

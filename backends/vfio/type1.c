/* SPDX-License-Identifier: MIT */
/*
 * Containers and groups, as of any kernel with VFIO. The order is the kernel's: a container gets a
 * group first, its kind second, and maps only then (Documentation/driver-api/vfio.rst).
 *
 * `none` is the kernel's no-IOMMU mode: the same files, and a container that maps nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "iommu.h"

error_t iommu_open_error(const char *path, const struct pci_s *pci)
{
    error_t err = -errno;

    switch (err) {
    case -EACCES:
        return device_error(err,
                            "cannot open %s for %s: Permission denied (root can; "
                            "kroutine-vfio(7) has a udev rule for a group of users)",
                            path, pci->name);
    case -EPERM:
        return device_error(err, "cannot open %s for %s: it takes CAP_SYS_RAWIO", path, pci->name);
    case -EBUSY:
        return device_error(err, "%s: another program has group %d open (fuser -v %s names it)",
                            pci->name, pci->group, path);
    case -ENOENT:
        return device_error(err, "%s: the kernel has no %s (modprobe vfio-pci)", pci->name, path);
    default:
        return device_error(err, "cannot open %s for %s: %s", path, pci->name, strerror(-err));
    }
}

/* --- container and group --- */

static error_t open_container(struct space_s *s, const struct pci_s *pci, unsigned kind)
{
    s->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    if (s->container < 0)
        return iommu_open_error("/dev/vfio/vfio", pci);
    if (ioctl(s->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
        return device_error(-ENOTSUP, "/dev/vfio/vfio: not version %d", VFIO_API_VERSION);
    if (ioctl(s->container, VFIO_CHECK_EXTENSION, kind) <= 0)
        return device_error(-ENOENT, "%s: the kernel has no %s (%s)", pci->name,
                            kind == VFIO_NOIOMMU_IOMMU ? "no-IOMMU mode" : "vfio_iommu_type1",
                            kind == VFIO_NOIOMMU_IOMMU
                                ? "module parameter vfio.enable_unsafe_noiommu_mode=1"
                                : "modprobe vfio_iommu_type1");
    return 0;
}

static error_t open_group(struct space_s *s, const struct pci_s *pci)
{
    struct vfio_group_status status = {.argsz = sizeof(status)};
    char path[40];

    snprintf(path, sizeof(path), "/dev/vfio/%s%d", pci->no_iommu ? "noiommu-" : "", pci->group);
    s->group_fd = open(path, O_RDWR | O_CLOEXEC);
    if (s->group_fd < 0)
        return iommu_open_error(path, pci);
    if (ioctl(s->group_fd, VFIO_GROUP_GET_STATUS, &status))
        return device_error(-errno, "%s: group %d: %s", pci->name, pci->group, strerror(errno));
    if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
        return pci_blame(pci);
    return 0;
}

static error_t join(struct space_s *s, const struct pci_s *pci, unsigned kind)
{
    error_t err = open_container(s, pci, kind);

    if (!err)
        err = open_group(s, pci);
    if (err)
        return err;
    /* From Linux 6.2 on it is here that a group is found not viable, with EBUSY. */
    if (ioctl(s->group_fd, VFIO_GROUP_SET_CONTAINER, &s->container))
        return errno == EBUSY || errno == EPERM
                   ? pci_blame(pci)
                   : device_error(-errno, "%s: VFIO refuses group %d: %s", pci->name, pci->group,
                                  strerror(errno));
    if (ioctl(s->container, VFIO_SET_IOMMU, kind))
        return device_error(-errno, "%s: VFIO refuses the IOMMU of group %d: %s%s", pci->name,
                            pci->group, strerror(errno),
                            errno == EPERM ? " (no interrupt remapping: dmesg says more)" : "");
    return 0;
}

static error_t type1_open(struct space_s *s, const struct pci_s *pci)
{
    return join(s, pci, VFIO_TYPE1v2_IOMMU);
}

static error_t none_open(struct space_s *s, const struct pci_s *pci)
{
    return join(s, pci, VFIO_NOIOMMU_IOMMU);
}

static error_t type1_attach(struct space_s *s, const struct pci_s *pci, int *device_fd)
{
    int fd = ioctl(s->group_fd, VFIO_GROUP_GET_DEVICE_FD, pci->name);

    if (fd < 0)
        return device_error(-errno, "%s: VFIO does not open it: %s", pci->name, strerror(errno));
    *device_fd = fd;
    return 0;
}

static void type1_close(struct space_s *s)
{
    if (s->group_fd >= 0)
        close(s->group_fd);
    if (s->container >= 0)
        close(s->container);
    s->group_fd = s->container = -1;
}

/* --- ranges --- */

static error_t get_info(struct space_s *s, struct vfio_iommu_type1_info **ret)
{
    struct vfio_iommu_type1_info *info, *more;
    uint32_t size = sizeof(*info);

    info = calloc(1, size);
    if (!info)
        return -ENOMEM;
    info->argsz = size;
    if (!ioctl(s->container, VFIO_IOMMU_GET_INFO, info) && info->argsz > size) {
        size = info->argsz; /* with the capabilities behind it */
        more = realloc(info, size);
        if (!more) {
            free(info);
            return -ENOMEM;
        }
        info = more;
        memset(info, 0, size);
        info->argsz = size;
        if (!ioctl(s->container, VFIO_IOMMU_GET_INFO, info)) {
            info->argsz = size;
            *ret = info;
            return 0;
        }
    }
    free(info);
    return device_error(-ENOTSUP, "VFIO: the kernel does not tell the valid ranges of addresses, "
                                  "which Linux 5.4 does");
}

static const struct vfio_iommu_type1_info_cap_iova_range *
find_ranges(const struct vfio_iommu_type1_info *info)
{
    uint32_t at = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0;

    while (at && at + sizeof(struct vfio_info_cap_header) <= info->argsz) {
        const struct vfio_info_cap_header *cap = (const void *)((const char *)info + at);

        if (cap->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
            return (const void *)cap;
        at = cap->next;
    }
    return NULL;
}

static error_t type1_ranges(struct space_s *s, struct iova_range_s **list, size_t *count)
{
    const struct vfio_iommu_type1_info_cap_iova_range *cap;
    struct vfio_iommu_type1_info *info = NULL;
    error_t err = get_info(s, &info);

    if (err)
        return err;
    if (info->flags & VFIO_IOMMU_INFO_PGSIZES)
        s->page = info->iova_pgsizes & -info->iova_pgsizes;
    cap = find_ranges(info);
    *count = cap ? cap->nr_iovas : 0;
    *list = malloc((*count + 1) * sizeof(**list));
    for (size_t i = 0; *list && i < *count; i++)
        (*list)[i] = (struct iova_range_s){cap->iova_ranges[i].start, cap->iova_ranges[i].end};
    free(info);
    return *list ? 0 : -ENOMEM;
}

/* --- mapping --- */

static error_t type1_map(struct space_s *s, void *base, size_t size, uint64_t iova, unsigned flags)
{
    struct vfio_iommu_type1_dma_map map = {
        .argsz = sizeof(map),
        .flags = (flags & IOMMU_READ ? VFIO_DMA_MAP_FLAG_READ : 0) |
                 (flags & IOMMU_WRITE ? VFIO_DMA_MAP_FLAG_WRITE : 0),
        .vaddr = (uintptr_t)base,
        .iova = iova,
        .size = size,
    };

    return ioctl(s->container, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

static error_t type1_unmap(struct space_s *s, size_t size, uint64_t iova)
{
    struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = iova, .size = size};

    return ioctl(s->container, VFIO_IOMMU_UNMAP_DMA, &unmap) ? -errno : 0;
}

const struct iommu_ops_s iommu_type1 = {
    .name = "type1",
    .protects = true,
    .open = type1_open,
    .attach = type1_attach,
    .close = type1_close,
    .ranges = type1_ranges,
    .map = type1_map,
    .unmap = type1_unmap,
};

const struct iommu_ops_s iommu_none = {
    .name = "none",
    .open = none_open,
    .attach = type1_attach,
    .close = type1_close,
};

/* SPDX-License-Identifier: MIT */
/*
 * BARs. The kernel tells which parts of one can be mapped: older ones leave out the table of MSI-X,
 * and a BAR that shares a page with another device cannot be mapped at all.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfio.h"

/* --- what there is --- */

/* With the capabilities behind it; free() it. NULL: errno. */
static struct vfio_region_info *get_info(struct vfio_s *v, uint32_t index)
{
    uint32_t size = sizeof(struct vfio_region_info);

    for (;;) {
        struct vfio_region_info *info = calloc(1, size);

        if (!info)
            return NULL;
        info->argsz = size;
        info->index = index;
        if (ioctl(v->fd, VFIO_DEVICE_GET_REGION_INFO, info)) {
            free(info);
            return NULL;
        }
        if (info->argsz <= size)
            return info;
        size = info->argsz;
        free(info);
    }
}

static error_t find_config(struct vfio_s *v)
{
    struct vfio_region_info *info = get_info(v, VFIO_PCI_CONFIG_REGION_INDEX);

    if (!info)
        return device_error(-errno, "%s: VFIO: %s", v->pci.name, strerror(errno));
    v->config_size = info->size;
    v->config_offset = info->offset;
    free(info);
    return 0;
}

error_t vfio_find_regions(struct vfio_s *v)
{
    for (uint32_t i = 0; i < VFIO_BARS; i++) {
        struct vfio_region_info *info = get_info(v, VFIO_PCI_BAR0_REGION_INDEX + i);
        struct vfio_region_s *r = &v->region[i];

        if (!info)
            return device_error(-errno, "%s: BAR%u: %s", v->pci.name, i, strerror(errno));
        r->size = info->size;
        r->offset = info->offset;
        r->flags = (info->flags & VFIO_REGION_INFO_FLAG_READ ? DEV_MMIO_REGION_READ : 0) |
                   (info->flags & VFIO_REGION_INFO_FLAG_WRITE ? DEV_MMIO_REGION_WRITE : 0) |
                   (info->flags & VFIO_REGION_INFO_FLAG_MMAP ? DEV_MMIO_REGION_MAPPABLE : 0);
        snprintf(r->map.name, sizeof(r->map.name), "vfio:%s BAR%u", v->pci.name, i);
        free(info);
    }
    return find_config(v);
}

/* --- mapping --- */

static const struct vfio_region_info_cap_sparse_mmap *
find_sparse(const struct vfio_region_info *info)
{
    uint32_t at = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;

    while (at && at + sizeof(struct vfio_info_cap_header) <= info->argsz) {
        const struct vfio_info_cap_header *cap = (const void *)((const char *)info + at);

        if (cap->id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
            return (const void *)cap;
        at = cap->next;
    }
    return NULL;
}

static error_t map_part(struct vfio_s *v, struct vfio_region_s *r, uint64_t offset, uint64_t size)
{
    int prot = (r->flags & DEV_MMIO_REGION_READ ? PROT_READ : 0) |
               (r->flags & DEV_MMIO_REGION_WRITE ? PROT_WRITE : 0);
    void *at = (char *)r->map.pages + offset;

    if (!size)
        return 0;
    if (mmap(at, size, prot, MAP_SHARED | MAP_FIXED, v->fd, (off_t)(r->offset + offset)) ==
        MAP_FAILED)
        return -errno;
    return 0;
}

static error_t map_parts(struct vfio_s *v, struct vfio_region_s *r, uint32_t index)
{
    struct vfio_region_info *info = get_info(v, VFIO_PCI_BAR0_REGION_INDEX + index);
    const struct vfio_region_info_cap_sparse_mmap *sparse;
    error_t err = 0;

    if (!info)
        return -errno;
    sparse = find_sparse(info);
    if (!sparse)
        err = map_part(v, r, 0, r->size);
    for (uint32_t i = 0; sparse && !err && i < sparse->nr_areas; i++)
        err = map_part(v, r, sparse->areas[i].offset, sparse->areas[i].size);
    free(info);
    return err;
}

/* The whole BAR gets its place first; what cannot be mapped of it stays out of reach. */
static error_t map_region(struct vfio_s *v, struct vfio_region_s *r, uint32_t index)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size;
    void *pages;
    error_t err;

    if (r->size > SIZE_MAX - page) /* 32 bits */
        return -ENOMEM;
    size = (r->size + page - 1) & ~(page - 1);
    pages = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        return -errno;
    r->map.pages = pages;
    r->map.length = size;
    err = map_parts(v, r, index);
    if (err)
        kr_mmio_drop(&r->map);
    return err;
}

static error_t map_window(struct vfio_s *v, uint32_t index, struct dev_mmio_s *window)
{
    struct vfio_region_s *r = &v->region[index];
    error_t err = 0;

    pthread_mutex_lock(&v->lock);
    if (!r->map.pages)
        err = map_region(v, r, index);
    if (!err)
        err = kr_mmio_map(&r->map, window, index, v->fd, 0, 0, r->size, r->flags);
    pthread_mutex_unlock(&v->lock);
    return err ? device_error(err, "%s: %s", r->map.name, strerror(-err)) : 0;
}

static error_t check(const struct vfio_s *v, uint32_t index)
{
    if (index >= VFIO_BARS || !v->region[index].size)
        return device_error(-ENXIO, "%s has no BAR%u", v->pci.name, index);
    return 0;
}

DEV_MMIO_MAP(vfio_map)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err = vfio_enter(v);

    if (err)
        return err;
    err = check(v, index);
    if (!err && !(v->region[index].flags & DEV_MMIO_REGION_MAPPABLE))
        err = device_error(-ENOTSUP, "%s cannot be mapped: I/O ports, or less than a page",
                           v->region[index].map.name);
    if (!err)
        err = map_window(v, index, window);
    vfio_leave(v);
    return err;
}

/* Also of a device that is gone: its windows are still there. */
DEV_MMIO_UNMAP(vfio_unmap)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err = -EINVAL;

    pthread_mutex_lock(&v->lock);
    if (window->index < VFIO_BARS)
        err = kr_mmio_unmap(&v->region[window->index].map, window);
    pthread_mutex_unlock(&v->lock);
    return err ? device_error(err, "%s: not a window of this device", v->pci.name) : 0;
}

DEV_MMIO_REGION(vfio_region)
{
    struct vfio_s *v = vfio_of(acc->dev);
    error_t err = vfio_enter(v);

    if (err)
        return err;
    err = check(v, index);
    if (!err) {
        memset(region, 0, sizeof(*region));
        region->size = v->region[index].size;
        region->flags = v->region[index].flags;
        snprintf(region->name, sizeof(region->name), "BAR%u", index);
    }
    vfio_leave(v);
    return err;
}

/* --- the end --- */

#define GRAVE ((size_t)1 << 20)

/* A file that has nothing but ones, mapped over and over as BARs can be large; private, so what is
   written costs a page and harms no other. */
static int make_ones(void)
{
    int fd = memfd_create("kroutine-gone", MFD_CLOEXEC);
    void *ones;

    if (fd < 0)
        return -1;
    if (ftruncate(fd, GRAVE) == 0) {
        ones = mmap(NULL, GRAVE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (ones != MAP_FAILED) {
            memset(ones, 0xff, GRAVE);
            munmap(ones, GRAVE);
            return fd;
        }
    }
    close(fd);
    return -1;
}

/* Without memory for it, the windows go all the same: a register that is read then is a fault, and
   the machine would hang otherwise. */
static void bury(struct kr_mmio_region_s *map, int ones)
{
    for (size_t at = 0; at < map->length; at += GRAVE) {
        size_t size = map->length - at < GRAVE ? map->length - at : GRAVE;

        mmap((char *)map->pages + at, size, ones < 0 ? PROT_NONE : PROT_READ | PROT_WRITE,
             MAP_FIXED | MAP_PRIVATE | (ones < 0 ? MAP_ANONYMOUS : 0), ones, 0);
    }
}

void vfio_bury_regions(struct vfio_s *v)
{
    int ones = -1;

    for (unsigned i = 0; i < VFIO_BARS; i++) {
        if (!v->region[i].map.pages)
            continue;
        if (ones < 0)
            ones = make_ones();
        bury(&v->region[i].map, ones);
    }
    if (ones >= 0)
        close(ones);
}

void vfio_drop_regions(struct vfio_s *v)
{
    for (unsigned i = 0; i < VFIO_BARS; i++)
        kr_mmio_drop(&v->region[i].map);
}

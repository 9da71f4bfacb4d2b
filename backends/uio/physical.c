/* SPDX-License-Identifier: MIT */
/*
 * Memory for a device that no IOMMU guards: physical addresses. Huge pages of hugetlbfs only: the
 * kernel may move an ordinary page at any time, also a locked one (compaction,
 * Documentation/admin-guide/sysctl/vm.rst, compact_unevictable_allowed), and the device would go on
 * writing where it was. Documentation/admin-guide/mm/pagemap.rst, hugetlbpage.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kroutine/driver.h"
#include "platform.h"
#include "uio.h"

/* KernelPageSize, in bytes, the smallest of the mappings that `map` is in; 0: of none. */
static size_t page_size_of(const struct dev_dma_map_s *map)
{
    uintptr_t begin = (uintptr_t)map->base, end = begin + map->size, from, to;
    FILE *file = fopen("/proc/self/smaps", "re");
    size_t kib, smallest = 0;
    bool inside = false;
    char line[512];

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
            inside = from < end && to > begin;
        else if (inside && sscanf(line, "KernelPageSize: %zu kB", &kib) == 1 &&
                 (!smallest || kib < smallest))
            smallest = kib;
    }
    fclose(file);
    return smallest * 1024;
}

/* An IOMMU that translates would not know physical addresses. */
static error_t check_iommu(const char *device)
{
    char type[32];

    if (kr_platform_attribute(type, sizeof(type), device, "iommu_group/type") <= 0 ||
        strcmp(type, "identity") == 0)
        return 0;
    return device_error(-ENOTSUP,
                        "the device is behind an IOMMU, which knows nothing of physical addresses: "
                        "bind it to vfio-pci, or boot with iommu=pt");
}

#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_FRAME   ((UINT64_C(1) << 55) - 1)

/* Physical address of a page that is there. */
static error_t address_of(uint64_t *bus, int pagemap, uintptr_t at, size_t page)
{
    uint64_t entry;

    if (pread(pagemap, &entry, sizeof(entry), (off_t)(at / page * sizeof(entry))) != sizeof(entry))
        return device_error(-EFAULT, "this memory has no physical address");
    if (!(entry & ENTRY_PRESENT))
        return device_error(-EFAULT, "this memory is not in RAM");
    if (!(entry & ENTRY_FRAME))
        return device_error(-EPERM, "physical addresses are shown to programs with CAP_SYS_ADMIN "
                                    "only");
    *bus = (entry & ENTRY_FRAME) * page + at % page;
    return 0;
}

/* One huge page after the other need not be neighbours in RAM. */
static error_t contiguous(uint64_t *bus, int pagemap, const struct dev_dma_map_s *map)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    error_t err = address_of(bus, pagemap, (uintptr_t)map->base, page);

    for (size_t at = page; !err && at < map->size; at += page) {
        uint64_t next;

        err = address_of(&next, pagemap, (uintptr_t)map->base + at, page);
        if (!err && next != *bus + at)
            err = device_error(-ENOTSUP, "the memory is not contiguous in RAM: use one huge page");
    }
    return err;
}

/* Huge pages stay where they are; this only brings them there. */
static error_t populate(const struct dev_dma_map_s *map)
{
    if (mlock(map->base, map->size) == 0)
        return 0;
    if (errno == ENOMEM || errno == EAGAIN || errno == EPERM)
        return device_error(-ENOMEM,
                            "the memory cannot be locked: see RLIMIT_MEMLOCK, 'ulimit -l'");
    return -errno;
}

/* Shared with a child, the page would be copied at the next write, and the device would keep the
   old one. Not undone: another mapping may be in the same huge page. */
static error_t keep_from_children(const struct dev_dma_map_s *map, size_t huge)
{
    uintptr_t from = (uintptr_t)map->base & ~(uintptr_t)(huge - 1);
    uintptr_t to = ((uintptr_t)map->base + map->size + huge - 1) & ~(uintptr_t)(huge - 1);

    return madvise((void *)from, to - from, MADV_DONTFORK) < 0 ? -errno : 0;
}

error_t kr_uio_physical_map(struct dev_dma_map_s *map, const char *device)
{
    size_t kernel_page = page_size_of(map);
    uint64_t bus = 0;
    error_t err;
    int pagemap;

    if (!kernel_page)
        return device_error(-EFAULT, "this memory is not mapped");
    if (kernel_page == (size_t)sysconf(_SC_PAGESIZE))
        return device_error(-ENOTSUP, "physical addresses need huge pages (MAP_HUGETLB; reserve "
                                      "some in /proc/sys/vm/nr_hugepages): others may be moved");
    err = check_iommu(device);
    if (!err)
        err = populate(map);
    if (err)
        return err;
    pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    err = pagemap < 0 ? device_error(-errno, "/proc/self/pagemap cannot be opened")
                      : contiguous(&bus, pagemap, map);
    if (pagemap >= 0)
        close(pagemap);
    if (!err && map->mask && bus + map->size - 1 > map->mask)
        err = device_error(-ENOSPC,
                           "the memory is at 0x%" PRIx64 ", beyond what the device "
                           "reaches",
                           bus);
    if (!err)
        err = keep_from_children(map, kernel_page);
    if (err) {
        munlock(map->base, map->size);
        return err;
    }
    map->bus = bus;
    return 0;
}

void kr_uio_physical_unmap(struct dev_dma_map_s *map)
{
    munlock(map->base, map->size);
}

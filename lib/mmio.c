/* SPDX-License-Identifier: MIT */
/* Windows of registers: what is mapped, and the report of an access outside of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mmio.h"

void dev_mmio_bad_access(const struct dev_mmio_s *m, size_t offset, size_t width)
{
    char line[256];
    ssize_t written;
    int n;

    if (offset % width)
        n = snprintf(line, sizeof(line),
                     "libkroutine: register access not aligned: %zu bytes at 0x%zx of '%.64s'. "
                     "See kroutine-mmio(3)\n",
                     width, offset, m->name ? m->name : "(no name)");
    else
        n = snprintf(line, sizeof(line),
                     "libkroutine: register access outside of the window: %zu bytes at 0x%zx of "
                     "'%.64s', which has 0x%zx. See kroutine-mmio(3)\n",
                     width, offset, m->name ? m->name : "(no name)", m->size);
    written = write(STDERR_FILENO, line, (size_t)n);
    (void)written;
    abort();
}

error_t kr_mmio_map(struct kr_mmio_region_s *region, struct dev_mmio_s *window, uint32_t index,
                    int fd, off_t offset, size_t skip, size_t size, uint32_t flags)
{
    int prot = (flags & DEV_MMIO_REGION_READ ? PROT_READ : 0) |
               (flags & DEV_MMIO_REGION_WRITE ? PROT_WRITE : 0);

    if (!region->pages) {
        void *pages = mmap(NULL, skip + size, prot, MAP_SHARED, fd, offset);

        if (pages == MAP_FAILED)
            return -errno;
        region->pages = pages;
        region->length = skip + size;
    }
    region->windows++;
    *window = (struct dev_mmio_s){.base = (volatile uint8_t *)region->pages + skip,
                                  .size = size,
                                  .index = index,
                                  .name = region->name};
    return 0;
}

error_t kr_mmio_unmap(struct kr_mmio_region_s *region, struct dev_mmio_s *window)
{
    uintptr_t at = (uintptr_t)window->base, pages = (uintptr_t)region->pages;

    if (!pages || at < pages || at >= pages + region->length)
        return -EINVAL;
    memset(window, 0, sizeof(*window));
    if (--region->windows == 0)
        kr_mmio_drop(region);
    return 0;
}

void kr_mmio_drop(struct kr_mmio_region_s *region)
{
    if (region->pages)
        munmap(region->pages, region->length);
    region->pages = NULL;
    region->windows = 0;
}

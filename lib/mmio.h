/* SPDX-License-Identifier: MIT */
/* What the drivers of the mmio class share: mapped regions, counted. */
#ifndef KR_MMIO_H
#define KR_MMIO_H

#include <sys/types.h>

#include "kroutine/mmio.h"

/* A region of a device, mapped once for all of its windows. The lock is the driver's. */
struct kr_mmio_region_s {
    void *pages; /* NULL: not mapped */
    size_t length;
    uint32_t windows;
    char name[64]; /* for reports: "uio0 map 0" */
};

/* What f_map does once the region is known: `size` bytes that begin `skip` bytes behind `offset`,
   a multiple of the page size, of `fd`. `flags`: enum dev_mmio_region_flags_e. Errors of mmap(2).
 */
error_t kr_mmio_map(struct kr_mmio_region_s *region, struct dev_mmio_s *window, uint32_t index,
                    int fd, off_t offset, size_t skip, size_t size, uint32_t flags);
/* What f_unmap does: clears the window. -EINVAL: it is none of this region. */
error_t kr_mmio_unmap(struct kr_mmio_region_s *region, struct dev_mmio_s *window);
/* At the end: unmaps whatever windows there are. */
void kr_mmio_drop(struct kr_mmio_region_s *region);

#endif

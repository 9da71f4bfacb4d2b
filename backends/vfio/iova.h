/* SPDX-License-Identifier: MIT */
/* Which addresses of a device's address space (IOVAs) are free. No system, no lock. */
#ifndef KR_VFIO_IOVA_H
#define KR_VFIO_IOVA_H

#include <stddef.h>
#include <stdint.h>

#include "kroutine/base.h"

struct iova_range_s {
    uint64_t first;
    uint64_t last; /* included: a range may end at 2^64-1 */
};

/*
 * Free ranges, sorted, none empty, no two adjacent. `used` blocks have been taken. Each taken block
 * separates at most two free ranges, and so does each border of the valid ranges: the array has
 * room for `borders` + `used` of them before a block is taken, and giving one back cannot fail.
 */
struct iova_s {
    struct iova_range_s *free;
    size_t count;
    size_t capacity;
    size_t used;
    size_t borders;
};

void iova_init(struct iova_s *s);
void iova_destroy(struct iova_s *s);

/* The valid ranges, in any order, overlapping or not. -ENOMEM: nothing has changed. */
error_t iova_set_ranges(struct iova_s *s, const struct iova_range_s *ranges, size_t count);
/* What is outside of `ranges` is not given out any more. -ENOMEM: nothing has changed. */
error_t iova_restrict(struct iova_s *s, const struct iova_range_s *ranges, size_t count);

/* First fit: the lowest multiple of `align` (a power of two) with `size` free addresses, none above
   `mask`. -ENOSPC: there is none. -ENOMEM. */
error_t iova_take(struct iova_s *s, uint64_t size, uint64_t align, uint64_t mask, uint64_t *ret);
/* Gives back exactly what was taken. */
void iova_give(struct iova_s *s, uint64_t first, uint64_t size);

#endif

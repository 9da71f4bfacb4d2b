/* SPDX-License-Identifier: MIT */
/*
 * A histogram of durations in nanoseconds. Quantiles come from cells on a logarithmic scale, eight
 * for each doubling, so that they are at most an eighth too high; the picture has rows that end at
 * round numbers. Filled by one thread, read when that thread is done.
 */
#ifndef KRCTL_HIST_H
#define KRCTL_HIST_H

#include <stdint.h>

#define HIST_FINE  3 /* log2 of the cells in a doubling */
#define HIST_CELLS (40 << HIST_FINE)
#define HIST_ROWS  20

struct hist_s {
    uint64_t count;
    uint64_t max;
    uint64_t cell[HIST_CELLS];
    uint64_t row[HIST_ROWS];
};

/* Values of row n are below hist_top[n], and not below that of the row before: 1, 2, 5, 10 us and
   so on. The last one has no end: UINT64_MAX. */
extern const uint64_t hist_top[HIST_ROWS];

void hist_add(struct hist_s *h, uint64_t value);

/* The value that `share` (0 to 1) of the samples do not exceed; 0 without samples. */
uint64_t hist_quantile(const struct hist_s *h, double share);

#endif

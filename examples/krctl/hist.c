/* SPDX-License-Identifier: MIT */
#include "hist.h"

#define US(n) ((uint64_t)(n)*1000)
#define MS(n) ((uint64_t)(n)*1000000)

const uint64_t hist_top[HIST_ROWS] = {
    US(1), US(2), US(5),  US(10), US(20), US(50),  US(100), US(200), US(500),  MS(1),
    MS(2), MS(5), MS(10), MS(20), MS(50), MS(100), MS(200), MS(500), MS(1000), UINT64_MAX,
};

static unsigned log2_of(uint64_t value)
{
    return 63 - (unsigned)__builtin_clzll(value);
}

/* Values below 2^HIST_FINE have a cell of their own, the first ones of the array. */
static unsigned cell_of(uint64_t value)
{
    if (value >> HIST_FINE == 0)
        return (unsigned)value;

    unsigned shift = log2_of(value) - HIST_FINE;
    unsigned cell = ((shift + 1) << HIST_FINE) + (unsigned)(value >> shift) - (1u << HIST_FINE);
    return cell < HIST_CELLS ? cell : HIST_CELLS - 1;
}

/* The largest value of a cell. */
static uint64_t cell_top(unsigned cell)
{
    if (cell >> HIST_FINE == 0)
        return cell;

    unsigned shift = (cell >> HIST_FINE) - 1;
    uint64_t head = (1u << HIST_FINE) + (cell & ((1u << HIST_FINE) - 1));
    return ((head + 1) << shift) - 1;
}

void hist_add(struct hist_s *h, uint64_t value)
{
    unsigned row = 0;

    while (row < HIST_ROWS - 1 && value >= hist_top[row])
        row++;
    h->row[row]++;
    h->cell[cell_of(value)]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

uint64_t hist_quantile(const struct hist_s *h, double share)
{
    double wanted = share * (double)h->count;
    uint64_t seen = 0;

    for (unsigned i = 0; i < HIST_CELLS && h->count > 0; i++) {
        seen += h->cell[i];
        if (h->cell[i] > 0 && (double)seen >= wanted)
            return cell_top(i) < h->max ? cell_top(i) : h->max;
    }
    return h->max;
}

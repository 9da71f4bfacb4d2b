/* SPDX-License-Identifier: MIT */
/*
 * Values of lines: what happens often, at most two register writes for a bank.
 *
 * Several threads may be at it. The core gives the newest values again when others came meanwhile
 * (struct kr_lines_s in lib/gpio_internal.h); for that a write must have arrived before the caller
 * looks whether there are newer ones: hence the barrier. The same holds for `inverted`.
 */
/* The offsets are those of the tables, and the whole block is mapped. */
#define KROUTINE_MMIO_CHECK 0

#include "gpiomem.h"

/* The lines of a bank are its lowest bits. */
static inline uint32_t bank_mask(const struct gpiomem_layout_s *layout, unsigned bank)
{
    return UINT32_MAX >> (32 - layout->bank[bank].count);
}

static inline uint32_t bank_bits(const struct gpiomem_layout_s *layout, unsigned bank,
                                 uint64_t lines)
{
    return (uint32_t)(lines >> layout->bank[bank].first) & bank_mask(layout, bank);
}

static inline uint64_t read_bank(const struct gpiomem_s *g, unsigned bank)
{
    uint32_t levels = dev_mmio_read32_le(&g->regs, g->layout->bank[bank].level);

    return (uint64_t)(levels & bank_mask(g->layout, bank)) << g->layout->bank[bank].first;
}

error_t gpiomem_set(struct kr_lines_s *l, uint64_t mask, uint64_t values)
{
    const struct gpiomem_s *g = kr_lines_pv(l);
    const struct gpiomem_layout_s *layout = g->layout;
    uint64_t inverted = kr_load(&g->inverted), now;

    for (;; inverted = now) {
        uint64_t set = 0, clear = 0, levels = values ^ inverted;

        for (uint64_t left = mask; left; left &= left - 1) {
            unsigned i = (unsigned)__builtin_ctzll(left);
            uint64_t line = 1ull << g->offset[i];

            if (levels >> i & 1)
                set |= line;
            else
                clear |= line;
        }
        for (unsigned b = 0; b < layout->banks; b++) {
            uint32_t high = bank_bits(layout, b, set), low = bank_bits(layout, b, clear);

            if (high)
                dev_mmio_write32_le(&g->regs, layout->bank[b].set, high);
            if (low)
                dev_mmio_write32_le(&g->regs, layout->bank[b].clear, low);
        }
        dev_mmio_barrier();
        now = kr_load(&g->inverted);
        if (kr_likely(!((now ^ inverted) & mask)))
            return 0;
    }
}

error_t gpiomem_get(struct kr_lines_s *l, uint64_t mask, uint64_t *values)
{
    const struct gpiomem_s *g = kr_lines_pv(l);
    uint64_t lines = 0, chip = 0, levels = 0;

    for (uint64_t left = mask; left; left &= left - 1)
        lines |= 1ull << g->offset[__builtin_ctzll(left)];
    for (unsigned b = 0; b < g->layout->banks; b++)
        chip |= bank_bits(g->layout, b, lines) ? read_bank(g, b) : 0;
    for (uint64_t left = mask; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);

        levels |= (chip >> g->offset[i] & 1) << i;
    }
    *values = (levels ^ kr_load(&g->inverted)) & mask;
    return 0;
}

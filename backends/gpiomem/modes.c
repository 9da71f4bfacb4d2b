/* SPDX-License-Identifier: MIT */
/* Modes of lines: what registers can do, and what they cannot. */
#include <errno.h>

#include "gpiomem.h"

#define DIRECTIONS (DEV_GPIO_INPUT | DEV_GPIO_OUTPUT)
#define HALVES     (DEV_GPIO_OPEN_DRAIN | DEV_GPIO_OPEN_SOURCE)
#define PULLS      (DEV_GPIO_PULL_UP | DEV_GPIO_PULL_DOWN | DEV_GPIO_PULL_NONE)

static bool changes(const struct gpiomem_s *g, unsigned i, const struct kr_line_mode_s *mode,
                    uint32_t what)
{
    return mode->flags & what && (mode->flags ^ g->asked[i]) & what;
}

static error_t check(const struct gpiomem_s *g, unsigned i, const struct kr_line_mode_s *mode)
{
    char function[GPIOMEM_FUNCTION];

    if (mode->flags & DEV_GPIO_BOTH || mode->debounce_us)
        return device_error(-ENOTSUP,
                            "registers have levels only, neither edges nor debounce: use "
                            "gpiod:%s/%u",
                            g->layout->label, g->offset[i]);
    if (mode->flags & HALVES)
        return device_error(-ENOTSUP,
                            "open-drain, open-source: not by registers, which would have to change "
                            "the direction with each value; use gpiod:%s/%u",
                            g->layout->label, g->offset[i]);
    if (g->force || !changes(g, i, mode, DIRECTIONS))
        return 0;
    g->layout->mode(&g->regs, g->offset[i], function);
    if (function[0])
        return device_error(-EBUSY,
                            "line %u has the function %s, of a bus for instance: switch that off, "
                            "or take the line from it with force=yes",
                            g->offset[i], function);
    return 0;
}

/* What differs from before, pulls first, so that no line floats between the two. */
static void apply(struct gpiomem_s *g, const struct kr_line_mode_s *modes)
{
    static const uint32_t pulls[] = {DEV_GPIO_PULL_UP, DEV_GPIO_PULL_DOWN, DEV_GPIO_PULL_NONE};

    for (unsigned p = 0; p < sizeof(pulls) / sizeof(pulls[0]); p++) {
        uint64_t lines = 0;

        for (unsigned i = 0; i < g->count; i++) {
            if (modes[i].flags & pulls[p] && changes(g, i, &modes[i], PULLS))
                lines |= 1ull << g->offset[i];
        }
        if (lines)
            g->layout->pull(&g->regs, lines, pulls[p]);
    }
    for (unsigned i = 0; i < g->count; i++) {
        if (changes(g, i, &modes[i], DIRECTIONS))
            g->layout->direct(&g->regs, g->offset[i], modes[i].flags & DEV_GPIO_OUTPUT);
    }
}

/* A line without a direction keeps the one that it has; with another function it has none. */
static void note(struct gpiomem_s *g, struct kr_line_mode_s *modes)
{
    char function[GPIOMEM_FUNCTION];

    for (unsigned i = 0; i < g->count; i++) {
        if (!(modes[i].flags & DIRECTIONS))
            modes[i].flags |= g->layout->mode(&g->regs, g->offset[i], function) & DIRECTIONS;
        g->asked[i] = modes[i].flags;
    }
}

error_t gpiomem_configure(struct kr_lines_s *l, struct kr_line_mode_s *modes, uint64_t values)
{
    struct gpiomem_s *g = kr_lines_pv(l);
    uint64_t inverted = 0, outputs = 0;
    error_t err = 0;

    for (unsigned i = 0; i < g->count && !err; i++) {
        err = check(g, i, &modes[i]);
        inverted |= modes[i].flags & DEV_GPIO_ACTIVE_LOW ? 1ull << i : 0;
        outputs |= modes[i].flags & DEV_GPIO_OUTPUT ? 1ull << i : 0;
    }
    if (!err)
        err = gpiomem_modes_lock(g);
    if (err)
        return err;
    kr_store(&g->inverted, inverted);
    /* An output begins with its value. */
    if (outputs)
        gpiomem_set(l, outputs, values);
    apply(g, modes);
    gpiomem_modes_unlock(g);
    note(g, modes);
    return 0;
}

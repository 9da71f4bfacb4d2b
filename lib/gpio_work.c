/* SPDX-License-Identifier: MIT */
/*
 * What the requests MODE, SET_OUTPUT and GET_INPUT do, and the operations that do the same at once.
 *
 * SET_OUTPUT and GET_INPUT need no turn: several threads may be at it. Values meet in the latch,
 * see struct kr_lines_s. A mode is changed by the pumper.
 */
#include <stdlib.h>
#include <string.h>

#include "gpio_internal.h"

#define DIRECTIONS (DEV_GPIO_INPUT | DEV_GPIO_OUTPUT | DEV_GPIO_OPEN_DRAIN | DEV_GPIO_OPEN_SOURCE)
#define OUTPUTS    (DEV_GPIO_OUTPUT | DEV_GPIO_OPEN_DRAIN | DEV_GPIO_OPEN_SOURCE)
#define PULLS      (DEV_GPIO_PULL_UP | DEV_GPIO_PULL_DOWN | DEV_GPIO_PULL_NONE)
#define ALL_FLAGS                                                                                  \
    (DIRECTIONS | PULLS | DEV_GPIO_ACTIVE_LOW | DEV_GPIO_BOTH | DEV_GPIO_DEBOUNCE_KERNEL)

/* --- values --- */

/* `mask` to the values of the latch, until these are what the driver got last. */
static inline error_t drive(struct kr_lines_s *l, uint64_t mask, uint64_t values)
{
    uint64_t now;
    error_t err;

    mask &= kr_load(&l->outputs);
    if (kr_unlikely(!mask))
        return 0;
    for (;; values = now) {
        err = l->ops->set(l, mask, values);
        now = kr_load(&l->latch);
        if (kr_likely(!((now ^ values) & mask)) || err)
            return err;
    }
}

error_t kr_lines_set_output(struct kr_lines_s *l, unsigned first, unsigned last, uint64_t set_mask,
                            uint64_t clear_mask)
{
    uint64_t range, old, new;

    if (kr_unlikely(last >= l->count))
        return -EINVAL;
    range = kr_lines_mask(first, last);
    set_mask <<= first;
    clear_mask <<= first;
    old = kr_load_relaxed(&l->latch);
    do
        new = (old & ~range) | ((set_mask ^ (old & (set_mask ^ clear_mask))) & range);
    while (!kr_cas(&l->latch, &old, new));
    return drive(l, range & ~(~set_mask & clear_mask), new);
}

error_t kr_lines_get_input(struct kr_lines_s *l, unsigned first, unsigned last, uint64_t *data)
{
    uint64_t range, values;
    error_t err;

    if (last >= l->count)
        return -EINVAL;
    range = kr_lines_mask(first, last);
    err = l->ops->get(l, range, &values);
    if (!err)
        *data = (values & range) >> first;
    return err;
}

/* --- modes --- */

static bool several(uint32_t bits)
{
    return bits & (bits - 1);
}

static error_t validate(const struct kr_lines_s *l, const struct kr_line_mode_s *m)
{
    uint32_t direction = m->flags & DIRECTIONS;

    if (m->flags & ~(uint32_t)ALL_FLAGS)
        return device_error(-EINVAL, "mode: unknown bits %#x", m->flags & ~(uint32_t)ALL_FLAGS);
    if (several(direction))
        return device_error(-EINVAL, "mode: input, output, open-drain, open-source: only one");
    if (several(m->flags & PULLS))
        return device_error(-EINVAL, "pull: up, down, none: only one");
    if (!direction && m->flags & ~(uint32_t)DEV_GPIO_ACTIVE_LOW)
        return device_error(-EINVAL, "mode: a pull and edges need a direction: mode=input");
    if (direction != DEV_GPIO_INPUT && (m->flags & DEV_GPIO_BOTH || m->debounce_us))
        return device_error(-EINVAL, "mode: edges and debounce are for inputs: mode=input");
    if (m->flags & DEV_GPIO_DEBOUNCE_KERNEL && !(l->cap & DEV_GPIO_CAP_DEBOUNCE))
        return device_error(-ENOTSUP, "debounce: not by the kernel here; use debounce=");
    return 0;
}

static error_t same_for_all(const struct kr_lines_s *l, const struct kr_line_mode_s *modes)
{
    for (unsigned i = 1; i < l->count; i++) {
        if (modes[i].flags != modes[0].flags || modes[i].debounce_us != modes[0].debounce_us)
            return device_error(-ENOTSUP, "lines of one device cannot have different modes here: "
                                          "open one device for each mode");
    }
    return 0;
}

static bool by_library(const struct kr_line_mode_s *m)
{
    return m->debounce_us && !(m->flags & DEV_GPIO_DEBOUNCE_KERNEL);
}

/* What the driver is asked for. */
static uint32_t effective(const struct kr_line_mode_s *m, bool watching)
{
    uint32_t flags = m->flags;

    if (!(flags & DEV_GPIO_INPUT))
        return flags;
    /* Debounce has to see the way back as well. */
    if (flags & DEV_GPIO_BOTH ? by_library(m) : watching)
        flags |= DEV_GPIO_BOTH;
    return flags;
}

/* Makes the masks that follow from the modes. */
static void take_over(struct kr_lines_s *l, const struct kr_line_mode_s *modes,
                      const struct kr_line_mode_s *asked, bool watching)
{
    uint64_t outputs = 0, inputs = 0, watched = 0, debounce = 0;
    bool explicit = false;

    for (unsigned i = 0; i < l->count; i++) {
        uint64_t bit = 1ull << i;

        l->mode[i] = modes[i];
        if (!(modes[i].flags & DIRECTIONS))
            l->mode[i].flags |= asked[i].flags & DIRECTIONS; /* as the driver found it */
        inputs |= l->mode[i].flags & DEV_GPIO_INPUT ? bit : 0;
        outputs |= l->mode[i].flags & OUTPUTS ? bit : 0;
        watched |= asked[i].flags & DEV_GPIO_BOTH ? bit : 0;
        debounce |= by_library(&modes[i]) ? bit : 0;
        explicit |= modes[i].flags & DEV_GPIO_BOTH;
    }
    pthread_mutex_lock(&l->lock);
    l->inputs = inputs;
    l->watched = watched;
    l->restless &= l->debounce & debounce;
    l->debounce = debounce;
    l->watching |= watching;
    l->streaming |= explicit;
    l->ready |= watched != 0;
    pthread_mutex_unlock(&l->lock);
    kr_store(&l->outputs, outputs);
}

static error_t make_unrest(struct kr_lines_s *l, const struct kr_line_mode_s *modes)
{
    for (unsigned i = 0; i < l->count; i++) {
        if (by_library(&modes[i]) && !l->unrest)
            l->unrest = calloc(l->count, sizeof(l->unrest[0]));
        if (by_library(&modes[i]) && !l->unrest)
            return -ENOMEM;
    }
    return 0;
}

/* With the pump. */
static error_t configure(struct kr_lines_s *l, const struct kr_line_mode_s *modes, bool watching)
{
    struct kr_line_mode_s asked[DEV_GPIO_LINES_MAX];
    uint64_t values = kr_load(&l->latch), now, levels, begins;
    error_t err = make_unrest(l, modes);

    for (unsigned i = 0; i < l->count; i++) {
        asked[i] = modes[i];
        asked[i].flags = effective(&modes[i], watching);
    }
    if (!err)
        err = l->ops->configure(l, asked, values);
    if (err)
        return err;
    begins = l->debounce;
    take_over(l, modes, asked, watching);
    /* Somebody has set outputs while the driver had the old values. */
    now = kr_load(&l->latch);
    if (now != values)
        err = drive(l, kr_lines_all(l), now);
    begins = l->debounce & ~begins;
    if (!err && begins) { /* debounce begins at the level of now */
        err = l->ops->get(l, begins, &levels);
        if (err)
            return err;
        l->levels = (l->levels & ~begins) | (levels & begins);
        l->raw = (l->raw & ~begins) | (levels & begins);
    }
    return 0;
}

error_t kr_lines_begin(struct kr_lines_s *l, const struct kr_line_mode_s *modes, uint64_t values)
{
    uint64_t found, as_is = 0;
    error_t err = 0;

    for (unsigned i = 0; i < l->count && !err; i++)
        err = validate(l, &modes[i]);
    l->latch = values;
    if (!err)
        err = configure(l, modes, false);
    for (unsigned i = 0; i < l->count && !err; i++)
        as_is |= modes[i].flags & DIRECTIONS ? 0 : 1ull << i;
    as_is &= l->outputs;
    if (!err && as_is) { /* an output that stays one keeps its value too */
        err = l->ops->get(l, as_is, &found);
        if (!err)
            l->latch = (l->latch & ~as_is) | (found & as_is);
    }
    return err;
}

error_t kr_lines_watch(struct kr_lines_s *l)
{
    return configure(l, l->mode, true);
}

error_t kr_lines_change_mode(struct kr_lines_s *l, unsigned first, unsigned last, uint64_t mask,
                             uint32_t mode, uint32_t debounce_us)
{
    struct kr_line_mode_s modes[DEV_GPIO_LINES_MAX];
    struct kr_line_mode_s wanted = {mode, debounce_us};
    error_t err;

    if (last >= l->count)
        return -EINVAL;
    mask = mask << first & kr_lines_mask(first, last);
    err = validate(l, &wanted);
    if (err || !mask)
        return err;
    memcpy(modes, l->mode, sizeof(modes[0]) * l->count);
    for (uint64_t left = mask; left; left &= left - 1) {
        struct kr_line_mode_s *m = &modes[__builtin_ctzll(left)];

        /* Without a direction, only what it counts as 1 changes. */
        if (mode & DIRECTIONS)
            *m = wanted;
        else
            m->flags = (m->flags & ~(uint32_t)DEV_GPIO_ACTIVE_LOW) | mode;
    }
    if (!(l->cap & DEV_GPIO_CAP_EACH))
        err = same_for_all(l, modes);
    if (!err)
        err = configure(l, modes, l->watching);
    return err;
}

error_t kr_lines_perform(struct kr_lines_s *l, struct dev_gpio_rq_s *rq)
{
    switch ((enum dev_gpio_rq_type_e)rq->type) {
    case DEV_GPIO_MODE:
        return kr_lines_change_mode(l, rq->io_first, rq->io_last, rq->mode.mask, rq->mode.mode,
                                    rq->mode.debounce_us);
    case DEV_GPIO_SET_OUTPUT:
        return kr_lines_set_output(l, rq->io_first, rq->io_last, rq->output.set_mask,
                                   rq->output.clear_mask);
    default:
        return kr_lines_get_input(l, rq->io_first, rq->io_last, &rq->input.data);
    }
}

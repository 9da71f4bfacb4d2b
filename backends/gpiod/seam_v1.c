/* SPDX-License-Identifier: MIT */
/*
 * libgpiod 1.6, over the kernel's GPIO uAPI 1 (Documentation/userspace-api/gpio/chardev_v1.rst in
 * the kernel): all lines of a request share a mode, each watched line has a descriptor of its own
 * that holds 16 edges, and newer ones that do not fit are dropped without a trace
 * (lineevent_irq_thread in drivers/gpio/gpiolib-cdev.c). So a buffer that was found full is
 * reported as edges lost, in a number that nobody knows. So are two edges of the same direction in
 * a line that is watched for both: the kernel's thread made one edge of several interrupts, or it
 * came late and has read the level after the next one.
 *
 * Watched lines are requested in another way than others: a mode that begins or ends watching gives
 * the lines back and takes them again. Meanwhile, and while libgpiod's objects change, other
 * threads are refused with -EBUSY. What they do otherwise shares no object that matters:
 * gpiod_line_set_value_bulk() notes the values in the lines, where only functions that this file
 * does not use look for them (lib/core.c of libgpiod 1.6).
 */
#include <errno.h>
#include <fcntl.h>
#include <gpiod.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomic.h"
#include "seam.h"

#define KERNEL_KEEPS 16         /* edges of a line */
#define CONFIGURING  0x80000000 /* in `users` */

const uint32_t seam_cap = DEV_GPIO_CAP_TOGETHER;
const bool seam_eager = true;

struct seam_chip_s {
    struct gpiod_chip *chip;
};

struct seam_lines_s {
    struct gpiod_line_bulk bulk;
    unsigned count;
    const char *consumer;
    struct kr_line_mode_s mode;
    bool held;
    bool watched;
    uint32_t users; /* atomic: calls under way, CONFIGURING */
    /* seam_read: */
    unsigned at;                      /* the line to go on with */
    uint8_t run[DEV_GPIO_LINES_MAX];  /* edges read since the buffer was last found empty */
    uint8_t last[DEV_GPIO_LINES_MAX]; /* direction of the last edge, 0: none yet */
};

/* --- chips --- */

error_t seam_chip_open(struct seam_chip_s **ret, const char *path)
{
    struct seam_chip_s *chip = calloc(1, sizeof(*chip));
    error_t err = chip ? 0 : -ENOMEM;

    if (!err && !(chip->chip = gpiod_chip_open(path)))
        err = seam_errno();
    if (err)
        free(chip);
    else
        *ret = chip;
    return err;
}

void seam_chip_close(struct seam_chip_s *chip)
{
    if (!chip)
        return;
    gpiod_chip_close(chip->chip);
    free(chip);
}

const char *seam_chip_name(const struct seam_chip_s *chip)
{
    return gpiod_chip_name(chip->chip);
}

const char *seam_chip_label(const struct seam_chip_s *chip)
{
    return gpiod_chip_label(chip->chip);
}

unsigned seam_chip_count(const struct seam_chip_s *chip)
{
    return gpiod_chip_num_lines(chip->chip);
}

static uint32_t mode_of(struct gpiod_line *line)
{
    uint32_t flags = DEV_GPIO_INPUT;

    if (gpiod_line_direction(line) == GPIOD_LINE_DIRECTION_OUTPUT)
        flags = gpiod_line_is_open_drain(line)    ? DEV_GPIO_OPEN_DRAIN
                : gpiod_line_is_open_source(line) ? DEV_GPIO_OPEN_SOURCE
                                                  : DEV_GPIO_OUTPUT;
    if (gpiod_line_active_state(line) == GPIOD_LINE_ACTIVE_STATE_LOW)
        flags |= DEV_GPIO_ACTIVE_LOW;
    switch (gpiod_line_bias(line)) {
    case GPIOD_LINE_BIAS_PULL_UP:
        return flags | DEV_GPIO_PULL_UP;
    case GPIOD_LINE_BIAS_PULL_DOWN:
        return flags | DEV_GPIO_PULL_DOWN;
    case GPIOD_LINE_BIAS_DISABLE:
        return flags | DEV_GPIO_PULL_NONE;
    default:
        return flags;
    }
}

error_t seam_chip_line(struct seam_chip_s *chip, unsigned offset, struct dev_gpio_line_info_s *info)
{
    struct gpiod_line *line = gpiod_chip_get_line(chip->chip, offset);
    const char *name, *consumer;

    if (!line || gpiod_line_update(line))
        return seam_errno();
    name = gpiod_line_name(line);
    consumer = gpiod_line_consumer(line);
    memset(info, 0, sizeof(*info));
    snprintf(info->name, sizeof(info->name), "%s", name ? name : "");
    snprintf(info->consumer, sizeof(info->consumer), "%s", consumer ? consumer : "");
    info->offset = offset;
    info->used = gpiod_line_is_used(line);
    info->mode = mode_of(line);
    return 0;
}

/* --- modes --- */

static int type_of(uint32_t flags)
{
    switch (flags & DEV_GPIO_BOTH) {
    case DEV_GPIO_RISING:
        return GPIOD_LINE_REQUEST_EVENT_RISING_EDGE;
    case DEV_GPIO_FALLING:
        return GPIOD_LINE_REQUEST_EVENT_FALLING_EDGE;
    case DEV_GPIO_BOTH:
        return GPIOD_LINE_REQUEST_EVENT_BOTH_EDGES;
    }
    if (flags & DEV_GPIO_INPUT)
        return GPIOD_LINE_REQUEST_DIRECTION_INPUT;
    return flags & ~(uint32_t)DEV_GPIO_ACTIVE_LOW ? GPIOD_LINE_REQUEST_DIRECTION_OUTPUT
                                                  : GPIOD_LINE_REQUEST_DIRECTION_AS_IS;
}

static int flags_of(uint32_t flags)
{
    return (flags & DEV_GPIO_OPEN_DRAIN ? GPIOD_LINE_REQUEST_FLAG_OPEN_DRAIN : 0) |
           (flags & DEV_GPIO_OPEN_SOURCE ? GPIOD_LINE_REQUEST_FLAG_OPEN_SOURCE : 0) |
           (flags & DEV_GPIO_ACTIVE_LOW ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0) |
           (flags & DEV_GPIO_PULL_UP ? GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP : 0) |
           (flags & DEV_GPIO_PULL_DOWN ? GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN : 0) |
           (flags & DEV_GPIO_PULL_NONE ? GPIOD_LINE_REQUEST_FLAG_BIAS_DISABLE : 0);
}

static struct gpiod_line *line_at(const struct seam_lines_s *lines, unsigned index)
{
    return lines->bulk.lines[index];
}

static void spread(int *list, unsigned count, uint64_t values)
{
    for (unsigned i = 0; i < count; i++)
        list[i] = (int)(values >> i & 1);
}

static error_t make_nonblocking(const struct seam_lines_s *lines)
{
    for (unsigned i = 0; i < lines->count && lines->watched; i++) {
        if (fcntl(gpiod_line_event_get_fd(line_at(lines, i)), F_SETFL, O_RDONLY | O_NONBLOCK))
            return seam_errno();
    }
    return 0;
}

static void release(struct seam_lines_s *lines)
{
    if (lines->held)
        gpiod_line_release_bulk(&lines->bulk);
    lines->held = false;
}

static error_t hold(struct seam_lines_s *lines, const struct kr_line_mode_s *mode, uint64_t values)
{
    struct gpiod_line_request_config config = {
        .consumer = lines->consumer,
        .request_type = type_of(mode->flags),
        .flags = flags_of(mode->flags),
    };
    int list[DEV_GPIO_LINES_MAX];
    error_t err;

    spread(list, lines->count, values);
    if (gpiod_line_request_bulk(&lines->bulk, &config, list))
        return seam_errno();
    lines->held = true;
    lines->watched = mode->flags & DEV_GPIO_BOTH;
    lines->mode = *mode;
    memset(lines->run, 0, sizeof(lines->run));
    memset(lines->last, 0, sizeof(lines->last));
    err = make_nonblocking(lines);
    if (err)
        release(lines);
    return err;
}

/* Watched lines cannot be changed, nor become so. */
static error_t change(struct seam_lines_s *lines, const struct kr_line_mode_s *mode,
                      uint64_t values)
{
    struct kr_line_mode_s old = lines->mode;
    int list[DEV_GPIO_LINES_MAX], direction = type_of(mode->flags);
    error_t err;

    if (mode->flags == old.flags && lines->held)
        return 0;
    if (lines->held && !lines->watched && !(mode->flags & DEV_GPIO_BOTH)) {
        spread(list, lines->count, values);
        if (gpiod_line_set_config_bulk(&lines->bulk, direction, flags_of(mode->flags), list))
            return seam_errno();
        lines->mode = *mode;
        return 0;
    }
    release(lines);
    err = hold(lines, mode, values);
    if (err)
        hold(lines, &old, values);
    return err;
}

/* --- others keep out --- */

static error_t enter(struct seam_lines_s *lines)
{
    if (kr_likely(!(kr_add(&lines->users, 1) & CONFIGURING)))
        return 0;
    kr_sub(&lines->users, 1);
    return -EBUSY;
}

static void leave(struct seam_lines_s *lines)
{
    kr_sub(&lines->users, 1);
}

error_t seam_configure(struct seam_lines_s *lines, struct kr_line_mode_s *modes, uint64_t values)
{
    error_t err;

    kr_or(&lines->users, CONFIGURING);
    while (kr_load(&lines->users) != CONFIGURING)
        sched_yield(); /* for as long as an ioctl takes */
    err = change(lines, &modes[0], values);
    kr_and(&lines->users, ~CONFIGURING);
    return err;
}

/* --- taking lines --- */

error_t seam_take(struct seam_lines_s **ret, struct seam_chip_s *chip,
                  const struct seam_config_s *config, struct kr_line_mode_s *modes, uint64_t values)
{
    struct seam_lines_s *lines = calloc(1, sizeof(*lines));
    unsigned offsets[DEV_GPIO_LINES_MAX];
    error_t err;

    if (!lines)
        return -ENOMEM;
    for (unsigned i = 0; i < config->count; i++)
        offsets[i] = config->offsets[i];
    lines->count = config->count;
    lines->consumer = config->consumer;
    err = config->realtime ? -ENOTSUP : 0;
    if (!err && gpiod_chip_get_lines(chip->chip, offsets, config->count, &lines->bulk))
        err = seam_errno();
    if (!err)
        err = hold(lines, &modes[0], values);
    if (err) {
        free(lines);
        return err;
    }
    for (unsigned i = 0; i < config->count; i++) {
        if (!(modes[i].flags & ~(uint32_t)DEV_GPIO_ACTIVE_LOW))
            modes[i].flags |=
                mode_of(line_at(lines, i)) &
                (DEV_GPIO_INPUT | DEV_GPIO_OUTPUT | DEV_GPIO_OPEN_DRAIN | DEV_GPIO_OPEN_SOURCE);
    }
    *ret = lines;
    return 0;
}

void seam_give_back(struct seam_lines_s *lines)
{
    release(lines);
    free(lines);
}

/* --- values --- */

/* The kernel sets all lines of a request, so the others get the value that they have. */
error_t seam_set(struct seam_lines_s *lines, uint64_t mask, uint64_t values)
{
    int list[DEV_GPIO_LINES_MAX];
    error_t err = enter(lines);

    (void)mask;
    if (err)
        return err;
    spread(list, lines->count, values);
    if (!lines->held)
        err = -EIO;
    else if (gpiod_line_set_value_bulk(&lines->bulk, list))
        err = seam_errno();
    leave(lines);
    return err;
}

static error_t get_watched(struct seam_lines_s *lines, uint64_t mask, int *list)
{
    for (; mask; mask &= mask - 1) {
        int i = __builtin_ctzll(mask);

        list[i] = gpiod_line_get_value(line_at(lines, (unsigned)i));
        if (list[i] < 0)
            return seam_errno();
    }
    return 0;
}

error_t seam_get(struct seam_lines_s *lines, uint64_t mask, uint64_t *values)
{
    int list[DEV_GPIO_LINES_MAX] = {0};
    uint64_t result = 0;
    error_t err = enter(lines);

    if (err)
        return err;
    if (!lines->held)
        err = -EIO;
    else if (lines->watched)
        err = get_watched(lines, mask, list);
    else if (gpiod_line_get_value_bulk(&lines->bulk, list))
        err = seam_errno();
    leave(lines);
    for (unsigned i = 0; i < lines->count; i++)
        result |= (uint64_t)(list[i] & 1) << i;
    if (!err)
        *values = result & mask;
    return err;
}

/* --- edges --- */

static void take_edge(struct dev_gpio_event_s *event, const struct gpiod_line_event *from,
                      unsigned index)
{
    bool rises = from->event_type == GPIOD_LINE_EVENT_RISING_EDGE;

    *event = (struct dev_gpio_event_s){
        .timestamp = (uint64_t)from->ts.tv_sec * 1000000000u + (uint64_t)from->ts.tv_nsec,
        .line = (uint16_t)index,
        .edge = (uint8_t)((rises ? DEV_GPIO_RISING : DEV_GPIO_FALLING) >> 8),
    };
}

/* Edges of one line, as far as they fit. *more: it may have others. */
static int read_line(struct seam_lines_s *lines, unsigned index, struct dev_gpio_event_s *events,
                     unsigned size, bool *more)
{
    struct gpiod_line_event list[KERNEL_KEEPS];
    unsigned wanted = size < KERNEL_KEEPS ? size : KERNEL_KEEPS;
    bool both = (lines->mode.flags & DEV_GPIO_BOTH) == DEV_GPIO_BOTH;
    int n = gpiod_line_event_read_fd_multiple(gpiod_line_event_get_fd(line_at(lines, index)), list,
                                              wanted);

    if (n < 0 && errno != EAGAIN)
        return seam_errno();
    n = n < 0 ? 0 : n;
    for (int i = 0; i < n; i++) {
        take_edge(&events[i], &list[i], index);
        if (both && events[i].edge == lines->last[index])
            events[i].lost = DEV_GPIO_LOST_SOME;
        lines->last[index] = events[i].edge;
        /* So many without a pause: the buffer was full, or filled again while it was read. */
        if (lines->run[index] < KERNEL_KEEPS && ++lines->run[index] == KERNEL_KEEPS) {
            events[i].lost = DEV_GPIO_LOST_SOME;
            lines->run[index] = 0;
        }
    }
    *more = (unsigned)n == wanted;
    if (!*more)
        lines->run[index] = 0;
    return n;
}

/* Each line has a queue of its own: what is read together comes in the order of time. */
static void sort(struct dev_gpio_event_s *events, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        struct dev_gpio_event_s e = events[i];
        unsigned at = i;

        for (; at && events[at - 1].timestamp > e.timestamp; at--)
            events[at] = events[at - 1];
        events[at] = e;
    }
}

int seam_read(struct seam_lines_s *lines, struct dev_gpio_event_s *events, unsigned size)
{
    unsigned count = 0, quiet = 0;

    if (!lines->held || !lines->watched)
        return lines->held ? 0 : -EIO;
    while (count < size && quiet < lines->count) {
        bool more = false;
        int n = read_line(lines, lines->at, events + count, size - count, &more);

        if (n < 0)
            return n;
        count += (unsigned)n;
        quiet = more ? 0 : quiet + 1;
        if (!more)
            lines->at = (lines->at + 1) % lines->count;
    }
    sort(events, count);
    return (int)count;
}

unsigned seam_fds(const struct seam_lines_s *lines, int *fds)
{
    if (!lines->held || !lines->watched)
        return 0;
    for (unsigned i = 0; i < lines->count; i++)
        fds[i] = gpiod_line_event_get_fd(line_at(lines, i));
    return lines->count;
}

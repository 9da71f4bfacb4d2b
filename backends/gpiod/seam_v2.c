/* SPDX-License-Identifier: MIT */
/*
 * libgpiod 2, over the kernel's GPIO uAPI 2 (Linux 5.10;
 * Documentation/userspace-api/gpio/chardev.rst in the kernel).
 *
 * Its objects are not thread-safe, and need not be here: setting and getting values only read the
 * request object and make one ioctl each (lib/line-request.c of libgpiod 2.1), the buffer of edges
 * is the pumper's, and everything else is used by one thread at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <gpiod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "seam.h"

#define EVENTS_MAX 64 /* a call of read */

const uint32_t seam_cap = DEV_GPIO_CAP_SEQNO | DEV_GPIO_CAP_LOST | DEV_GPIO_CAP_DEBOUNCE |
                          DEV_GPIO_CAP_REALTIME | DEV_GPIO_CAP_TOGETHER | DEV_GPIO_CAP_EACH |
                          DEV_GPIO_CAP_BUFFER;
const bool seam_eager = false;

struct seam_chip_s {
    struct gpiod_chip *chip;
    struct gpiod_chip_info *info;
};

struct seam_lines_s {
    struct gpiod_line_request *request;
    struct gpiod_edge_event_buffer *buffer;
    unsigned count;
    bool realtime;
    struct account_s account;
    uint32_t offsets[DEV_GPIO_LINES_MAX];
};

/* --- chips --- */

error_t seam_chip_open(struct seam_chip_s **ret, const char *path)
{
    struct seam_chip_s *chip = calloc(1, sizeof(*chip));
    error_t err = chip ? 0 : -ENOMEM;

    if (!err && !(chip->chip = gpiod_chip_open(path)))
        err = seam_errno();
    if (!err && !(chip->info = gpiod_chip_get_info(chip->chip)))
        err = seam_errno();
    if (err)
        seam_chip_close(chip);
    else
        *ret = chip;
    return err;
}

void seam_chip_close(struct seam_chip_s *chip)
{
    if (!chip)
        return;
    if (chip->info)
        gpiod_chip_info_free(chip->info);
    if (chip->chip)
        gpiod_chip_close(chip->chip);
    free(chip);
}

const char *seam_chip_name(const struct seam_chip_s *chip)
{
    return gpiod_chip_info_get_name(chip->info);
}

const char *seam_chip_label(const struct seam_chip_s *chip)
{
    return gpiod_chip_info_get_label(chip->info);
}

unsigned seam_chip_count(const struct seam_chip_s *chip)
{
    return (unsigned)gpiod_chip_info_get_num_lines(chip->info);
}

static uint32_t mode_of(struct gpiod_line_info *info)
{
    static const uint32_t edges[] = {[GPIOD_LINE_EDGE_RISING] = DEV_GPIO_RISING,
                                     [GPIOD_LINE_EDGE_FALLING] = DEV_GPIO_FALLING,
                                     [GPIOD_LINE_EDGE_BOTH] = DEV_GPIO_BOTH};
    static const uint32_t pulls[] = {[GPIOD_LINE_BIAS_DISABLED] = DEV_GPIO_PULL_NONE,
                                     [GPIOD_LINE_BIAS_PULL_UP] = DEV_GPIO_PULL_UP,
                                     [GPIOD_LINE_BIAS_PULL_DOWN] = DEV_GPIO_PULL_DOWN};
    static const uint32_t drives[] = {[GPIOD_LINE_DRIVE_PUSH_PULL] = DEV_GPIO_OUTPUT,
                                      [GPIOD_LINE_DRIVE_OPEN_DRAIN] = DEV_GPIO_OPEN_DRAIN,
                                      [GPIOD_LINE_DRIVE_OPEN_SOURCE] = DEV_GPIO_OPEN_SOURCE};
    uint32_t flags = pulls[gpiod_line_info_get_bias(info)];

    if (gpiod_line_info_get_direction(info) == GPIOD_LINE_DIRECTION_OUTPUT)
        flags |= drives[gpiod_line_info_get_drive(info)];
    else
        flags |= DEV_GPIO_INPUT | edges[gpiod_line_info_get_edge_detection(info)];
    if (gpiod_line_info_is_active_low(info))
        flags |= DEV_GPIO_ACTIVE_LOW;
    if (gpiod_line_info_is_debounced(info))
        flags |= DEV_GPIO_DEBOUNCE_KERNEL;
    return flags;
}

error_t seam_chip_line(struct seam_chip_s *chip, unsigned offset, struct dev_gpio_line_info_s *info)
{
    struct gpiod_line_info *line = gpiod_chip_get_line_info(chip->chip, offset);
    const char *name, *consumer;

    if (!line)
        return seam_errno();
    name = gpiod_line_info_get_name(line);
    consumer = gpiod_line_info_get_consumer(line);
    memset(info, 0, sizeof(*info));
    snprintf(info->name, sizeof(info->name), "%s", name ? name : "");
    snprintf(info->consumer, sizeof(info->consumer), "%s", consumer ? consumer : "");
    info->offset = offset;
    info->used = gpiod_line_info_is_used(line);
    info->mode = mode_of(line);
    info->debounce_us = (uint32_t)gpiod_line_info_get_debounce_period_us(line);
    gpiod_line_info_free(line);
    return 0;
}

/* --- modes --- */

static enum gpiod_line_edge edge_of(uint32_t flags)
{
    switch (flags & DEV_GPIO_BOTH) {
    case DEV_GPIO_RISING:
        return GPIOD_LINE_EDGE_RISING;
    case DEV_GPIO_FALLING:
        return GPIOD_LINE_EDGE_FALLING;
    case DEV_GPIO_BOTH:
        return GPIOD_LINE_EDGE_BOTH;
    default:
        return GPIOD_LINE_EDGE_NONE;
    }
}

static enum gpiod_line_bias bias_of(uint32_t flags)
{
    return flags & DEV_GPIO_PULL_UP     ? GPIOD_LINE_BIAS_PULL_UP
           : flags & DEV_GPIO_PULL_DOWN ? GPIOD_LINE_BIAS_PULL_DOWN
           : flags & DEV_GPIO_PULL_NONE ? GPIOD_LINE_BIAS_DISABLED
                                        : GPIOD_LINE_BIAS_AS_IS;
}

static void set_settings(struct gpiod_line_settings *s, const struct kr_line_mode_s *mode,
                         bool value, bool realtime)
{
    uint32_t flags = mode->flags;

    gpiod_line_settings_reset(s);
    if (flags & DEV_GPIO_INPUT)
        gpiod_line_settings_set_direction(s, GPIOD_LINE_DIRECTION_INPUT);
    else if (flags & (DEV_GPIO_OUTPUT | DEV_GPIO_OPEN_DRAIN | DEV_GPIO_OPEN_SOURCE))
        gpiod_line_settings_set_direction(s, GPIOD_LINE_DIRECTION_OUTPUT);
    if (flags & DEV_GPIO_OPEN_DRAIN)
        gpiod_line_settings_set_drive(s, GPIOD_LINE_DRIVE_OPEN_DRAIN);
    if (flags & DEV_GPIO_OPEN_SOURCE)
        gpiod_line_settings_set_drive(s, GPIOD_LINE_DRIVE_OPEN_SOURCE);
    gpiod_line_settings_set_bias(s, bias_of(flags));
    gpiod_line_settings_set_edge_detection(s, edge_of(flags));
    gpiod_line_settings_set_active_low(s, flags & DEV_GPIO_ACTIVE_LOW);
    if (flags & DEV_GPIO_DEBOUNCE_KERNEL)
        gpiod_line_settings_set_debounce_period_us(s, mode->debounce_us);
    /* Kernels before 5.11 do not know the flag: it is there only where it is asked for. */
    if (realtime && flags & DEV_GPIO_BOTH)
        gpiod_line_settings_set_event_clock(s, GPIOD_LINE_CLOCK_REALTIME);
    gpiod_line_settings_set_output_value(s, value ? GPIOD_LINE_VALUE_ACTIVE
                                                  : GPIOD_LINE_VALUE_INACTIVE);
}

static bool same(const struct kr_line_mode_s *modes, uint64_t values, unsigned a, unsigned b)
{
    return modes[a].flags == modes[b].flags && modes[a].debounce_us == modes[b].debounce_us &&
           (values >> a & 1) == (values >> b & 1);
}

/* libgpiod copies the settings, so this allocates: when a mode changes, not for values or edges. */
static error_t make_config(struct gpiod_line_config **ret, const struct seam_lines_s *lines,
                           const struct kr_line_mode_s *modes, uint64_t values)
{
    struct gpiod_line_config *config = gpiod_line_config_new();
    struct gpiod_line_settings *settings = gpiod_line_settings_new();
    error_t err = config && settings ? 0 : -ENOMEM;

    for (unsigned i = 0, n; i < lines->count && !err; i += n) {
        for (n = 1; i + n < lines->count && same(modes, values, i, i + n);)
            n++;
        set_settings(settings, &modes[i], values >> i & 1, lines->realtime);
        if (gpiod_line_config_add_line_settings(config, lines->offsets + i, n, settings))
            err = seam_errno();
    }
    gpiod_line_settings_free(settings);
    if (err)
        gpiod_line_config_free(config);
    else
        *ret = config;
    return err;
}

error_t seam_configure(struct seam_lines_s *lines, struct kr_line_mode_s *modes, uint64_t values)
{
    struct gpiod_line_config *config;
    error_t err = make_config(&config, lines, modes, values);

    if (err)
        return err;
    if (gpiod_line_request_reconfigure_lines(lines->request, config))
        err = seam_errno();
    gpiod_line_config_free(config);
    return err;
}

/* --- taking lines --- */

static error_t request_lines(struct seam_lines_s *lines, struct seam_chip_s *chip,
                             const struct seam_config_s *from, struct gpiod_line_config *config)
{
    struct gpiod_request_config *rq = gpiod_request_config_new();
    error_t err = 0;
    int fd;

    if (!rq)
        return -ENOMEM;
    gpiod_request_config_set_consumer(rq, from->consumer);
    gpiod_request_config_set_event_buffer_size(rq, from->buffer);
    lines->request = gpiod_chip_request_lines(chip->chip, rq, config);
    if (!lines->request)
        err = seam_errno();
    gpiod_request_config_free(rq);
    if (err)
        return err;
    fd = gpiod_line_request_get_fd(lines->request);
    return fcntl(fd, F_SETFL, O_RDONLY | O_NONBLOCK) ? seam_errno() : 0;
}

/* Lines that were left as they are: what are they? */
static error_t find_directions(struct seam_lines_s *lines, struct seam_chip_s *chip,
                               struct kr_line_mode_s *modes)
{
    struct dev_gpio_line_info_s info;
    error_t err = 0;

    for (unsigned i = 0; i < lines->count && !err; i++) {
        if (modes[i].flags & ~(uint32_t)DEV_GPIO_ACTIVE_LOW)
            continue;
        err = seam_chip_line(chip, lines->offsets[i], &info);
        if (!err)
            modes[i].flags |= info.mode & (DEV_GPIO_INPUT | DEV_GPIO_OUTPUT | DEV_GPIO_OPEN_DRAIN |
                                           DEV_GPIO_OPEN_SOURCE);
    }
    return err;
}

error_t seam_take(struct seam_lines_s **ret, struct seam_chip_s *chip,
                  const struct seam_config_s *from, struct kr_line_mode_s *modes, uint64_t values)
{
    struct seam_lines_s *lines = calloc(1, sizeof(*lines));
    struct gpiod_line_config *config;
    error_t err;

    if (!lines)
        return -ENOMEM;
    lines->count = from->count;
    lines->realtime = from->realtime;
    memcpy(lines->offsets, from->offsets, sizeof(lines->offsets[0]) * from->count);
    lines->buffer = gpiod_edge_event_buffer_new(EVENTS_MAX);
    err = lines->buffer ? make_config(&config, lines, modes, values) : -ENOMEM;
    if (!err) {
        err = request_lines(lines, chip, from, config);
        gpiod_line_config_free(config);
    }
    if (!err)
        err = find_directions(lines, chip, modes);
    if (err)
        seam_give_back(lines);
    else
        *ret = lines;
    return err;
}

void seam_give_back(struct seam_lines_s *lines)
{
    if (lines->request)
        gpiod_line_request_release(lines->request);
    if (lines->buffer)
        gpiod_edge_event_buffer_free(lines->buffer);
    free(lines);
}

/* --- values --- */

/* The offsets of the lines in `mask`: their number. */
static unsigned pick(const struct seam_lines_s *lines, uint64_t mask, unsigned *offsets)
{
    unsigned n = 0;

    for (; mask; mask &= mask - 1)
        offsets[n++] = lines->offsets[__builtin_ctzll(mask)];
    return n;
}

error_t seam_set(struct seam_lines_s *lines, uint64_t mask, uint64_t values)
{
    enum gpiod_line_value set[DEV_GPIO_LINES_MAX];
    unsigned offsets[DEV_GPIO_LINES_MAX] = {0};
    unsigned count = pick(lines, mask, offsets), n = 0;

    for (; mask; mask &= mask - 1)
        set[n++] = values >> __builtin_ctzll(mask) & 1 ? GPIOD_LINE_VALUE_ACTIVE
                                                       : GPIOD_LINE_VALUE_INACTIVE;
    if (gpiod_line_request_set_values_subset(lines->request, count, offsets, set))
        return seam_errno();
    return 0;
}

error_t seam_get(struct seam_lines_s *lines, uint64_t mask, uint64_t *values)
{
    enum gpiod_line_value got[DEV_GPIO_LINES_MAX];
    unsigned offsets[DEV_GPIO_LINES_MAX] = {0};
    unsigned count = pick(lines, mask, offsets), n = 0;
    uint64_t result = 0;

    if (gpiod_line_request_get_values_subset(lines->request, count, offsets, got))
        return seam_errno();
    for (; mask; mask &= mask - 1) {
        if (got[n++] == GPIOD_LINE_VALUE_ACTIVE)
            result |= mask & -mask;
    }
    *values = result;
    return 0;
}

/* --- edges --- */

static uint16_t index_of(const struct seam_lines_s *lines, unsigned offset)
{
    uint16_t i = 0;

    while (i + 1u < lines->count && lines->offsets[i] != offset)
        i++;
    return i;
}

int seam_read(struct seam_lines_s *lines, struct dev_gpio_event_s *events, unsigned size)
{
    int n = gpiod_line_request_read_edge_events(lines->request, lines->buffer,
                                                size < EVENTS_MAX ? size : EVENTS_MAX);

    if (n < 0)
        return errno == EAGAIN ? 0 : seam_errno();
    for (int i = 0; i < n; i++) {
        struct gpiod_edge_event *e =
            gpiod_edge_event_buffer_get_event(lines->buffer, (unsigned long)i);
        bool rises = gpiod_edge_event_get_event_type(e) == GPIOD_EDGE_EVENT_RISING_EDGE;

        events[i] = (struct dev_gpio_event_s){
            .timestamp = gpiod_edge_event_get_timestamp_ns(e),
            .seqno = (uint32_t)gpiod_edge_event_get_global_seqno(e),
            .line_seqno = (uint32_t)gpiod_edge_event_get_line_seqno(e),
            .line = index_of(lines, gpiod_edge_event_get_line_offset(e)),
            .edge = (uint8_t)((rises ? DEV_GPIO_RISING : DEV_GPIO_FALLING) >> 8),
        };
        events[i].lost = account_edge(&lines->account, &events[i]);
    }
    return n;
}

unsigned seam_fds(const struct seam_lines_s *lines, int *fds)
{
    fds[0] = gpiod_line_request_get_fd(lines->request);
    return 1;
}

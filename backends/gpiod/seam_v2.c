/* SPDX-License-Identifier: MIT */
/*
 * libgpiod 2, over the kernel's GPIO uAPI 2 (Linux 5.10;
 * Documentation/userspace-api/gpio/chardev.rst in the kernel).
 *
 * libgpiod finds, takes and configures lines. Values and edges go straight through the descriptor
 * of the request, which libgpiod hands out for the like: its objects are not thread-safe, the
 * kernel's are, and the bit vectors of both sides are the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <gpiod.h>
#include <linux/gpio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "account.h"
#include "seam.h"

#define EVENTS_MAX 32 /* a call of read */

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
    int fd; /* of `request` */
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
    unsigned offsets[DEV_GPIO_LINES_MAX];

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
    /* Bit n of the kernel's vectors is the nth line that was asked for. */
    if (gpiod_line_request_get_requested_offsets(lines->request, offsets, DEV_GPIO_LINES_MAX) !=
            lines->count ||
        memcmp(offsets, lines->offsets, sizeof(offsets[0]) * lines->count) != 0)
        return -EIO;
    lines->fd = gpiod_line_request_get_fd(lines->request);
    return fcntl(lines->fd, F_SETFL, O_RDONLY | O_NONBLOCK) ? seam_errno() : 0;
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
    account_init(&lines->account, from->count);
    memcpy(lines->offsets, from->offsets, sizeof(lines->offsets[0]) * from->count);
    err = make_config(&config, lines, modes, values);
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
    free(lines);
}

/* --- values --- */

error_t seam_set(struct seam_lines_s *lines, uint64_t mask, uint64_t values)
{
    struct gpio_v2_line_values set = {.bits = values & mask, .mask = mask};

    return ioctl(lines->fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &set) ? seam_errno() : 0;
}

error_t seam_get(struct seam_lines_s *lines, uint64_t mask, uint64_t *values)
{
    struct gpio_v2_line_values get = {.mask = mask};

    if (ioctl(lines->fd, GPIO_V2_LINE_GET_VALUES_IOCTL, &get))
        return seam_errno();
    *values = get.bits & mask;
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
    struct gpio_v2_line_event list[EVENTS_MAX];
    ssize_t got = read(lines->fd, list, sizeof(list[0]) * (size < EVENTS_MAX ? size : EVENTS_MAX));
    int n = (int)(got / (ssize_t)sizeof(list[0]));

    if (got < 0)
        return errno == EAGAIN ? 0 : seam_errno();
    for (int i = 0; i < n; i++) {
        const struct gpio_v2_line_event *e = &list[i];
        bool rises = e->id == GPIO_V2_LINE_EVENT_RISING_EDGE;

        events[i] = (struct dev_gpio_event_s){
            .timestamp = e->timestamp_ns,
            .seqno = e->seqno,
            .line_seqno = e->line_seqno,
            .line = index_of(lines, e->offset),
            .edge = (uint8_t)((rises ? DEV_GPIO_RISING : DEV_GPIO_FALLING) >> 8),
        };
        events[i].lost = account_edge(&lines->account, &events[i]);
    }
    return n;
}

unsigned seam_fds(const struct seam_lines_s *lines, int *fds)
{
    fds[0] = lines->fd;
    return 1;
}

/* SPDX-License-Identifier: MIT */
/*
 * Driver `gpiomem`: lines by their registers, "gpiomem:auto/17?mode=output". No system call sets or
 * reads a line; in return there are no edges, and the kernel knows nothing of it. For those who
 * have to: no other name leads here.
 *
 * Lines stay as they are when the device is closed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpiomem.h"

#define COMPATIBLE "/proc/device-tree/compatible"

struct gpiomem_pv_s {
    struct gpiomem_s *g;
};

static const struct driver_param_s params[] = {
    {"device", "file with the registers; that of Raspberry Pi OS for the chip", NULL, 0, 0,
     DRIVER_PARAM_STRING},
    {"offset", "where in that file they begin; 0", NULL, 0, INT64_MAX, DRIVER_PARAM_UINT},
    {"force", "take lines that have another function; no", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"consumer", "name that this device tells of its lines; libkroutine", NULL, 0, 0,
     DRIVER_PARAM_STRING},
    KR_LINES_PARAMS,
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

/* --- what is never asked for, as nothing is watched --- */

static int no_edges(struct kr_lines_s *l, struct dev_gpio_event_s *events, unsigned size)
{
    (void)l, (void)events, (void)size;
    return -ENOTSUP;
}

static void nothing(struct kr_lines_s *l)
{
    (void)l;
}

static const struct kr_lines_ops_s gpiomem_ops = {
    .configure = gpiomem_configure,
    .set = gpiomem_set,
    .get = gpiomem_get,
    .read = no_edges,
    .arm = nothing,
    .disarm = nothing,
};

/* --- opening and closing --- */

static error_t make_lines(struct gpiomem_s *g, struct device_s *dev)
{
    struct kr_line_mode_s modes[DEV_GPIO_LINES_MAX];
    struct kr_lines_config_s config = {
        .ops = &gpiomem_ops,
        .dev = dev,
        .count = g->count,
        .cap = DEV_GPIO_CAP_EACH,
        .buffer = 1,
    };
    error_t err = kr_lines_create(&g->lines, &config, g);

    for (unsigned i = 0; i < g->count; i++)
        modes[i] = g->keys.mode;
    if (!err)
        err = gpiomem_hold(g);
    if (!err && g->count)
        err = kr_lines_begin(g->lines, modes, g->keys.values);
    return err;
}

/* "CHIP/LINES" and "CHIP" as of the driver gpiod; "LINES" and "" for the chip of this machine. */
static error_t split(char *chip, size_t size, const char **lines, const char *address)
{
    bool only_lines = (*address >= '0' && *address <= '9') || strncmp(address, "GPIO", 4) == 0;

    if (*address && !only_lines)
        return kr_lines_split(chip, size, lines, "gpiomem", address);
    snprintf(chip, size, "auto");
    *lines = only_lines ? address : NULL;
    return 0;
}

static error_t find_lines(struct gpiomem_s *g, const struct device_spec_s *spec)
{
    struct kr_lines_finder_s finder = {.find = gpiomem_find_line};
    const char *lines;
    char chip[32];
    int count;
    error_t err;

    err = split(chip, sizeof(chip), &lines, device_spec_address(spec));
    if (!err)
        err = gpiomem_find(&g->layout, chip, COMPATIBLE);
    if (err)
        return err;
    finder.count = g->layout->lines;
    count = kr_lines_parse(g->offset, lines, &finder);
    if (count < 0)
        return count;
    g->count = (unsigned)count;
    g->told = lines ? g->count : finder.count;
    return 0;
}

static error_t parse(struct gpiomem_s *g, const struct device_spec_s *spec)
{
    static const char *const of_edges[] = {"events", "debounce", "kernel-debounce", "clock",
                                           "buffer"};
    error_t err = find_lines(g, spec);

    for (unsigned i = 0; i < sizeof(of_edges) / sizeof(of_edges[0]) && !err; i++) {
        if (device_spec_has(spec, of_edges[i]))
            err = device_error(-ENOTSUP, "%s: registers have no edges; use gpiod:%s", of_edges[i],
                               g->layout->label);
    }
    if (!err)
        err = kr_lines_keys(&g->keys, spec, g->count);
    if (err)
        return err;
    g->force = device_spec_uint(spec, "force", 0);
    snprintf(g->consumer, sizeof(g->consumer), "%s",
             device_spec_string(spec, "consumer", "libkroutine"));
    return 0;
}

static void destroy(struct gpiomem_s *g)
{
    if (g->lines)
        kr_lines_put(g->lines);
    gpiomem_unmap(g);
    free(g);
}

static error_t open_lines(struct gpiomem_s *g, struct device_s *dev,
                          const struct device_spec_s *spec)
{
    error_t err;

    if (device_runtime(dev)->backend == &kr_backend_sim)
        return device_error(-ENOTSUP, "a simulated runtime has simulated devices only: sim-gpio");
    err = parse(g, spec);
    if (!err)
        err = gpiomem_map(g, device_spec_string(spec, "device", g->layout->file),
                          device_spec_uint(spec, "offset", 0));
    return err ? err : make_lines(g, dev);
}

static error_t gpiomem_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct gpiomem_pv_s *pv = device_pv(dev);
    struct gpiomem_s *g = calloc(1, sizeof(*g));
    error_t err;

    if (!g)
        return -ENOMEM;
    g->fd = -1;
    err = open_lines(g, dev, spec);
    if (err)
        destroy(g);
    else
        pv->g = g;
    return err;
}

static struct gpiomem_s *of(const struct device_s *dev)
{
    const struct gpiomem_pv_s *pv = dev->pv;

    return pv->g;
}

static void gpiomem_close(struct device_s *dev)
{
    kr_lines_close(of(dev)->lines, -ECANCELED);
}

/* No call is under way any more, so the lines can be another one's. */
static void gpiomem_free(struct device_s *dev)
{
    destroy(of(dev));
}

/* --- class --- */

static struct kr_lines_s *lines_of(const struct device_s *dev)
{
    return of(dev)->lines;
}

KR_LINES_OPERATIONS(gpiomem, lines_of);

static DEV_GPIO_INFO(gpiomem_info)
{
    const struct gpiomem_s *g = of(acc->dev);

    memset(info, 0, sizeof(*info));
    snprintf(info->chip, sizeof(info->chip), "%s", g->layout->name);
    snprintf(info->label, sizeof(info->label), "%s", g->layout->label);
    info->lines = g->told;
    info->cap = DEV_GPIO_CAP_EACH;
    return 0;
}

/* A function that is neither input nor output is told as the holder. */
static DEV_GPIO_LINE_INFO(gpiomem_line_info)
{
    const struct gpiomem_s *g = of(acc->dev);
    char function[GPIOMEM_FUNCTION];

    if (io >= g->told)
        return -EINVAL;
    memset(info, 0, sizeof(*info));
    info->offset = g->count ? g->offset[io] : io;
    info->mode = g->layout->mode(&g->regs, info->offset, function);
    info->used = g->count || function[0] || gpiomem_held(g, info->offset);
    snprintf(info->name, sizeof(info->name), "GPIO%u", info->offset);
    snprintf(info->consumer, sizeof(info->consumer), "%s", g->count ? g->consumer : function);
    if (g->count && kr_load(&g->inverted) >> io & 1)
        info->mode |= DEV_GPIO_ACTIVE_LOW;
    return 0;
}

static const struct driver_gpio_s gpiomem_methods = DRIVER_GPIO_METHODS(gpiomem);

const struct driver_s kr_driver_gpiomem = {
    .name = "gpiomem",
    .desc = "lines of a Raspberry Pi by their registers: levels only, behind the kernel's back",
    .params = params,
    .pv_size = sizeof(struct gpiomem_pv_s),
    .f_open = gpiomem_open,
    .f_close = gpiomem_close,
    .f_use = gpiomem_use,
    .f_free = gpiomem_free,
    .classes = {(const struct driver_class_table_s *)&gpiomem_methods},
};

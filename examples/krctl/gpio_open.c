/* SPDX-License-Identifier: MIT */
/* Taking the lines that have been found, and what is done with all of them. */
#include "gpio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The text of the library begins with the spec. */
static int open_fail(const struct gpio_group_s *group, error_t err)
{
    krctl_fail("%s", krctl_error(err));
    if (err == -EBUSY)
        krctl_hint("krctl gpio info %s, which has the holders of all lines", group->spec);
    else if (err == -EINVAL)
        krctl_hint("krctl drivers, which has the keys of specs");
    return KRCTL_FAILED;
}

int gpio_fail(const struct gpio_group_s *group, error_t err)
{
    return krctl_fail("%s: %s", group->chip.chip, err == -ENODEV ? "unplugged" : krctl_error(err));
}

/* "0-3,7": ranges, so that a spec stays short. */
static void add_offsets(char *spec, size_t size, const struct gpio_group_s *group)
{
    for (unsigned i = 0, last; i < group->count; i = last + 1) {
        size_t len = strlen(spec);

        for (last = i; last + 1 < group->count; last++)
            if (group->offset[last + 1] != group->offset[last] + 1)
                break;
        len +=
            (size_t)snprintf(spec + len, size - len, "%c%u", i == 0 ? '/' : ',', group->offset[i]);
        if (last > i)
            snprintf(spec + len, size - len, "-%u", group->offset[last]);
    }
}

static void add_options(char spec[PORT_SPEC_MAX], const struct gpio_s *g)
{
    char consumer[64];

    snprintf(consumer, sizeof(consumer), "consumer=%.31s", g->consumer ? g->consumer : "krctl");
    port_add_key(spec, consumer);
    if (g->active_low)
        port_add_key(spec, "active-low=yes");
    if (g->bias != 0)
        port_add_key(spec, g->bias == DEV_GPIO_PULL_UP     ? "pull=up"
                           : g->bias == DEV_GPIO_PULL_DOWN ? "pull=down"
                                                           : "pull=none");
    if (g->drive != 0)
        port_add_key(spec, g->drive == DEV_GPIO_OPEN_DRAIN    ? "mode=open-drain"
                           : g->drive == DEV_GPIO_OPEN_SOURCE ? "mode=open-source"
                                                              : "mode=output");
}

static uint64_t values_of(const struct gpio_group_s *group)
{
    const struct gpio_s *g = group->gpio;
    uint64_t values = 0;

    for (unsigned i = 0; i < g->lines; i++)
        if (g->line[i].group == group && g->line[i].value)
            values |= 1ull << g->line[i].io;
    return values;
}

static int open_group(struct gpio_group_s *group, const char *const *keys, bool outputs)
{
    struct gpio_s *g = group->gpio;
    char spec[PORT_SPEC_MAX], value[40];
    error_t err;

    snprintf(spec, sizeof(spec), "%s", group->spec);
    add_offsets(spec, sizeof(spec), group);
    if (group->keys[0] != '\0') {
        size_t len = strlen(spec);
        snprintf(spec + len, sizeof(spec) - len, "?%s", group->keys);
    }
    add_options(spec, g);
    for (; *keys != NULL; keys++)
        port_add_key(spec, *keys);
    snprintf(value, sizeof(value), "value=%#llx", (unsigned long long)values_of(group));
    if (outputs)
        port_add_key(spec, value);
    err = device_get_accessor_by_path(
        &group->dev.base, kroutine_runtime_devices(g->session.runtime), spec, DRIVER_CLASS_GPIO);
    return err == 0 ? KRCTL_OK : open_fail(group, err);
}

int gpio_open(struct gpio_s *g, const char *const *keys, bool outputs)
{
    int status = KRCTL_OK;

    for (unsigned i = 0; i < g->groups && status == KRCTL_OK; i++)
        if (g->group[i].count > 0)
            status = open_group(&g->group[i], keys, outputs);
    return status;
}

int gpio_read(struct gpio_s *g)
{
    uint64_t values[GPIO_GROUPS];

    for (unsigned i = 0; i < g->groups; i++) {
        struct gpio_group_s *group = &g->group[i];
        error_t err = DEVICE_OP(&group->dev, get_input, 0, group->count - 1, &values[i]);

        if (err != 0)
            return gpio_fail(group, err);
    }
    for (unsigned i = 0; i < g->lines; i++)
        g->line[i].value = values[g->line[i].group - g->group] >> g->line[i].io & 1;
    return KRCTL_OK;
}

int gpio_write(struct gpio_s *g)
{
    for (unsigned i = 0; i < g->groups; i++) {
        struct gpio_group_s *group = &g->group[i];
        uint64_t values = values_of(group);
        error_t err = DEVICE_OP(&group->dev, set_output, 0, group->count - 1, values, values);

        if (err != 0)
            return gpio_fail(group, err);
    }
    return KRCTL_OK;
}

int gpio_session(struct gpio_s *g, int (*body)(struct gpio_s *g))
{
    int status = session_open(&g->session, g->backend);

    if (status != KRCTL_OK)
        return status;
    status = body(g);
    for (unsigned i = 0; i < g->groups; i++) {
        device_put_accessor(&g->group[i].dev.base);
        device_put_accessor(&g->group[i].look.base);
    }
    session_close(&g->session);
    return status;
}

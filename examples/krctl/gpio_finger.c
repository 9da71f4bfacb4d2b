/* SPDX-License-Identifier: MIT */
/* Moves the lines of simulated chips, one after the other. They live in this process, so that
   nobody else can. */
#include "gpio.h"

#include <kroutine/sim.h>

#include "parse.h"

#include <stdio.h>
#include <string.h>

#define EDGES_MAX 100000

static error_t press(struct gpio_finger_s *f)
{
    struct gpio_s *g = f->gpio;
    error_t err = 0;

    for (unsigned i = 0; i < f->edges && err == 0; i++) {
        unsigned at = f->next++ % g->lines;
        struct gpio_line_s *line = &g->line[at];

        f->level[at] ^= 1;
        err = kroutine_sim_gpio_pull(&line->group->dev.base, line->io,
                                     f->level[at] ? DEV_GPIO_PULL_UP : DEV_GPIO_PULL_DOWN);
    }
    return err;
}

static KROUTINE_EXEC(move)
{
    struct gpio_finger_s *f = dev_timer_rq_from_kr(kr)->pvdata;
    struct session_s *s = &f->gpio->session;
    error_t err;

    if (f->timer.error != 0 || s->over)
        return;
    err = press(f);
    if (err != 0)
        session_end(s, krctl_fail("--simulate is for lines of sim-gpio"));
    else
        session_after(s, &f->timer, f->period);
}

int gpio_finger_option(const struct krctl_command_s *command, void *to, const char *name)
{
    struct gpio_finger_s *f = to;
    char period[32];
    size_t len = strcspn(optarg, ",");
    uint64_t edges = 1;

    snprintf(period, sizeof(period), "%.*s", (int)len, optarg);
    if (len >= sizeof(period) || !parse_time(period, &f->period) || f->period == 0 ||
        (optarg[len] == ',' && !parse_size(optarg + len + 1, &edges)) || edges > EDGES_MAX)
        return krctl_usage(command, "--%s is PERIOD or PERIOD,EDGES, not '%s'", name, optarg);
    f->edges = (unsigned)edges;
    return KRCTL_OK;
}

void gpio_finger_start(struct gpio_finger_s *f, struct gpio_s *g)
{
    if (f->period == 0)
        return;
    f->gpio = g;
    dev_timer_rq_init_sched_switch(&f->timer, move);
    f->timer.pvdata = f;
    session_after(&g->session, &f->timer, f->period);
}

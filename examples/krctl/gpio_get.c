/* SPDX-License-Identifier: MIT */
/* krctl gpio get: reads lines. */
#include "gpio.h"

#include <stdio.h>

static uint64_t hold; /* ns between taking and reading */
static bool as_is;
static struct dev_timer_rq_s held;

static int print(struct gpio_s *g)
{
    int status = gpio_read(g);

    if (status == KRCTL_OK)
        gpio_add_values(&g->session.out.next, g, true);
    return status;
}

static KROUTINE_EXEC(hold_over)
{
    struct gpio_s *g = dev_timer_rq_from_kr(kr)->pvdata;

    if (held.error == 0 && !g->session.over)
        session_end(&g->session, print(g));
}

static int body(struct gpio_s *g)
{
    static const char *const input[] = {"mode=input", NULL}, *const nothing[] = {NULL};
    int status = gpio_add_words(g);

    if (status == KRCTL_OK)
        status = gpio_open(g, as_is ? nothing : input, false);
    if (status != KRCTL_OK)
        return status;
    dev_timer_rq_init_sched_switch(&held, hold_over);
    held.pvdata = g;
    session_after(&g->session, &held, hold);
    return session_run(&g->session);
}

static int run(int argc, char **argv)
{
    static struct gpio_s g = {.command = &krctl_gpio_get};
    static const struct option_s table[] = {
        GPIO_LINE_OPTIONS(&g),
        {.name = "as-is", .letter = 'a', .kind = OPTION_FLAG, .to = &as_is},
        {.name = "hold-period", .letter = 'p', .kind = OPTION_TIME, .to = &hold},
        {.name = "numeric", .kind = OPTION_FLAG, .to = &g.numeric},
        {0},
    };
    bool done;
    int status = options_take(g.command, table, argc, argv, &done);

    if (done)
        return status;
    if (optind == argc)
        return krctl_usage(g.command, "LINE is missing");
    if (as_is && g.bias != 0)
        return krctl_usage(g.command, "--as-is and --bias exclude each other");
    g.words = argv + optind;
    return gpio_session(&g, body);
}

const struct krctl_command_s krctl_gpio_get = {
    .name = "gpio get",
    .summary = "reads lines",
    .help = "usage: krctl gpio get LINE... [OPTION]...\n"
            "\n"
            "Makes lines inputs and prints their values, in the order of the command line.\n"
            "\n"
            "  -a, --as-is            leave the direction as it is\n"
            "  -p, --hold-period TIME between taking the lines and reading them\n"
            "      --numeric          print 0 and 1\n"
            "      --unquoted         names without quotes\n" GPIO_CHIP_HELP GPIO_LINE_HELP
                GPIO_END_HELP,
    .run = run,
};

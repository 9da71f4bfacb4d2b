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
    static const struct option options[] = {
        GPIO_LINE_LONG,
        {"as-is", no_argument, NULL, 'a'},
        {"hold-period", required_argument, NULL, 'p'},
        {"numeric", no_argument, NULL, GPIO_OPT_NUMERIC},
        {0},
    };
    static struct gpio_s g = {.command = &krctl_gpio_get};
    int option, status = KRCTL_OK;

    while ((option = getopt_long(argc, argv, GPIO_LINE_SHORT "ap:", options, NULL)) != -1) {
        if (option == 'h')
            return krctl_help(&krctl_gpio_get);
        if (option == 'p')
            status = krctl_time_option(g.command, "hold-period", &hold);
        else if (option == 'a')
            as_is = true;
        else
            status = gpio_option(&g, option);
        if (status != KRCTL_OK)
            return status;
    }
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

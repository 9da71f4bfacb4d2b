/* SPDX-License-Identifier: MIT */
/*
 * krctl gpio until: waits for levels.
 *
 * One UNTIL request for each chip: it completes when a line differs from how it was known to be.
 * The handler notes the new levels, and submits it again unless all are as they should be. A level
 * that has come and gone before anybody looked counts.
 */
#include "gpio.h"

#include <stdio.h>
#include <string.h>

#include "parse.h"

struct until_s {
    struct gpio_s gpio;
    struct gpio_finger_s finger;
    bool wanted[GPIO_LINES];
    uint64_t timeout;
    bool any;
};

static struct until_s until;

static bool reached(const struct until_s *u)
{
    unsigned right = 0;

    for (unsigned i = 0; i < u->gpio.lines; i++)
        right += u->gpio.line[i].value == u->wanted[i];
    return u->any ? right > 0 : right == u->gpio.lines;
}

static uint64_t known(const struct gpio_group_s *group)
{
    const struct gpio_s *g = group->gpio;
    uint64_t levels = 0;

    for (unsigned i = 0; i < g->lines; i++)
        if (g->line[i].group == group)
            levels |= (uint64_t)g->line[i].value << g->line[i].io;
    return levels;
}

static void submit(struct gpio_group_s *group)
{
    group->rq.type = DEV_GPIO_UNTIL;
    group->rq.io_first = 0;
    group->rq.io_last = group->count - 1;
    group->rq.until.mask = UINT64_MAX >> (64 - group->count);
    group->rq.until.data = known(group);
    DEVICE_OP(&group->dev, request, &group->rq);
}

static void finish(struct until_s *u)
{
    gpio_add_values(&u->gpio.session.out.next, &u->gpio, true);
    session_end(&u->gpio.session, KRCTL_OK);
}

static KROUTINE_EXEC(differs)
{
    struct gpio_group_s *group = dev_gpio_rq_from_kr(kr)->pvdata;
    struct gpio_s *g = group->gpio;
    struct until_s *u = KROUTINE_CONTAINER(g, struct until_s, gpio);

    if (g->session.over)
        return;
    if (group->rq.error != 0) {
        session_end(&g->session, gpio_fail(group, group->rq.error));
        return;
    }
    for (unsigned i = 0; i < g->lines; i++)
        if (g->line[i].group == group)
            g->line[i].value = group->rq.until.data >> g->line[i].io & 1;
    if (reached(u))
        finish(u);
    else
        submit(group);
}

/* "LINE=VALUE". */
static int add_word(struct until_s *u, const char *word)
{
    char line[PORT_SPEC_MAX];
    const char *equals = strrchr(word, '=');
    const char *value = equals != NULL ? equals + 1 : "";
    unsigned first = u->gpio.lines;
    bool active =
        strcmp(value, "1") == 0 || strcmp(value, "active") == 0 || strcmp(value, "on") == 0;

    if (!active && strcmp(value, "0") != 0 && strcmp(value, "inactive") != 0 &&
        strcmp(value, "off") != 0)
        return krctl_usage(u->gpio.command, "'%s' is not LINE=active or LINE=inactive", word);
    if ((size_t)(equals - word) >= sizeof(line))
        return krctl_usage(u->gpio.command, "'%.40s...' is too long", word);
    snprintf(line, sizeof(line), "%.*s", (int)(equals - word), word);
    int status = gpio_add(&u->gpio, line);
    for (; first < u->gpio.lines; first++)
        u->wanted[first] = active;
    return status;
}

static int body(struct gpio_s *g)
{
    static const char *const keys[] = {"mode=input", "events=both", NULL};
    struct until_s *u = KROUTINE_CONTAINER(g, struct until_s, gpio);
    int status = KRCTL_OK;

    for (char **word = g->words; *word != NULL && status == KRCTL_OK; word++)
        status = add_word(u, *word);
    if (status == KRCTL_OK)
        status = gpio_open(g, keys, false);
    if (status == KRCTL_OK)
        status = gpio_read(g);
    if (status != KRCTL_OK)
        return status;
    session_limit(&g->session, u->timeout);
    gpio_finger_start(&u->finger, g);
    if (reached(u))
        finish(u);
    for (unsigned i = 0; i < g->groups && !g->session.over; i++) {
        dev_gpio_rq_init_sched_switch(&g->group[i].rq, differs);
        g->group[i].rq.pvdata = &g->group[i];
        submit(&g->group[i]);
    }
    return session_run(&g->session);
}

static int run(int argc, char **argv)
{
    static const struct option_s table[] = {
        GPIO_LINE_OPTIONS(&until.gpio),
        {.name = "any", .kind = OPTION_FLAG, .to = &until.any},
        {.name = "numeric", .kind = OPTION_FLAG, .to = &until.gpio.numeric},
        {.name = "simulate", .kind = OPTION_TAKE, .to = &until.finger, .take = gpio_finger_option},
        {.name = "timeout", .letter = 't', .kind = OPTION_TIME, .to = &until.timeout},
        {0},
    };
    bool done;
    int status;

    until.gpio.command = &krctl_gpio_until;
    status = options_take(&krctl_gpio_until, table, argc, argv, &done);
    if (done)
        return status;
    if (optind == argc)
        return krctl_usage(&krctl_gpio_until, "LINE=VALUE is missing");
    until.gpio.words = argv + optind;
    return gpio_session(&until.gpio, body);
}

const struct krctl_command_s krctl_gpio_until = {
    .name = "gpio until",
    .summary = "waits for levels",
    .help = "usage: krctl gpio until LINE=VALUE... [OPTION]...\n"
            "\n"
            "Makes lines inputs, waits until all of them have these values, and prints what\n"
            "they were then. VALUE is active or inactive, 1 or 0, on or off. A value that has\n"
            "come and gone counts.\n"
            "\n"
            "      --any              until one of the lines has its value\n"
            "  -t, --timeout TIME     give up after TIME, with exit status 3\n"
            "      --numeric          print 0 and 1\n"
            "      --unquoted         names without quotes\n"
            "      --simulate TIME[,N]\n"
            "                         move simulated lines, N times every TIME\n" GPIO_CHIP_HELP
                GPIO_LINE_HELP GPIO_END_HELP,
    .run = run,
};

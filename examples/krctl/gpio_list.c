/* SPDX-License-Identifier: MIT */
/* krctl gpio list: the chips. */
#include "gpio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHIPS 64

static int print_chip(struct gpio_s *g, const char *chip)
{
    struct bytes_s *out = &g->session.out.next;
    error_t err = 0;
    const struct gpio_group_s *group = gpio_add_chip(g, chip, &err);

    if (group == NULL) {
        krctl_fail("%s", krctl_error(err));
        return KRCTL_FAILED;
    }
    if (g->json) {
        bytes_printf(out, "{\"chip\":");
        bytes_json(out, group->chip.chip);
        bytes_printf(out, ",\"label\":");
        bytes_json(out, group->chip.label);
        bytes_printf(out, ",\"lines\":%u,\"spec\":", group->chip.lines);
        bytes_json(out, group->spec);
        bytes_printf(out, "}\n");
    } else {
        bytes_printf(out, "%s%s%s [%s] (%u lines)\n", krctl_style(KRCTL_BOLD), group->chip.chip,
                     krctl_style(KRCTL_PLAIN), group->chip.label, group->chip.lines);
    }
    return KRCTL_OK;
}

static int print_all(struct gpio_s *g)
{
    char names[CHIPS][32];
    unsigned count = gpio_chips(names, CHIPS);
    int status = KRCTL_OK;

    if (count == 0) {
        krctl_fail("this machine has no GPIO chips, no /dev/gpiochip*");
        krctl_hint("a simulated chip: krctl gpio list sim-gpio:demo");
        return KRCTL_OK;
    }
    for (unsigned i = 0; i < count; i++)
        if (print_chip(g, names[i]) != KRCTL_OK)
            status = KRCTL_FAILED;
    return status;
}

static int body(struct gpio_s *g)
{
    int status = g->words[0] == NULL ? print_all(g) : KRCTL_OK;

    for (char **word = g->words; *word != NULL; word++)
        if (print_chip(g, *word) != KRCTL_OK)
            status = KRCTL_FAILED;
    session_end(&g->session, status);
    return session_run(&g->session);
}

static int run(int argc, char **argv)
{
    static struct gpio_s g = {.command = &krctl_gpio_list};
    static const struct option_s table[] = {
        {.name = "backend", .letter = 'B', .kind = OPTION_BACKEND, .to = &g.backend},
        {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .to = &g.json},
        {0},
    };
    bool done;
    int status = options_take(g.command, table, argc, argv, &done);

    if (done)
        return status;
    g.words = argv + optind;
    return gpio_session(&g, body);
}

const struct krctl_command_s krctl_gpio_list = {
    .name = "gpio list",
    .summary = "the chips, with label and number of lines",
    .help = "usage: krctl gpio list [CHIP]... [OPTION]...\n"
            "\n"
            "Lists the chips of this machine, or those that are named: by name, label or\n"
            "number, or as a spec such as sim-gpio:demo.\n"
            "\n" GPIO_END_HELP,
    .run = run,
};

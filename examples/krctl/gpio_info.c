/* SPDX-License-Identifier: MIT */
/* krctl gpio info: lines, how they are set, and who holds them. */
#include "gpio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHIPS 64

static const char *drive_of(uint32_t mode)
{
    return mode & DEV_GPIO_OPEN_DRAIN    ? "open-drain"
           : mode & DEV_GPIO_OPEN_SOURCE ? "open-source"
           : mode & DEV_GPIO_OUTPUT      ? "push-pull"
                                         : NULL;
}

/* NULL: another function has the line. */
static const char *direction_of(uint32_t mode)
{
    return mode & DEV_GPIO_INPUT ? "input" : drive_of(mode) != NULL ? "output" : NULL;
}

static const char *bias_of(uint32_t mode)
{
    return mode & DEV_GPIO_PULL_UP     ? "pull-up"
           : mode & DEV_GPIO_PULL_DOWN ? "pull-down"
           : mode & DEV_GPIO_PULL_NONE ? "disabled"
                                       : NULL;
}

static const char *edges_of(uint32_t mode)
{
    static const char *const words[] = {NULL, "rising", "falling", "both"};

    return words[(mode & DEV_GPIO_BOTH) >> 8];
}

static void add_word(struct bytes_s *to, const char *key, const char *value)
{
    bytes_printf(to, ",\"%s\":", key);
    if (value != NULL)
        bytes_json(to, value);
    else
        bytes_printf(to, "null");
}

static void add_json(struct bytes_s *to, const struct gpio_group_s *group,
                     const struct dev_gpio_line_info_s *line)
{
    bytes_printf(to, "{");
    gpio_add_json(to, group, line->offset, line->name);
    add_word(to, "direction", direction_of(line->mode));
    add_word(to, "drive", drive_of(line->mode));
    add_word(to, "bias", bias_of(line->mode));
    add_word(to, "edges", edges_of(line->mode));
    bytes_printf(to, ",\"active_low\":%s,\"debounce_us\":%u,\"used\":%s",
                 line->mode & DEV_GPIO_ACTIVE_LOW ? "true" : "false", line->debounce_us,
                 line->used ? "true" : "false");
    add_word(to, "consumer", line->used && line->consumer[0] != '\0' ? line->consumer : NULL);
    bytes_printf(to, "}\n");
}

/* As gpioinfo: number, name, direction, and what is not as usual. */
static void add_text(struct bytes_s *to, const struct gpio_s *g,
                     const struct dev_gpio_line_info_s *line)
{
    char name[40];
    const char *quote = g->unquoted ? "" : "\"";
    const char *direction = direction_of(line->mode);
    bool output = drive_of(line->mode) != NULL;
    const char *edges = edges_of(line->mode), *bias = bias_of(line->mode);

    if (line->name[0] != '\0')
        snprintf(name, sizeof(name), "%s%s%s", quote, line->name, quote);
    else
        snprintf(name, sizeof(name), "unnamed");
    bytes_printf(to, "\tline %3u:\t%-16s %s%s%s", line->offset, name,
                 output ? krctl_style(KRCTL_BLUE) : "", direction != NULL ? direction : "other",
                 output ? krctl_style(KRCTL_PLAIN) : "");
    bytes_printf(to, "%s", line->mode & DEV_GPIO_ACTIVE_LOW ? " active-low" : "");
    if (line->mode & (DEV_GPIO_OPEN_DRAIN | DEV_GPIO_OPEN_SOURCE))
        bytes_printf(to, " drive=%s", drive_of(line->mode));
    if (bias != NULL)
        bytes_printf(to, " bias=%s", bias);
    if (edges != NULL)
        bytes_printf(to, " edges=%s", edges);
    if (line->debounce_us != 0)
        bytes_printf(to, " debounce-period=%uus", line->debounce_us);
    if (line->used)
        bytes_printf(to, " %sconsumer=\"%s\"%s", krctl_style(KRCTL_RED),
                     line->consumer[0] != '\0' ? line->consumer : "?", krctl_style(KRCTL_PLAIN));
    bytes_printf(to, "\n");
}

static int print_line(struct gpio_group_s *group, uint32_t offset)
{
    struct gpio_s *g = group->gpio;
    struct dev_gpio_line_info_s line;
    error_t err = DEVICE_OP(&group->look, line_info, (uint16_t)offset, &line);

    if (err != 0)
        return gpio_fail(group, err);
    if (g->json)
        add_json(&g->session.out.next, group, &line);
    else
        add_text(&g->session.out.next, g, &line);
    return KRCTL_OK;
}

static int print_chip(struct gpio_s *g, const char *chip)
{
    error_t err = 0;
    struct gpio_group_s *group = gpio_add_chip(g, chip, &err);
    int status = KRCTL_OK;

    if (group == NULL) {
        krctl_fail("%s", krctl_error(err));
        if (err == -ENOENT)
            krctl_hint("krctl gpio list, which has the chips");
        return KRCTL_FAILED;
    }
    if (!g->json)
        bytes_printf(&g->session.out.next, "%s%s%s - %u lines:\n", krctl_style(KRCTL_BOLD),
                     group->chip.chip, krctl_style(KRCTL_PLAIN), group->chip.lines);
    for (uint32_t i = 0; i < group->chip.lines && status == KRCTL_OK; i++)
        status = print_line(group, i);
    return status;
}

static int print_all(struct gpio_s *g)
{
    char names[CHIPS][32];
    unsigned count = gpio_chips(names, CHIPS);
    int status = KRCTL_OK;

    if (count == 0) {
        krctl_fail("this machine has no GPIO chips, no /dev/gpiochip*");
        krctl_hint("a simulated chip: krctl gpio info sim-gpio:demo");
    }
    for (unsigned i = 0; i < count; i++)
        if (print_chip(g, names[i]) != KRCTL_OK)
            status = KRCTL_FAILED;
    return status;
}

/* Lines that were named, each with its chip in front. */
static int print_lines(struct gpio_s *g)
{
    int status = KRCTL_OK;

    for (unsigned i = 0; i < g->lines && status == KRCTL_OK; i++) {
        struct gpio_group_s *group = g->line[i].group;

        if (!g->json)
            bytes_printf(&g->session.out.next, "%s%s%s", krctl_style(KRCTL_BOLD), group->chip.chip,
                         krctl_style(KRCTL_PLAIN));
        status = print_line(group, g->line[i].offset);
    }
    return status;
}

/* A chip, or else a line. */
static bool is_chip(struct gpio_s *g, const char *word)
{
    const char *colon = strchr(word, ':');
    error_t err = 0;

    if (g->chip != NULL || gpio_lacks_chip(word))
        return false;
    if (colon != NULL && strncmp(colon + 1, "/dev/", 5) == 0)
        colon += 5;
    if (colon != NULL && colon[strcspn(colon, "/?")] == '/')
        return false;
    return gpio_add_chip(g, word, &err) != NULL || err != -ENOENT ||
           strncmp(word, "gpiochip", 8) == 0;
}

static int body(struct gpio_s *g)
{
    int status = KRCTL_OK;

    if (g->words[0] == NULL)
        status = g->chip != NULL ? print_chip(g, g->chip) : print_all(g);
    for (char **word = g->words; *word != NULL && status == KRCTL_OK; word++)
        status = is_chip(g, *word) ? print_chip(g, *word) : gpio_add(g, *word);
    if (status == KRCTL_OK)
        status = print_lines(g);
    session_end(&g->session, status);
    return session_run(&g->session);
}

static int run(int argc, char **argv)
{
    static struct gpio_s g = {.command = &krctl_gpio_info};
    static const struct option_s table[] = {GPIO_CHIP_OPTIONS(&g), {0}};
    bool done;
    int status = options_take(g.command, table, argc, argv, &done);

    if (done)
        return status;
    g.words = argv + optind;
    return gpio_session(&g, body);
}

const struct krctl_command_s krctl_gpio_info = {
    .name = "gpio info",
    .summary = "lines, how they are set, and who holds them",
    .help = "usage: krctl gpio info [CHIP | LINE]... [OPTION]...\n"
            "\n"
            "Prints number, name, direction and holder of lines, without touching them: of\n"
            "all chips, of the chips that are named, or the lines that are named.\n"
            "\n" GPIO_CHIP_HELP "      --unquoted         names without quotes\n" GPIO_END_HELP,
    .run = run,
};

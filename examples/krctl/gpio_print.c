/* SPDX-License-Identifier: MIT */
#include "gpio.h"

#include <stdio.h>

const struct gpio_line_s *gpio_line_of(const struct gpio_group_s *group, unsigned io)
{
    const struct gpio_line_s *line = group->gpio->line;

    while (line->group != group || line->io != io)
        line++;
    return line;
}

void gpio_add_name(struct bytes_s *to, const struct gpio_s *g, const struct gpio_line_s *line)
{
    const char *quote = g->unquoted ? "" : "\"";

    if (line->name[0] != '\0')
        bytes_printf(to, "%s%s%s", quote, line->name, quote);
    else
        bytes_printf(to, "%s/%u", line->group->chip.chip, line->offset);
}

void gpio_add_json(struct bytes_s *to, const struct gpio_group_s *group, uint32_t offset,
                   const char *name)
{
    bytes_printf(to, "\"chip\":");
    bytes_json(to, group->chip.chip);
    bytes_printf(to, ",\"offset\":%u,\"line\":", offset);
    if (name[0] != '\0')
        bytes_json(to, name);
    else
        bytes_printf(to, "null");
}

static void add_value(struct bytes_s *to, const struct gpio_s *g, bool value, bool coloured)
{
    bytes_printf(to, "%s%s%s", !coloured ? "" : krctl_style(value ? KRCTL_GREEN : KRCTL_DIM),
                 g->numeric ? (value ? "1" : "0")
                 : value    ? "active"
                            : "inactive",
                 !coloured ? "" : krctl_style(KRCTL_PLAIN));
}

void gpio_add_values(struct bytes_s *to, const struct gpio_s *g, bool coloured)
{
    for (unsigned i = 0; i < g->lines; i++) {
        const struct gpio_line_s *line = &g->line[i];

        if (g->json) {
            bytes_printf(to, "{");
            gpio_add_json(to, line->group, line->offset, line->name);
            bytes_printf(to, ",\"value\":%d}\n", line->value);
            continue;
        }
        bytes_printf(to, "%s", i > 0 ? " " : "");
        if (!g->numeric) {
            gpio_add_name(to, g, line);
            bytes_printf(to, "=");
        }
        add_value(to, g, line->value, coloured);
    }
    if (!g->json)
        bytes_printf(to, "\n");
}

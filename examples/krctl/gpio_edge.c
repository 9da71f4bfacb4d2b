/* SPDX-License-Identifier: MIT */
/* How an edge is printed: --format, with the specifiers of gpiomon. */
#include "gpio.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND 1000000000u

static void add_date(struct bytes_s *to, uint64_t wall, bool utc)
{
    time_t seconds = (time_t)(wall / SECOND);
    char text[32];
    struct tm tm;

    if (utc)
        gmtime_r(&seconds, &tm);
    else
        localtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    bytes_printf(to, "%s.%09" PRIu64 "%s", text, wall % SECOND, utc ? "Z" : "");
}

static void add_name(struct bytes_s *to, const struct gpio_line_s *line)
{
    bytes_printf(to, "%s", line->name[0] != '\0' ? line->name : "unnamed");
}

static void add_direction(struct bytes_s *to, const struct dev_gpio_event_s *event)
{
    bool rose = dev_gpio_rose(event);

    bytes_printf(to, "%s%s%s", krctl_style(rose ? KRCTL_GREEN : KRCTL_RED),
                 rose ? "rising" : "falling", krctl_style(KRCTL_PLAIN));
}

/* False: there is no such specifier. `to` may be NULL, to find that out. */
static bool add_item(struct bytes_s *to, char item, const struct gpio_edge_s *edge)
{
    const struct dev_gpio_event_s *event = edge->event;

    if (item == '\0' || strchr("%olcCeEStsnULqQx", item) == NULL)
        return false;
    switch (to != NULL ? item : '\0') {
    case '%':
        return bytes_add(to, "%", 1);
    case 'o':
        return bytes_printf(to, "%u", edge->line->offset);
    case 'l':
        add_name(to, edge->line);
        return true;
    case 'c':
        return bytes_printf(to, "%s", edge->line->group->chip.chip);
    case 'C':
        return bytes_printf(to, "%s", edge->line->group->chip.label);
    case 'e':
        return bytes_printf(to, "%u", event->edge);
    case 'E':
        add_direction(to, event);
        return true;
    case 'S':
        return bytes_printf(to, "%" PRIu64 ".%09" PRIu64, event->timestamp / SECOND,
                            event->timestamp % SECOND);
    case 't':
        return bytes_printf(to, "%" PRIu64, event->timestamp);
    case 's':
        return bytes_printf(to, "%" PRIu64, event->timestamp / SECOND);
    case 'n':
        return bytes_printf(to, "%09" PRIu64, event->timestamp % SECOND);
    case 'U':
    case 'L':
        add_date(to, edge->wall, item == 'U');
        return true;
    case 'q':
        return bytes_printf(to, "%" PRIu32, event->seqno);
    case 'Q':
        return bytes_printf(to, "%" PRIu32, event->line_seqno);
    case 'x':
        return event->lost == DEV_GPIO_LOST_SOME ? bytes_printf(to, "some")
                                                 : bytes_printf(to, "%" PRIu32, event->lost);
    default:
        return true;
    }
}

const char *gpio_format_check(const char *format)
{
    static const struct dev_gpio_event_s event;
    static const struct gpio_edge_s edge = {.event = &event};

    for (const char *at = strchr(format, '%'); at != NULL; at = strchr(at + 2, '%')) {
        if (!add_item(NULL, at[1], &edge))
            return at;
    }
    return NULL;
}

void gpio_add_edge(struct bytes_s *to, const char *format, const struct gpio_edge_s *edge)
{
    for (; *format != '\0'; format++) {
        if (*format == '%')
            add_item(to, *++format, edge);
        else
            bytes_add(to, format, 1);
    }
}

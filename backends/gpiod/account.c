/* SPDX-License-Identifier: MIT */
#include "account.h"

#define SETTLED_NS 1000000000u /* no interrupt thread takes as long to run */
#define LARGEST    0x80000000u

static bool at_most(uint32_t number, uint32_t limit)
{
    return limit - number < LARGEST;
}

/* Interrupts up to `number`, of which `edges` became edges. */
static uint32_t missing(uint32_t number, uint32_t edges)
{
    return at_most(edges, number) ? number - edges : 0;
}

static void raise(uint32_t *at, uint32_t value)
{
    if (at_most(*at, value))
        *at = value;
}

/* Is it the second edge with a number? The first was that of an earlier interrupt. */
static bool doubled(const struct account_s *a, const struct dev_gpio_event_s *event)
{
    return a->number[event->line] == event->seqno;
}

static void count_in_window(struct account_s *a, const struct dev_gpio_event_s *event)
{
    uint64_t line = (uint64_t)1 << event->line;

    if (at_most(event->seqno, a->top)) {
        a->below++;
    } else if (!(a->beyond & line)) {
        a->beyond |= line;
    } else {
        if (!(a->settled & line) && doubled(a, event))
            a->below++;
        a->settled |= line;
    }
}

static void open_window(struct account_s *a)
{
    a->top = a->highest;
    a->below = a->edges;
    a->beyond = 0;
    a->settled = 0;
    a->since = a->last;
}

void account_init(struct account_s *a, unsigned lines)
{
    a->lines = ~(uint64_t)0 >> (DEV_GPIO_LINES_MAX - lines);
}

uint32_t account_edge(struct account_s *a, const struct dev_gpio_event_s *event)
{
    uint32_t lost = a->told, gap = event->line_seqno - a->line[event->line] - 1;
    bool first = a->edges == 0;

    /* Nothing of before is on its way. */
    if (event->timestamp > a->last && event->timestamp - a->last >= SETTLED_NS)
        raise(&lost, missing(a->highest, a->edges));
    count_in_window(a, event);
    a->gaps += gap < LARGEST ? gap : 0;
    raise(&a->line[event->line], event->line_seqno);
    raise(&a->number[event->line], event->seqno);
    raise(&a->highest, event->seqno);
    raise(&lost, a->gaps);
    a->edges++;
    a->last = event->timestamp > a->last ? event->timestamp : a->last;
    if (a->settled == a->lines || a->last - a->since >= SETTLED_NS) {
        if (!first)
            raise(&lost, missing(a->top, a->below));
        open_window(a);
    }
    gap = lost - a->told;
    a->told = lost;
    return gap;
}

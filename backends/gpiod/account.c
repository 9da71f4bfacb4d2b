/* SPDX-License-Identifier: MIT */
#include "account.h"

#define QUIET_NS 10000000u /* no interrupt thread takes as long to run */
#define WINDOW   256       /* edges, in which all threads have run at least once */
#define LARGEST  0x80000000u

/* Interrupts that have not become an edge, nor will if no thread is on its way. */
static uint32_t missing(const struct account_s *a)
{
    uint32_t n = a->highest - a->edges;

    return n < LARGEST ? n : 0;
}

static void raise(uint32_t *at, uint32_t value)
{
    if (value - *at < LARGEST)
        *at = value;
}

uint32_t account_edge(struct account_s *a, const struct dev_gpio_event_s *event)
{
    uint32_t lost = a->told, gap = event->line_seqno - a->line[event->line] - 1;

    /* Nothing of before is on its way. */
    if (event->timestamp - a->last >= QUIET_NS && event->timestamp > a->last)
        raise(&lost, missing(a));
    a->gaps += gap < LARGEST ? gap : 0;
    raise(&a->line[event->line], event->line_seqno);
    raise(&a->highest, event->seqno);
    raise(&lost, a->gaps);
    a->edges++;
    a->last = event->timestamp > a->last ? event->timestamp : a->last;
    if (!a->window++ || missing(a) < a->least)
        a->least = missing(a);
    if (a->window == WINDOW) {
        raise(&lost, a->least);
        a->window = 0;
    }
    gap = lost - a->told;
    a->told = lost;
    return gap;
}

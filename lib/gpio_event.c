/* SPDX-License-Identifier: MIT */
/*
 * What becomes of an edge: debounce, the requests UNTIL, the ring, and the requests EVENT.
 *
 *     driver ──▶ edge ──(debounce)──▶ settled ──▶ accept ──┬──▶ UNTIL
 *                                                          └──▶ ring ──▶ EVENT
 *
 * Each edge carries the number of those lost before it. What drops an edge on purpose hands that
 * number on (`carry`); the ring, when it is full, drops its oldest and counts it as lost too.
 */
#include "gpio_internal.h"

#define ROSE (DEV_GPIO_RISING >> 8)

/* --- the ring --- */

static struct dev_gpio_event_s *ring_at(struct kr_lines_s *l, unsigned index)
{
    unsigned at = l->ring_head + index;

    return &l->ring[at < l->ring_size ? at : at - l->ring_size];
}

static void ring_drop_oldest(struct kr_lines_s *l)
{
    uint32_t lost = kr_lost_add(ring_at(l, 0)->lost, 1);
    uint32_t *next = l->ring_fill > 1 ? &ring_at(l, 1)->lost : &l->carry;

    *next = kr_lost_add(*next, lost);
    l->ring_head = (l->ring_head + 1) % l->ring_size;
    l->ring_fill--;
}

static void ring_put(struct kr_lines_s *l, const struct dev_gpio_event_s *event)
{
    struct dev_gpio_event_s *e;

    if (l->ring_fill == l->ring_size)
        ring_drop_oldest(l);
    e = ring_at(l, l->ring_fill++);
    *e = *event;
    e->lost = kr_lost_add(event->lost, l->carry);
    l->carry = 0;
}

bool kr_lines_deliver(struct kr_lines_s *l)
{
    struct dev_gpio_rq_s *rq = dev_gpio_rq_head(&l->events);

    if (!rq || !l->ring_fill || rq->rq_progress == KR_LINES_NEW)
        return false;
    /* What the driver still has goes into the same batch. */
    if (l->ready && l->ring_fill < rq->event.size && l->ring_fill < l->ring_size)
        return false;
    while (l->ring_fill && rq->event.count < rq->event.size) {
        const struct dev_gpio_event_s *e = ring_at(l, 0);

        rq->event.list[rq->event.count++] = *e;
        rq->event.lost = kr_lost_add(rq->event.lost, e->lost);
        l->ring_head = (l->ring_head + 1) % l->ring_size;
        l->ring_fill--;
    }
    dev_gpio_rq_pop(&l->events);
    kr_lines_finish(l, &rq->base, 0);
    return true;
}

/* --- UNTIL --- */

/* The line has moved, so it was at the other level, whatever it is at now. */
static void end_untils(struct kr_lines_s *l, unsigned line, bool level)
{
    struct dev_request_s *next;

    for (struct dev_request_s *at = l->until.head; at; at = next) {
        struct dev_gpio_rq_s *rq = dev_gpio_rq_cast(at);
        unsigned bit = line - rq->io_first;

        next = at->next;
        if (line < rq->io_first || line > rq->io_last || rq->rq_progress != KR_LINES_LEVEL ||
            !(rq->until.mask >> bit & 1))
            continue;
        rq->until.data &= ~(1ull << bit);
        rq->until.data |= (uint64_t)level << bit;
        dev_gpio_rq_remove(&l->until, rq);
        kr_lines_finish(l, at, 0);
    }
}

/* --- edges --- */

static bool wanted(const struct kr_lines_s *l, const struct dev_gpio_event_s *event)
{
    uint32_t edges = l->mode[event->line].flags & DEV_GPIO_BOTH;

    return l->streaming && (!edges || edges >> 8 & event->edge);
}

static void accept(struct kr_lines_s *l, const struct dev_gpio_event_s *event)
{
    bool level = event->edge == ROSE;
    uint64_t bit = 1ull << event->line;

    l->levels = level ? l->levels | bit : l->levels & ~bit;
    if (l->until.head)
        end_untils(l, event->line, level);
    if (wanted(l, event))
        ring_put(l, event);
    else if (l->streaming)
        l->carry = kr_lost_add(l->carry, event->lost);
}

/* --- debounce --- */

static uint64_t rest_at(const struct kr_lines_s *l, unsigned line)
{
    return l->unrest[line].last + (uint64_t)l->mode[line].debounce_us * 1000;
}

/* Has the line been quiet for long enough? A clock that was stepped back tells nothing: then yes.
 */
static bool rested(const struct kr_lines_s *l, unsigned line, uint64_t now)
{
    return now >= rest_at(l, line) || now < l->unrest[line].last;
}

/* The line has changed, or is where it was. */
static bool settle(struct kr_lines_s *l, unsigned line)
{
    struct dev_gpio_event_s event = l->unrest[line].first;
    uint64_t bit = 1ull << line;

    l->restless &= ~bit;
    if (!((l->raw ^ l->levels) & bit))
        return false;
    event.edge = l->raw & bit ? ROSE : DEV_GPIO_FALLING >> 8;
    event.lost = 0; /* was carried when it came */
    accept(l, &event);
    return true;
}

void kr_lines_edge(struct kr_lines_s *l, const struct dev_gpio_event_s *event)
{
    uint64_t bit = 1ull << event->line;

    if (!(l->debounce & bit)) {
        accept(l, event);
        return;
    }
    if (l->streaming)
        l->carry = kr_lost_add(l->carry, event->lost);
    if (l->restless & bit && rested(l, event->line, event->timestamp))
        settle(l, event->line);
    if (!(l->restless & bit))
        l->unrest[event->line].first = *event;
    l->restless |= bit;
    l->unrest[event->line].last = event->timestamp;
    l->raw = event->edge == ROSE ? l->raw | bit : l->raw & ~bit;
}

static uint64_t event_now(const struct kr_lines_s *l)
{
    return kr_clock_now(&l->rt->clocks[l->realtime ? KR_CLOCK_REALTIME : KR_CLOCK_MONOTONIC]);
}

bool kr_lines_settle(struct kr_lines_s *l)
{
    uint64_t now;
    bool any = false;

    if (!l->restless)
        return false;
    now = event_now(l);
    for (uint64_t left = l->restless; left; left &= left - 1) {
        unsigned line = (unsigned)__builtin_ctzll(left);

        if (rested(l, line, now))
            any |= settle(l, line);
    }
    return any;
}

uint64_t kr_lines_rest_in(const struct kr_lines_s *l)
{
    uint64_t first = UINT64_MAX, now;

    if (!l->restless)
        return first;
    now = event_now(l);
    for (uint64_t left = l->restless; left; left &= left - 1) {
        unsigned line = (unsigned)__builtin_ctzll(left);
        uint64_t in = rested(l, line, now) ? 0 : rest_at(l, line) - now;

        first = in < first ? in : first;
    }
    return first;
}

/* SPDX-License-Identifier: MIT */
/*
 * Run queues: where kroutines wait for the pool, the reactor, or a program's queue.
 *
 * Push is one compare-and-swap on an inbox, from any thread. Whoever pops takes a whole inbox,
 * which turns it from a stack into order of arrival; taking the whole list leaves no room for the
 * ABA problem. Only the levels need the lock.
 *
 * Nearly everything has priority 0, and has an inbox of its own, which is looked at when level 0
 * has run out, not at each pop: a word that other CPUs keep writing costs more to read than all the
 * rest of a pop. The other inbox, of what may have to overtake, is looked at each time.
 */
#include "internal.h"

/* In `levels`, while what was in an inbox is in no level yet: kr_runq_is_empty, which takes no
   lock, must not miss it, or a worker goes to sleep on work that nobody will announce again. The
   bit is stored before the exchange, which releases it: who sees the inbox empty sees the bit, or
   the levels that follow it. */
#define DRAINING (UINT32_C(1) << 31)

error_t kr_runq_init(struct kr_runq_s *q)
{
    q->inbox = q->urgent = NULL;
    for (unsigned i = 0; i < KROUTINE_PRIORITIES; i++)
        q->level[i].head = q->level[i].tail = NULL;
    q->levels = 0;
    q->overtook = 0;
    return -pthread_mutex_init(&q->lock, NULL);
}

void kr_runq_destroy(struct kr_runq_s *q)
{
    pthread_mutex_destroy(&q->lock);
}

void kr_runq_push(struct kr_runq_s *q, struct kroutine_s *kr)
{
    struct kroutine_s **inbox = kr_likely(!kr->priority) ? &q->inbox : &q->urgent;
    struct kroutine_s *head = kr_load_relaxed(inbox);

    do {
        kr->next = head;
    } while (!kr_cas(inbox, &head, kr));
}

bool kr_runq_is_empty(struct kr_runq_s *q)
{
    return !kr_load(&q->inbox) && !kr_load(&q->urgent) && !kr_load(&q->levels);
}

const struct kroutine_s *kr_runq_newest(struct kr_runq_s *q)
{
    const struct kroutine_s *kr = kr_load(&q->inbox);

    return kr ? kr : kr_load(&q->urgent);
}

/* --- with the lock --- */

/* The whole of an inbox, oldest first. */
static struct kroutine_s *take_inbox(struct kr_runq_s *q, struct kroutine_s **inbox,
                                     struct kroutine_s **last)
{
    struct kroutine_s *kr, *ordered = NULL;

    kr_store_relaxed(&q->levels, q->levels | DRAINING);
    kr = *last = kr_xchg(inbox, NULL);
    while (kr) {
        struct kroutine_s *next = kr->next;

        kr->next = ordered;
        ordered = kr;
        kr = next;
    }
    return ordered;
}

static void append(struct kr_runq_s *q, unsigned n, struct kroutine_s *first,
                   struct kroutine_s *last)
{
    if (q->level[n].tail)
        q->level[n].tail->next = first;
    else
        q->level[n].head = first;
    q->level[n].tail = last;
}

static void sort_urgent(struct kr_runq_s *q)
{
    uint32_t levels = q->levels;
    struct kroutine_s *last, *kr = take_inbox(q, &q->urgent, &last);

    while (kr) {
        struct kroutine_s *next = kr->next;

        kr->next = NULL;
        append(q, kr->priority, kr, kr);
        levels |= 1u << kr->priority;
        kr = next;
    }
    kr_store_relaxed(&q->levels, levels);
}

static void refill(struct kr_runq_s *q)
{
    uint32_t levels = q->levels;
    struct kroutine_s *last, *first = take_inbox(q, &q->inbox, &last);

    /* Of a stack turned round, the newest is the last: its `next` is NULL. */
    append(q, 0, first, last);
    kr_store_relaxed(&q->levels, levels | 1);
}

/* The level to serve now: the highest, but after KR_RUNQ_FAIRNESS pops that left others waiting
   one of those, each in its turn, so that none starves. */
static unsigned choose(struct kr_runq_s *q)
{
    unsigned highest = 31 - (unsigned)__builtin_clz(q->levels);
    uint32_t others = q->levels & ~(1u << highest);
    unsigned turn;

    if (kr_likely(!others)) {
        q->overtook = 0;
        return highest;
    }
    if (++q->overtook % KR_RUNQ_FAIRNESS)
        return highest;
    turn = q->overtook / KR_RUNQ_FAIRNESS % KROUTINE_PRIORITIES;
    for (unsigned i = 0; i < KROUTINE_PRIORITIES; i++) {
        unsigned n = (turn + i) % KROUTINE_PRIORITIES;

        if (others & 1u << n)
            return n;
    }
    return highest;
}

/* --- */

struct kroutine_s *kr_runq_pop(struct kr_runq_s *q)
{
    struct kroutine_s *kr = NULL;

    if (!kr_load_relaxed(&q->levels) && kr_runq_is_empty(q))
        return NULL;
    pthread_mutex_lock(&q->lock);
    if (kr_unlikely(kr_load_relaxed(&q->urgent)))
        sort_urgent(q);
    if (!(q->levels & 1) && kr_load_relaxed(&q->inbox))
        refill(q);
    if (q->levels) {
        unsigned n = choose(q);

        kr = q->level[n].head;
        q->level[n].head = kr->next;
        if (!kr->next) {
            q->level[n].tail = NULL;
            kr_store_relaxed(&q->levels, q->levels & ~(1u << n));
        }
    }
    pthread_mutex_unlock(&q->lock);
    return kr;
}

bool kr_runq_remove(struct kr_runq_s *q, struct kroutine_s *kr)
{
    struct kroutine_s *prev = NULL, *at;
    unsigned n = kr->priority;

    pthread_mutex_lock(&q->lock);
    if (n && kr_load_relaxed(&q->urgent))
        sort_urgent(q);
    else if (!n && kr_load_relaxed(&q->inbox))
        refill(q);
    for (at = q->level[n].head; at && at != kr; at = at->next)
        prev = at;
    if (at) {
        if (prev)
            prev->next = kr->next;
        else
            q->level[n].head = kr->next;
        if (!kr->next)
            q->level[n].tail = prev;
        if (!q->level[n].head)
            kr_store_relaxed(&q->levels, q->levels & ~(1u << n));
    }
    pthread_mutex_unlock(&q->lock);
    return at != NULL;
}

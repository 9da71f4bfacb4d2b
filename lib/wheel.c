/* SPDX-License-Identifier: MIT */
/*
 * Hierarchical timing wheel without a tick: time jumps from one occupied slot to the next. After
 * Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), with the placement by highest
 * differing bits that Linux 2.6 and William Ahern's timeout.c use.
 *
 * Two facts carry everything here, for a node that is not due:
 *  - its level and slot follow from its deadline and the wheel's time alone, so it can be found for
 *    removal, and equal deadlines share a slot;
 *  - a node of a lower level is earlier than any of a higher one, and within a level slots are in
 *    order, so the first bit set in the lowest occupied level is the earliest slot.
 */
#include <stdlib.h>

#include "wheel.h"

struct kr_slot_s {
    struct dev_request_s *head;
    struct dev_request_s *tail;
    uint64_t min; /* no node is earlier; exact until the earliest is removed */
};

struct kr_wheel_s {
    uint64_t time;
    size_t count;
    uint32_t levels; /* bit n: level n is not empty */
    struct kr_slot_s due;
    struct kr_slot_s late; /* inserted with a deadline not after `time`: due at the next advance */
    uint64_t slots[KR_WHEEL_LEVELS]; /* bit n: slot n is not empty */
    struct kr_slot_s slot[KR_WHEEL_LEVELS][KR_WHEEL_SLOTS];
};

/* --- lists --- */

static void list_append(struct kr_slot_s *list, struct dev_request_s *rq)
{
    rq->next = NULL;
    rq->prev = list->tail;
    if (list->tail)
        list->tail->next = rq;
    else
        list->head = rq;
    list->tail = rq;
}

static void list_remove(struct kr_slot_s *list, struct dev_request_s *rq)
{
    if (rq->prev)
        rq->prev->next = rq->next;
    else
        list->head = rq->next;
    if (rq->next)
        rq->next->prev = rq->prev;
    else
        list->tail = rq->prev;
    rq->next = rq->prev = NULL;
}

/* After the last one that is not later. New nodes are nearly always the last. */
static void list_insert_sorted(struct kr_slot_s *list, struct dev_request_s *rq)
{
    struct dev_request_s *after = list->tail;

    while (after && after->expires > rq->expires)
        after = after->prev;
    rq->prev = after;
    rq->next = after ? after->next : list->head;
    if (rq->next)
        rq->next->prev = rq;
    else
        list->tail = rq;
    if (after)
        after->next = rq;
    else
        list->head = rq;
}

static void list_splice(struct kr_slot_s *list, struct kr_slot_s *from)
{
    if (!from->head)
        return;
    from->head->prev = list->tail;
    if (list->tail)
        list->tail->next = from->head;
    else
        list->head = from->head;
    list->tail = from->tail;
    from->head = from->tail = NULL;
}

/* --- places --- */

static unsigned level_of(const struct kr_wheel_s *wheel, uint64_t deadline)
{
    return (63u - (unsigned)__builtin_clzll(deadline ^ wheel->time)) / KR_WHEEL_BITS;
}

static unsigned index_of(unsigned level, uint64_t deadline)
{
    return (deadline >> (level * KR_WHEEL_BITS)) & (KR_WHEEL_SLOTS - 1);
}

/* First instant of a slot. The top level has only the 4 bits that are left of 64. */
static uint64_t slot_start(const struct kr_wheel_s *wheel, unsigned level, unsigned index)
{
    uint64_t above = 0;

    if (level + 1 < KR_WHEEL_LEVELS)
        above = wheel->time & (UINT64_MAX << ((level + 1) * KR_WHEEL_BITS));
    return above | (uint64_t)index << (level * KR_WHEEL_BITS);
}

static void slot_add(struct kr_wheel_s *wheel, struct dev_request_s *rq)
{
    unsigned level = level_of(wheel, rq->expires);
    unsigned index = index_of(level, rq->expires);
    struct kr_slot_s *slot = &wheel->slot[level][index];

    if (!slot->head || rq->expires < slot->min)
        slot->min = rq->expires;
    list_append(slot, rq);
    wheel->slots[level] |= 1ull << index;
    wheel->levels |= 1u << level;
}

static void slot_emptied(struct kr_wheel_s *wheel, unsigned level, unsigned index)
{
    wheel->slots[level] &= ~(1ull << index);
    if (!wheel->slots[level])
        wheel->levels &= ~(1u << level);
}

/* --- interface --- */

struct kr_wheel_s *kr_wheel_create(uint64_t now)
{
    struct kr_wheel_s *wheel = calloc(1, sizeof *wheel);

    if (wheel)
        wheel->time = now;
    return wheel;
}

void kr_wheel_destroy(struct kr_wheel_s *wheel)
{
    free(wheel);
}

void kr_wheel_insert(struct kr_wheel_s *wheel, struct dev_request_s *rq)
{
    wheel->count++;
    if (rq->expires <= wheel->time)
        list_insert_sorted(&wheel->late, rq);
    else
        slot_add(wheel, rq);
}

void kr_wheel_remove(struct kr_wheel_s *wheel, struct dev_request_s *rq)
{
    wheel->count--;
    if (rq->expires <= wheel->time) {
        /* In the middle of a list it does not matter which one it is. */
        bool late = rq == wheel->late.head || rq == wheel->late.tail;

        list_remove(late ? &wheel->late : &wheel->due, rq);
        return;
    }

    unsigned level = level_of(wheel, rq->expires);
    unsigned index = index_of(level, rq->expires);
    struct kr_slot_s *slot = &wheel->slot[level][index];

    list_remove(slot, rq);
    if (!slot->head)
        slot_emptied(wheel, level, index);
}

/*
 * Time enters the earliest slot, at the first of its deadlines or at `now`. All lower levels are
 * empty, so the nodes find their new slots empty, and equal ones keep their order.
 */
static void enter_slot(struct kr_wheel_s *wheel, unsigned level, unsigned index, uint64_t now)
{
    struct kr_slot_s *slot = &wheel->slot[level][index];
    struct dev_request_s *rq = slot->head;
    uint64_t first = rq->next ? slot->min : rq->expires;

    wheel->time = first < now ? first : now;
    slot->head = slot->tail = NULL;
    slot_emptied(wheel, level, index);
    while (rq) {
        struct dev_request_s *next = rq->next;

        if (rq->expires <= wheel->time)
            list_append(&wheel->due, rq);
        else
            slot_add(wheel, rq);
        rq = next;
    }
}

void kr_wheel_advance(struct kr_wheel_s *wheel, uint64_t now)
{
    list_splice(&wheel->due, &wheel->late);
    while (wheel->levels) {
        unsigned level = (unsigned)__builtin_ctz(wheel->levels);
        unsigned index = (unsigned)__builtin_ctzll(wheel->slots[level]);

        if (slot_start(wheel, level, index) > now)
            break;
        enter_slot(wheel, level, index, now);
    }
    if (now > wheel->time)
        wheel->time = now;
}

struct dev_request_s *kr_wheel_pop_due(struct kr_wheel_s *wheel)
{
    struct dev_request_s *rq = wheel->due.head;

    if (rq) {
        list_remove(&wheel->due, rq);
        wheel->count--;
    }
    return rq;
}

struct dev_request_s *kr_wheel_pop_any(struct kr_wheel_s *wheel)
{
    struct dev_request_s *rq = wheel->due.head ? wheel->due.head : wheel->late.head;

    if (!rq && wheel->levels) {
        unsigned level = (unsigned)__builtin_ctz(wheel->levels);

        rq = wheel->slot[level][__builtin_ctzll(wheel->slots[level])].head;
    }
    if (rq)
        kr_wheel_remove(wheel, rq);
    return rq;
}

uint64_t kr_wheel_earliest(const struct kr_wheel_s *wheel)
{
    if (wheel->due.head)
        return wheel->due.head->expires;
    if (wheel->late.head)
        return wheel->late.head->expires;
    if (!wheel->levels)
        return UINT64_MAX;

    unsigned level = (unsigned)__builtin_ctz(wheel->levels);

    return wheel->slot[level][__builtin_ctzll(wheel->slots[level])].min;
}

void kr_wheel_rebase(struct kr_wheel_s *wheel, uint64_t now, kr_wheel_deadline_t *deadline,
                     void *arg)
{
    struct kr_slot_s all = {NULL, NULL, 0};
    struct dev_request_s *rq;

    while ((rq = kr_wheel_pop_any(wheel)))
        list_append(&all, rq);

    /* From time 0 every deadline is ahead, and the advance sorts those that are past. */
    wheel->time = 0;
    while ((rq = all.head)) {
        list_remove(&all, rq);
        if (deadline)
            rq->expires = deadline(rq, arg);
        kr_wheel_insert(wheel, rq);
    }
    kr_wheel_advance(wheel, now);
}

size_t kr_wheel_count(const struct kr_wheel_s *wheel)
{
    return wheel->count;
}

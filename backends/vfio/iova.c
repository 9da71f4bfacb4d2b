/* SPDX-License-Identifier: MIT */
#include "iova.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void iova_init(struct iova_s *s)
{
    memset(s, 0, sizeof(*s));
}

void iova_destroy(struct iova_s *s)
{
    free(s->free);
    iova_init(s);
}

static error_t reserve(struct iova_s *s, size_t count)
{
    struct iova_range_s *list;

    if (count <= s->capacity)
        return 0;
    if (count < 2 * s->capacity)
        count = 2 * s->capacity;
    list = realloc(s->free, count * sizeof(*list));
    if (!list)
        return -ENOMEM;
    s->free = list;
    s->capacity = count;
    return 0;
}

/* --- valid ranges --- */

static int by_first(const void *a, const void *b)
{
    const struct iova_range_s *x = a, *y = b;

    return (x->first > y->first) - (x->first < y->first);
}

/* Sorts, and makes one of those that overlap or touch; returns how many are left. */
static size_t normalise(struct iova_range_s *list, size_t count)
{
    size_t n = 0;

    if (!count)
        return 0;
    qsort(list, count, sizeof(*list), by_first);
    for (size_t i = 1; i < count; i++) {
        if (list[n].last == UINT64_MAX || list[i].first <= list[n].last + 1) {
            if (list[i].last > list[n].last)
                list[n].last = list[i].last;
        } else {
            list[++n] = list[i];
        }
    }
    return n + 1;
}

static error_t copy_ranges(struct iova_range_s **ret, const struct iova_range_s *ranges,
                           size_t *count)
{
    struct iova_range_s *list = malloc((*count + 1) * sizeof(*list));
    size_t n = 0;

    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < *count; i++) {
        if (ranges[i].first <= ranges[i].last)
            list[n++] = ranges[i];
    }
    *count = normalise(list, n);
    *ret = list;
    return 0;
}

error_t iova_set_ranges(struct iova_s *s, const struct iova_range_s *ranges, size_t count)
{
    struct iova_range_s *list;
    error_t err = copy_ranges(&list, ranges, &count);

    if (err)
        return err;
    free(s->free);
    s->free = list;
    s->count = count;
    s->capacity = count + 1;
    s->borders = count;
    s->used = 0;
    return 0;
}

/* Writes what two sorted lists have in common to `to`, at most a + b - 1 ranges. */
static size_t intersect(struct iova_range_s *to, const struct iova_range_s *a, size_t na,
                        const struct iova_range_s *b, size_t nb)
{
    size_t i = 0, j = 0, n = 0;

    while (i < na && j < nb) {
        uint64_t first = a[i].first > b[j].first ? a[i].first : b[j].first;
        uint64_t last = a[i].last < b[j].last ? a[i].last : b[j].last;

        if (first <= last)
            to[n++] = (struct iova_range_s){first, last};
        if (a[i].last < b[j].last)
            i++;
        else
            j++;
    }
    return n;
}

error_t iova_restrict(struct iova_s *s, const struct iova_range_s *ranges, size_t count)
{
    struct iova_range_s *valid, *list;
    size_t room;
    error_t err = copy_ranges(&valid, ranges, &count);

    if (err)
        return err;
    room = s->borders + s->used + count + 1;
    list = malloc(room * sizeof(*list));
    if (!list) {
        free(valid);
        return -ENOMEM;
    }
    s->count = intersect(list, s->free, s->count, valid, count);
    s->borders += count;
    s->capacity = room;
    free(s->free);
    free(valid);
    s->free = list;
    return 0;
}

/* --- blocks --- */

/* The lowest fitting address in `range`; false: there is none. */
static bool fits(const struct iova_range_s *range, uint64_t size, uint64_t align, uint64_t mask,
                 uint64_t *ret)
{
    uint64_t last = range->last < mask ? range->last : mask;
    uint64_t first = (range->first + align - 1) & ~(align - 1);

    if (first < range->first || first > last || last - first < size - 1)
        return false; /* the first: rounding up went past 2^64 */
    *ret = first;
    return true;
}

static void drop(struct iova_s *s, size_t at)
{
    memmove(s->free + at, s->free + at + 1, (s->count - at - 1) * sizeof(*s->free));
    s->count--;
}

static void insert(struct iova_s *s, size_t at, uint64_t first, uint64_t last)
{
    memmove(s->free + at + 1, s->free + at, (s->count - at) * sizeof(*s->free));
    s->free[at] = (struct iova_range_s){first, last};
    s->count++;
}

/* Takes first … last out of range `at`, which contains it. */
static void carve(struct iova_s *s, size_t at, uint64_t first, uint64_t last)
{
    struct iova_range_s *r = &s->free[at];

    if (first == r->first && last == r->last) {
        drop(s, at);
    } else if (first == r->first) {
        r->first = last + 1;
    } else if (last == r->last) {
        r->last = first - 1;
    } else {
        uint64_t end = r->last;

        r->last = first - 1;
        insert(s, at + 1, last + 1, end);
    }
}

error_t iova_take(struct iova_s *s, uint64_t size, uint64_t align, uint64_t mask, uint64_t *ret)
{
    error_t err = reserve(s, s->borders + s->used + 1);

    if (err)
        return err;
    for (size_t i = 0; size && i < s->count && s->free[i].first <= mask; i++) {
        if (!fits(&s->free[i], size, align, mask, ret))
            continue;
        carve(s, i, *ret, *ret + (size - 1));
        s->used++;
        return 0;
    }
    return -ENOSPC;
}

/* The number of free ranges below `first`. */
static size_t below(const struct iova_s *s, uint64_t first)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (s->free[middle].first < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void iova_give(struct iova_s *s, uint64_t first, uint64_t size)
{
    uint64_t last = first + (size - 1);
    size_t at = below(s, first);
    bool left = at > 0 && s->free[at - 1].last + 1 == first;
    bool right = at < s->count && last + 1 == s->free[at].first && last != UINT64_MAX;

    s->used--;
    if (left && right) {
        s->free[at - 1].last = s->free[at].last;
        drop(s, at);
    } else if (left) {
        s->free[at - 1].last = last;
    } else if (right) {
        s->free[at].first = first;
    } else {
        insert(s, at, first, last);
    }
}

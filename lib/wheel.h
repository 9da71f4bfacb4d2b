/* SPDX-License-Identifier: MIT */
/*
 * Pending deadlines: a hierarchical timing wheel of 11 levels of 64 slots over 64-bit nanoseconds.
 * A node sits at the level of the highest group of six bits in which its deadline differs from the
 * wheel's time, so equal deadlines are always in the same slot, in order of insertion. Insert and
 * remove are O(1) whatever is pending; a node moves down at most ten times in its life.
 *
 * Nodes are `struct dev_request_s`: next, prev, expires. Not thread-safe: the clock locks.
 */
#ifndef KR_WHEEL_H
#define KR_WHEEL_H

#include "kroutine/request.h"

#define KR_WHEEL_BITS   6
#define KR_WHEEL_SLOTS  (1u << KR_WHEEL_BITS)
#define KR_WHEEL_LEVELS 11

struct kr_wheel_s;

struct kr_wheel_s *kr_wheel_create(uint64_t now); /* NULL: out of memory */
void kr_wheel_destroy(struct kr_wheel_s *wheel);  /* empty; NULL is fine */

/* rq->expires is the deadline; one in the past is due at the next advance, after those due already.
 */
void kr_wheel_insert(struct kr_wheel_s *wheel, struct dev_request_s *rq);
void kr_wheel_remove(struct kr_wheel_s *wheel, struct dev_request_s *rq);

/* Time goes to `now`; it never goes back here (see kr_wheel_rebase). */
void kr_wheel_advance(struct kr_wheel_s *wheel, uint64_t now);
/* The next node that is due, in order of (deadline, insertion); NULL: none. Still removable until
   taken by this call. */
struct dev_request_s *kr_wheel_pop_due(struct kr_wheel_s *wheel);
/* Any node, due or not; equal deadlines in order of insertion; NULL: empty. */
struct dev_request_s *kr_wheel_pop_any(struct kr_wheel_s *wheel);

/* A lower bound of the earliest deadline, exact unless the earliest node was removed; UINT64_MAX:
   empty. When something is due already: a value not after the wheel's time. */
uint64_t kr_wheel_earliest(const struct kr_wheel_s *wheel);

/* The clock was stepped to `now`, which may be before the wheel's time: keeps every node, those
   past become due. `deadline` gives each its new deadline; NULL: as it was. O(n). */
typedef uint64_t kr_wheel_deadline_t(const struct dev_request_s *rq, void *arg);
void kr_wheel_rebase(struct kr_wheel_s *wheel, uint64_t now, kr_wheel_deadline_t *deadline,
                     void *arg);

size_t kr_wheel_count(const struct kr_wheel_s *wheel);

#endif

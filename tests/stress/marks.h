/* SPDX-License-Identifier: MIT */
/* Shared by marks.c (slots, submitters, cancellers) and marks_lines.c (the devices). */
#ifndef MARKS_H
#define MARKS_H

#include <kroutine.h>

#include <pthread.h>

#define LINES     16
#define CLOSERS   2

#define get(p)    __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define set(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST)

extern struct kroutine_runtime_s *rt;
extern uint64_t seed, closings;
extern unsigned stopping; /* atomic: 1: cancellers and closers end; 2: the others too */

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);
uint64_t roll(uint64_t *state);
uint64_t first_state(unsigned thread);

void lines_open(void);
/* A reference to the device of a line, as it is now, with its generation; or only if that is still
   `*generation`: false otherwise. */
bool line_borrow(struct device_char_s *dev, unsigned line, unsigned *generation, bool same);
/* Closes every device, and opens others. */
void lines_reopen(void);
void lines_close(void);
void *closer(void *arg);
void *other_side(void *arg); /* of all lines: reads what was written, and writes */

#endif

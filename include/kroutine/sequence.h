/* SPDX-License-Identifier: MIT */
/* Sequences: kroutines that never run at the same time, in exec order. kroutine_sequence(3). */
#ifndef KROUTINE_SEQUENCE_H
#define KROUTINE_SEQUENCE_H

#include <pthread.h>

#include "kroutine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Every field is private. Memory is the caller's, from init to a cleanup that returned 0. */
struct kroutine_sequence_s {
    pthread_mutex_t lock;
    struct kroutine_s *head; /* executed, waiting for their turn */
    struct kroutine_s *tail;
    bool busy;    /* one of this sequence is scheduled or running */
    bool started; /* atomic: its handler has been called, by `runner` */
    pthread_t runner;
};

KROUTINE_API void kroutine_seq_init(struct kroutine_sequence_s *seq);

/* Waits for a handler of the sequence that is returning. -EBUSY: a kroutine of the sequence is
   pending, or this is a handler of it; nothing changed, and the rule checker stops the program. */
KROUTINE_API error_t kroutine_seq_cleanup(struct kroutine_sequence_s *seq);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT */
/*
 * Sequences. The kroutine whose turn it is is scheduled like any other of its base policy; the
 * rest wait here. `busy` is set from the moment one is scheduled until its handler has returned,
 * and passes from one to the next without being cleared in between.
 */
#include <errno.h>

#include "internal.h"

void kroutine_seq_init(struct kroutine_sequence_s *seq)
{
    pthread_mutex_init(&seq->lock, NULL);
    seq->head = seq->tail = NULL;
    seq->busy = seq->started = false;
}

/* A program cannot know when a handler has returned, only that it has done its work: the last one
   may still be on its way out. False while that is so. */
static bool settled(void *arg)
{
    struct kroutine_sequence_s *seq = arg;
    bool leaving;

    pthread_mutex_lock(&seq->lock);
    leaving = seq->busy && !seq->head && kr_load(&seq->started) &&
              !pthread_equal(seq->runner, pthread_self());
    pthread_mutex_unlock(&seq->lock);
    return !leaving;
}

error_t kroutine_seq_cleanup(struct kroutine_sequence_s *seq)
{
    struct kroutine_s *waiting;
    bool in_use;

    if (!settled(seq))
        kr_thread_wait(settled, seq);
    pthread_mutex_lock(&seq->lock);
    waiting = seq->head;
    in_use = seq->busy || waiting;
    pthread_mutex_unlock(&seq->lock);
    if (in_use) {
        KR_CHECK(kr_check_in_use("sequence", seq, waiting));
        return -EBUSY;
    }
    pthread_mutex_destroy(&seq->lock);
    return 0;
}

void kr_seq_exec(struct kroutine_sequence_s *seq, struct kroutine_s *kr)
{
    bool now;

    pthread_mutex_lock(&seq->lock);
    now = !seq->busy;
    if (now) {
        seq->busy = true;
    } else {
        kr->next = NULL;
        if (seq->tail)
            seq->tail->next = kr;
        else
            seq->head = kr;
        seq->tail = kr;
    }
    pthread_mutex_unlock(&seq->lock);
    if (now)
        kr_dispatch(kr, kr_run_policy(kr));
}

void kr_seq_start(struct kroutine_sequence_s *seq)
{
    seq->runner = pthread_self();
    kr_store(&seq->started, true);
}

bool kr_seq_try_enter(struct kroutine_sequence_s *seq)
{
    bool entered;

    pthread_mutex_lock(&seq->lock);
    entered = !seq->busy;
    seq->busy = true;
    pthread_mutex_unlock(&seq->lock);
    return entered;
}

void kr_seq_leave(struct kroutine_sequence_s *seq)
{
    struct kroutine_s *next;

    pthread_mutex_lock(&seq->lock);
    kr_store(&seq->started, false);
    next = seq->head;
    if (next) {
        seq->head = next->next;
        if (!seq->head)
            seq->tail = NULL;
    } else {
        seq->busy = false;
    }
    pthread_mutex_unlock(&seq->lock);
    if (!next)
        kr_thread_tell(); /* from here on the sequence may be gone */
    /* In no list until it is in its run queue: a cancel that comes now answers "too late". */
    if (next)
        kr_dispatch(next, kr_run_policy(next));
}

bool kr_seq_remove(struct kroutine_sequence_s *seq, struct kroutine_s *kr)
{
    struct kroutine_s *prev = NULL, *at;

    pthread_mutex_lock(&seq->lock);
    for (at = seq->head; at && at != kr; at = at->next)
        prev = at;
    if (at) {
        if (prev)
            prev->next = kr->next;
        else
            seq->head = kr->next;
        if (!kr->next)
            seq->tail = prev;
    }
    pthread_mutex_unlock(&seq->lock);
    return at != NULL;
}

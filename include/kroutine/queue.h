/* SPDX-License-Identifier: MIT */
/* Queues: kroutines run where the program asks for them. kroutine_queue(3). */
#ifndef KROUTINE_QUEUE_H
#define KROUTINE_QUEUE_H

#include <pthread.h>

#include "kroutine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One place where kroutines wait to run. Private; here because queues embed it. */
struct kroutine_runq_s {
    struct kroutine_s *inbox;  /* atomic: those of priority 0, from any thread, newest first */
    uint8_t apart[56];         /* who pushes does not disturb the cache line of who pops */
    struct kroutine_s *urgent; /* atomic: the same, for those of higher priority */
    pthread_mutex_t lock;      /* guards all that follows */
    struct {
        struct kroutine_s *head;
        struct kroutine_s *tail;
    } level[KROUTINE_PRIORITIES];
    uint32_t levels;   /* bit n: level n is not empty; atomic, written with the lock */
    uint32_t overtook; /* pops since the lowest waiting level was served */
};

/* Every field is private. Memory is the caller's, from init to a cleanup that returned 0. */
struct kroutine_queue_s {
    struct kroutine_runq_s runq;
    pthread_cond_t cond;
    uint32_t waiters; /* atomic: threads in kroutine_queue_wait */
    uint32_t execs;   /* atomic: calls of kroutine_exec that are not done with the queue yet */
    int fd;           /* atomic: -1 until kroutine_queue_fd is called */
};

/* -ENOMEM, -EAGAIN: no resources for the lock. */
KROUTINE_API error_t kroutine_queue_init(struct kroutine_queue_s *queue);

/* -EBUSY: kroutines are pending or a thread waits; nothing changed, and the rule checker stops the
   program here. Closes the descriptor of kroutine_queue_fd. */
KROUTINE_API error_t kroutine_queue_cleanup(struct kroutine_queue_s *queue);

/* Runs one pending kroutine in the calling thread; false when there was none. Higher priority
   first. Any number of threads may serve a queue. */
KROUTINE_API bool kroutine_queue_process(struct kroutine_queue_s *queue);

/* Waits for a kroutine, and runs it. 0; -ETIMEDOUT after `timeout_ns` without one (a negative
   value waits for ever); -EDEADLK when called from a reactor. */
KROUTINE_API error_t kroutine_queue_wait(struct kroutine_queue_s *queue);
KROUTINE_API error_t kroutine_queue_timedwait(struct kroutine_queue_s *queue, int64_t timeout_ns);

/* A descriptor for poll(2), readable while kroutines are pending. Owned by the queue: do not read
   or close it. -EMFILE, -ENFILE, -ENOMEM as eventfd(2). */
KROUTINE_API int kroutine_queue_fd(struct kroutine_queue_s *queue);

#ifdef __cplusplus
}
#endif
#endif

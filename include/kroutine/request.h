/* SPDX-License-Identifier: MIT */
/*
 * What all requests share. dev_request(3); rules in kroutine-nesting(7) and kroutine-cancel(7).
 *
 * The caller owns the memory. From submit until the handler starts, or a cancel returns 0, the
 * request and its buffers are the library's.
 */
#ifndef KROUTINE_REQUEST_H
#define KROUTINE_REQUEST_H

#include "device.h"
#include "kroutine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dev_request_s;

/* Common to struct dev_request_s and, as direct members, to every struct dev_<class>_rq_s.
   Public: error, pvdata / pvuint, and the fields a driver may use while the request is its: next,
   prev, expires, drvdata, rq_state, rq_progress. Others are private. */
#define DEV_REQUEST_FIELDS                                                                         \
    struct kroutine_s kr;                                                                          \
    struct dev_request_s *next;                                                                    \
    struct dev_request_s *prev;                                                                    \
    uint64_t expires; /* ns on the runtime's monotonic clock, 0: never */                          \
    union {                                                                                        \
        void *pvdata; /* the caller's */                                                           \
        uintptr_t pvuint;                                                                          \
    };                                                                                             \
    union {                                                                                        \
        void *drvdata; /* the driver's, while it holds the request */                              \
        uintptr_t drvuint;                                                                         \
    };                                                                                             \
    uint64_t timeout;    /* dev_request_set_timeout, ns, 0: none */                                \
    int16_t error;       /* 0 or a negative errno, valid in the handler */                         \
    uint8_t type;        /* enum of the class */                                                   \
    uint8_t rq_state;    /* enum dev_request_state_e, of the driver */                             \
    uint32_t rq_progress /* of the driver: what this request has moved so far, or a mark */

struct dev_request_s {
    DEV_REQUEST_FIELDS;
};

enum dev_request_state_e {
    DEV_RQ_IDLE = 0, /* the caller's */
    DEV_RQ_QUEUED,   /* the driver's, can be taken back */
    DEV_RQ_ACTIVE,   /* with the hardware or the kernel */
    DEV_RQ_ABORTED,  /* active, cancelled: ends as soon as it can */
};

/* First member of every struct dev_<class>_rq_s: `.base`, and its fields as direct members. */
#define DEV_REQUEST_INHERIT                                                                        \
    union {                                                                                        \
        struct dev_request_s base;                                                                 \
        __extension__ struct {                                                                     \
            DEV_REQUEST_FIELDS;                                                                    \
        };                                                                                         \
    }

/* Time-out of every later submit of this request, in ns; 0: none. The request then completes with
   -ETIMEDOUT, `data` and `size` telling what was transferred. Not while it is submitted. */
KROUTINE_API void dev_request_set_timeout(struct dev_request_s *rq, uint64_t timeout_ns);

/* Cancels, and returns when the request is over: its handler has returned, or will never run.
   0: cancelled, the handler never ran. -EBUSY: the handler has run. -EDEADLK: called from the
   reactor of the device, or from the request's own handler; -EPERM: forked child; nothing done.
   -EDEADLK from an IMMEDIATE handler, if it would have to wait: cancelled, and not over yet. Blocks
   for as long as the handler runs. A handler that submits again is cancelled again. */
KROUTINE_API error_t dev_request_cancel_wait(const struct device_accessor_s *acc,
                                             struct dev_request_s *rq);

/* Submits and waits, for threads: replaces the request's handler. Returns the error of the
   request. -EDEADLK: called from the reactor, nothing done; rq->error says the same. -ENOTSUP: the
   class has no single `request` operation. */
KROUTINE_API error_t dev_request_wait(const struct device_accessor_s *acc,
                                      struct dev_request_s *rq);

/* Says that the memory is about to be reused or freed. Nothing to undo: with the rule checker on,
   a request that is in flight is reported here, at the culprit, rather than later. */
KROUTINE_API void dev_request_destroy(struct dev_request_s *rq);

/* Base of the typed initialisers; all fields are set, class fields are left alone. */
KROUTINE_API void dev_request_init(struct dev_request_s *rq, kroutine_exec_t *exec);
KROUTINE_API void dev_request_init_immediate(struct dev_request_s *rq, kroutine_exec_t *exec);
KROUTINE_API void dev_request_init_sched_switch(struct dev_request_s *rq, kroutine_exec_t *exec);
KROUTINE_API void dev_request_init_seq(struct dev_request_s *rq, kroutine_exec_t *exec,
                                       struct kroutine_sequence_s *seq);
KROUTINE_API void dev_request_init_queue(struct dev_request_s *rq, kroutine_exec_t *exec,
                                         struct kroutine_queue_s *queue);

/* Typed initialisers and casts: dev_<class>_rq_init (DEFERRED), _init_immediate,
   _init_sched_switch, _init_seq, _init_queue, dev_<class>_rq_from_kr, dev_<class>_wait_rq. */
#define DEV_REQUEST_DECLARE(cl)                                                                    \
    static inline void dev_##cl##_rq_init(struct dev_##cl##_rq_s *rq, kroutine_exec_t *exec)       \
    {                                                                                              \
        dev_request_init(&rq->base, exec);                                                         \
    }                                                                                              \
    static inline void dev_##cl##_rq_init_immediate(struct dev_##cl##_rq_s *rq,                    \
                                                    kroutine_exec_t *exec)                         \
    {                                                                                              \
        dev_request_init_immediate(&rq->base, exec);                                               \
    }                                                                                              \
    static inline void dev_##cl##_rq_init_sched_switch(struct dev_##cl##_rq_s *rq,                 \
                                                       kroutine_exec_t *exec)                      \
    {                                                                                              \
        dev_request_init_sched_switch(&rq->base, exec);                                            \
    }                                                                                              \
    static inline void dev_##cl##_rq_init_seq(struct dev_##cl##_rq_s *rq, kroutine_exec_t *exec,   \
                                              struct kroutine_sequence_s *seq)                     \
    {                                                                                              \
        dev_request_init_seq(&rq->base, exec, seq);                                                \
    }                                                                                              \
    static inline void dev_##cl##_rq_init_queue(struct dev_##cl##_rq_s *rq, kroutine_exec_t *exec, \
                                                struct kroutine_queue_s *queue)                    \
    {                                                                                              \
        dev_request_init_queue(&rq->base, exec, queue);                                            \
    }                                                                                              \
    static inline struct dev_##cl##_rq_s *dev_##cl##_rq_from_kr(struct kroutine_s *kr)             \
    {                                                                                              \
        return KROUTINE_CONTAINER(kr, struct dev_##cl##_rq_s, base.kr);                            \
    }                                                                                              \
    static inline struct dev_##cl##_rq_s *dev_##cl##_rq_cast(struct dev_request_s *rq)             \
    {                                                                                              \
        return KROUTINE_CONTAINER(rq, struct dev_##cl##_rq_s, base);                               \
    }                                                                                              \
    static inline error_t dev_##cl##_wait_rq(const struct device_##cl##_s *acc,                    \
                                             struct dev_##cl##_rq_s *rq)                           \
    {                                                                                              \
        return dev_request_wait(&acc->base, &rq->base);                                            \
    }                                                                                              \
    struct dev_##cl##_rq_s

#ifdef __cplusplus
}
#endif
#endif

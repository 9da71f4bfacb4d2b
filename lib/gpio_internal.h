/* SPDX-License-Identifier: MIT */
/* Shared by gpio_lines.c (the device), gpio_pump.c (who serves it, and when), gpio_work.c (what
   requests do) and gpio_event.c (what becomes of an edge). */
#ifndef KR_GPIO_INTERNAL_H
#define KR_GPIO_INTERNAL_H

#include <errno.h>

#include "internal.h"
#include "gpio_lines.h"

/* dev_request_s.rq_progress of UNTIL and EVENT. */
enum kr_lines_progress_e {
    KR_LINES_NEW = 0,  /* not looked at: the modes may not allow it */
    KR_LINES_ADMITTED, /* UNTIL: edges of before may still be on their way */
    KR_LINES_LEVEL,    /* UNTIL: no line differed when it came, so the next edge ends it */
};

/* Requests that end together, in order, when the lock is gone. */
struct kr_lines_done_s {
    struct dev_request_s *first;
    struct dev_request_s *last;
};

/* Debounce of a line by the library. */
struct kr_line_quiet_s {
    struct dev_gpio_event_s first; /* the edge that began the unrest */
    uint64_t last;                 /* timestamp of the last edge */
};

struct kr_lines_s {
    const struct kr_lines_ops_s *ops;
    void *pv;
    struct device_s *dev;
    struct kroutine_runtime_s *rt;
    unsigned count;
    uint32_t cap;
    bool eager;
    bool realtime;
    uint32_t refs; /* atomic: the driver's, the pumper's, an armed timer's */

    /* Atomic: the value of each output, or that it gets when it becomes one. Whoever has changed it
       gives it to the driver until it is then still what the driver got: of all calls of the driver
       the last one had the newest values, without a lock. */
    uint64_t latch;
    uint64_t outputs; /* atomic: lines that are */

    pthread_mutex_t lock;                   /* guards what follows, up to the mark */
    pthread_cond_t quiet;                   /* close waits: nobody pumps */
    struct dev_request_queue_root_s work;   /* MODE, SET_OUTPUT, GET_INPUT */
    struct dev_request_queue_root_s until;  /* UNTIL */
    struct dev_request_queue_root_s events; /* EVENT */
    error_t closed;                         /* not 0: every request ends with this */
    bool fresh;                             /* some of the requests above are not admitted yet */
    bool pumping;
    bool closing; /* a thread waits on `quiet` */
    bool ready;   /* the driver may have edges */
    bool armed;   /* the driver will call kr_lines_ready */
    bool tick;    /* the timer has fired */
    pthread_t pumper;
    uint64_t timer_at; /* ns, 0: not armed */

    /* The pumper's alone: */
    struct kr_line_mode_s mode[DEV_GPIO_LINES_MAX];
    uint64_t inputs;                /* lines that are */
    uint64_t watched;               /* lines whose edges the driver watches */
    bool watching;                  /* inputs without edge bits are watched as well */
    bool streaming;                 /* edges are kept for EVENT */
    uint64_t levels;                /* as the edges tell */
    uint64_t debounce;              /* lines that the library debounces … */
    uint64_t restless;              /* … and that have moved */
    uint64_t raw;                   /* their levels without debounce */
    uint32_t carry;                 /* lost edges that no delivered one tells of yet */
    struct kr_line_quiet_s *unrest; /* of each line; NULL: no debounce so far */
    struct dev_gpio_event_s *ring;
    unsigned ring_size, ring_head, ring_fill;
    struct kr_lines_done_s ended; /* over, kroutine not executed yet */
    struct dev_timer_rq_s timer;  /* earliest time-out, or end of an unrest */
};

/* Lines first … last. */
static inline uint64_t kr_lines_mask(unsigned first, unsigned last)
{
    return UINT64_MAX >> (63 - (last - first)) << first;
}

static inline uint64_t kr_lines_all(const struct kr_lines_s *l)
{
    return kr_lines_mask(0, l->count - 1);
}

static inline uint32_t kr_lost_add(uint32_t a, uint32_t b)
{
    return a > DEV_GPIO_LOST_SOME - b ? DEV_GPIO_LOST_SOME : a + b;
}

static inline struct kr_clock_s *kr_lines_clock(const struct kr_lines_s *l)
{
    return &l->rt->clocks[KR_CLOCK_MONOTONIC];
}

/* One more reference, given back by kr_lines_put. */
static inline void kr_lines_hold(struct kr_lines_s *l)
{
    kr_add(&l->refs, 1);
}

/* --- gpio_pump.c --- */

/* With the lock. True: the caller has the pump, and must serve. */
bool kr_lines_seize(struct kr_lines_s *l);
/* With the lock and the pump, both of which it gives back: until nothing is left to do now. */
void kr_lines_serve(struct kr_lines_s *l);
/* With the lock, which it gives back; seizes and serves when the device is free. */
void kr_lines_pump(struct kr_lines_s *l);
/* Without the lock, with the pump: executes the kroutines of those that have ended. */
void kr_lines_execute(struct kr_lines_s *l);
/* With the lock, once `closed` is set: ends all that is pending. True: there was something. */
bool kr_lines_finish_all(struct kr_lines_s *l);
KROUTINE_EXEC(kr_lines_timer);
/* With the lock and the pump; the request is in no queue any more. */
void kr_lines_finish(struct kr_lines_s *l, struct dev_request_s *rq, error_t error);

/* --- gpio_work.c, with the pump, without the lock --- */

/* MODE, SET_OUTPUT, GET_INPUT: the result. */
error_t kr_lines_perform(struct kr_lines_s *l, struct dev_gpio_rq_s *rq);
error_t kr_lines_change_mode(struct kr_lines_s *l, unsigned first, unsigned last, uint64_t mask,
                             uint32_t mode, uint32_t debounce_us);
/* Watches all inputs from now on. */
error_t kr_lines_watch(struct kr_lines_s *l);

/* --- gpio_event.c, with the pump --- */

/* With the lock, for an edge that the driver has read. */
void kr_lines_edge(struct kr_lines_s *l, const struct dev_gpio_event_s *event);
/* With the lock, when the driver has no more edges: those lines that have come to rest. */
bool kr_lines_settle(struct kr_lines_s *l);
/* ns until the first of them does; UINT64_MAX: none is restless. */
uint64_t kr_lines_rest_in(const struct kr_lines_s *l);
/* With the lock: gives what is in the ring to the first EVENT. */
bool kr_lines_deliver(struct kr_lines_s *l);

#endif

/* SPDX-License-Identifier: MIT */
/* Shared by bus.c (requests), bus_life.c and bus_virtual.c. */
#ifndef KR_BUS_INTERNAL_H
#define KR_BUS_INTERNAL_H

#include "bus.h"

struct kr_bus_s {
    struct kr_bus_s *next; /* tree->buses; tree->lock */
    unsigned open;         /* ports; tree->lock */
    uint32_t refs;         /* atomic: ports that are not freed, the thread */
    struct kroutine_runtime_s *rt;
    bool in_virtual_time; /* no thread; a turn and a pace instead */
    pthread_t thread;
    char name[32];

    pthread_mutex_t lock; /* guards what follows */
    void *shared;         /* once it is there, it stays */
    void (*release)(void *shared);
    pthread_cond_t work;  /* for the thread */
    pthread_cond_t quiet; /* for those that close */
    unsigned closing;     /* how many do */
    bool stopping;
    bool busy; /* from taking a request until its kroutine was executed */
    struct kr_bus_port_s *active_port;
    struct dev_request_s *active; /* in `perform`, or before it in virtual time; else NULL */
    struct dev_request_queue_root_s level[KROUTINE_PRIORITIES];
    uint32_t levels;   /* bit n: there is one in level[n] */
    uint32_t overtook; /* requests in a row that were taken while lower levels waited */
    uint32_t timed;    /* requests in `level` with a time-out */

    struct dev_timer_rq_s timer; /* for time-outs of those that wait */
    uint64_t timer_at;           /* 0: not armed */
    bool arming;                 /* a thread is about to change that */
    struct device_s *timer_dev;  /* held while it is armed */

    struct kroutine_s turn;     /* takes a request */
    struct device_s *turn_dev;  /* held while it is pending; NULL: it is not */
    struct dev_timer_rq_s pace; /* rings when the part of `active` is over; holds its device */
};

static inline struct kr_clock_s *kr_bus_clock(struct kr_bus_s *bus)
{
    return &bus->rt->clocks[KR_CLOCK_MONOTONIC];
}

/* One call of `perform`, and what it has come to: KR_BUS_MORE, or the request is over. No lock. */
error_t kr_bus_perform(struct kr_bus_port_s *port, struct dev_request_s *rq);

KROUTINE_EXEC(kr_bus_timer_rang);
void *kr_bus_main(void *bus);
/* One reference less. */
void kr_bus_put(struct kr_bus_s *bus);

/* --- with the lock --- */

/* What has ended: their kroutines, without the lock. One by one from the list: a handler that
   closes the device executes the rest. Who calls holds the bus; a handler may free all but that. */
void kr_bus_execute(struct kr_bus_s *bus, struct kr_bus_port_s *port);
/* On another thread than this. */
bool kr_bus_executes_elsewhere(const struct kr_bus_port_s *port);
/* All of `port` that wait end with port->closed. */
void kr_bus_end_queued(struct kr_bus_s *bus, struct kr_bus_port_s *port);

/* The next request, its port at *port; the bus is busy from now on. *err: it is over already, with
   that; 0: it is active. Only if there is one, and the bus is not busy. */
struct dev_request_s *kr_bus_take(struct kr_bus_s *bus, struct kr_bus_port_s **port, error_t *err);
/* Ends what was taken, and executes its kroutine without the lock. The bus is not busy afterwards;
   the caller holds what keeps it. */
void kr_bus_finish(struct kr_bus_s *bus, struct kr_bus_port_s *port, struct dev_request_s *rq,
                   error_t err);

/* --- bus_virtual.c --- */

void kr_bus_virtual_init(struct kr_bus_s *bus);
/* With the lock: there may be something to take. True: execute bus->turn without the lock. */
bool kr_bus_virtual_wake(struct kr_bus_s *bus, struct device_s *dev);
/* With the lock, which it may release: ends what is active before its time, if that can be. */
void kr_bus_virtual_cut(struct kr_bus_s *bus, struct kr_bus_port_s *port);

#endif

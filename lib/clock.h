/* SPDX-License-Identifier: MIT */
/* One clock of a runtime: its pending timer requests, in a wheel, and the alarm of the backend. */
#ifndef KR_CLOCK_H
#define KR_CLOCK_H

#include <pthread.h>

#include "kroutine/timer.h"
#include "loop.h"
#include "wheel.h"

struct kr_clock_s {
    struct kroutine_runtime_s *rt;
    const struct kr_clock_ops_s *ops;
    enum kr_clock_id_e id;
    void *alarm; /* of ops: its state while open */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t quiet; /* opening, arming or completing went false */
    struct kr_wheel_s *wheel;
    bool open;        /* atomic: also read without the lock */
    bool opening;     /* a thread is in ops->open, without the lock */
    bool closed;      /* the runtime is going: requests are refused */
    bool attached;    /* a device of the timer driver is on this clock */
    bool expiring;    /* the reactor is in kr_clock_expire: it arms when done */
    bool completing;  /* the reactor is in a handler, without the lock */
    bool arming;      /* a thread is in ops->arm, without the lock */
    uint64_t armed;   /* what the alarm was last set to; UINT64_MAX: it has rung since */
    uint64_t time;    /* when the wheel last advanced: a step back is seen by it */
    error_t over;     /* what a closed clock ends requests with, and refuses them */
    uint32_t res;     /* ticks a timer unit */
    uint32_t rev;     /* odd */
    uint32_t pending; /* requests of the device, those of the core left out */
    bool started;     /* device_start */
};

void kr_clock_init(struct kr_clock_s *clock, struct kroutine_runtime_s *rt,
                   const struct kr_clock_ops_s *ops, enum kr_clock_id_e id);
/* Of a clock that is closed, and not one of the runtime's. */
void kr_clock_fini(struct kr_clock_s *clock);
/* Opened at first use; idempotent. Any thread. */
error_t kr_clock_open(struct kr_clock_s *clock);
/* Every pending request completes with -ECANCELED, later ones are refused. Any thread, unless `ops`
   says otherwise; again: nothing. */
void kr_clock_close(struct kr_clock_s *clock);
/* That, with -ENODEV: the hardware of the clock is gone. Reactor thread. */
void kr_clock_gone(struct kr_clock_s *clock);
uint64_t kr_clock_now(const struct kr_clock_s *clock); /* ns */

/* Called by the alarm, reactor thread: everything due is executed. */
void kr_clock_expire(struct kr_clock_s *clock);
/* Called by the alarm, reactor thread: the clock was stepped (realtime). */
void kr_clock_stepped(struct kr_clock_s *clock);

/* The core's own time-outs: deadline and delay are ns, whatever the resolution of the device. Same
   returns as struct driver_timer_s. */
error_t kr_clock_request(struct kr_clock_s *clock, struct dev_timer_rq_s *rq);
/* For both kinds. */
error_t kr_clock_cancel(struct kr_clock_s *clock, struct dev_timer_rq_s *rq);

/* --- for the timer driver --- */

/* One device a clock. -EBUSY: there is one. Opened by kr_clock_open, or the first request. */
error_t kr_clock_attach(struct kr_clock_s *clock);
/* The device's requests complete with -ECANCELED before this returns, later ones are refused. Any
   thread; on the reactor inside a handler of the clock, that handler is not waited for. */
void kr_clock_detach(struct kr_clock_s *clock);
/* As kr_clock_request, in timer units. */
error_t kr_clock_request_units(struct kr_clock_s *clock, struct dev_timer_rq_s *rq);
error_t kr_clock_value(struct kr_clock_s *clock, uint64_t *value, uint32_t rev);
error_t kr_clock_config(struct kr_clock_s *clock, struct dev_timer_config_s *cfg, uint32_t res);
void kr_clock_use(struct kr_clock_s *clock, bool started);

extern const struct driver_s kr_driver_timer; /* "timer": devices timer0, timer1, timer2 */

#endif

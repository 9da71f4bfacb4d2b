/* SPDX-License-Identifier: MIT */
/*
 * A loop without descriptors, and clocks that stand still while there is anything to do. When the
 * reactor would wait, time jumps to the earliest alarm instead.
 *
 * The only descriptor is an event: it wakes a reactor that has no alarm to jump to, and tells a
 * foreign event loop that kroutine_runtime_process has work. A foreign loop waits outside of this
 * file, so time passes for it in a process call after one that found nothing to do.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kroutine/sim.h"
#include "sim_internal.h"

#define START KROUTINE_SEC(1)          /* monotonic and boottime; 0 means never in places */
#define EPOCH KROUTINE_SEC(1577836800) /* of realtime: 2020-01-01 00:00 UTC */
#define NEVER UINT64_MAX

/* A worker that is in a handler may be about to submit something: time waits for it, but not long,
   as the handler may itself be waiting for time to pass. Milliseconds of real time; the second is
   for when kroutines wait for a worker too. */
#define PATIENCE_RUNNING 1
#define PATIENCE_QUEUED  20

struct kr_loop_s {
    struct kroutine_runtime_s *rt;
    uint64_t seed;
    uint64_t now;               /* atomic: monotonic; the reactor moves it */
    uint64_t offset[KR_CLOCKS]; /* atomic: clock - monotonic */
    uint64_t alarm[KR_CLOCKS];  /* atomic: on that clock; NEVER */
    uint32_t stepped;           /* atomic: realtime was */
    uint32_t woken;             /* atomic */
    uint32_t signalled;         /* atomic: a later signal would change nothing */
    int event;
    unsigned looks;    /* in a row, without waiting, that found nothing */
    uint64_t syscalls; /* atomic */
};

/* --- the event --- */

static void count_syscall(struct kr_loop_s *loop)
{
    kr_add_relaxed(&loop->syscalls, 1);
}

static void signal_event(struct kr_loop_s *loop)
{
    if (kr_xchg(&loop->signalled, 1))
        return;
    count_syscall(loop);
    kr_platform_event_signal(loop->event);
}

/* The flag second, so that it is never set for an event that has been taken. The caller looks at
   alarms and flags after this. */
static void clear_event(struct kr_loop_s *loop)
{
    count_syscall(loop);
    kr_platform_event_clear(loop->event);
    kr_store(&loop->signalled, 0);
}

/* False: interrupted by a signal. */
static bool block(struct kr_loop_s *loop, int timeout_ms)
{
    struct pollfd p = {.fd = loop->event, .events = POLLIN};

    count_syscall(loop);
    return poll(&p, 1, timeout_ms) >= 0;
}

/* --- time --- */

static uint64_t now_on(const struct kr_loop_s *loop, int clock)
{
    return kr_load(&loop->now) + kr_load(&loop->offset[clock]);
}

/* When the alarm of a clock rings, on the monotonic clock. */
static uint64_t alarm_at(const struct kr_loop_s *loop, int clock)
{
    uint64_t deadline = kr_load(&loop->alarm[clock]), offset = kr_load(&loop->offset[clock]);

    if (deadline == NEVER)
        return NEVER;
    return deadline > offset ? deadline - offset : 0;
}

/* The clock whose alarm is first; -1: no alarm is set. `but`: a mask of clocks left out. */
static int first_alarm(const struct kr_loop_s *loop, unsigned but)
{
    int first = -1;
    uint64_t earliest = NEVER;

    for (int i = 0; i < KR_CLOCKS; i++) {
        if (!(but & 1u << i) && alarm_at(loop, i) < earliest) {
            earliest = alarm_at(loop, i);
            first = i;
        }
    }
    return first;
}

/* Alarms that ring now, each once. */
static int ring(struct kr_loop_s *loop)
{
    unsigned rung = 0;
    int clock, n = 0;

    if (kr_load(&loop->stepped) && kr_xchg(&loop->stepped, 0)) {
        kr_clock_stepped(&loop->rt->clocks[KR_CLOCK_REALTIME]);
        n++;
    }
    while ((clock = first_alarm(loop, rung)) >= 0 && alarm_at(loop, clock) <= kr_load(&loop->now)) {
        rung |= 1u << clock;
        kr_store(&loop->alarm[clock], NEVER);
        kr_clock_expire(&loop->rt->clocks[clock]);
        n++;
    }
    return n;
}

static void jump(struct kr_loop_s *loop, uint64_t to)
{
    if (to > kr_load(&loop->now))
        kr_store(&loop->now, to);
}

/* --- waiting --- */

/* Does the reactor have something to do that is no event of this loop? */
static bool reactor_has_work(const struct kr_loop_s *loop)
{
    struct kroutine_runtime_s *rt = loop->rt;

    return kr_load(&rt->posted) || kr_load(&rt->io_posted) || !kr_runq_is_empty(&rt->sched) ||
           (kr_pool_is_idle(rt->pool) && !kr_runq_is_empty(&rt->idle)) ||
           (kr_pool_size(rt->pool) == 0 && !kr_pool_is_idle(rt->pool));
}

static bool interrupted(struct kr_loop_s *loop)
{
    return (kr_load(&loop->woken) && kr_xchg(&loop->woken, 0)) || kr_load(&loop->stepped);
}

/* Lets workers come to rest. False: something else happened. */
static bool pool_rests(struct kr_loop_s *loop)
{
    struct kroutine_runtime_s *rt = loop->rt;

    for (int ms = 0; !kr_pool_is_asleep(rt->pool); ms++) {
        if (ms >= (kr_pool_is_idle(rt->pool) ? PATIENCE_RUNNING : PATIENCE_QUEUED))
            break;
        clear_event(loop);
        if (interrupted(loop) || reactor_has_work(loop) || !block(loop, 1))
            return false;
    }
    return !interrupted(loop) && !reactor_has_work(loop);
}

/* Time passes, to the first alarm or until `limit`. */
static int pass_time(struct kr_loop_s *loop, uint64_t limit)
{
    for (;;) {
        if (kr_pool_size(loop->rt->pool) ? !pool_rests(loop)
                                         : interrupted(loop) || reactor_has_work(loop))
            return ring(loop);

        int clock = first_alarm(loop, 0);

        if (clock >= 0 && alarm_at(loop, clock) <= limit) {
            jump(loop, alarm_at(loop, clock));
            return ring(loop);
        }
        if (limit != NEVER) {
            jump(loop, limit);
            return 0;
        }
        clear_event(loop);
        if (!kr_load(&loop->woken) && !kr_load(&loop->stepped) && first_alarm(loop, 0) < 0 &&
            !block(loop, -1))
            return 0;
    }
}

/* A look without waiting. The first that finds nothing may be the end of a process call that has
   done something, the second is a call in vain; at the third a foreign loop is waiting. */
#define LOOKS_IN_VAIN 2

static int look(struct kr_loop_s *loop)
{
    int clock = first_alarm(loop, 0);

    if (!loop->rt->embedded || clock < 0 || reactor_has_work(loop)) {
        loop->looks = 0;
        return 0;
    }
    if (loop->looks++ < LOOKS_IN_VAIN)
        return 0;
    loop->looks = 0;
    return pass_time(loop, alarm_at(loop, clock));
}

/* The descriptor tells whether another call would find something, a jump of time included. */
static void settle(struct kr_loop_s *loop)
{
    if (!loop->rt->embedded)
        return;
    if (first_alarm(loop, 0) < 0 && kr_load(&loop->signalled))
        clear_event(loop);
    if (first_alarm(loop, 0) >= 0 || kr_load(&loop->woken) || kr_load(&loop->stepped))
        signal_event(loop);
}

static int sim_wait(struct kr_loop_s *loop, int64_t timeout_ns)
{
    bool woken = kr_load(&loop->woken) && kr_xchg(&loop->woken, 0);
    uint64_t limit = NEVER;
    int n = ring(loop);

    if (n || woken) {
        loop->looks = 0;
    } else if (timeout_ns == 0) {
        n = look(loop);
    } else {
        loop->looks = 0;
        if (timeout_ns > 0)
            limit = kr_load(&loop->now) + (uint64_t)timeout_ns;
        n = pass_time(loop, limit);
    }
    settle(loop);
    return n;
}

static void sim_wake(struct kr_loop_s *loop)
{
    kr_store(&loop->woken, 1);
    signal_event(loop);
}

static int sim_fd(struct kr_loop_s *loop)
{
    return loop->event;
}

/* --- life --- */

static error_t sim_create(struct kr_loop_s **ret, struct kroutine_runtime_s *rt,
                          const struct kroutine_runtime_config_s *config, char *reason, size_t size)
{
    struct kr_loop_s *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return -ENOMEM;
    loop->event = kr_platform_event_open();
    if (loop->event < 0) {
        error_t error = loop->event;

        snprintf(reason, size, "no descriptor left for an event (error %d)", -error);
        free(loop);
        return error;
    }
    loop->rt = rt;
    loop->seed = config->sim_seed;
    loop->now = START;
    loop->offset[KR_CLOCK_REALTIME] = EPOCH;
    for (int i = 0; i < KR_CLOCKS; i++)
        loop->alarm[i] = NEVER;
    snprintf(reason, size, "asked for: virtual time, seed %llu", (unsigned long long)loop->seed);
    *ret = loop;
    return 0;
}

static void sim_destroy(struct kr_loop_s *loop)
{
    close(loop->event);
    free(loop);
}

static uint64_t sim_syscalls(struct kr_loop_s *loop)
{
    return kr_load_relaxed(&loop->syscalls);
}

/* --- descriptors: none, time would not pass for them --- */

static error_t sim_pollable(struct kr_loop_s *loop, int fd)
{
    (void)loop;
    (void)fd;
    return -ENOTSUP;
}

static error_t sim_watch_add(struct kr_loop_s *loop, struct kr_watch_s *w)
{
    (void)loop;
    (void)w;
    return -ENOTSUP;
}

static void sim_watch_arm(struct kr_loop_s *loop, struct kr_watch_s *w, unsigned events)
{
    (void)loop;
    (void)w;
    (void)events;
}

static void sim_watch_del(struct kr_loop_s *loop, struct kr_watch_s *w)
{
    (void)loop;
    (void)w;
}

static void sim_io_submit(struct kr_loop_s *loop, struct kr_io_s *io)
{
    (void)loop;
    io->result = -ENOTSUP;
    io->done(io);
}

static void sim_io_reap(struct kr_loop_s *loop, struct kr_io_s *io)
{
    (void)loop;
    (void)io;
}

static const struct kr_loop_ops_s sim_loop = {
    .name = "sim",
    .create = sim_create,
    .destroy = sim_destroy,
    .fd = sim_fd,
    .wake = sim_wake,
    .wait = sim_wait,
    .pollable = sim_pollable,
    .watch_add = sim_watch_add,
    .watch_arm = sim_watch_arm,
    .watch_del = sim_watch_del,
    .io_submit = sim_io_submit,
    .io_reap = sim_io_reap,
    .syscalls = sim_syscalls,
};

/* --- clocks --- */

static error_t sim_clock_open(struct kr_clock_s *clock)
{
    (void)clock;
    return 0;
}

static uint64_t sim_clock_now(const struct kr_clock_s *clock)
{
    return now_on(clock->rt->loop, clock->id);
}

static void sim_clock_arm(struct kr_clock_s *clock, uint64_t deadline)
{
    struct kr_loop_s *loop = clock->rt->loop;

    kr_store(&loop->alarm[clock->id], deadline);
    if (loop->rt->embedded || !kr_on_reactor(loop->rt))
        signal_event(loop);
}

static void sim_clock_close(struct kr_clock_s *clock)
{
    kr_store(&clock->rt->loop->alarm[clock->id], NEVER);
}

static const struct kr_clock_ops_s sim_clock = {
    .capabilities = DEV_TIMER_CAP_VIRTUAL,
    .open = sim_clock_open,
    .close = sim_clock_close,
    .now = sim_clock_now,
    .arm = sim_clock_arm,
};

const struct kr_backend_s kr_backend_sim = {.loop = &sim_loop, .clock = &sim_clock};

/* --- control --- */

static struct kr_loop_s *loop_of(const struct kroutine_runtime_s *rt)
{
    return rt && rt->backend == &kr_backend_sim ? rt->loop : NULL;
}

uint64_t kr_sim_seed(const struct kroutine_runtime_s *rt)
{
    struct kr_loop_s *loop = loop_of(rt);

    return loop ? loop->seed : 0;
}

uint64_t kroutine_sim_now(const struct kroutine_runtime_s *rt)
{
    struct kr_loop_s *loop = loop_of(rt);

    return loop ? kr_load(&loop->now) : 0;
}

error_t kroutine_sim_step_clock(struct kroutine_runtime_s *rt, int64_t delta_ns)
{
    struct kr_loop_s *loop = loop_of(rt);

    if (!loop)
        return -ENOTSUP;

    uint64_t offset = kr_load(&loop->offset[KR_CLOCK_REALTIME]), stepped;

    do {
        stepped = offset + (uint64_t)delta_ns;
        if (stepped > INT64_MAX)
            return -ERANGE;
    } while (!kr_cas(&loop->offset[KR_CLOCK_REALTIME], &offset, stepped));
    kr_store(&loop->stepped, 1);
    sim_wake(loop);
    return 0;
}

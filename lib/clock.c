/* SPDX-License-Identifier: MIT */
/*
 * One clock: requests wait in the wheel, and one alarm of the backend is set for the earliest.
 *
 * The alarm is a system call away, so it is set without the lock, and as seldom as possible: only
 * when the earliest deadline comes before what the alarm is set to. After a cancel it rings early,
 * once, which is cheaper than setting it at each cancel.
 */
#include <errno.h>

#include "internal.h"

/* dev_request_s.rq_progress of a request that waits here: whose units its deadline is in. */
enum kr_owner_e { KR_OWNER_DEVICE, KR_OWNER_CORE };

static struct dev_timer_rq_s *cast(const struct dev_request_s *base)
{
    return KROUTINE_CONTAINER(base, struct dev_timer_rq_s, base);
}

/* --- life --- */

void kr_clock_init(struct kr_clock_s *clock, struct kroutine_runtime_s *rt,
                   const struct kr_clock_ops_s *ops, enum kr_clock_id_e id)
{
    *clock = (struct kr_clock_s){.rt = rt, .ops = ops, .id = id};
    pthread_mutex_init(&clock->lock, NULL);
    pthread_cond_init(&clock->quiet, NULL);
    clock->armed = UINT64_MAX;
    clock->over = -ECANCELED;
    clock->res = 1;
    clock->rev = 1;
}

void kr_clock_fini(struct kr_clock_s *clock)
{
    pthread_cond_destroy(&clock->quiet);
    pthread_mutex_destroy(&clock->lock);
}

/* ns a tick of the base clock, and a timer unit. */
static uint32_t tick_ns(const struct kr_clock_s *clock)
{
    return clock->ops->tick ? clock->ops->tick : 1;
}

static uint64_t unit_ns(const struct kr_clock_s *clock)
{
    return (uint64_t)clock->res * tick_ns(clock);
}

/* Without the lock: makes the alarm and the wheel. */
static error_t open_alarm(struct kr_clock_s *clock, struct kr_wheel_s **wheel, uint64_t *now)
{
    *now = kr_clock_now(clock);
    *wheel = kr_wheel_create(*now);
    if (!*wheel)
        return -ENOMEM;

    error_t err = clock->ops->open(clock);

    if (err)
        kr_wheel_destroy(*wheel);
    return err;
}

error_t kr_clock_open(struct kr_clock_s *clock)
{
    struct kr_wheel_s *wheel;
    uint64_t now;
    error_t err = 0;

    if (kr_load_acquire(&clock->open))
        return 0;

    pthread_mutex_lock(&clock->lock);
    while (clock->opening)
        pthread_cond_wait(&clock->quiet, &clock->lock);
    if (clock->closed) {
        err = clock->over;
    } else if (!clock->open) {
        clock->opening = true;
        pthread_mutex_unlock(&clock->lock);
        err = open_alarm(clock, &wheel, &now);
        pthread_mutex_lock(&clock->lock);
        clock->opening = false;
        pthread_cond_broadcast(&clock->quiet);
        if (!err) {
            clock->wheel = wheel;
            clock->time = now;
            kr_store_release(&clock->open, true);
        }
    }
    pthread_mutex_unlock(&clock->lock);
    return err;
}

uint64_t kr_clock_now(const struct kr_clock_s *clock)
{
    return clock->ops->now(clock);
}

/* What time-outs are measured on: they last as long as they should whatever is done to the clock.
 */
static uint64_t steady_now(const struct kr_clock_s *clock, uint64_t now)
{
    if (clock->id != KR_CLOCK_REALTIME)
        return now;
    return kr_clock_now(&clock->rt->clocks[KR_CLOCK_MONOTONIC]);
}

/* --- alarm --- */

/* With the lock, which is released around the system call. A thread that finds another one at it,
   or the reactor expiring, leaves the work to them: they look again before they are done. */
static void set_alarm(struct kr_clock_s *clock)
{
    if (clock->arming)
        return;
    clock->arming = true;
    while (!clock->expiring && !clock->closed) {
        uint64_t want = kr_wheel_earliest(clock->wheel);

        if (want >= clock->armed)
            break;
        clock->armed = want;
        pthread_mutex_unlock(&clock->lock);
        clock->ops->arm(clock, want);
        pthread_mutex_lock(&clock->lock);
    }
    clock->arming = false;
    if (clock->closed)
        pthread_cond_broadcast(&clock->quiet);
}

/* --- requests --- */

static uint64_t deadline_ns(const struct kr_clock_s *clock, const struct dev_timer_rq_s *rq)
{
    return rq->deadline * (rq->rq_progress == KR_OWNER_CORE ? 1 : unit_ns(clock));
}

/* The deadline or the time-out, whichever is first. */
static uint64_t expiry(const struct kr_clock_s *clock, const struct dev_timer_rq_s *rq,
                       uint64_t now, uint64_t steady)
{
    uint64_t deadline = deadline_ns(clock, rq);
    uint64_t limit;

    if (!rq->limit)
        return deadline;
    if (__builtin_add_overflow(now, rq->limit > steady ? rq->limit - steady : 0, &limit))
        return deadline;
    return limit < deadline ? limit : deadline;
}

/* In units of `unit` ns. The current time is rounded up, so that no delay ends early. */
static error_t check_deadline(const struct dev_timer_rq_s *rq, uint64_t now, uint64_t unit,
                              uint64_t *deadline)
{
    uint64_t value = rq->deadline;
    uint64_t ns;

    if (rq->delay && __builtin_add_overflow(now / unit + (now % unit != 0), rq->delay, &value))
        return -ERANGE;
    if (__builtin_mul_overflow(value, unit, &ns) || ns > INT64_MAX)
        return -ERANGE;
    if (ns <= now)
        return -ETIMEDOUT;
    *deadline = value;
    return 0;
}

/* With the lock. */
static error_t admit(struct kr_clock_s *clock, struct dev_timer_rq_s *rq, enum kr_owner_e owner,
                     uint64_t now, uint64_t steady)
{
    uint64_t unit = owner == KR_OWNER_CORE ? 1 : unit_ns(clock), deadline;

    if (clock->closed || (owner == KR_OWNER_DEVICE && !clock->attached))
        return clock->over;
    if (rq->rq_state != DEV_RQ_IDLE)
        return -EBUSY;
    if (rq->rev && rq->rev != clock->rev)
        return -EAGAIN;

    error_t err = check_deadline(rq, now, unit, &deadline);

    if (err)
        return err;
    rq->deadline = deadline;
    if (!rq->timeout || __builtin_add_overflow(steady, rq->timeout, &rq->limit))
        rq->limit = 0;
    rq->error = 0;
    rq->rq_state = DEV_RQ_QUEUED;
    rq->rq_progress = owner;
    rq->drvdata = clock;
    rq->expires = expiry(clock, rq, now, steady);
    clock->pending += owner == KR_OWNER_DEVICE;
    return 0;
}

static error_t submit(struct kr_clock_s *clock, struct dev_timer_rq_s *rq, enum kr_owner_e owner)
{
    error_t err = kr_clock_open(clock);

    if (err)
        return err;

    uint64_t now = kr_clock_now(clock);
    uint64_t steady = steady_now(clock, now);

    pthread_mutex_lock(&clock->lock);
    err = admit(clock, rq, owner, now, steady);
    if (!err) {
        kr_wheel_insert(clock->wheel, &rq->base);
        set_alarm(clock);
    }
    pthread_mutex_unlock(&clock->lock);
    return err;
}

error_t kr_clock_request(struct kr_clock_s *clock, struct dev_timer_rq_s *rq)
{
    return submit(clock, rq, KR_OWNER_CORE);
}

error_t kr_clock_request_units(struct kr_clock_s *clock, struct dev_timer_rq_s *rq)
{
    return submit(clock, rq, KR_OWNER_DEVICE);
}

/* With the lock: the request is not waiting any more. */
static void forget(struct kr_clock_s *clock, struct dev_timer_rq_s *rq)
{
    rq->rq_state = DEV_RQ_IDLE;
    rq->drvdata = NULL;
    clock->pending -= rq->rq_progress == KR_OWNER_DEVICE;
}

error_t kr_clock_cancel(struct kr_clock_s *clock, struct dev_timer_rq_s *rq)
{
    error_t err = -EBUSY;

    pthread_mutex_lock(&clock->lock);
    if (rq->rq_state == DEV_RQ_QUEUED && rq->drvdata == clock) {
        kr_wheel_remove(clock->wheel, &rq->base);
        forget(clock, rq);
        err = 0;
    }
    pthread_mutex_unlock(&clock->lock);
    return err;
}

/* --- expiry --- */

/* With the lock, released around the handler. */
static void complete(struct kr_clock_s *clock, struct dev_timer_rq_s *rq, error_t err)
{
    forget(clock, rq);
    rq->error = (int16_t)err;
    clock->completing = true;
    pthread_mutex_unlock(&clock->lock);
    dev_request_done(&rq->base);
    pthread_mutex_lock(&clock->lock);
    clock->completing = false;
    if (clock->closed || !clock->attached)
        pthread_cond_broadcast(&clock->quiet);
}

static error_t outcome(const struct kr_clock_s *clock, const struct dev_timer_rq_s *rq)
{
    if (rq->rev && rq->rev != clock->rev)
        return -EAGAIN;
    return rq->expires < deadline_ns(clock, rq) ? -ETIMEDOUT : 0;
}

struct kr_step_s {
    const struct kr_clock_s *clock;
    uint64_t now;
    uint64_t steady;
};

/* Those that asked to be told of a step are due at once; outcome() says why. */
static uint64_t deadline_after_step(const struct dev_request_s *base, void *arg)
{
    const struct kr_step_s *step = arg;
    const struct dev_timer_rq_s *rq = cast(base);

    return rq->rev ? 0 : expiry(step->clock, rq, step->now, step->steady);
}

/*
 * Handles what is due when it is called, and no more, so that handlers which submit again with tiny
 * delays leave the reactor time for others. Requests leave the wheel one by one: until its turn
 * has come each can still be cancelled, by a handler of the same batch as well.
 */
static void expire(struct kr_clock_s *clock, bool stepped)
{
    struct kr_step_s step = {clock, kr_clock_now(clock), 0};
    struct dev_request_s *base;

    step.steady = steady_now(clock, step.now);
    pthread_mutex_lock(&clock->lock);
    if (clock->wheel) {
        clock->expiring = true;
        clock->armed = UINT64_MAX;
        if (stepped || step.now < clock->time) {
            clock->rev += 2;
            kr_wheel_rebase(clock->wheel, step.now, deadline_after_step, &step);
        } else {
            kr_wheel_advance(clock->wheel, step.now);
        }
        clock->time = step.now;
        while (clock->wheel && (base = kr_wheel_pop_due(clock->wheel)))
            complete(clock, cast(base), outcome(clock, cast(base)));
        clock->expiring = false;
        set_alarm(clock);
    }
    pthread_mutex_unlock(&clock->lock);
}

void kr_clock_expire(struct kr_clock_s *clock)
{
    expire(clock, false);
}

void kr_clock_stepped(struct kr_clock_s *clock)
{
    expire(clock, true);
}

/* --- end --- */

/* With the lock, released around handlers. Takes what waits out of the wheel, and ends it. */
static void cancel_all(struct kr_clock_s *clock, bool core_too)
{
    struct dev_request_queue_root_s ended, kept;
    struct dev_request_s *base;

    dev_rq_queue_init(&ended);
    dev_rq_queue_init(&kept);
    while (clock->wheel && (base = kr_wheel_pop_any(clock->wheel))) {
        if (core_too || base->rq_progress == KR_OWNER_DEVICE) {
            forget(clock, cast(base));
            base->error = (int16_t)clock->over;
            dev_rq_pushback(&ended, base);
        } else {
            dev_rq_pushback(&kept, base);
        }
    }
    while ((base = dev_rq_pop(&kept)))
        kr_wheel_insert(clock->wheel, base);

    pthread_mutex_unlock(&clock->lock);
    while ((base = dev_rq_pop(&ended)))
        dev_request_done(base);
    pthread_mutex_lock(&clock->lock);
    while (clock->completing && !kr_on_reactor(clock->rt))
        pthread_cond_wait(&clock->quiet, &clock->lock);
}

void kr_clock_close(struct kr_clock_s *clock)
{
    struct kr_wheel_s *wheel;

    pthread_mutex_lock(&clock->lock);
    clock->closed = true;
    clock->attached = false;
    cancel_all(clock, true);
    while (clock->opening || clock->arming)
        pthread_cond_wait(&clock->quiet, &clock->lock);
    wheel = clock->wheel;
    clock->wheel = NULL;
    kr_store_release(&clock->open, false);
    pthread_mutex_unlock(&clock->lock);

    if (wheel)
        clock->ops->close(clock);
    kr_wheel_destroy(wheel);
}

void kr_clock_gone(struct kr_clock_s *clock)
{
    pthread_mutex_lock(&clock->lock);
    if (!clock->closed)
        clock->over = -ENODEV;
    pthread_mutex_unlock(&clock->lock);
    kr_clock_close(clock);
}

/* --- device --- */

error_t kr_clock_attach(struct kr_clock_s *clock)
{
    error_t err = 0;

    pthread_mutex_lock(&clock->lock);
    if (clock->closed)
        err = -ECANCELED;
    else if (clock->attached)
        err = -EBUSY;
    else
        clock->attached = true;
    pthread_mutex_unlock(&clock->lock);
    return err;
}

void kr_clock_detach(struct kr_clock_s *clock)
{
    pthread_mutex_lock(&clock->lock);
    clock->attached = false;
    clock->started = false;
    cancel_all(clock, false);
    pthread_mutex_unlock(&clock->lock);
}

void kr_clock_use(struct kr_clock_s *clock, bool started)
{
    pthread_mutex_lock(&clock->lock);
    clock->started = started;
    pthread_mutex_unlock(&clock->lock);
}

error_t kr_clock_value(struct kr_clock_s *clock, uint64_t *value, uint32_t rev)
{
    uint64_t now = kr_clock_now(clock);
    error_t err = 0;

    pthread_mutex_lock(&clock->lock);
    if (rev && rev != clock->rev)
        err = -EAGAIN;
    else
        *value = now / unit_ns(clock);
    pthread_mutex_unlock(&clock->lock);
    return err;
}

error_t kr_clock_config(struct kr_clock_s *clock, struct dev_timer_config_s *cfg, uint32_t res)
{
    error_t err = 0;

    pthread_mutex_lock(&clock->lock);
    if (res && (clock->started || clock->pending)) {
        err = -EBUSY;
    } else {
        if (res && res != clock->res) {
            clock->res = res;
            clock->rev += 2;
        }
        if (cfg) {
            cfg->freq = KROUTINE_SEC(1) / tick_ns(clock);
            cfg->max = INT64_MAX / unit_ns(clock);
            cfg->res = clock->res;
            cfg->rev = clock->rev;
            cfg->cap = DEV_TIMER_CAP_REQUEST | DEV_TIMER_CAP_VARFREQ | clock->ops->capabilities;
            if (clock->id == KR_CLOCK_REALTIME)
                cfg->cap |= DEV_TIMER_CAP_CLKSKEW;
            if (clock->id == KR_CLOCK_BOOTTIME)
                cfg->cap |= DEV_TIMER_CAP_SUSPEND;
        }
    }
    pthread_mutex_unlock(&clock->lock);
    return err;
}

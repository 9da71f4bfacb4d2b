/* SPDX-License-Identifier: MIT */
/*
 * The reactor: one pass waits for events, lets the drivers execute the kroutines of what is done,
 * and then, its stack unwound, runs those that waited for that (SCHED_SWITCH, the DEFERRED ones of
 * a pool without workers, IDLE).
 *
 * Sleep and wake-up: before it waits the reactor sets `asleep` and looks at its queues once more.
 * Who pushes looks at `asleep` after the push, and the one that clears it wakes the loop.
 */
#include <errno.h>

#include "internal.h"
#include "stream.h"

bool kr_on_reactor(const struct kroutine_runtime_s *rt)
{
    if (rt->embedded)
        return pthread_equal(kr_load_relaxed(&rt->owner), pthread_self());
    return kr_self.reactor == rt;
}

void kr_reactor_notify(struct kroutine_runtime_s *rt)
{
    if (kr_load(&rt->asleep) && kr_xchg(&rt->asleep, 0))
        rt->backend->loop->wake(rt->loop);
}

static bool has_idle_work(struct kroutine_runtime_s *rt)
{
    return !kr_runq_is_empty(&rt->idle) && kr_pool_is_idle(rt->pool);
}

/* Is there something that does not come as an event of the loop? */
static bool has_work(struct kroutine_runtime_s *rt)
{
    if (kr_load(&rt->posted) || kr_load(&rt->io_posted) || rt->put_off)
        return true;
    if (kr_load(&rt->handback)) /* kroutines stay where they are */
        return false;
    return !kr_runq_is_empty(&rt->sched) ||
           (kr_pool_size(rt->pool) == 0 && !kr_pool_is_idle(rt->pool)) || has_idle_work(rt);
}

static int run_some(struct kr_runq_s *q, int max)
{
    struct kroutine_s *kr;
    int n = 0;

    while (n < max && (kr = kr_runq_pop(q))) {
        kr_run_pending(kr);
        n++;
    }
    return n;
}

/* With the rights of the dispatch: kr_self.reactor is set, the thread is not interruptible. */
int kr_reactor_step(struct kroutine_runtime_s *rt, int64_t timeout_ns)
{
    int n;

    kr_watch_flush(rt);
    kr_store(&rt->asleep, 1);
    if (has_work(rt) || (!rt->embedded && kr_load(&rt->stopping)))
        timeout_ns = 0;
    n = rt->backend->loop->wait(rt->loop, timeout_ns);
    kr_store(&rt->asleep, 0);
    kr_add_relaxed(&rt->batches, 1);
    kr_stream_run_batch(rt);
    if (kr_unlikely(kr_load(&rt->handback) != NULL))
        return n;
    n += run_some(&rt->sched, KR_INLINE_MAX);
    if (kr_pool_size(rt->pool) == 0)
        n += (int)kr_pool_run_inline(rt->pool);
    if (n == 0 && has_idle_work(rt))
        n += run_some(&rt->idle, 1);
    return n;
}

static void enter(struct kroutine_runtime_s *rt)
{
    kr_self.reactor = rt;
    kr_self.nointr++;
}

static void leave(void)
{
    kr_self.nointr--;
    kr_self.reactor = NULL;
}

/* First act of the reactor thread, whichever it is. */
static error_t attach(struct kroutine_runtime_s *rt)
{
    error_t err = 0;

    if (rt->attached)
        return 0;
    if (rt->embedded)
        kr_store_relaxed(&rt->owner, pthread_self());
    if (rt->backend->loop->attach)
        err = rt->backend->loop->attach(rt->loop);
    rt->attached = err == 0;
    return err;
}

/* Completes what is pending in the core's own clocks, and lets the handlers of that, and of the
   devices closed before, run. */
static void finish(struct kroutine_runtime_s *rt)
{
    for (int i = 0; i < KR_CLOCKS; i++)
        kr_clock_close(&rt->clocks[i]);
    while (kr_reactor_step(rt, 0) || has_work(rt))
        ;
}

void *kr_reactor_main(void *arg)
{
    struct kroutine_runtime_s *rt = arg;

    kr_platform_thread_name(rt->name);
    kr_self.signals_blocked = true;
    enter(rt);
    rt->attach_error = attach(rt);
    sem_post(&rt->started);
    if (!rt->attach_error) {
        while (!kr_load(&rt->stopping))
            kr_reactor_step(rt, -1);
        finish(rt);
    }
    leave();
    return NULL;
}

/* The caller takes the place of the reactor of an embedded runtime that ends. */
error_t kr_reactor_finish(struct kroutine_runtime_s *rt)
{
    error_t err;

    enter(rt);
    err = attach(rt);
    finish(rt);
    leave();
    return err;
}

/* Runs what handlers of the last workers have left on the reactor's queues, after its end. */
bool kr_reactor_sweep(struct kroutine_runtime_s *rt)
{
    int n;

    enter(rt);
    n = run_some(&rt->sched, KR_INLINE_MAX) + run_some(&rt->idle, KR_INLINE_MAX) +
        (int)kr_pool_run_inline(rt->pool);
    leave();
    return n > 0;
}

/* --- embedded --- */

static error_t may_process(struct kroutine_runtime_s *rt)
{
    if (!rt || !rt->embedded)
        return -EINVAL;
    if (!kr_runtime_usable(rt))
        return -EPERM;
    if (rt->attached && !kr_on_reactor(rt))
        return -EPERM;
    if (kr_self.reactor)
        return -EDEADLK;
    return 0;
}

/* Passes until nothing is left, but not for ever: the program's loop has other guests. */
#define PASSES_MAX 16

static int process(struct kroutine_runtime_s *rt, int64_t timeout_ns)
{
    error_t err = may_process(rt);
    int n = 0, got;

    if (err)
        return err;
    enter(rt);
    err = attach(rt);
    if (err) {
        leave();
        return err;
    }
    for (int i = 0; i < PASSES_MAX; i++) {
        got = kr_reactor_step(rt, i == 0 ? timeout_ns : 0);
        n += got;
        if (got == 0 && !has_work(rt))
            break;
    }
    leave();
    kr_watch_flush(rt);
    /* From here to the next call the runtime sleeps: a push makes the descriptor readable. */
    kr_store(&rt->asleep, 1);
    if (has_work(rt))
        kr_reactor_notify(rt);
    return n;
}

int kroutine_runtime_process(struct kroutine_runtime_s *rt)
{
    return process(rt, 0);
}

int kroutine_runtime_wait(struct kroutine_runtime_s *rt, int64_t timeout_ns)
{
    return process(rt, timeout_ns);
}

int kroutine_runtime_fd(struct kroutine_runtime_s *rt)
{
    error_t err;

    if (!rt || !rt->embedded)
        return -EINVAL;
    if (!kr_runtime_usable(rt))
        return -EPERM;
    /* A ring that no thread has attached to announces nothing: what is executed between this call
       and the first process call must make the descriptor readable. */
    err = attach(rt);
    return err ? err : rt->backend->loop->fd(rt->loop);
}

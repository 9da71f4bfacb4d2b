/* SPDX-License-Identifier: MIT */
/*
 * The worker pool. One run queue is shared by all workers; a worker that is pinned has one more,
 * for the kroutines of its CPU. No worker holds work that others could do, so one that is blocked
 * in a handler stops nobody.
 *
 * Sleep and wake-up: a worker that finds nothing sets its bit in `idle`, looks once more, and
 * waits on its semaphore. Who pushes looks at `idle` after the push; the one that clears a bit
 * owes that worker a post. Both sides are sequentially consistent, so either the worker sees the
 * push or the pusher sees the bit.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

struct kr_worker_s {
    struct kr_pool_s *pool;
    pthread_t thread;
    sem_t sem;
    unsigned index;
    int cpu;              /* pinned to it, -1: not */
    struct kr_runq_s own; /* kroutines of that CPU */
    uint64_t count;       /* handlers run; relaxed */
    uint64_t cpu_misses;
};

struct kr_pool_s {
    struct kroutine_runtime_s *rt;
    unsigned size;
    unsigned started;
    unsigned spin_us;
    bool limited;                          /* `cpus` is not all of them */
    uint64_t cpus[KROUTINE_CPUS_MAX / 64]; /* where workers that are not pinned may run */
    uint8_t worker_of[KROUTINE_CPUS_MAX];  /* index + 1 of the worker pinned there, 0: none */
    uint32_t stop;                         /* atomic: enum stop_e */
    uint64_t ran_inline;                   /* handlers run by the reactor; relaxed */

    struct kr_runq_s runq __attribute__((aligned(64)));
    uint64_t idle __attribute__((aligned(64))); /* atomic: bit n: worker n sleeps */
    struct kr_worker_s workers[];
};

enum stop_e { STOP_NO, STOP_DRAINED, STOP_NOW };

/* --- waking --- */

static void wake_worker(struct kr_pool_s *pool, unsigned n)
{
    uint64_t bit = UINT64_C(1) << n;

    if (kr_and(&pool->idle, ~bit) & bit)
        sem_post(&pool->workers[n].sem);
}

static void wake_any(struct kr_pool_s *pool)
{
    uint64_t idle = kr_load(&pool->idle);

    while (idle) {
        unsigned n = (unsigned)__builtin_ctzll(idle);
        uint64_t bit = UINT64_C(1) << n;

        if (kr_and(&pool->idle, ~bit) & bit) {
            sem_post(&pool->workers[n].sem);
            return;
        }
        idle = kr_load(&pool->idle); /* another thread woke that one: for its own push */
    }
}

void kr_pool_exec(struct kr_pool_s *pool, struct kroutine_s *kr)
{
    struct kroutine_runtime_s *rt = pool->rt; /* `kr` may be gone after the push */

    kr_runq_push(&pool->runq, kr);
    if (pool->size)
        wake_any(pool);
    else
        kr_reactor_notify(rt);
}

static struct kr_worker_s *pinned_worker(struct kr_pool_s *pool, unsigned cpu)
{
    unsigned n = cpu < KROUTINE_CPUS_MAX ? pool->worker_of[cpu] : 0;

    return n ? &pool->workers[n - 1] : NULL;
}

void kr_pool_exec_cpu(struct kr_pool_s *pool, struct kroutine_s *kr, unsigned cpu)
{
    struct kr_worker_s *w = pinned_worker(pool, cpu);

    if (!w) {
        kr_pool_exec(pool, kr); /* whoever takes it goes to that CPU: see settle() */
        return;
    }
    kr_runq_push(&w->own, kr);
    wake_worker(pool, w->index);
}

/* --- a worker --- */

static bool has_work(struct kr_worker_s *w)
{
    return !kr_runq_is_empty(&w->own) || !kr_runq_is_empty(&w->pool->runq);
}

static struct kroutine_s *take(struct kr_worker_s *w)
{
    struct kroutine_s *kr;

    if (kr_load(&w->pool->stop) == STOP_NOW)
        return NULL;
    /* What is bound to this CPU comes first, but cannot keep this worker from the rest for ever. */
    if (w->cpu >= 0 && w->count % KR_RUNQ_FAIRNESS) {
        kr = kr_runq_pop(&w->own);
        if (kr)
            return kr;
    }
    kr = kr_runq_pop(&w->pool->runq);
    return kr || w->cpu < 0 ? kr : kr_runq_pop(&w->own);
}

/* Takes the worker to the CPU that `kr` asks for, or back to where it may be. */
static void settle(struct kr_worker_s *w, const struct kroutine_s *kr)
{
    enum kroutine_policy_e policy = kr_run_policy(kr);
    bool targeted = policy >= KROUTINE_CPU_SCHED_SWITCH && policy <= KROUTINE_CPU_INTERRUPTIBLE;
    unsigned want = targeted      ? (unsigned)kr->target.cpu + 1
                    : w->cpu >= 0 ? (unsigned)w->cpu + 1
                                  : 0;

    if (kr_likely(kr_self.worker_cpu == want) && (want || !targeted)) /* UINT_MAX + 1 is no CPU */
        return;
    if (want && kr_platform_pin(want - 1) == 0) {
        kr_self.worker_cpu = want;
        return;
    }
    if (targeted) /* off line, or outside the process's CPU set: it runs where it is */
        kr_store_relaxed(&w->cpu_misses, w->cpu_misses + 1);
    if (kr_self.worker_cpu == 0)
        return;
    if (w->pool->limited)
        kr_platform_affinity(w->pool->cpus, KROUTINE_CPUS_MAX / 64);
    else
        kr_platform_unpin();
    kr_self.worker_cpu = 0;
}

static uint64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static bool spin(struct kr_worker_s *w)
{
    uint64_t end;

    if (!w->pool->spin_us)
        return false;
    end = now_us() + w->pool->spin_us;
    do {
        for (unsigned i = 0; i < 64; i++)
            if (has_work(w))
                return true;
    } while (now_us() < end);
    return false;
}

static void sleep_until_woken(struct kr_worker_s *w)
{
    struct kr_pool_s *pool = w->pool;
    uint64_t bit = UINT64_C(1) << w->index;

    kr_or(&pool->idle, bit);
    if ((has_work(w) || kr_load(&pool->stop)) && kr_and(&pool->idle, ~bit) & bit)
        return; /* nobody has promised a post */
    if (!kr_runq_is_empty(&pool->rt->idle))
        kr_reactor_notify(pool->rt); /* IDLE kroutines waited for the pool */
    while (sem_wait(&w->sem) && errno == EINTR)
        ;
}

static void *worker_main(void *arg)
{
    struct kr_worker_s *w = arg;
    struct kr_pool_s *pool = w->pool;
    struct kroutine_s *kr;
    char name[16];

    snprintf(name, sizeof(name), "%.8s/%u", pool->rt->name, w->index);
    kr_platform_thread_name(name);
    kr_self.worker = w;
    kr_self.signals_blocked = true;
    if (w->cpu >= 0 && kr_platform_pin((unsigned)w->cpu) == 0)
        kr_self.worker_cpu = (unsigned)w->cpu + 1;
    else if (pool->limited)
        kr_platform_affinity(pool->cpus, KROUTINE_CPUS_MAX / 64);
    for (;;) {
        kr = take(w);
        if (kr) {
            settle(w, kr);
            kr_store_relaxed(&w->count, w->count + 1);
            kr_run_pending(kr);
        } else if (kr_load(&pool->stop)) {
            return NULL;
        } else if (!spin(w)) {
            sleep_until_woken(w);
        }
    }
}

/* --- the pool --- */

/* Gives worker n the nth CPU of the pool, going round. */
static void assign_cpus(struct kr_pool_s *pool)
{
    unsigned n = 0;

    while (n < pool->size) {
        unsigned before = n;

        for (unsigned cpu = 0; cpu < KROUTINE_CPUS_MAX && n < pool->size; cpu++) {
            if (!(pool->cpus[cpu / 64] & UINT64_C(1) << cpu % 64))
                continue;
            pool->workers[n].cpu = (int)cpu;
            if (!pool->worker_of[cpu])
                pool->worker_of[cpu] = (uint8_t)(n + 1);
            n++;
        }
        if (n == before)
            return;
    }
}

static error_t init_worker(struct kr_pool_s *pool, unsigned n)
{
    struct kr_worker_s *w = &pool->workers[n];
    error_t err = kr_runq_init(&w->own);

    if (err)
        return err;
    w->pool = pool;
    w->index = n;
    w->cpu = -1;
    if (sem_init(&w->sem, 0, 0)) {
        kr_runq_destroy(&w->own);
        return -errno;
    }
    return 0;
}

static error_t start_workers(struct kr_pool_s *pool, const struct kroutine_sched_s *sched)
{
    error_t err = 0;

    while (!err && pool->started < pool->size) {
        struct kr_worker_s *w = &pool->workers[pool->started];

        err = kr_spawn(&w->thread, sched, worker_main, w);
        if (!err)
            pool->started++;
    }
    return err;
}

error_t kr_pool_create(struct kr_pool_s **ret, struct kroutine_runtime_s *rt,
                       const struct kroutine_runtime_config_s *config)
{
    size_t size = sizeof(struct kr_pool_s) + (size_t)config->pool_size * sizeof(struct kr_worker_s);
    struct kr_pool_s *pool = aligned_alloc(64, (size + 63) / 64 * 64);
    error_t err;

    if (!pool)
        return -ENOMEM;
    memset(pool, 0, size);
    pool->rt = rt;
    pool->spin_us = config->pool_spin_us;
    err = kr_runq_init(&pool->runq);
    if (err) {
        free(pool);
        return err;
    }
    for (unsigned i = 0; i < KROUTINE_CPUS_MAX / 64; i++) {
        pool->cpus[i] = config->pool_cpus[i];
        pool->limited |= pool->cpus[i] != 0;
    }
    if (!pool->limited)
        kr_platform_cpus(pool->cpus, KROUTINE_CPUS_MAX / 64);
    while (!err && pool->size < (unsigned)config->pool_size) {
        err = init_worker(pool, pool->size);
        if (!err)
            pool->size++;
    }
    if (config->pool_pin)
        assign_cpus(pool);
    if (!err)
        err = start_workers(pool, &config->pool_sched);
    if (err) {
        kr_pool_stop(pool, true);
        kr_pool_destroy(pool);
        return err;
    }
    *ret = pool;
    return 0;
}

void kr_pool_stop(struct kr_pool_s *pool, bool drain)
{
    kr_store(&pool->stop, drain ? STOP_DRAINED : STOP_NOW);
    for (unsigned i = 0; i < pool->started; i++)
        wake_worker(pool, i);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pool->started = 0;
}

void kr_pool_destroy(struct kr_pool_s *pool)
{
    for (unsigned i = 0; i < pool->size; i++) {
        sem_destroy(&pool->workers[i].sem);
        kr_runq_destroy(&pool->workers[i].own);
    }
    kr_runq_destroy(&pool->runq);
    free(pool);
}

bool kr_pool_remove(struct kr_pool_s *pool, struct kroutine_s *kr)
{
    enum kroutine_policy_e policy = kr_run_policy(kr);
    struct kr_worker_s *w = NULL;

    if (policy >= KROUTINE_CPU_SCHED_SWITCH && policy <= KROUTINE_CPU_INTERRUPTIBLE)
        w = pinned_worker(pool, (unsigned)kr->target.cpu);
    return kr_runq_remove(w ? &w->own : &pool->runq, kr);
}

struct kroutine_s *kr_pool_take(struct kr_pool_s *pool)
{
    struct kroutine_s *kr = kr_runq_pop(&pool->runq);

    for (unsigned i = 0; !kr && i < pool->size; i++)
        kr = kr_runq_pop(&pool->workers[i].own);
    return kr;
}

bool kr_pool_is_idle(struct kr_pool_s *pool)
{
    if (!kr_runq_is_empty(&pool->runq))
        return false;
    for (unsigned i = 0; i < pool->size; i++)
        if (!kr_runq_is_empty(&pool->workers[i].own))
            return false;
    return true;
}

bool kr_pool_is_asleep(struct kr_pool_s *pool)
{
    uint64_t all = pool->size == 64 ? UINT64_MAX : (UINT64_C(1) << pool->size) - 1;

    return kr_pool_is_idle(pool) && (kr_load(&pool->idle) & all) == all;
}

unsigned kr_pool_run_inline(struct kr_pool_s *pool)
{
    unsigned nointr = kr_self.nointr, n = 0;
    struct kroutine_s *kr;

    /* The stack is unwound: handlers have the rights that they would have on a worker. */
    kr_self.nointr = 0;
    while (n < KR_INLINE_MAX && (kr = kr_pool_take(pool))) {
        kr_run_pending(kr);
        n++;
    }
    kr_self.nointr = nointr;
    kr_store_relaxed(&pool->ran_inline, pool->ran_inline + n);
    return n;
}

unsigned kr_pool_size(const struct kr_pool_s *pool)
{
    return pool->size;
}

bool kr_pool_owns(const struct kr_pool_s *pool, const struct kr_worker_s *worker)
{
    return worker && worker->pool == pool;
}

void kr_pool_counters(const struct kr_pool_s *pool, uint64_t *deferred, uint64_t *cpu_misses)
{
    *deferred = kr_load_relaxed(&pool->ran_inline);
    *cpu_misses = 0;
    for (unsigned i = 0; i < pool->size; i++) {
        *deferred += kr_load_relaxed(&pool->workers[i].count);
        *cpu_misses += kr_load_relaxed(&pool->workers[i].cpu_misses);
    }
}

/* SPDX-License-Identifier: MIT */
/* Runtimes: making, ending, the default one, forks. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* --- forks: the child has neither the threads nor the right to the ring of its parent --- */

static uint32_t fork_generation; /* changed by the child's handler only */
static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kroutine_runtime_s *default_runtime; /* atomic */
static struct kroutine_runtime_s *volatile inherited_runtime;

static void before_fork(void)
{
    pthread_mutex_lock(&default_lock);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&default_lock);
}

static void after_fork_child(void)
{
    fork_generation++;
    /* The child may make one of its own. The parent's can neither be used nor freed here; it is
       kept in sight of leak checkers. */
    inherited_runtime = kr_xchg(&default_runtime, NULL);
    (void)inherited_runtime;
    /* The stack of handlers that this thread may be in stays: the child returns through it. */
    kr_self.reactor = NULL;
    kr_self.worker = NULL;
    kr_self.worker_cpu = 0;
    kr_self.pushing = NULL;
    kr_self.signals_blocked = false;
    pthread_mutex_init(&default_lock, NULL);
}

static void setup_process(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    kr_check_setup();
}

bool kr_runtime_usable(const struct kroutine_runtime_s *rt)
{
    return rt->fork_generation == fork_generation;
}

/* --- configuration --- */

void kroutine_runtime_config_init(struct kroutine_runtime_config_s *config)
{
    memset(config, 0, sizeof(*config));
    config->size = sizeof(*config);
    config->pool_size = KROUTINE_POOL_DEFAULT;
}

static error_t check_sched(const struct kroutine_sched_s *sched, const char *name)
{
    if (sched->policy == SCHED_FIFO || sched->policy == SCHED_RR) {
        if (sched->priority < sched_get_priority_min(sched->policy) ||
            sched->priority > sched_get_priority_max(sched->policy))
            return device_error(-EINVAL, "%s.priority %d: not in %d to %d", name, sched->priority,
                                sched_get_priority_min(sched->policy),
                                sched_get_priority_max(sched->policy));
    } else if (sched->policy != SCHED_OTHER) {
        return device_error(-EINVAL,
                            "%s.policy %d: not SCHED_OTHER, SCHED_FIFO or SCHED_RR of <sched.h>",
                            name, sched->policy);
    } else if (sched->priority) {
        return device_error(-EINVAL, "%s.priority %d: SCHED_OTHER has none", name, sched->priority);
    }
    return 0;
}

/* Copies what the program gave, completes the defaults, and checks. */
static error_t complete_config(struct kroutine_runtime_config_s *to,
                               const struct kroutine_runtime_config_s *from)
{
    uint64_t cpus[KROUTINE_CPUS_MAX / 64];
    error_t err;

    kroutine_runtime_config_init(to);
    if (from) {
        if (from->size < offsetof(struct kroutine_runtime_config_s, name) ||
            from->size > sizeof(*to))
            return device_error(-EINVAL, "config.size %zu: use kroutine_runtime_config_init",
                                from->size);
        memcpy(to, from, from->size);
    }
    if (to->backend > KROUTINE_BACKEND_SIM)
        return device_error(-EINVAL, "config.backend %d: unknown", (int)to->backend);
    if (to->pool_size == KROUTINE_POOL_DEFAULT) {
        unsigned n = kr_platform_cpus(cpus, KROUTINE_CPUS_MAX / 64);

        to->pool_size = to->embedded ? 0 : n > 4 ? 4 : n ? (int)n : 1;
    }
    if (to->pool_size < 0 || to->pool_size > KROUTINE_POOL_MAX)
        return device_error(-EINVAL, "config.pool_size %d: not in 0 to %d", to->pool_size,
                            KROUTINE_POOL_MAX);
    err = check_sched(&to->pool_sched, "config.pool_sched");
    return err ? err : check_sched(&to->reactor_sched, "config.reactor_sched");
}

/* --- making --- */

static error_t create_loop(struct kroutine_runtime_s *rt,
                           const struct kroutine_runtime_config_s *config)
{
    static const struct kr_backend_s *const backends[] = {
        [KROUTINE_BACKEND_URING] = &kr_backend_uring,
        [KROUTINE_BACKEND_EPOLL] = &kr_backend_epoll,
        [KROUTINE_BACKEND_SIM] = &kr_backend_sim,
    };
    bool automatic = config->backend == KROUTINE_BACKEND_AUTO;
    char why[sizeof(rt->reason)] = "", more[sizeof(rt->reason)] = "";
    error_t err;

    rt->backend = backends[automatic ? KROUTINE_BACKEND_URING : config->backend];
    err = rt->backend->loop->create(&rt->loop, rt, config, why, sizeof(why));
    if (!err) {
        snprintf(rt->reason, sizeof(rt->reason), "%s", why);
    } else if (automatic) {
        rt->backend = &kr_backend_epoll;
        err = rt->backend->loop->create(&rt->loop, rt, config, more, sizeof(more));
        snprintf(rt->reason, sizeof(rt->reason), "epoll in place of io_uring: %.120s", why);
    }
    if (err)
        return device_error(err, "backend %s: %s", rt->backend->loop->name, automatic ? more : why);
    return 0;
}

static error_t start_reactor(struct kroutine_runtime_s *rt,
                             const struct kroutine_runtime_config_s *config)
{
    error_t err;

    rt->owner = pthread_self();
    if (rt->embedded) {
        rt->asleep = 1; /* until the first process call */
        return 0;
    }
    if (sem_init(&rt->started, 0, 0))
        return -errno;
    err = kr_spawn(&rt->thread, &config->reactor_sched, kr_reactor_main, rt);
    if (!err) {
        while (sem_wait(&rt->started) && errno == EINTR)
            ;
        err = rt->attach_error;
        if (err)
            pthread_join(rt->thread, NULL);
    }
    sem_destroy(&rt->started);
    if (err)
        return device_error(err, "config.reactor_sched: the reactor thread cannot start: %s",
                            strerror(-err));
    return 0;
}

/* Undoes the first `steps` of build(). */
static void unbuild(struct kroutine_runtime_s *rt, int steps)
{
    switch (steps) {
    case 5:
        kr_devices_destroy(rt);
        /* fall through */
    case 4:
        kr_pool_destroy(rt->pool);
        /* fall through */
    case 3:
        rt->backend->loop->destroy(rt->loop);
        /* fall through */
    case 2:
        kr_runq_destroy(&rt->idle);
        /* fall through */
    case 1:
        kr_runq_destroy(&rt->sched);
        /* fall through */
    default:
        free(rt);
    }
}

static error_t build(struct kroutine_runtime_s *rt, const struct kroutine_runtime_config_s *config,
                     int *steps)
{
    error_t err = kr_runq_init(&rt->sched);

    if (err)
        return err;
    *steps = 1;
    err = kr_runq_init(&rt->idle);
    if (err)
        return err;
    *steps = 2;
    err = create_loop(rt, config);
    if (err)
        return err;
    *steps = 3;
    for (int i = 0; i < KR_CLOCKS; i++)
        kr_clock_init(&rt->clocks[i], rt, rt->backend->clock, (enum kr_clock_id_e)i);
    err = kr_pool_create(&rt->pool, rt, config);
    if (err)
        return device_error(err, "config.pool_sched: the workers cannot start: %s", strerror(-err));
    *steps = 4;
    err = kr_devices_create(rt);
    if (err)
        return err;
    *steps = 5;
    return start_reactor(rt, config);
}

error_t kroutine_runtime_create(struct kroutine_runtime_s **ret,
                                const struct kroutine_runtime_config_s *config)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct kroutine_runtime_config_s full;
    struct kroutine_runtime_s *rt;
    int steps = 0;
    error_t err;

    pthread_once(&once, setup_process);
    err = complete_config(&full, config);
    if (err)
        return err;
    rt = calloc(1, sizeof(*rt));
    if (!rt)
        return -ENOMEM;
    rt->embedded = full.embedded;
    rt->fork_generation = fork_generation;
    snprintf(rt->name, sizeof(rt->name), "%.8s", full.name ? full.name : "kroutine");
    err = build(rt, &full, &steps);
    if (err) {
        if (steps >= 4)
            kr_pool_stop(rt->pool, true);
        unbuild(rt, steps);
        return err;
    }
    *ret = rt;
    return 0;
}

struct kroutine_runtime_s *kroutine_runtime_default(void)
{
    struct kroutine_runtime_s *rt = kr_load_acquire(&default_runtime);

    if (kr_likely(rt))
        return rt;
    pthread_mutex_lock(&default_lock);
    rt = default_runtime;
    if (!rt && kroutine_runtime_create(&rt, NULL) == 0)
        kr_store(&default_runtime, rt);
    pthread_mutex_unlock(&default_lock);
    return rt;
}

struct kroutine_runtime_s *kr_runtime(struct kroutine_runtime_s *rt)
{
    return rt ? rt : kroutine_runtime_default();
}

/* --- ending --- */

static void hand_all_back(struct kroutine_runtime_s *rt)
{
    struct kroutine_s *kr;

    while ((kr = kr_pool_take(rt->pool)) || (kr = kr_runq_pop(&rt->sched)) ||
           (kr = kr_runq_pop(&rt->idle))) {
        if (kr->mark == KR_INTERNAL) {
            kr_run_pending(kr);
            continue;
        }
        kr_drop_pending(kr);
        rt->handback(kr, rt->handback_arg);
    }
}

/* A handler may have run, and told the program to end the runtime, before the kroutine_exec that
   caused it has returned on its thread. */
static bool nobody_pushes(void *arg)
{
    return !kr_thread_pushes(arg);
}

/* The parent's threads are not here: what can be given back is memory. */
static void discard_in_child(struct kroutine_runtime_s *rt)
{
    rt->backend->loop->destroy(rt->loop);
    free(rt);
}

error_t kroutine_runtime_shutdown(struct kroutine_runtime_s *rt,
                                  void (*handback)(struct kroutine_s *kr, void *arg), void *arg)
{
    struct kroutine_runtime_s *self = rt;

    if (!rt)
        return -EINVAL;
    if (!kr_runtime_usable(rt)) {
        discard_in_child(rt);
        return 0;
    }
    if (kr_self.reactor == rt || kr_pool_owns(rt->pool, kr_self.worker))
        return -EDEADLK;
    /* A handler nested in a submit: the end would wait for that submit to return. */
    if (!kr_self.reactor && kr_self.nointr && kr_self.depth)
        return -EDEADLK;
    if (rt->embedded && rt->attached && !kr_on_reactor(rt))
        return -EPERM;
    kr_cas(&default_runtime, &self, NULL);
    rt->handback_arg = arg;
    kr_store(&rt->handback, handback);
    kr_store(&rt->closing, 1);
    if (handback)
        kr_pool_stop(rt->pool, false);
    kr_devices_close_all(rt);
    if (rt->embedded) {
        kr_reactor_finish(rt);
    } else {
        kr_store(&rt->stopping, 1);
        kr_reactor_notify(rt);
        pthread_join(rt->thread, NULL);
    }
    if (!handback)
        kr_pool_stop(rt->pool, true);
    kr_devices_destroy(rt); /* what refused requests left in the queues is still run below */
    if (handback)
        hand_all_back(rt);
    while (kr_reactor_sweep(rt))
        ;
    kr_thread_wait(nobody_pushes, rt);
    unbuild(rt, 4);
    return 0;
}

error_t kroutine_runtime_destroy(struct kroutine_runtime_s *rt)
{
    return kroutine_runtime_shutdown(rt, NULL, NULL);
}

/* --- information --- */

struct device_s *kroutine_runtime_devices(struct kroutine_runtime_s *rt)
{
    rt = kr_runtime(rt);
    return rt ? rt->root : NULL;
}

error_t kroutine_runtime_info(struct kroutine_runtime_s *rt, struct kroutine_runtime_info_s *info)
{
    if (!info)
        return -EINVAL;
    rt = kr_runtime(rt);
    if (!rt)
        return -ENOMEM;
    memset(info, 0, sizeof(*info));
    info->backend = rt->backend->loop->name;
    info->reason = rt->reason;
    info->pool_size = kr_pool_size(rt->pool);
    info->batches = kr_load_relaxed(&rt->batches);
    info->syscalls = rt->backend->loop->syscalls(rt->loop);
    info->open_devices = kr_load_relaxed(&rt->open_devices);
    kr_pool_counters(rt->pool, &info->deferred, &info->cpu_misses);
    return 0;
}

const char *kroutine_version(void)
{
    return KR_VERSION;
}

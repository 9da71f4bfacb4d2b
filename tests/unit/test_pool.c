/* SPDX-License-Identifier: MIT */
/* The worker pool: its size, its threads' properties, and that no worker stops another. */
#include "kt.h"

#include <sched.h>
#include <semaphore.h>

static struct kt_env_s env;
static struct kt_target_s target;
static struct kroutine_runtime_config_s config;

static void open_pool(int size)
{
    config.pool_size = size;
    kt_env_make(&env, &config);
    target = (struct kt_target_s){env.rt, NULL, NULL, 0};
}

static void start_config(void)
{
    kt_env_config(&config, KT_THREADS);
}

static unsigned info_pool_size(void)
{
    struct kroutine_runtime_info_s info;

    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    return info.pool_size;
}

/* --- size --- */

START_TEST(size_is_what_was_asked)
{
    static const int sizes[] = {0, 1, 4, KROUTINE_POOL_MAX};

    start_config(); /* once for nothing: TSan starts a thread of its own with the first */
    open_pool(1);
    kt_env_close(&env);
    kt_sleep_ms(20);
    for (int i = 0; i < 4; i++) {
        unsigned before = kt_threads();

        start_config();
        open_pool(sizes[i]);
        ck_assert_uint_eq(info_pool_size(), (unsigned)sizes[i]);
        ck_assert_uint_eq(kt_threads(), before + 1 + (unsigned)sizes[i]);
        kt_env_close(&env);
        kt_await(NULL, kt_threads() == before); /* the kernel may take a moment */
    }
}
END_TEST

START_TEST(default_size)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    start_config();
    open_pool(KROUTINE_POOL_DEFAULT);
    ck_assert_uint_ge(info_pool_size(), 1);
    ck_assert_uint_le(info_pool_size(), cpus < 4 ? (unsigned)cpus : 4);
    kt_env_close(&env);
    kt_env_config(&config, KT_EMBEDDED);
    open_pool(KROUTINE_POOL_DEFAULT);
    ck_assert_uint_eq(info_pool_size(), 0);
    kt_env_close(&env);
}
END_TEST

/* A pool of size 0: handlers run in the reactor, after its batch. */
START_TEST(no_workers)
{
    struct kt_probe_s p, s;

    start_config();
    open_pool(0);
    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    kt_probe_init(&s, KROUTINE_SCHED_SWITCH, &target);
    kroutine_exec(&p.kr);
    kroutine_exec(&s.kr);
    kt_await(&env, kt_get(&p.runs) == 1 && kt_get(&s.runs) == 1);
    ck_assert(pthread_equal(p.thread, s.thread));
    ck_assert(!pthread_equal(p.thread, pthread_self()));
    kt_env_close(&env);
}
END_TEST

START_TEST(bad_configs_are_named)
{
    static const int sizes[] = {-2, KROUTINE_POOL_MAX + 1, 1 << 30};
    struct kroutine_runtime_s *rt = (void *)&config;

    for (int i = 0; i < 3; i++) {
        start_config();
        config.pool_size = sizes[i];
        ck_assert_int_eq(kroutine_runtime_create(&rt, &config), -EINVAL);
        ck_assert_ptr_eq(rt, (void *)&config); /* untouched */
        ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "pool_size"));
    }
    start_config();
    config.pool_sched.policy = 77;
    ck_assert_int_eq(kroutine_runtime_create(&rt, &config), -EINVAL);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "pool_sched"));
    start_config();
    config.reactor_sched.policy = SCHED_FIFO;
    config.reactor_sched.priority = 100;
    ck_assert_int_eq(kroutine_runtime_create(&rt, &config), -EINVAL);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "reactor_sched"));
    start_config();
    config.backend = (enum kroutine_backend_e)99;
    ck_assert_int_eq(kroutine_runtime_create(&rt, &config), -EINVAL);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "backend"));
    ck_assert_ptr_eq(rt, (void *)&config);
}
END_TEST

/* --- workers do not stop each other --- */

#define POOL 4

static sem_t go;
static unsigned waiting;

static void wait_for_go(struct kt_probe_s *p)
{
    (void)p;
    kt_inc(&waiting);
    sem_wait(&go);
}

START_TEST(all_workers_at_once)
{
    struct kt_probe_s p[POOL];

    start_config();
    open_pool(POOL);
    sem_init(&go, 0, 0);
    for (int i = 0; i < POOL; i++) {
        kt_probe_init(&p[i], KROUTINE_DEFERRED, &target);
        p[i].then = wait_for_go;
        kroutine_exec(&p[i].kr);
    }
    kt_await(&env, kt_get(&waiting) == POOL);
    for (int i = 0; i < POOL; i++)
        for (int j = 0; j < i; j++)
            ck_assert(!pthread_equal(p[i].thread, p[j].thread));
    for (int i = 0; i < POOL; i++)
        sem_post(&go);
    kt_env_close(&env);
}
END_TEST

START_TEST(blocked_workers_do_not_stop_the_last)
{
    static struct kt_probe_s blocked[POOL - 1], p[2000];
    static const enum kroutine_policy_e policies[] = {KROUTINE_DEFERRED, KROUTINE_CPU_DEFERRED,
                                                      KROUTINE_SCHED_SWITCH, KROUTINE_IDLE};

    start_config();
    open_pool(POOL);
    sem_init(&go, 0, 0);
    for (int i = 0; i < POOL - 1; i++) {
        kt_probe_init(&blocked[i], KROUTINE_DEFERRED, &target);
        blocked[i].then = wait_for_go;
        kroutine_exec(&blocked[i].kr);
    }
    kt_await(&env, kt_get(&waiting) == POOL - 1);
    for (unsigned i = 0; i < 2000; i++) {
        kt_probe_init(&p[i], policies[i % 3], &target);
        kroutine_exec(&p[i].kr);
    }
    for (unsigned i = 0; i < 2000; i++)
        kt_await(&env, kt_get(&p[i].runs) == 1);
    for (int i = 0; i < POOL - 1; i++)
        sem_post(&go);
    kt_env_close(&env);
}
END_TEST

/* Two that wait for each other: needs both workers each time, so work that one worker has taken
   off the inbox while the other looks for the last time before it sleeps is found here. */
static unsigned met;

static void meet(struct kt_probe_s *p)
{
    uint64_t end = kt_now() + kt_patience();
    unsigned want = (unsigned)(uintptr_t)p->arg;

    kt_inc(&met);
    while (kt_get(&met) < want)
        if (kt_now() > end)
            ck_abort_msg("the other one did not come: %u of %u", kt_get(&met), want);
}

START_TEST(two_meet_on_two_workers)
{
    struct kt_probe_s p[2];

    start_config();
    open_pool(2);
    for (unsigned round = 1; round <= kt_count(5000); round++) {
        for (int i = 0; i < 2; i++) {
            kt_probe_init(&p[i], KROUTINE_DEFERRED, &target);
            p[i].then = meet;
            p[i].arg = (void *)(uintptr_t)(2 * round);
        }
        kroutine_exec(&p[0].kr);
        kroutine_exec(&p[1].kr);
        while (!kt_get(&p[0].runs) || !kt_get(&p[1].runs))
            sched_yield();
    }
    kt_env_close(&env);
}
END_TEST

/* The same with a cancel, which looks through the queue on another thread. */
START_TEST(cancel_hides_nothing_from_the_worker)
{
    struct kt_probe_s p, other;

    start_config();
    open_pool(1);
    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    kt_probe_init(&other, KROUTINE_DEFERRED, &target);
    for (unsigned round = 1; round <= kt_count(20000); round++) {
        uint64_t end = kt_now() + kt_patience();

        kroutine_exec(&other.kr);
        kroutine_exec(&p.kr);
        kroutine_cancel(&other.kr);
        while (kt_get(&p.runs) < round)
            if (kt_now() > end)
                ck_abort_msg("round %u: lost behind a cancelled one", round);
    }
    kt_env_close(&env);
}
END_TEST

/* --- threads as configured --- */

struct thread_facts_s {
    int policy, priority;
    size_t stack;
    int cpu;
    cpu_set_t cpus;
};

static void look_at_thread(struct kt_probe_s *p)
{
    struct thread_facts_s *f = p->arg;
    struct sched_param param;
    pthread_attr_t attr;

    pthread_getschedparam(pthread_self(), &f->policy, &param);
    f->priority = param.sched_priority;
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstacksize(&attr, &f->stack);
    pthread_attr_destroy(&attr);
    f->cpu = sched_getcpu();
    pthread_getaffinity_np(pthread_self(), sizeof f->cpus, &f->cpus);
}

static void facts_of(enum kroutine_policy_e policy, struct thread_facts_s *facts)
{
    struct kt_probe_s p;

    kt_probe_init(&p, policy, &target);
    p.then = look_at_thread;
    p.arg = facts;
    ck_assert(!kroutine_exec(&p.kr));
    kt_await(&env, kt_get(&p.runs) == 1);
}

static const struct {
    int policy;
    const char *name;
} real_time[] = {{SCHED_FIFO, "fifo"}, {SCHED_RR, "rr"}};

static const char *real_time_label(int i)
{
    return real_time[i].name;
}

START_TEST(scheduling_policy)
{
    struct kroutine_runtime_s *rt;
    struct thread_facts_s facts;
    error_t err;

    start_config();
    config.pool_size = 2;
    config.pool_sched.policy = real_time[_i].policy;
    config.pool_sched.priority = 5;
    config.reactor_sched.policy = real_time[_i].policy;
    config.reactor_sched.priority = 7;
    err = kroutine_runtime_create(&rt, &config);
    if (err == -EPERM) {
        struct sched_param param = {5};

        ck_assert_int_ne(pthread_setschedparam(pthread_self(), real_time[_i].policy, &param), 0);
        ck_assert_str_ne(kroutine_error_text(), "");
        kt_skip("real-time scheduling is not permitted here (CAP_SYS_NICE, RLIMIT_RTPRIO)");
    }
    ck_assert_int_eq(err, 0);
    env.rt = rt;
    target = (struct kt_target_s){rt, NULL, NULL, 0};
    facts_of(KROUTINE_DEFERRED, &facts);
    ck_assert_int_eq(facts.policy, real_time[_i].policy);
    ck_assert_int_eq(facts.priority, 5);
    facts_of(KROUTINE_SCHED_SWITCH, &facts);
    ck_assert_int_eq(facts.policy, real_time[_i].policy);
    ck_assert_int_eq(facts.priority, 7);
    kt_env_close(&env);
}
END_TEST

START_TEST(stack_size)
{
    struct thread_facts_s facts;

    start_config();
    config.pool_sched.stack_size = 256 << 10;
    config.reactor_sched.stack_size = 512 << 10;
    open_pool(1);
    facts_of(KROUTINE_DEFERRED, &facts);
    ck_assert_uint_ge(facts.stack, 256 << 10);
    ck_assert_uint_lt(facts.stack, 512 << 10);
    facts_of(KROUTINE_SCHED_SWITCH, &facts);
    ck_assert_uint_ge(facts.stack, 512 << 10);
    ck_assert_uint_lt(facts.stack, 1 << 20);
    kt_env_close(&env);
}
END_TEST

START_TEST(spinning_ends)
{
    struct kt_probe_s p;
    uint64_t cpu;

    start_config();
    config.pool_spin_us = 500;
    open_pool(2);
    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    for (unsigned i = 1; i <= 100; i++) {
        kroutine_exec(&p.kr);
        kt_await(&env, kt_get(&p.runs) == i);
    }
    cpu = kt_cpu_time();
    kt_sleep_ms(300);
    ck_assert_uint_lt(kt_cpu_time() - cpu, 60000000); /* two spinning workers: 600 ms */
    kroutine_exec(&p.kr);
    kt_await(&env, kt_get(&p.runs) == 101);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("pool");

    kt_add(s, size_is_what_was_asked, 20);
    kt_add(s, default_size, 10);
    kt_add(s, no_workers, 10);
    kt_add(s, bad_configs_are_named, 10);
    kt_add(s, all_workers_at_once, 10);
    kt_add(s, blocked_workers_do_not_stop_the_last, 20);
    kt_add(s, two_meet_on_two_workers, 60);
    kt_add(s, cancel_hides_nothing_from_the_worker, 60);
    kt_add_loop(s, scheduling_policy, 2, real_time_label, 10);
    kt_add(s, stack_size, 10);
    kt_add(s, spinning_ends, 10);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* Pinned workers, the CPU_* and _local policies: the handler asks the kernel where it runs. */
#include "kt.h"

#include <sched.h>

static struct kt_env_s env;
static struct kt_target_s target;
static unsigned cpus[64], cpu_count; /* that this process may use */

static void open_pool(int size, bool pin)
{
    struct kroutine_runtime_config_s config;
    cpu_set_t set;

    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    for (unsigned n = 0; n < KROUTINE_CPUS_MAX && cpu_count < 64; n++)
        if (CPU_ISSET(n, &set))
            cpus[cpu_count++] = n;
    kt_env_config(&config, KT_THREADS);
    config.pool_size = size;
    config.pool_pin = pin;
    kt_env_make(&env, &config);
    target = (struct kt_target_s){env.rt, NULL, NULL, 0};
}

static void go_to_cpu(unsigned cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    ck_assert_int_eq(pthread_setaffinity_np(pthread_self(), sizeof set, &set), 0);
}

static void note_cpu(struct kt_probe_s *p)
{
    p->arg = (void *)(uintptr_t)sched_getcpu();
}

static uint64_t misses(void)
{
    struct kroutine_runtime_info_s info;

    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    return info.cpu_misses;
}

static const enum kroutine_policy_e cpu_policies[] = {
    KROUTINE_CPU_DEFERRED, KROUTINE_CPU_SCHED_SWITCH, KROUTINE_CPU_INTERRUPTIBLE};

static const char *round_label(int i)
{
    static const char *const names[] = {
        "deferred",        "sched_switch",        "interruptible",
        "deferred,pinned", "sched_switch,pinned", "interruptible,pinned",
    };

    return names[i];
}

/* Also when the caller, which is on another CPU, could run an INTERRUPTIBLE one at once; and with
   untargeted kroutines in between, which may take a worker elsewhere. */
START_TEST(runs_on_its_cpu)
{
    struct kt_probe_s p, plain;

    open_pool(3, _i >= 3);
    if (cpu_count < 2)
        kt_skip("needs two CPUs, has %u", cpu_count);
    for (unsigned i = 0; i < 300; i++) {
        target.cpu = cpus[i % cpu_count];
        kt_probe_init(&p, cpu_policies[_i % 3], &target);
        p.then = note_cpu;
        kt_probe_init(&plain, KROUTINE_DEFERRED, &target);
        go_to_cpu(cpus[(i / 2) % cpu_count]);
        kroutine_exec(&plain.kr);
        kroutine_exec(&p.kr);
        kt_await(&env, kt_get(&p.runs) == 1 && kt_get(&plain.runs) == 1);
        ck_assert_uint_eq((uintptr_t)p.arg, target.cpu);
    }
    ck_assert_uint_eq(misses(), 0);
    kt_env_close(&env);
}
END_TEST

START_TEST(local_is_where_init_was_called)
{
    static void (*const init[])(struct kroutine_s *, kroutine_exec_t *) = {
        kroutine_init_deferred_local, kroutine_init_sched_switch_local,
        kroutine_init_interruptible_local};
    struct kt_probe_s p;

    open_pool(2, false);
    if (cpu_count < 2)
        kt_skip("needs two CPUs, has %u", cpu_count);
    for (unsigned i = 0; i < 50; i++) {
        memset(&p, 0, sizeof p);
        go_to_cpu(cpus[i % 2]);
        init[_i](&p.kr, kt_probe_run);
        ck_assert_int_eq(kroutine_bind(&p.kr, env.rt), 0);
        p.then = note_cpu;
        go_to_cpu(cpus[(i + 1) % 2]);
        kroutine_exec(&p.kr);
        kt_await(&env, kt_get(&p.runs) == 1);
        ck_assert_uint_eq((uintptr_t)p.arg, cpus[i % 2]);
    }
    kt_env_close(&env);
}
END_TEST

/* A CPU that does not exist loses nothing: the handler runs elsewhere, and that is counted. */
START_TEST(missing_cpu_is_counted)
{
    static const unsigned missing[] = {KROUTINE_CPUS_MAX - 1, KROUTINE_CPUS_MAX, 1u << 20,
                                       UINT32_MAX};
    struct kt_probe_s p;

    open_pool(2, _i >= 3);
    for (unsigned i = 0; i < 4; i++) {
        target.cpu = missing[i];
        kt_probe_init(&p, cpu_policies[_i % 3], &target);
        ck_assert(!kroutine_exec(&p.kr));
        kt_await(&env, kt_get(&p.runs) == 1);
        kt_await(&env, misses() == i + 1);
    }
    /* The worker is not left on some CPU by that. */
    target.cpu = cpus[0];
    kt_probe_init(&p, KROUTINE_CPU_DEFERRED, &target);
    p.then = note_cpu;
    kroutine_exec(&p.kr);
    kt_await(&env, kt_get(&p.runs) == 1);
    ck_assert_uint_eq((uintptr_t)p.arg, cpus[0]);
    kt_env_close(&env);
}
END_TEST

/* --- pinned workers --- */

#define POOL 4

static struct seen_s {
    unsigned entered;
    int cpu[POOL], count[POOL]; /* CPU that the worker is on, CPUs that it may use */
} seen;

static void meet_all(struct kt_probe_s *p)
{
    unsigned n = kt_inc(&seen.entered) - 1;
    uint64_t end = kt_now() + kt_patience();
    cpu_set_t set;

    (void)p;
    pthread_getaffinity_np(pthread_self(), sizeof set, &set);
    seen.count[n] = CPU_COUNT(&set);
    seen.cpu[n] = sched_getcpu();
    while (kt_get(&seen.entered) < POOL && kt_now() < end)
        kt_sleep_ms(1);
}

START_TEST(pinned_workers_take_turns_on_the_cpus)
{
    struct kt_probe_s p[POOL];
    unsigned on[64] = {0};

    open_pool(POOL, true);
    for (int i = 0; i < POOL; i++) {
        kt_probe_init(&p[i], KROUTINE_DEFERRED, &target);
        p[i].then = meet_all;
        kroutine_exec(&p[i].kr);
    }
    for (int i = 0; i < POOL; i++)
        kt_await(&env, kt_get(&p[i].runs) == 1);
    for (int i = 0; i < POOL; i++) {
        ck_assert_int_eq(seen.count[i], 1);
        for (unsigned n = 0; n < cpu_count; n++)
            on[n] += cpus[n] == (unsigned)seen.cpu[i];
    }
    for (unsigned n = 0; n < cpu_count && n < POOL; n++)
        ck_assert_uint_ge(on[n], POOL / cpu_count);
    kt_env_close(&env);
}
END_TEST

START_TEST(pool_cpus_limits_the_workers)
{
    struct kroutine_runtime_config_s config;
    struct kt_probe_s p;
    cpu_set_t set;
    unsigned only;

    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    for (only = KROUTINE_CPUS_MAX - 1; !CPU_ISSET(only, &set); only--)
        ;
    kt_env_config(&config, KT_THREADS);
    config.pool_size = 2;
    config.pool_pin = _i;
    config.pool_cpus[only / 64] = UINT64_C(1) << only % 64;
    kt_env_make(&env, &config);
    target = (struct kt_target_s){env.rt, NULL, NULL, 0};
    for (int i = 0; i < 50; i++) {
        kt_probe_init(&p, KROUTINE_DEFERRED, &target);
        p.then = note_cpu;
        kroutine_exec(&p.kr);
        kt_await(&env, kt_get(&p.runs) == 1);
        ck_assert_uint_eq((uintptr_t)p.arg, only);
    }
    kt_env_close(&env);
}
END_TEST

static const char *pin_label(int i)
{
    return i ? "pinned" : "free";
}

Suite *kt_suite(void)
{
    Suite *s = suite_create("pool cpu");

    kt_add_loop(s, runs_on_its_cpu, 6, round_label, 20);
    kt_add_loop(s, local_is_where_init_was_called, 3, round_label, 10);
    kt_add_loop(s, missing_cpu_is_counted, 6, round_label, 10);
    kt_add(s, pinned_workers_take_turns_on_the_cpus, 20);
    kt_add_loop(s, pool_cpus_limits_the_workers, 2, pin_label, 10);
    return s;
}

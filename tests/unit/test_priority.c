/* SPDX-License-Identifier: MIT */
/* Eight priorities: higher first, first come first served within one, and nobody starves. */
#include "kt.h"

static struct kt_env_s env;
static struct kroutine_queue_s queue;
static struct kt_target_s target;

static void open_all(const struct kroutine_runtime_config_s *config)
{
    if (config)
        kt_env_make(&env, config);
    else
        kt_env_open(&env, KT_EMBEDDED);
    ck_assert_int_eq(kroutine_queue_init(&queue), 0);
    target = (struct kt_target_s){env.rt, &queue, NULL, 0};
}

static void close_all(void)
{
    kt_env_close(&env);
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), 0);
}

static const enum kroutine_policy_e ordered[] = {KROUTINE_DEFERRED, KROUTINE_SCHED_SWITCH,
                                                 KROUTINE_QUEUE};

static const char *ordered_label(int i)
{
    return kt_policy_name(ordered[i]);
}

static void run_until(const unsigned *runs)
{
    for (int i = 0; i < 100000 && !*runs; i++) {
        kroutine_queue_process(&queue);
        kroutine_runtime_process(env.rt);
    }
}

#define PER_LEVEL 4

START_TEST(higher_first_and_fifo_within)
{
    static struct kt_probe_s p[PER_LEVEL][KROUTINE_PRIORITIES];
    static const unsigned mixed[KROUTINE_PRIORITIES] = {3, 7, 0, 5, 1, 6, 2, 4};
    unsigned last = 0;

    open_all(NULL);
    for (unsigned i = 0; i < PER_LEVEL; i++)
        for (unsigned n = 0; n < KROUTINE_PRIORITIES; n++) {
            struct kt_probe_s *probe = &p[i][mixed[n]];

            kt_probe_init(probe, ordered[_i], &target);
            kroutine_set_priority(&probe->kr, mixed[n]);
            ck_assert(!kroutine_exec(&probe->kr));
        }
    run_until(&p[PER_LEVEL - 1][0].runs);
    for (int n = KROUTINE_PRIORITIES - 1; n >= 0; n--)
        for (unsigned i = 0; i < PER_LEVEL; i++) {
            ck_assert_uint_eq(p[i][n].runs, 1);
            ck_assert_msg(p[i][n].stamp > last, "priority %d, number %u ran too early", n, i);
            last = p[i][n].stamp;
        }
    close_all();
}
END_TEST

START_TEST(default_is_the_lowest)
{
    struct kt_probe_s plain, raised;

    open_all(NULL);
    kt_probe_init(&plain, ordered[_i], &target);
    kt_probe_init(&raised, ordered[_i], &target);
    kroutine_set_priority(&raised.kr, 1);
    kroutine_exec(&plain.kr);
    kroutine_exec(&raised.kr);
    run_until(&plain.runs);
    ck_assert_uint_lt(raised.stamp, plain.stamp);
    close_all();
}
END_TEST

START_TEST(larger_values_are_the_highest)
{
    struct kt_probe_s six, large;

    open_all(NULL);
    kt_probe_init(&six, ordered[_i], &target);
    kt_probe_init(&large, ordered[_i], &target);
    kroutine_set_priority(&six.kr, KROUTINE_PRIORITIES - 2);
    kroutine_set_priority(&large.kr, 4000000000u); /* 0 when cut to a byte or to three bits */
    kroutine_exec(&six.kr);
    kroutine_exec(&large.kr);
    run_until(&six.runs);
    ck_assert_uint_lt(large.stamp, six.stamp);
    close_all();
}
END_TEST

START_TEST(cancel_at_each_level)
{
    struct kt_probe_s p[KROUTINE_PRIORITIES];

    open_all(NULL);
    for (unsigned n = 0; n < KROUTINE_PRIORITIES; n++) {
        kt_probe_init(&p[n], ordered[_i], &target);
        kroutine_set_priority(&p[n].kr, n);
        kroutine_exec(&p[n].kr);
    }
    for (unsigned n = 1; n < KROUTINE_PRIORITIES; n += 2)
        ck_assert(kroutine_cancel(&p[n].kr));
    run_until(&p[0].runs);
    for (unsigned n = 0; n < KROUTINE_PRIORITIES; n++)
        ck_assert_uint_eq(p[n].runs, n % 2 == 0);
    close_all();
}
END_TEST

/* --- starvation --- */

static bool flooding;

static void again(struct kt_probe_s *p)
{
    if (kt_get(&flooding))
        kroutine_exec(&p->kr);
}

/* Two of the highest level execute themselves for ever: each lower level still gets its turn. */
START_TEST(a_flood_does_not_starve_lower_levels)
{
    struct kt_probe_s flood[2], low[KROUTINE_PRIORITIES - 1];
    unsigned waiting = KROUTINE_PRIORITIES - 1;

    open_all(NULL);
    flooding = true;
    for (int i = 0; i < 2; i++) {
        kt_probe_init(&flood[i], ordered[_i], &target);
        kroutine_set_priority(&flood[i].kr, KROUTINE_PRIORITIES - 1);
        flood[i].then = again;
        kroutine_exec(&flood[i].kr);
    }
    for (unsigned n = 0; n < KROUTINE_PRIORITIES - 1; n++) {
        kt_probe_init(&low[n], ordered[_i], &target);
        kroutine_set_priority(&low[n].kr, n);
        kroutine_exec(&low[n].kr);
    }
    while (waiting && flood[0].runs < 10000) {
        kroutine_queue_process(&queue);
        kroutine_runtime_process(env.rt);
        waiting = 0;
        for (unsigned n = 0; n < KROUTINE_PRIORITIES - 1; n++)
            waiting += low[n].runs == 0;
    }
    ck_assert_msg(!waiting, "%u levels did not run while the highest ran %u times", waiting,
                  flood[0].runs);
    flooding = false;
    for (int i = 0; i < 10; i++) {
        kroutine_queue_process(&queue);
        kroutine_runtime_process(env.rt);
    }
    close_all();
}
END_TEST

/* The same on a worker, where the flood never lets the queue run empty. */
START_TEST(a_flood_on_the_pool)
{
    struct kroutine_runtime_config_s config;
    struct kt_probe_s flood[2], low;

    kt_env_config(&config, KT_THREADS);
    config.pool_size = 1;
    open_all(&config);
    flooding = true;
    for (int i = 0; i < 2; i++) {
        kt_probe_init(&flood[i], KROUTINE_DEFERRED, &target);
        kroutine_set_priority(&flood[i].kr, 5);
        flood[i].then = again;
        kroutine_exec(&flood[i].kr);
    }
    kt_probe_init(&low, KROUTINE_DEFERRED, &target);
    kroutine_exec(&low.kr);
    kt_await(&env, kt_get(&low.runs) == 1);
    ck_assert(kroutine_is_pending(&flood[0].kr) || kroutine_is_pending(&flood[1].kr));
    kt_set(&flooding, false);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("priority");

    kt_add_loop(s, higher_first_and_fifo_within, 3, ordered_label, 10);
    kt_add_loop(s, default_is_the_lowest, 3, ordered_label, 10);
    kt_add_loop(s, larger_values_are_the_highest, 3, ordered_label, 10);
    kt_add_loop(s, cancel_at_each_level, 3, ordered_label, 10);
    kt_add_loop(s, a_flood_does_not_starve_lower_levels, 3, ordered_label, 20);
    kt_add(s, a_flood_on_the_pool, 20);
    return s;
}

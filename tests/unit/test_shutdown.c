/* SPDX-License-Identifier: MIT */
/* The end of a runtime: every kroutine that is queued runs, or is handed back. Nothing is lost. */
#include "kt.h"

#include <semaphore.h>

#define MANY 10000

static struct kt_env_s env;
static struct kroutine_sequence_s seq;
static struct kt_target_s target;
static sem_t go;

static struct item_s {
    struct kroutine_s kr;
    unsigned runs, backs; /* atomic */
    bool again;
} item[MANY];

static KROUTINE_EXEC(run_item)
{
    struct item_s *it = KROUTINE_CONTAINER(kr, struct item_s, kr);

    (void)flags;
    if (it->again) {
        it->again = false;
        kroutine_exec(kr);
    }
    kt_inc(&it->runs);
}

static const enum kroutine_policy_e policies[] = {
    KROUTINE_DEFERRED,     KROUTINE_SCHED_SWITCH,     KROUTINE_IDLE,
    KROUTINE_SEQ_DEFERRED, KROUTINE_SEQ_SCHED_SWITCH, KROUTINE_CPU_DEFERRED,
};
#define POLICIES 6

static const char *policy_label(int i)
{
    return i < POLICIES ? kt_policy_name(policies[i]) : "mixed";
}

static enum kroutine_policy_e policy_of(int round, unsigned i)
{
    return policies[round < POLICIES ? (unsigned)round : i % POLICIES];
}

static void open_all(enum kt_mode_e mode, bool pin)
{
    struct kroutine_runtime_config_s config;

    kt_env_config(&config, mode);
    config.pool_pin = pin;
    kt_env_make(&env, &config);
    kroutine_seq_init(&seq);
    sem_init(&go, 0, 0);
    target = (struct kt_target_s){env.rt, NULL, &seq, 0};
}

static void exec_items(int round, unsigned count, bool again)
{
    for (unsigned i = 0; i < count; i++) {
        item[i].again = again;
        kt_init_policy(&item[i].kr, run_item, policy_of(round, i), &target);
        kroutine_exec(&item[i].kr);
    }
}

START_TEST(destroy_runs_what_is_queued)
{
    open_all(KT_THREADS, false);
    exec_items(_i, MANY, false);
    kt_env_close(&env);
    for (unsigned i = 0; i < MANY; i++)
        if (item[i].runs != 1)
            ck_abort_msg("number %u ran %u times", i, item[i].runs);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
}
END_TEST

START_TEST(destroy_of_an_embedded_one_runs_too)
{
    open_all(KT_EMBEDDED, false);
    exec_items(_i, 1000, false);
    ck_assert_uint_eq(item[0].runs, 0);
    kt_env_close(&env);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_uint_eq(item[i].runs, 1);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
}
END_TEST

/* Handlers that execute again while the runtime goes: that was queued, too. */
START_TEST(destroy_runs_what_handlers_add)
{
    open_all(KT_THREADS, false);
    exec_items(_i, 1000, true);
    kt_env_close(&env);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_uint_eq(item[i].runs, 2);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
}
END_TEST

static unsigned blocked;

static KROUTINE_EXEC(block)
{
    (void)kr;
    (void)flags;
    kt_inc(&blocked);
    sem_wait(&go);
}

static void *release_later(void *arg)
{
    (void)arg;
    kt_sleep_ms(50);
    sem_post(&go);
    sem_post(&go);
    return NULL;
}

START_TEST(destroy_waits_for_blocked_workers)
{
    struct kroutine_s kr[2];
    pthread_t thread;

    open_all(KT_THREADS, false);
    for (int i = 0; i < 2; i++) {
        kt_init_policy(&kr[i], block, KROUTINE_DEFERRED, &target);
        kroutine_exec(&kr[i]);
    }
    kt_await(&env, kt_get(&blocked) == 2);
    exec_items(POLICIES, 600, false);
    thread = kt_thread(release_later, NULL);
    kt_env_close(&env);
    for (unsigned i = 0; i < 600; i++)
        ck_assert_uint_eq(item[i].runs, 1);
    kt_join(thread);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
}
END_TEST

/* --- handing back --- */

static pthread_t caller;
static unsigned last_back[POLICIES], order_errors;

static void take_back(struct kroutine_s *kr, void *arg)
{
    struct item_s *it = KROUTINE_CONTAINER(kr, struct item_s, kr);
    unsigned i = (unsigned)(it - item);

    ck_assert_ptr_eq(arg, &env);
    ck_assert(pthread_equal(pthread_self(), caller));
    ck_assert(!kroutine_is_pending(kr));
    if (i < last_back[i % POLICIES])
        order_errors++;
    last_back[i % POLICIES] = i;
    kt_inc(&it->backs);
}

static void expect_run_or_back(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (item[i].runs + item[i].backs != 1)
            ck_abort_msg("number %u (%s) ran %u times and came back %u times", i,
                         kt_policy_name(policies[i % POLICIES]), item[i].runs, item[i].backs);
}

START_TEST(handback_gets_all_of_an_embedded_one)
{
    open_all(KT_EMBEDDED, false);
    caller = pthread_self();
    exec_items(_i, 600, false);
    ck_assert_int_eq(kroutine_runtime_shutdown(env.rt, take_back, &env), 0);
    for (unsigned i = 0; i < 600; i++) {
        ck_assert_uint_eq(item[i].backs, 1);
        ck_assert_uint_eq(item[i].runs, 0);
    }
    ck_assert_uint_eq(order_errors, 0);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
    /* They are the program's again, and work elsewhere. */
    kt_env_open(&env, KT_EMBEDDED);
    target.rt = env.rt;
    kt_init_policy(&item[0].kr, run_item, KROUTINE_DEFERRED, &target);
    kroutine_exec(&item[0].kr);
    kt_await(&env, item[0].runs == 1);
    kt_env_close(&env);
}
END_TEST

START_TEST(handback_with_blocked_workers)
{
    struct kroutine_s kr[2];
    unsigned backs = 0;
    pthread_t thread;

    open_all(KT_THREADS, _i);
    caller = pthread_self();
    for (int i = 0; i < 2; i++) {
        kt_init_policy(&kr[i], block, KROUTINE_DEFERRED, &target);
        kroutine_exec(&kr[i]);
    }
    kt_await(&env, kt_get(&blocked) == 2);
    exec_items(POLICIES, 600, false);
    thread = kt_thread(release_later, NULL);
    ck_assert_int_eq(kroutine_runtime_shutdown(env.rt, take_back, &env), 0);
    kt_join(thread);
    expect_run_or_back(600);
    for (unsigned i = 0; i < 600; i++)
        backs += item[i].backs;
    ck_assert_uint_gt(backs, 0); /* the DEFERRED ones at least were stuck behind the blocked */
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
}
END_TEST

START_TEST(handback_of_a_busy_pool)
{
    open_all(KT_THREADS, false);
    caller = pthread_self();
    exec_items(POLICIES, MANY, false);
    ck_assert_int_eq(kroutine_runtime_shutdown(env.rt, take_back, &env), 0);
    expect_run_or_back(MANY);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
}
END_TEST

/* --- requests --- */

static unsigned timers_done;
static int timer_error;

static KROUTINE_EXEC(timer_over)
{
    struct dev_timer_rq_s *rq = dev_timer_rq_from_kr(kr);

    (void)flags;
    kt_set(&timer_error, rq->error);
    kt_inc(&timers_done);
}

/* A deferred handler of a request that the destroy itself cancelled: run, or handed back. */
START_TEST(cancelled_requests_complete_before_the_end)
{
    struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
    static struct dev_timer_rq_s rq[100];

    open_all((enum kt_mode_e)_i, false);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    for (unsigned i = 0; i < 100; i++) {
        memset(&rq[i], 0, sizeof rq[i]);
        dev_timer_rq_init(&rq[i], timer_over);
        rq[i].delay = KROUTINE_SEC(1000 + i);
        ck_assert_int_eq(DEVICE_OP(&timer, request, &rq[i]), 0);
    }
    kt_env_close(&env);
    ck_assert_uint_eq(timers_done, 100);
    ck_assert_int_eq(timer_error, -ECANCELED);
    device_put_accessor(&timer.base);
    ck_assert(!device_check_accessor(&timer.base));
}
END_TEST

static const char *pin_label(int i)
{
    return i ? "pinned" : "free";
}

Suite *kt_suite(void)
{
    Suite *s = suite_create("shutdown");

    kt_add_loop(s, destroy_runs_what_is_queued, POLICIES + 1, policy_label, 20);
    kt_add_loop(s, destroy_of_an_embedded_one_runs_too, POLICIES + 1, policy_label, 10);
    kt_add_loop(s, destroy_runs_what_handlers_add, POLICIES + 1, policy_label, 10);
    kt_add(s, destroy_waits_for_blocked_workers, 10);
    kt_add_loop(s, handback_gets_all_of_an_embedded_one, POLICIES + 1, policy_label, 10);
    kt_add_loop(s, handback_with_blocked_workers, 2, pin_label, 10);
    kt_add(s, handback_of_a_busy_pool, 20);
    kt_add_loop(s, cancelled_requests_complete_before_the_end, KT_MODES, kt_mode_label, 10);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* Two-key kroutines: the table of exec, trigger and postpone, and what the model left undefined. */
#include "kt.h"

static struct kt_env_s env;
static struct kroutine_queue_s queue;
static struct kroutine_sequence_s seq;
static struct kt_probe_s p;

static void open_all(void)
{
    kt_env_open(&env, KT_EMBEDDED);
    ck_assert_int_eq(kroutine_queue_init(&queue), 0);
    kroutine_seq_init(&seq);
    kroutine_init_trigger(&p.kr, kt_probe_run);
    ck_assert_int_eq(kroutine_bind(&p.kr, env.rt), 0);
}

static void close_all(void)
{
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), 0);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
    kt_env_close(&env);
}

static void expect_runs(unsigned runs, unsigned flags)
{
    ck_assert_uint_eq(p.runs, runs);
    ck_assert_uint_eq(p.flags, flags);
}

START_TEST(exec_then_trigger_immediate)
{
    open_all();
    ck_assert(!kroutine_exec_flags(&p.kr, 2));
    ck_assert_int_eq(kroutine_runtime_process(env.rt), 0);
    ck_assert_uint_eq(p.runs, 0);
    ck_assert(kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    expect_runs(1, KROUTINE_EXEC_TRIGGERED | 2);
    /* Both keys are needed again, and flags do not leak. */
    ck_assert(!kroutine_exec(&p.kr));
    ck_assert_uint_eq(p.runs, 1);
    ck_assert(kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    expect_runs(2, KROUTINE_EXEC_TRIGGERED);
    close_all();
}
END_TEST

START_TEST(trigger_immediate_then_exec)
{
    open_all();
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    ck_assert_uint_eq(p.runs, 0);
    ck_assert(kroutine_exec_flags(&p.kr, 4));
    expect_runs(1, 4);
    ck_assert(!kroutine_exec(&p.kr)); /* the arming was for one run */
    ck_assert_uint_eq(p.runs, 1);
    ck_assert(kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    ck_assert_uint_eq(p.runs, 2);
    close_all();
}
END_TEST

START_TEST(exec_then_trigger_deferred)
{
    open_all();
    ck_assert(!kroutine_exec_flags(&p.kr, 0x40));
    ck_assert(kroutine_trigger(&p.kr, KROUTINE_DEFERRED));
    ck_assert_uint_eq(p.runs, 0);
    ck_assert(kroutine_is_pending(&p.kr));
    kroutine_runtime_process(env.rt);
    expect_runs(1, KROUTINE_EXEC_TRIGGERED | KROUTINE_EXEC_DEFERRED | 0x40);
    ck_assert(!kroutine_is_pending(&p.kr));
    close_all();
}
END_TEST

/* The model pushed the same node twice here. */
START_TEST(execs_after_trigger_deferred_merge)
{
    open_all();
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_DEFERRED));
    ck_assert(!kroutine_exec_flags(&p.kr, 1));
    ck_assert(!kroutine_exec_flags(&p.kr, 8));
    ck_assert(!kroutine_exec_flags(&p.kr, 2));
    for (int i = 0; i < 3; i++)
        kroutine_runtime_process(env.rt);
    expect_runs(1, KROUTINE_EXEC_DEFERRED | 0x0b);
    /* Merged into that run: no exec is left over for a trigger. */
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    ck_assert_uint_eq(p.runs, 1);
    close_all();
}
END_TEST

START_TEST(execs_before_trigger_merge)
{
    open_all();
    ck_assert(!kroutine_exec_flags(&p.kr, 1));
    ck_assert(!kroutine_exec_flags(&p.kr, 8));
    ck_assert(kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    expect_runs(1, KROUTINE_EXEC_TRIGGERED | 9);
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    ck_assert_uint_eq(p.runs, 1);
    close_all();
}
END_TEST

START_TEST(postpone_arms)
{
    open_all();
    ck_assert(kroutine_postpone(&p.kr, KROUTINE_SCHED_SWITCH));
    ck_assert(!kroutine_exec_flags(&p.kr, 1));
    ck_assert(kroutine_is_pending(&p.kr));
    kroutine_runtime_process(env.rt);
    ck_assert_uint_eq(p.runs, 1);
    ck_assert_uint_eq(p.flags & ~KROUTINE_EXEC_DEFERRED, 1);
    ck_assert(kroutine_postpone(&p.kr, KROUTINE_IMMEDIATE));
    ck_assert(kroutine_exec(&p.kr));
    ck_assert_uint_eq(p.runs, 2);
    close_all();
}
END_TEST

START_TEST(postpone_consumes_an_exec)
{
    open_all();
    ck_assert(!kroutine_exec_flags(&p.kr, 0x20));
    ck_assert(!kroutine_postpone(&p.kr, KROUTINE_IMMEDIATE));
    kroutine_runtime_process(env.rt);
    ck_assert_uint_eq(p.runs, 0);
    ck_assert(!kroutine_is_pending(&p.kr));
    /* Gone: a trigger arms, and the next exec does not have its flags. */
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    ck_assert(kroutine_exec_flags(&p.kr, 1));
    expect_runs(1, 1);
    close_all();
}
END_TEST

START_TEST(trigger_none_asks_and_disarms)
{
    open_all();
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_NONE));
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_NONE)); /* disarmed */
    ck_assert(!kroutine_exec(&p.kr));
    ck_assert_uint_eq(p.runs, 0);
    ck_assert(kroutine_trigger(&p.kr, KROUTINE_NONE)); /* an exec waits, and still does */
    ck_assert(kroutine_trigger(&p.kr, KROUTINE_NONE));
    ck_assert(kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    expect_runs(1, KROUTINE_EXEC_TRIGGERED);
    close_all();
}
END_TEST

START_TEST(the_last_arming_counts)
{
    open_all();
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_DEFERRED));
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    ck_assert(kroutine_exec(&p.kr));
    expect_runs(1, 0);
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    ck_assert(kroutine_postpone(&p.kr, KROUTINE_DEFERRED));
    ck_assert(!kroutine_exec(&p.kr));
    kroutine_runtime_process(env.rt);
    expect_runs(2, KROUTINE_EXEC_DEFERRED);
    close_all();
}
END_TEST

START_TEST(trigger_while_a_run_is_pending_arms_the_next)
{
    open_all();
    kroutine_exec(&p.kr);
    ck_assert(kroutine_trigger(&p.kr, KROUTINE_DEFERRED));
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_DEFERRED));
    kroutine_runtime_process(env.rt);
    ck_assert_uint_eq(p.runs, 1);
    kroutine_runtime_process(env.rt);
    ck_assert_uint_eq(p.runs, 1);
    ck_assert(!kroutine_exec_flags(&p.kr, 1));
    kroutine_runtime_process(env.rt);
    expect_runs(2, KROUTINE_EXEC_DEFERRED | 1);
    close_all();
}
END_TEST

START_TEST(cancel_of_both_kinds_of_pending)
{
    open_all();
    kroutine_exec_flags(&p.kr, 0x10);
    kroutine_trigger(&p.kr, KROUTINE_DEFERRED);
    ck_assert(kroutine_cancel(&p.kr));
    kroutine_runtime_process(env.rt);
    ck_assert_uint_eq(p.runs, 0);
    ck_assert(!kroutine_cancel(&p.kr));
    /* Nothing of the cancelled run is left. */
    ck_assert(!kroutine_exec_flags(&p.kr, 1));
    ck_assert(kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    expect_runs(1, KROUTINE_EXEC_TRIGGERED | 1);
    close_all();
}
END_TEST

static void trigger_in_handler(struct kt_probe_s *probe)
{
    if (probe->runs == 0) {
        ck_assert(!kroutine_exec_flags(&probe->kr, 2));
        ck_assert(kroutine_trigger(&probe->kr, KROUTINE_DEFERRED));
    }
}

START_TEST(handler_turns_both_keys_again)
{
    open_all();
    p.then = trigger_in_handler;
    kroutine_exec_flags(&p.kr, 1);
    kroutine_trigger(&p.kr, KROUTINE_DEFERRED);
    for (int i = 0; i < 3; i++)
        kroutine_runtime_process(env.rt);
    expect_runs(2, KROUTINE_EXEC_TRIGGERED | KROUTINE_EXEC_DEFERRED | 2);
    close_all();
}
END_TEST

START_TEST(trigger_names_any_policy)
{
    enum kroutine_policy_e policy = kt_put_off[_i];

    open_all();
    if (policy == KROUTINE_QUEUE)
        kroutine_init_trigger_queue(&p.kr, kt_probe_run, &queue);
    else if (policy >= KROUTINE_SEQ_SCHED_SWITCH)
        kroutine_init_trigger_seq(&p.kr, kt_probe_run, &seq);
    else if (policy >= KROUTINE_CPU_SCHED_SWITCH)
        kroutine_init_trigger_cpu(&p.kr, kt_probe_run, 0);
    ck_assert_int_eq(kroutine_bind(&p.kr, env.rt), 0);
    for (unsigned round = 1; round <= 3; round++) {
        ck_assert(!kroutine_exec_flags(&p.kr, (uint8_t)round));
        kroutine_critical_begin();
        ck_assert(kroutine_trigger(&p.kr, policy));
        kroutine_critical_end();
        ck_assert_uint_eq(p.runs, round - 1);
        ck_assert(kroutine_is_pending(&p.kr));
        if (policy == KROUTINE_QUEUE) {
            kroutine_runtime_process(env.rt);
            ck_assert_uint_eq(p.runs, round - 1);
            ck_assert(kroutine_queue_process(&queue));
        } else {
            kroutine_runtime_process(env.rt);
        }
        ck_assert_uint_eq(p.runs, round);
        ck_assert_uint_eq(p.flags & ~KROUTINE_EXEC_DEFERRED, KROUTINE_EXEC_TRIGGERED | round);
    }
    close_all();
}
END_TEST

START_TEST(trigger_of_another_kind_does_nothing)
{
    struct kt_target_s target = {NULL, NULL, NULL, 0};

    open_all();
    target.rt = env.rt;
    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    ck_assert(!kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE));
    ck_assert(!kroutine_is_pending(&p.kr));
    kroutine_runtime_process(env.rt);
    ck_assert_uint_eq(p.runs, 0);
    close_all();
}
END_TEST

/* --- the two keys on two threads --- */

static pthread_barrier_t barrier;
#define ROUNDS kt_count(20000)

static void *turn_exec(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        kroutine_exec(&p.kr);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

/* Whichever key is turned first, each pair gives one run, and one of the two calls says so. */
START_TEST(one_run_for_each_pair)
{
    pthread_t thread;

    open_all();
    pthread_barrier_init(&barrier, NULL, 2);
    thread = kt_thread(turn_exec, NULL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        kroutine_trigger(&p.kr, KROUTINE_IMMEDIATE);
        pthread_barrier_wait(&barrier);
        if (kt_get(&p.runs) != i + 1)
            ck_abort_msg("%u runs after %u pairs", p.runs, i + 1);
    }
    kt_join(thread);
    pthread_barrier_destroy(&barrier);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("trigger");

    kt_add(s, exec_then_trigger_immediate, 10);
    kt_add(s, trigger_immediate_then_exec, 10);
    kt_add(s, exec_then_trigger_deferred, 10);
    kt_add(s, execs_after_trigger_deferred_merge, 10);
    kt_add(s, execs_before_trigger_merge, 10);
    kt_add(s, postpone_arms, 10);
    kt_add(s, postpone_consumes_an_exec, 10);
    kt_add(s, trigger_none_asks_and_disarms, 10);
    kt_add(s, the_last_arming_counts, 10);
    kt_add(s, trigger_while_a_run_is_pending_arms_the_next, 10);
    kt_add(s, cancel_of_both_kinds_of_pending, 10);
    kt_add(s, handler_turns_both_keys_again, 10);
    kt_add_loop(s, trigger_names_any_policy, KT_PUT_OFF, kt_put_off_label, 10);
    kt_add(s, trigger_of_another_kind_does_nothing, 10);
    kt_add(s, one_run_for_each_pair, 30);
    return s;
}

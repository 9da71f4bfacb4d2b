/* SPDX-License-Identifier: MIT */
/* Sequences: never two at a time, in exec order, under every base policy, and inline too. */
#include "kt.h"

#include <semaphore.h>

static struct kt_env_s env;
static struct kroutine_sequence_s seq;
static struct kt_target_s target;

static void open_all(enum kt_mode_e mode)
{
    struct kroutine_runtime_config_s config;

    kt_env_config(&config, mode);
    if (mode == KT_THREADS)
        config.pool_size = 4;
    kt_env_make(&env, &config);
    kroutine_seq_init(&seq);
    target = (struct kt_target_s){env.rt, NULL, &seq, 0};
}

static void close_all(void)
{
    kt_env_close(&env);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
}

static const enum kroutine_policy_e seq_policies[] = {
    KROUTINE_SEQ_DEFERRED, KROUTINE_SEQ_SCHED_SWITCH, KROUTINE_SEQ_INTERRUPTIBLE};

static const char *seq_label(int i)
{
    return i < 3 ? kt_policy_name(seq_policies[i]) : "mixed";
}

static enum kroutine_policy_e seq_policy(int round, unsigned i)
{
    return seq_policies[round < 3 ? (unsigned)round : i % 3];
}

/* --- mutual exclusion and order, from several threads --- */

#define THREADS 3
#define EACH    3000

static unsigned inside, collisions, done;

static struct entry_s {
    struct kroutine_s kr;
    unsigned order; /* when it ran */
} entry[THREADS][EACH];

static KROUTINE_EXEC(enter_alone)
{
    static unsigned plain; /* not atomic: TSan sees two at a time, and a missing happens-before */

    (void)flags;
    if (kt_inc(&inside) != 1)
        kt_inc(&collisions);
    KROUTINE_CONTAINER(kr, struct entry_s, kr)->order = ++plain;
    kt_dec(&inside);
    kt_inc(&done);
}

static int round_of_threads;

static void *exec_each(void *arg)
{
    struct entry_s *e = arg;

    for (unsigned i = 0; i < kt_count(EACH); i++) {
        kt_init_policy(&e[i].kr, enter_alone, seq_policy(round_of_threads, i), &target);
        kroutine_exec(&e[i].kr);
    }
    return NULL;
}

START_TEST(alone_and_in_order)
{
    pthread_t thread[THREADS];

    open_all(KT_THREADS);
    round_of_threads = _i;
    for (int i = 0; i < THREADS; i++)
        thread[i] = kt_thread(exec_each, entry[i]);
    for (int i = 0; i < THREADS; i++)
        kt_join(thread[i]);
    kt_await(&env, kt_get(&done) == THREADS * kt_count(EACH));
    ck_assert_uint_eq(collisions, 0);
    close_all(); /* the workers are gone: `order` may be read */
    for (int t = 0; t < THREADS; t++)
        for (unsigned i = 1; i < kt_count(EACH); i++)
            if (entry[t][i].order <= entry[t][i - 1].order)
                ck_abort_msg("thread %d: %u ran before %u", t, i, i - 1);
}
END_TEST

START_TEST(exact_order_from_one_thread)
{
    static struct kt_probe_s p[200];

    open_all((enum kt_mode_e)_i);
    kroutine_critical_begin();
    for (unsigned i = 0; i < 200; i++) {
        kt_probe_init(&p[i], seq_policies[i % 3], &target);
        ck_assert(!kroutine_exec(&p[i].kr));
    }
    kroutine_critical_end();
    kt_await(&env, kt_get(&p[199].runs) == 1);
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_uint_eq(p[i].runs, 1);
        ck_assert_uint_eq(p[i].stamp, i + 1);
    }
    close_all();
}
END_TEST

/* --- inline --- */

static sem_t entered, go;

static KROUTINE_EXEC(hold)
{
    (void)kr;
    (void)flags;
    kt_inc(&inside);
    sem_post(&entered);
    sem_wait(&go);
    kt_dec(&inside);
}

static void look_inside(struct kt_probe_s *p)
{
    p->arg = (void *)(uintptr_t)kt_get(&inside);
}

START_TEST(inline_waits_while_the_sequence_is_busy)
{
    struct kroutine_s holder;
    struct kt_probe_s p;

    open_all(KT_THREADS);
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    kt_init_policy(&holder, hold, KROUTINE_SEQ_DEFERRED, &target);
    kt_probe_init(&p, KROUTINE_SEQ_INTERRUPTIBLE, &target);
    p.then = look_inside;
    kroutine_exec(&holder);
    sem_wait(&entered);
    ck_assert(kroutine_is_interruptible());
    ck_assert(!kroutine_exec_flags(&p.kr, 9)); /* could run inline, but not now */
    kt_sleep_ms(20);
    ck_assert_uint_eq(kt_get(&p.runs), 0);
    sem_post(&go);
    kt_await(&env, kt_get(&p.runs) == 1);
    ck_assert_ptr_null(p.arg);
    ck_assert_uint_eq(p.flags, KROUTINE_EXEC_DEFERRED | 9);
    close_all();
}
END_TEST

static struct kt_probe_s behind;

static void exec_behind(struct kt_probe_s *p)
{
    (void)p;
    ck_assert(!kroutine_exec(&behind.kr));
    kt_sleep_ms(20); /* the workers have time to do the wrong thing */
    ck_assert_uint_eq(kt_get(&behind.runs), 0);
}

START_TEST(others_wait_while_one_runs_inline)
{
    struct kt_probe_s p;

    open_all(KT_THREADS);
    kt_probe_init(&p, KROUTINE_SEQ_INTERRUPTIBLE, &target);
    p.then = exec_behind;
    kt_probe_init(&behind, seq_policies[_i], &target);
    ck_assert(kroutine_exec(&p.kr)); /* inline; `behind` may not nest in it, inline either */
    kt_await(&env, kt_get(&behind.runs) == 1);
    ck_assert_uint_gt(behind.stamp, p.stamp);
    ck_assert(!pthread_equal(behind.thread, pthread_self()));
    close_all();
}
END_TEST

START_TEST(inline_does_not_overtake)
{
    struct kt_probe_s waiting[3], p;

    open_all(KT_EMBEDDED);
    for (int i = 0; i < 3; i++) {
        kt_probe_init(&waiting[i], KROUTINE_SEQ_DEFERRED, &target);
        kroutine_exec(&waiting[i].kr);
    }
    kt_probe_init(&p, KROUTINE_SEQ_INTERRUPTIBLE, &target);
    ck_assert(!kroutine_exec(&p.kr));
    ck_assert_uint_eq(p.runs, 0);
    kt_await(&env, p.runs == 1);
    ck_assert_uint_gt(p.stamp, waiting[2].stamp);
    close_all();
}
END_TEST

/* --- cancel --- */

/* On an embedded runtime number 0 is scheduled, and 1 to 3 wait for their turn. */
START_TEST(cancel_of_any_in_line)
{
    struct kt_probe_s p[4];

    open_all(KT_EMBEDDED);
    for (unsigned mask = 0; mask < 16; mask++) {
        unsigned last = 0;

        for (unsigned i = 0; i < 4; i++) {
            kt_probe_init(&p[i], seq_policy(3, i + mask), &target);
            kroutine_critical_begin();
            kroutine_exec(&p[i].kr);
            kroutine_critical_end();
        }
        for (unsigned i = 0; i < 4; i++)
            if (mask & 1u << i)
                ck_assert(kroutine_cancel(&p[i].kr));
        for (int i = 0; i < 8; i++)
            kroutine_runtime_process(env.rt);
        for (unsigned i = 0; i < 4; i++) {
            ck_assert_uint_eq(p[i].runs, !(mask & 1u << i));
            ck_assert(!kroutine_is_pending(&p[i].kr));
            if (p[i].runs) {
                ck_assert_uint_gt(p[i].stamp, last);
                last = p[i].stamp;
            }
        }
    }
    close_all();
}
END_TEST

static void cancel_next(struct kt_probe_s *p)
{
    ck_assert(kroutine_cancel(&((struct kt_probe_s *)p->arg)->kr));
}

START_TEST(cancel_of_the_next_from_a_handler)
{
    struct kt_probe_s p[3];

    open_all((enum kt_mode_e)_i);
    kroutine_critical_begin();
    for (int i = 0; i < 3; i++)
        kt_probe_init(&p[i], KROUTINE_SEQ_DEFERRED, &target);
    p[0].then = cancel_next;
    p[0].arg = &p[1];
    /* Number 0 last into the sequence's hands: 1 must be waiting when it runs. */
    struct kroutine_s holder;
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    kt_init_policy(&holder, hold, KROUTINE_SEQ_DEFERRED, &target);
    kroutine_exec(&holder);
    for (int i = 0; i < 3; i++)
        kroutine_exec(&p[i].kr);
    kroutine_critical_end();
    sem_post(&go);
    kt_await(&env, kt_get(&p[2].runs) == 1);
    ck_assert_uint_eq(p[0].runs, 1);
    ck_assert_uint_eq(p[1].runs, 0);
    close_all();
}
END_TEST

/* --- several --- */

START_TEST(two_sequences_do_not_wait_for_each_other)
{
    struct kroutine_sequence_s other;
    struct kroutine_s holder;
    struct kt_probe_s p;

    open_all(KT_THREADS);
    kroutine_seq_init(&other);
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    kt_init_policy(&holder, hold, KROUTINE_SEQ_DEFERRED, &target);
    kroutine_exec(&holder);
    sem_wait(&entered);
    target.seq = &other;
    kt_probe_init(&p, KROUTINE_SEQ_DEFERRED, &target);
    kroutine_exec(&p.kr);
    kt_await(&env, kt_get(&p.runs) == 1);
    sem_post(&go);
    close_all();
    ck_assert_int_eq(kroutine_seq_cleanup(&other), 0);
}
END_TEST

START_TEST(one_sequence_over_two_runtimes)
{
    struct kt_env_s second;

    open_all(KT_THREADS);
    kt_env_open(&second, KT_THREADS);
    for (unsigned i = 0; i < kt_count(EACH); i++) {
        target.rt = i % 2 ? second.rt : env.rt;
        kt_init_policy(&entry[0][i].kr, enter_alone, seq_policies[i % 2], &target);
        kroutine_exec(&entry[0][i].kr);
    }
    kt_await(&env, kt_get(&done) == kt_count(EACH));
    ck_assert_uint_eq(collisions, 0);
    kt_env_close(&second);
    close_all();
    for (unsigned i = 0; i < kt_count(EACH); i++)
        ck_assert_uint_eq(entry[0][i].order, i + 1);
}
END_TEST

START_TEST(cleanup_refuses_a_sequence_in_use)
{
    struct kt_probe_s p;

    open_all(KT_EMBEDDED);
    kt_probe_init(&p, KROUTINE_SEQ_DEFERRED, &target);
    kroutine_exec(&p.kr);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), -EBUSY);
    kt_await(&env, p.runs == 1);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
    kroutine_seq_init(&seq);
    close_all();
}
END_TEST

static sem_t told;

static void tell_and_linger(struct kt_probe_s *probe)
{
    (void)probe;
    sem_post(&told);
    kt_sleep_ms(30);
}

/* A program knows that the handler has done its work, not that it has returned. */
START_TEST(cleanup_waits_for_a_handler_on_its_way_out)
{
    struct kt_probe_s p;

    open_all(KT_THREADS);
    sem_init(&told, 0, 0);
    kt_probe_init(&p, KROUTINE_SEQ_DEFERRED, &target);
    p.then = tell_and_linger;
    kroutine_exec(&p.kr);
    sem_wait(&told);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
    ck_assert_uint_eq(kt_get(&p.runs), 1);
    kroutine_seq_init(&seq);
    close_all();
}
END_TEST

static void clean_up_inside(struct kt_probe_s *probe)
{
    kt_set((error_t *)probe->arg, kroutine_seq_cleanup(&seq));
}

START_TEST(cleanup_in_a_handler_of_the_sequence_is_refused)
{
    struct kt_probe_s p;
    error_t err = 1;

    open_all(_i);
    kt_probe_init(&p, KROUTINE_SEQ_DEFERRED, &target);
    p.then = clean_up_inside;
    p.arg = &err;
    kroutine_exec(&p.kr);
    kt_await(&env, kt_get(&err) != 1);
    ck_assert_int_eq(kt_get(&err), -EBUSY);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("sequence");

    setenv("KROUTINE_CHECK", "0", 1); /* it would stop the program at the refused clean-up */

    kt_add_loop(s, alone_and_in_order, 4, seq_label, 30);
    kt_add_loop(s, exact_order_from_one_thread, KT_MODES, kt_mode_label, 10);
    kt_add(s, inline_waits_while_the_sequence_is_busy, 10);
    kt_add_loop(s, others_wait_while_one_runs_inline, 3, seq_label, 10);
    kt_add(s, inline_does_not_overtake, 10);
    kt_add(s, cancel_of_any_in_line, 10);
    kt_add_loop(s, cancel_of_the_next_from_a_handler, KT_MODES, kt_mode_label, 10);
    kt_add(s, two_sequences_do_not_wait_for_each_other, 10);
    kt_add(s, one_sequence_over_two_runtimes, 20);
    kt_add(s, cleanup_refuses_a_sequence_in_use, 10);
    kt_add(s, cleanup_waits_for_a_handler_on_its_way_out, 10);
    kt_add_loop(s, cleanup_in_a_handler_of_the_sequence_is_refused, KT_MODES, kt_mode_label, 10);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* The memory of a kroutine belongs to its handler once that has started: the library must not
   touch it, whatever the handler made of it. And execs from several threads at once. */
#include "kt.h"

#define MARK 0xa5

static struct kt_env_s env;
static struct kroutine_queue_s queue;
static struct kroutine_sequence_s seq;
static struct kt_target_s target;

static void open_all(enum kt_mode_e mode)
{
    kt_env_open(&env, mode);
    ck_assert_int_eq(kroutine_queue_init(&queue), 0);
    kroutine_seq_init(&seq);
    target = (struct kt_target_s){env.rt, &queue, &seq, 0};
}

static void close_all(void)
{
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), 0);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
    kt_env_close(&env);
}

static void exec_put_off(struct kroutine_s *kr)
{
    kroutine_critical_begin();
    ck_assert(!kroutine_exec(kr));
    kroutine_critical_end();
}

static void run_all(void)
{
    for (int i = 0; i < 4; i++) {
        kroutine_queue_process(&queue);
        if (env.embedded)
            kroutine_runtime_process(env.rt);
    }
}

static unsigned ran;

static KROUTINE_EXEC(overwrite)
{
    (void)flags;
    memset(kr, MARK, sizeof *kr);
    kt_inc(&ran);
}

static void expect_marks(const struct kroutine_s *kr)
{
    const unsigned char *p = (const unsigned char *)kr;

    for (size_t i = 0; i < sizeof *kr; i++)
        ck_assert_msg(p[i] == MARK, "byte %zu of the kroutine was written after its handler", i);
}

START_TEST(handler_overwrites_its_kroutine)
{
    enum kroutine_policy_e policy = kt_put_off[_i];
    static struct kroutine_s kr[3]; /* several: the next in line must not need the first */

    open_all(KT_EMBEDDED);
    for (int i = 0; i < 3; i++) {
        kt_init_policy(&kr[i], overwrite, policy, &target);
        exec_put_off(&kr[i]);
    }
    run_all();
    ck_assert_uint_eq(ran, 3);
    for (int i = 0; i < 3; i++)
        expect_marks(&kr[i]);
    close_all();
}
END_TEST

START_TEST(inline_handler_overwrites_its_kroutine)
{
    static const enum kroutine_policy_e policies[] = {KROUTINE_IMMEDIATE, KROUTINE_INTERRUPTIBLE,
                                                      KROUTINE_SEQ_INTERRUPTIBLE};
    static struct kroutine_s kr;

    open_all(KT_EMBEDDED);
    for (int i = 0; i < 3; i++) {
        kt_init_policy(&kr, overwrite, policies[i], &target);
        ck_assert(kroutine_exec(&kr));
        ck_assert_uint_eq(ran, (unsigned)i + 1);
        expect_marks(&kr);
    }
    close_all();
}
END_TEST

static KROUTINE_EXEC(release)
{
    (void)flags;
    free(kr);
    kt_inc(&ran);
}

/* With the sanitizers, and valgrind, on the workers too. */
START_TEST(handler_frees_its_kroutine)
{
    enum kroutine_policy_e policy = kt_put_off[_i];

    open_all(KT_THREADS);
    for (int i = 0; i < 100; i++) {
        struct kroutine_s *kr = malloc(sizeof *kr);

        kt_init_policy(kr, release, policy, &target);
        exec_put_off(kr);
        run_all();
    }
    while (policy == KROUTINE_QUEUE && kroutine_queue_process(&queue))
        ;
    kt_await(&env, kt_get(&ran) == 100);
    kt_env_close(&env); /* the sequence is left once the workers are gone */
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), 0);
}
END_TEST

/* One union, three lives: as drivers of the model do. */
static struct kroutine_s shared_memory;
static unsigned step[3];

static KROUTINE_EXEC(third)
{
    (void)kr;
    (void)flags;
    step[2] = kt_stamp();
}

static KROUTINE_EXEC(second)
{
    (void)flags;
    step[1] = kt_stamp();
    kt_init_policy(kr, third, KROUTINE_QUEUE, &target);
    kroutine_exec(kr);
}

static KROUTINE_EXEC(first)
{
    (void)flags;
    step[0] = kt_stamp();
    kt_init_policy(kr, second, KROUTINE_SEQ_DEFERRED, &target);
    kroutine_exec(kr);
}

START_TEST(handler_gives_its_memory_another_life)
{
    enum kroutine_policy_e policy = kt_put_off[_i];

    open_all(KT_EMBEDDED);
    kt_init_policy(&shared_memory, first, policy, &target);
    exec_put_off(&shared_memory);
    for (int i = 0; i < 3; i++)
        run_all();
    ck_assert_uint_eq(step[0], 1);
    ck_assert_uint_eq(step[1], 2);
    ck_assert_uint_eq(step[2], 3);
    close_all();
}
END_TEST

/* --- execs from several threads at once --- */

#define THREADS 3

static struct many_s {
    struct kroutine_s kr;
    unsigned posted; /* atomic: execs announced */
    unsigned seen;   /* atomic: how many of them a handler knew of */
    unsigned runs;
    unsigned inside;
    bool stop;
} many;

static KROUTINE_EXEC(see_posted)
{
    struct many_s *m = KROUTINE_CONTAINER(kr, struct many_s, kr);
    unsigned now = kt_get(&m->posted), old = kt_get(&m->seen);

    (void)flags;
    while (old < now && !__atomic_compare_exchange_n(&m->seen, &old, now, false, __ATOMIC_SEQ_CST,
                                                     __ATOMIC_SEQ_CST))
        ;
    kt_inc(&m->runs);
}

static void *post_many(void *arg)
{
    struct many_s *m = arg;

    for (unsigned i = 0; i < kt_count(20000); i++) {
        kt_inc(&m->posted);
        kroutine_exec(&m->kr);
        if (i % 64 == 0)
            kt_sleep_ms(0);
    }
    return NULL;
}

static void *serve(void *arg)
{
    while (!kt_get(&many.stop))
        kroutine_queue_timedwait(arg, 1000000);
    return NULL;
}

/* An exec that comes while the handler runs must give another run: the last one is always seen. */
START_TEST(no_exec_is_lost)
{
    enum kroutine_policy_e policy = kt_put_off[_i];
    pthread_t thread[THREADS], server;

    open_all(KT_THREADS);
    server = kt_thread(serve, &queue);
    kt_init_policy(&many.kr, see_posted, policy, &target);
    for (int i = 0; i < THREADS; i++)
        thread[i] = kt_thread(post_many, &many);
    for (int i = 0; i < THREADS; i++)
        kt_join(thread[i]);
    kt_await(&env, kt_get(&many.seen) == THREADS * kt_count(20000));
    kt_await(&env, !kroutine_is_pending(&many.kr));
    ck_assert_uint_ge(kt_get(&many.runs), 1);
    ck_assert_uint_le(kt_get(&many.runs), THREADS * kt_count(20000));
    kt_set(&many.stop, true);
    kt_join(server);
    kt_env_close(&env);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), 0);
}
END_TEST

/* --- cancel against the workers --- */

#define RACERS 64

static struct racer_s {
    struct kroutine_s kr;
    unsigned execs, runs, cancels; /* runs: atomic */
} racers[RACERS];

static KROUTINE_EXEC(count_run)
{
    (void)flags;
    kt_inc(&KROUTINE_CONTAINER(kr, struct racer_s, kr)->runs);
}

/* Each exec ends in exactly one run or one successful cancel. */
START_TEST(run_or_cancel_never_both)
{
    uint64_t end = kt_now() + kt_patience();
    enum kroutine_policy_e policy = kt_put_off[_i];
    unsigned seed = 12345, cancels = 0;
    pthread_t server;

    open_all(KT_THREADS);
    server = kt_thread(serve, &queue);
    for (int i = 0; i < RACERS; i++)
        kt_init_policy(&racers[i].kr, count_run, policy, &target);
    /* Until a cancel has come in time, which a loaded machine may put off. */
    for (unsigned round = 0; round < kt_count(20000) || (!cancels && kt_now() < end); round++) {
        struct racer_s *r = &racers[rand_r(&seed) % RACERS];

        if (rand_r(&seed) % 2) {
            if (kroutine_is_pending(&r->kr))
                continue;
            r->execs++;
            kroutine_critical_begin();
            ck_assert(!kroutine_exec(&r->kr));
            kroutine_critical_end();
        } else if (kroutine_cancel(&r->kr)) {
            r->cancels++;
            cancels++;
        }
    }
    for (int i = 0; i < RACERS; i++)
        kt_await(&env, kt_get(&racers[i].runs) + racers[i].cancels >= racers[i].execs);
    kt_set(&many.stop, true);
    kt_join(server);
    kt_env_close(&env);
    for (int i = 0; i < RACERS; i++)
        ck_assert_uint_eq(racers[i].runs + racers[i].cancels, racers[i].execs);
    ck_assert_uint_gt(cancels, 0);
    ck_assert_int_eq(kroutine_seq_cleanup(&seq), 0);
    ck_assert_int_eq(kroutine_queue_cleanup(&queue), 0);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("kroutine life");

    kt_add_loop(s, handler_overwrites_its_kroutine, KT_PUT_OFF, kt_put_off_label, 10);
    kt_add(s, inline_handler_overwrites_its_kroutine, 10);
    kt_add_loop(s, handler_frees_its_kroutine, KT_PUT_OFF, kt_put_off_label, 10);
    kt_add_loop(s, handler_gives_its_memory_another_life, KT_PUT_OFF, kt_put_off_label, 10);
    kt_add_loop(s, no_exec_is_lost, KT_PUT_OFF, kt_put_off_label, 30);
    kt_add_loop(s, run_or_cancel_never_both, KT_PUT_OFF, kt_put_off_label, 30);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* Blocking helpers of the char class: for threads, refused in the reactor. */
#include "kt_pair.h"

static struct kt_env_s env;
static struct kt_pair_s pair;

static void open_round(int round)
{
    kt_env_open(&env, KT_THREADS);
    kt_pair_open(&pair, &env, kt_round_kind(KT_READS, round), NULL);
}

static void close_all(void)
{
    kt_pair_close(&pair);
    kt_env_close(&env);
}

static const char *kind_label(int round)
{
    return kt_kind_name(kt_round_kind(KT_READS, round));
}

static void *write_later(void *arg)
{
    kt_sleep_ms(20);
    kt_peer_write(&pair, arg, strlen(arg));
    return NULL;
}

START_TEST(wait_op_blocks_until_done)
{
    uint8_t in[16];
    pthread_t thread;

    open_round(_i);
    thread = kt_thread(write_later, (void *)"later");
    ck_assert_int_eq(dev_char_wait_op(&pair.dev, DEV_CHAR_READ, in, 5), 5);
    ck_assert_int_eq(memcmp(in, "later", 5), 0);
    kt_join(thread);
    ck_assert_int_eq(dev_char_wait_op(&pair.dev, DEV_CHAR_READ_NONBLOCK, in, 5), 0);
    ck_assert_int_eq(dev_char_wait_op(&pair.dev, DEV_CHAR_READ, in, 0), -EINVAL);
    ck_assert_int_eq(dev_char_wait_op(&pair.dev, (enum dev_char_rq_type_e)99, in, 1), -EINVAL);
    ck_assert_int_eq(dev_char_wait_op(&pair.dev, DEV_CHAR_READ_FRAME, in, 1), -ENOTSUP);
    close_all();
}
END_TEST

START_TEST(wait_rq_gives_the_error_of_the_request)
{
    struct dev_char_rq_s rq;
    pthread_t thread;
    uint8_t in[3];

    open_round(_i);
    memset(&rq, 0, sizeof rq);
    rq.pvdata = in;
    for (int i = 0; i < 3; i++) {
        thread = kt_thread(write_later, (void *)"abc");
        rq.type = DEV_CHAR_READ;
        rq.data = in;
        rq.size = 3;
        ck_assert_int_eq(dev_char_wait_rq(&pair.dev, &rq), 0);
        ck_assert_uint_eq(rq.size, 0);
        ck_assert_ptr_eq(rq.pvdata, in); /* the caller's */
        kt_join(thread);
    }
    rq.size = 0;
    ck_assert_int_eq(dev_char_wait_rq(&pair.dev, &rq), -EINVAL);
    ck_assert_int_eq(rq.error, -EINVAL);
    close_all();
}
END_TEST

START_TEST(timedwait_op)
{
    uint64_t start;
    uint8_t in[8];

    open_round(_i);
    start = kt_clock(&env);
    ck_assert_int_eq(dev_char_timedwait_op(&pair.dev, DEV_CHAR_READ, in, 8, KROUTINE_MSEC(20)),
                     -ETIMEDOUT);
    ck_assert_uint_ge(kt_clock(&env) - start, KROUTINE_MSEC(20));
    kt_peer_write(&pair, "abc", 3); /* a part of it is a result, not an error */
    kt_run(&pair, DEV_CHAR_READ_POLL, NULL, 0, 0);
    kt_sleep_ms(5);
    ck_assert_int_eq(dev_char_timedwait_op(&pair.dev, DEV_CHAR_READ, in, 8, KROUTINE_MSEC(50)), 3);
    ck_assert_int_eq(memcmp(in, "abc", 3), 0);
    close_all();
}
END_TEST

START_TEST(many_threads_wait_on_one_device)
{
    static pthread_t thread[6];
    static uint8_t in[6];

    open_round(_i);
    for (int i = 0; i < 6; i++)
        thread[i] = kt_thread(write_later, (void *)"x");
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(dev_char_wait_op(&pair.dev, DEV_CHAR_READ, &in[i], 1), 1);
    for (int i = 0; i < 6; i++)
        kt_join(thread[i]);
    close_all();
}
END_TEST

/* --- refused where it would stop the reactor --- */

static ptrdiff_t result[3];

static void wait_here(struct kt_probe_s *p)
{
    struct dev_char_rq_s rq;
    uint8_t in[1];

    (void)p;
    memset(&rq, 0, sizeof rq);
    rq.type = DEV_CHAR_READ;
    rq.data = in;
    rq.size = 1;
    result[0] = dev_char_wait_op(&pair.dev, DEV_CHAR_READ, in, 1);
    result[1] = dev_char_wait_rq(&pair.dev, &rq);
    result[2] = rq.error;
}

START_TEST(refused_in_the_reactor)
{
    static const enum kroutine_policy_e policies[] = {KROUTINE_SCHED_SWITCH, KROUTINE_IDLE};
    struct kt_target_s target = {NULL, NULL, NULL, 0};
    struct kt_probe_s p;

    open_round(_i);
    target.rt = env.rt;
    for (int i = 0; i < 2; i++) {
        memset(result, 0, sizeof result);
        kt_probe_init(&p, policies[i], &target);
        p.then = wait_here;
        kroutine_exec(&p.kr);
        kt_await(&env, kt_get(&p.runs) == 1);
        for (int k = 0; k < 3; k++)
            ck_assert_int_eq(result[k], -EDEADLK);
    }
    close_all();
}
END_TEST

START_TEST(refused_in_the_thread_of_an_embedded_runtime)
{
    uint8_t in[1];

    kt_env_open(&env, KT_EMBEDDED);
    kt_pair_open(&pair, &env, kt_round_kind(KT_READS, _i), NULL);
    ck_assert_int_ge(kroutine_runtime_process(env.rt), 0);
    ck_assert_int_eq(dev_char_wait_op(&pair.dev, DEV_CHAR_READ, in, 1), -EDEADLK);
    close_all();
}
END_TEST

static void *wait_elsewhere(void *arg)
{
    uint8_t in[4];

    (void)arg;
    result[0] = dev_char_wait_op(&pair.dev, DEV_CHAR_READ, in, 4);
    kt_set(&result[1], 1);
    return NULL;
}

/* Another thread may, while this one processes. */
START_TEST(allowed_in_another_thread_of_an_embedded_runtime)
{
    pthread_t thread;

    kt_env_open(&env, KT_EMBEDDED);
    kt_pair_open(&pair, &env, kt_round_kind(KT_READS, _i), NULL);
    ck_assert_int_ge(kroutine_runtime_process(env.rt), 0);
    thread = kt_thread(wait_elsewhere, NULL);
    kt_sleep_ms(10);
    kt_peer_write(&pair, "done", 4);
    kt_await(&env, kt_get(&result[1]) == 1);
    kt_join(thread);
    ck_assert_int_eq(result[0], 4);
    close_all();
}
END_TEST

/* A worker is a thread like any other, as long as another one is free. */
START_TEST(allowed_on_a_worker)
{
    struct kt_target_s target = {NULL, NULL, NULL, 0};
    struct kt_probe_s p;

    open_round(_i);
    target.rt = env.rt;
    kt_peer_write(&pair, "xy", 2);
    kt_probe_init(&p, KROUTINE_DEFERRED, &target);
    p.then = wait_here;
    kroutine_exec(&p.kr);
    kt_await(&env, kt_get(&p.runs) == 1);
    ck_assert_int_eq(result[0], 1);
    ck_assert_int_eq(result[1], 0);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char wait");
    const TTest *tests[] = {wait_op_blocks_until_done,
                            wait_rq_gives_the_error_of_the_request,
                            timedwait_op,
                            many_threads_wait_on_one_device,
                            refused_in_the_reactor,
                            refused_in_the_thread_of_an_embedded_runtime,
                            allowed_in_another_thread_of_an_embedded_runtime,
                            allowed_on_a_worker};

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], kt_rounds(KT_READS) / KT_MODES, kind_label, 20);
    return s;
}

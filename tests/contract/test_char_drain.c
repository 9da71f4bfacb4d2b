/* SPDX-License-Identifier: MIT */
/* WRITE_FLUSH of no bytes: waits until what was written before has left, with a deadline. */
#include "kt_pair.h"

static struct kt_env_s env;
static struct kt_pair_s pair;

static void close_all(void)
{
    kt_pair_close(&pair);
    kt_env_close(&env);
}

static void start(struct kt_op_s *op, uint64_t timeout)
{
    kt_op_init(op, KROUTINE_DEFERRED);
    dev_request_set_timeout(&op->rq.base, timeout);
    kt_op_submit(op, &pair.dev, DEV_CHAR_WRITE_FLUSH, NULL, 0);
}

START_TEST(after_a_write)
{
    struct kt_op_s op;
    uint8_t back[5];

    kt_round_open(&pair, &env, KT_WRITES | KT_TIMED, _i);
    for (int i = 0; i < 20; i++) {
        start(&op, KROUTINE_SEC(100)); /* nothing to wait for */
        kt_op_expect(&op, &env, 0, 0);
        kt_run(&pair, DEV_CHAR_WRITE, (uint8_t *)"hello", 5, 0);
        start(&op, KROUTINE_SEC(100));
        kt_peer_read(&pair, back, 5);
        kt_op_expect(&op, &env, 0, 0);
        ck_assert_int_eq(memcmp(back, "hello", 5), 0);
    }
    close_all();
}
END_TEST

/* Nobody reads: the write before it never gets its bytes off. */
START_TEST(dead_peer)
{
    static uint8_t out[1 << 20];
    struct kt_op_s write, op;
    uint64_t begin;

    kt_round_open(&pair, &env, KT_WRITES | KT_TIMED, _i);
    kt_op_init(&write, KROUTINE_DEFERRED);
    kt_op_submit(&write, &pair.dev, DEV_CHAR_WRITE, out, sizeof out);
    begin = kt_clock(&env);
    start(&op, KROUTINE_MSEC(30));
    kt_op_expect(&op, &env, -ETIMEDOUT, 0);
    ck_assert_uint_ge(kt_clock(&env) - begin, KROUTINE_MSEC(30));
    ck_assert_uint_eq(kt_get(&write.done), 0);
    if (kt_op_cancel(&write, &pair.dev))
        kt_await(&env, kt_get(&write.done) == 1);
    close_all();
}
END_TEST

START_TEST(only_this_type)
{
    static const unsigned types[] = {DEV_CHAR_READ,
                                     DEV_CHAR_WRITE,
                                     DEV_CHAR_WRITE_PARTIAL,
                                     DEV_CHAR_WRITE_FRAME,
                                     DEV_CHAR_WRITE_PARTIAL_FLUSH,
                                     DEV_CHAR_WRITE_NONBLOCK_FLUSH,
                                     DEV_CHAR_WRITE_FRAME_FLUSH};
    struct kt_op_s op;

    kt_round_open(&pair, &env, KT_WRITES | KT_TIMED, _i);
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
        kt_op_init(&op, KROUTINE_DEFERRED);
        kt_op_submit(&op, &pair.dev, types[i], NULL, 0);
        kt_op_expect(&op, &env, -EINVAL, 0);
    }
    close_all();
}
END_TEST

/* --- in virtual time, over a line of a thousand bytes a second --- */

static bool open_slow(const char *options)
{
    if (kt_backend != KROUTINE_BACKEND_SIM)
        return false;
    kt_env_open(&env, KT_EMBEDDED);
    kt_pair_open(&pair, &env, KT_SIM, options);
    return true;
}

START_TEST(when_the_last_byte_has_left)
{
    struct kt_op_s op;
    uint64_t begin;

    if (!open_slow("rate=1000"))
        return;
    begin = kt_clock(&env);
    kt_run(&pair, DEV_CHAR_WRITE, (uint8_t *)"0123456789", 10, 0);
    ck_assert_uint_eq(kt_clock(&env), begin);
    start(&op, KROUTINE_MSEC(9));
    kt_op_expect(&op, &env, -ETIMEDOUT, 0);
    ck_assert_uint_eq(kt_clock(&env), begin + KROUTINE_MSEC(9));
    start(&op, KROUTINE_MSEC(2));
    kt_op_expect(&op, &env, 0, 0);
    ck_assert_uint_eq(kt_clock(&env), begin + KROUTINE_MSEC(10));
    close_all();
}
END_TEST

START_TEST(cancel_and_close)
{
    struct kt_op_s op, behind;
    uint64_t begin;

    if (!open_slow("rate=1000"))
        return;
    kt_run(&pair, DEV_CHAR_WRITE, (uint8_t *)"0123456789", 10, 0);
    begin = kt_clock(&env);
    start(&op, 0);
    kt_op_init(&behind, KROUTINE_DEFERRED);
    kt_op_submit(&behind, &pair.dev, DEV_CHAR_WRITE, (uint8_t *)"x", 1);
    kt_idle(&env, 3);
    ck_assert_uint_eq(kt_get(&behind.done), 0); /* has its place behind the drain */
    ck_assert_int_eq(kt_op_cancel(&op, &pair.dev), 0);
    kt_op_expect(&behind, &env, 0, 0);
    ck_assert_uint_lt(kt_clock(&env) - begin, KROUTINE_MSEC(5));
    start(&op, 0);
    device_put_accessor(&pair.dev.base);
    kt_op_expect(&op, &env, -ECANCELED, 0);
    close_all();
}
END_TEST

START_TEST(records)
{
    struct kt_op_s op;
    uint64_t begin;

    kt_env_open(&env, KT_EMBEDDED);
    if (kt_backend == KROUTINE_BACKEND_SIM)
        kt_pair_open(&pair, &env, KT_SIM, "record=yes&rate=1000");
    else
        kt_pair_open(&pair, &env, KT_SEQPACKET, NULL);
    begin = kt_clock(&env);
    kt_run(&pair, DEV_CHAR_WRITE_FRAME, (uint8_t *)"0123456789", 10, 0);
    start(&op, 0);
    kt_op_expect(&op, &env, 0, 0);
    if (kt_backend == KROUTINE_BACKEND_SIM)
        ck_assert_uint_eq(kt_clock(&env), begin + KROUTINE_MSEC(10));
    kt_op_submit(&op, &pair.dev, DEV_CHAR_WRITE_FLUSH, (uint8_t *)"x", 1);
    kt_op_expect(&op, &env, -ENOTSUP, 1);
    close_all();
}
END_TEST

/* --- in a thread --- */

START_TEST(blocking)
{
    kt_env_open(&env, KT_THREADS);
    kt_pair_open(&pair, &env, kt_backend == KROUTINE_BACKEND_SIM ? KT_SIM : KT_PTY, NULL);
    ck_assert_int_eq(dev_char_wait_op(&pair.dev, DEV_CHAR_WRITE, "hello", 5), 5);
    ck_assert_int_eq(
        dev_char_timedwait_op(&pair.dev, DEV_CHAR_WRITE_FLUSH, NULL, 0, KROUTINE_SEC(100)), 0);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char drain");
    const TTest *writes[] = {after_a_write, dead_peer, only_this_type};
    const TTest *others[] = {when_the_last_byte_has_left, cancel_and_close, records, blocking};

    for (unsigned i = 0; i < sizeof writes / sizeof *writes; i++)
        kt_add_loop(s, writes[i], kt_rounds(KT_WRITES | KT_TIMED), kt_timed_writes_label, 20);
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        kt_add(s, others[i], 20);
    return s;
}

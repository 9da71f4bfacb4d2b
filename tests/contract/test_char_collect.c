/* SPDX-License-Identifier: MIT */
/* collect=N: bytes that come are looked at together. What is late by that is no more than that, and
   nothing is lost, or left waiting for ever, on the way between events and looks. */
#include "kt_pair.h"

static struct kt_env_s env;
static struct kt_pair_s pair;

static void open_collect(int round, const char *options)
{
    kt_env_open(&env, kt_round_mode(KT_READS | KT_TIMED, round));
    kt_pair_open(&pair, &env, kt_round_kind(KT_READS | KT_TIMED, round), options);
}

static void close_all(void)
{
    kt_pair_close(&pair);
    kt_env_close(&env);
}

/* --- a writer that dribbles, and reads of all types that take bytes --- */

#define TOTAL 6000

static uint8_t bytes[TOTAL], in[TOTAL];
static size_t written; /* atomic */
static bool threaded;  /* the writer is a thread; else who waits writes */
static unsigned seed;

static void write_piece(void)
{
    size_t n = 1 + (size_t)rand_r(&seed) % 30, from = written;

    n = n < TOTAL - from ? n : TOTAL - from;
    kt_peer_write(&pair, bytes + from, n);
    kt_set(&written, from + n);
}

static void *dribble(void *arg)
{
    (void)arg;
    while (written < TOTAL) {
        /* Longer at times than a line takes to be quiet. */
        struct timespec pause = {.tv_nsec =
                                     rand_r(&seed) % (rand_r(&seed) % 16 ? 300000 : 9000000)};

        write_piece();
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static size_t read_once(size_t got, unsigned *turn)
{
    static const unsigned types[] = {DEV_CHAR_READ, DEV_CHAR_READ_PARTIAL, DEV_CHAR_READ_NONBLOCK,
                                     DEV_CHAR_READ_POLL, DEV_CHAR_READ_PARTIAL};
    unsigned type = types[*turn % 5];
    size_t size = 1 + *turn * 7 % 60;
    struct kt_op_s op;

    ++*turn;
    size = size < TOTAL - got ? size : TOTAL - got;
    kt_op_init(&op, *turn % 2 ? KROUTINE_DEFERRED : KROUTINE_SCHED_SWITCH);
    kt_op_submit(&op, &pair.dev, type, in + got, size);
    if (*turn % 11 == 0 && kt_op_cancel(&op, &pair.dev) == 0)
        return (size_t)(op.rq.data - (in + got));
    while (!kt_get(&op.done)) {
        if (!threaded && written < TOTAL)
            write_piece();
        kt_pause(&env);
    }
    ck_assert_int_eq(op.error, 0);
    return type == DEV_CHAR_READ_POLL ? 0 : size - op.left;
}

START_TEST(every_byte_once_and_in_order)
{
    pthread_t writer = 0;
    unsigned turn = 0;
    size_t got = 0;

    seed = (unsigned)_i + 1;
    open_collect(_i, _i % 2 ? "collect=1ms" : "collect=300us");
    kt_fill(bytes, TOTAL, 0);
    threaded = pair.peer >= 0 && !env.embedded;
    if (threaded)
        writer = kt_thread(dribble, NULL);
    while (got < TOTAL) {
        if (!threaded && written < TOTAL)
            write_piece();
        got += read_once(got, &turn);
    }
    if (threaded)
        kt_join(writer);
    kt_check_fill(in, TOTAL, 0);
    close_all();
}
END_TEST

/* --- a look that was put off does not keep what is not about bytes --- */

/* Bytes have just been read: the next look is half a second away. */
static void read_one_byte(int round)
{
    uint8_t byte[2];
    struct kt_op_s op;

    open_collect(round, "collect=500ms");
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_PARTIAL, byte, 2);
    kt_peer_write(&pair, "a", 1);
    kt_op_expect(&op, &env, 0, 1);
}

START_TEST(others_are_looked_at_at_once)
{
    struct kt_timed_s timed;
    struct kt_op_s op;
    uint8_t byte[2];

    read_one_byte(_i);
    kt_peer_write(&pair, "b", 1);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ_POLL, NULL, 0, 0), 0);
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_NONBLOCK, byte, 2);
    if (pair.kind == KT_ROUGH) { /* it may try in vain */
        kt_await(&env, kt_get(&op.done));
        close_all();
        return;
    }
    kt_op_expect(&op, &env, 0, 1);
    kt_timed_init(&timed, &env, KROUTINE_IMMEDIATE, 0);
    kt_timed_submit(&timed, &pair.dev, byte, 2, 1, 0);
    kt_peer_write(&pair, "c", 1);
    kt_timed_expect(&timed, 0, 1);
    close_all();
}
END_TEST

START_TEST(cancel_close_and_time_out)
{
    struct kt_op_s op[2];
    uint8_t byte[2];

    read_one_byte(_i);
    for (int i = 0; i < 2; i++)
        kt_op_init(&op[i], KROUTINE_IMMEDIATE);
    dev_request_set_timeout(&op[0].rq.base, KROUTINE_MSEC(5));
    kt_op_submit(&op[0], &pair.dev, DEV_CHAR_READ, &byte[0], 1);
    kt_op_submit(&op[1], &pair.dev, DEV_CHAR_READ, &byte[1], 1);
    kt_op_expect(&op[0], &env, -ETIMEDOUT, 1);
    ck_assert_int_eq(kt_op_cancel(&op[1], &pair.dev), 0);
    kt_op_submit(&op[0], &pair.dev, DEV_CHAR_READ, &byte[0], 1);
    device_put_accessor(&pair.dev.base);
    kt_op_expect(&op[0], &env, -ECANCELED, 1);
    close_all();
}
END_TEST

START_TEST(the_end_is_noticed)
{
    struct kt_op_s op;
    uint8_t byte[1];

    open_collect(_i, "collect=2ms");
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_PARTIAL, byte, 1);
    kt_peer_write(&pair, "a", 1);
    kt_op_expect(&op, &env, 0, 0);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_PARTIAL, byte, 1);
    if (pair.kind == KT_FIFO_R) { /* has no end */
        close_all();
        return;
    }
    kt_peer_close(&pair);
    kt_op_expect(&op, &env, kt_kind_is_tty(pair.kind) ? -ENODEV : -ENODATA, 1);
    close_all();
}
END_TEST

/* A line that is quiet is waited for by events: after a long silence a byte comes at once. */
START_TEST(quiet_lines_wait_for_events)
{
    struct kt_op_s op;
    uint8_t byte[1];

    open_collect(_i, "collect=1ms");
    for (int i = 0; i < 3; i++) {
        kt_op_init(&op, KROUTINE_IMMEDIATE);
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_PARTIAL, byte, 1);
        kt_idle(&env, 12);
        ck_assert_uint_eq(kt_get(&op.done), 0);
        kt_peer_write(&pair, "a", 1);
        kt_op_expect(&op, &env, 0, 0);
    }
    close_all();
}
END_TEST

/* In virtual time: a byte a millisecond, a look every ten. */
START_TEST(one_look_for_many)
{
    struct kt_op_s op;
    uint8_t some[64];
    unsigned reads = 0, sent = 0;
    size_t got = 0;

    kt_env_open(&env, KT_EMBEDDED);
    kt_pair_open(&pair, &env, KT_SIM, "collect=10ms");
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_PARTIAL, some, sizeof some);
    while (got < 100) {
        if (sent < 100) {
            kt_peer_write(&pair, "x", 1);
            sent++;
        }
        kt_idle(&env, 1);
        if (!kt_get(&op.done))
            continue;
        ck_assert_int_eq(op.error, 0);
        got += sizeof some - op.left;
        reads++;
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_PARTIAL, some, sizeof some);
    }
    ck_assert_uint_ge(reads, 10);
    ck_assert_uint_le(reads, 12);
    ck_assert_int_eq(kt_op_cancel(&op, &pair.dev), 0);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("collect");
    const TTest *tests[] = {
        every_byte_once_and_in_order, others_are_looked_at_at_once, cancel_close_and_time_out,
        the_end_is_noticed,           quiet_lines_wait_for_events,
    };

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], kt_rounds(KT_READS | KT_TIMED), kt_timed_reads_label, 30);
    if (kt_backend == KROUTINE_BACKEND_SIM)
        kt_add(s, one_look_for_many, 20);
    return s;
}

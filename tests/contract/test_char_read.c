/* SPDX-License-Identifier: MIT */
/* Reads of every type, on every kind of line: what completes when, with how many bytes. */
#include "kt_pair.h"

static struct kt_env_s env;
static struct kt_pair_s pair;

static void open_round(int round)
{
    kt_round_open(&pair, &env, KT_READS, round);
}

static void close_all(void)
{
    kt_pair_close(&pair);
    kt_env_close(&env);
}

/* Until a read would give something: data on its way through a tty takes a moment. */
static void wait_for_data(void)
{
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ_POLL, NULL, 0, 0), 0);
}

START_TEST(read_waits_for_all)
{
    uint8_t in[16], out[16];
    struct kt_op_s op;

    open_round(_i);
    kt_fill(out, sizeof out, 0);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 8);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_peer_write(&pair, out, 3);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_peer_write(&pair, out + 3, 7);
    kt_op_expect(&op, &env, 0, 0);
    ck_assert_ptr_eq(op.at, in + 8);
    kt_check_fill(in, 8, 0);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 2, 0), 2);
    kt_check_fill(in, 2, 8);
    close_all();
}
END_TEST

START_TEST(data_that_is_there_completes_inside_submit)
{
    uint8_t in[8], out[8];
    struct kt_op_s op;

    open_round(_i);
    kt_fill(out, sizeof out, 0);
    kt_peer_write(&pair, out, sizeof out);
    wait_for_data();
    if (kt_kind_is_tty(pair.kind))
        kt_idle(&env, 10); /* for the rest of it */
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, sizeof in);
    if (pair.kind != KT_ROUGH) { /* tries in vain are waited for */
        ck_assert_uint_eq(op.done, 1);
        ck_assert(pthread_equal(op.thread, pthread_self()));
    }
    kt_op_expect(&op, &env, 0, 0);
    kt_check_fill(in, sizeof in, 0);
    close_all();
}
END_TEST

START_TEST(submit_clears_the_error)
{
    uint8_t in[1];
    struct kt_op_s op;

    open_round(_i);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1); /* with error 123 */
    kt_peer_write(&pair, "x", 1);
    kt_op_expect(&op, &env, 0, 0);
    close_all();
}
END_TEST

START_TEST(partial_waits_for_one)
{
    uint8_t in[64];
    struct kt_op_s op;
    size_t got;

    open_round(_i);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_PARTIAL, in, sizeof in);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_peer_write(&pair, "abc", 3);
    kt_await(&env, kt_get(&op.done) == 1);
    ck_assert_int_eq(op.error, 0);
    got = sizeof in - op.left;
    ck_assert_uint_ge(got, 1);
    ck_assert_uint_le(got, 3);
    if (kt_kind_is_atomic(pair.kind))
        ck_assert_uint_eq(got, 3);
    ck_assert_ptr_eq(op.at, in + got);
    ck_assert_int_eq(memcmp(in, "abc", got), 0);
    close_all();
}
END_TEST

START_TEST(nonblock_takes_what_is_there)
{
    uint8_t in[64];
    struct kt_op_s op;
    size_t got;

    open_round(_i);
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_NONBLOCK, in, sizeof in);
    ck_assert_uint_eq(op.done, 1); /* nothing, and not later */
    ck_assert_int_eq(op.error, 0);
    ck_assert_uint_eq(op.left, sizeof in);
    ck_assert_ptr_eq(op.at, in);
    kt_peer_write(&pair, "abcd", 4);
    wait_for_data();
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_NONBLOCK, in, 3);
    ck_assert_uint_eq(op.done, 1);
    ck_assert_int_eq(op.error, 0);
    got = 3 - op.left;
    if (kt_kind_is_atomic(pair.kind))
        ck_assert_uint_eq(got, 3);
    ck_assert_int_eq(memcmp(in, "abcd", got), 0);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 4 - got, 0), 4 - got);
    close_all();
}
END_TEST

/* A NONBLOCK read behind others answers when its turn comes, not before. */
START_TEST(nonblock_keeps_its_place)
{
    struct kt_op_s first, second;
    uint8_t in[8];

    open_round(_i);
    kt_op_init(&first, KROUTINE_IMMEDIATE);
    kt_op_init(&second, KROUTINE_IMMEDIATE);
    kt_op_submit(&first, &pair.dev, DEV_CHAR_READ, in, 4);
    kt_op_submit(&second, &pair.dev, DEV_CHAR_READ_NONBLOCK, in + 4, 4);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&second.done), 0);
    kt_peer_write(&pair, "abcdef", 6);
    kt_op_expect(&first, &env, 0, 0);
    kt_await(&env, kt_get(&second.done) == 1);
    ck_assert_int_eq(second.error, 0);
    ck_assert_uint_gt(second.stamp, first.stamp);
    ck_assert_int_eq(memcmp(in, "abcdef", 8 - second.left), 0);
    if (kt_kind_is_atomic(pair.kind))
        ck_assert_uint_eq(second.left, 2);
    close_all();
}
END_TEST

START_TEST(poll_takes_nothing)
{
    struct kt_op_s op;
    uint8_t in[2];

    open_round(_i);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_POLL, NULL, 0);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_peer_write(&pair, "zz", 2);
    kt_op_expect(&op, &env, 0, 0);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_POLL, NULL, 0); /* still there */
    kt_op_expect(&op, &env, 0, 0);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 2, 0), 2);
    ck_assert_int_eq(memcmp(in, "zz", 2), 0);
    close_all();
}
END_TEST

START_TEST(discard_drops_exactly_that)
{
    struct kt_op_s drop, read;
    uint8_t in[3];

    open_round(_i);
    kt_op_init(&drop, KROUTINE_DEFERRED);
    kt_op_init(&read, KROUTINE_DEFERRED);
    kt_op_submit(&drop, &pair.dev, DEV_CHAR_DISCARD, NULL, 5);
    kt_op_submit(&read, &pair.dev, DEV_CHAR_READ, in, 3);
    kt_peer_write(&pair, "ab", 2);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&drop.done), 0);
    kt_peer_write(&pair, "cdefgh", 6);
    kt_op_expect(&drop, &env, 0, 0);
    kt_op_expect(&read, &env, 0, 0);
    ck_assert_int_eq(memcmp(in, "fgh", 3), 0);
    kt_op_submit(&drop, &pair.dev, DEV_CHAR_DISCARD, NULL, 3);
    for (int i = 0; i < 3; i++) { /* one by one */
        ck_assert_uint_eq(kt_get(&drop.done), 0);
        kt_peer_write(&pair, "i", 1);
        kt_idle(&env, 3);
    }
    kt_op_expect(&drop, &env, 0, 0);
    kt_peer_write(&pair, "j", 1);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 1, 0), 1);
    ck_assert_uint_eq(in[0], 'j');
    close_all();
}
END_TEST

/* --- long streams --- */

#define LONG 100000
#define MANY 120

static uint8_t stream[LONG], got[LONG];

START_TEST(long_discard)
{
    struct kt_op_s drop;
    uint8_t in[8];

    open_round(_i);
    kt_fill(stream, LONG, 0);
    kt_op_init(&drop, KROUTINE_DEFERRED);
    kt_op_submit(&drop, &pair.dev, DEV_CHAR_DISCARD, NULL, LONG - 8);
    kt_peer_write(&pair, stream, LONG);
    kt_op_expect(&drop, &env, 0, 0);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 8, 0), 8);
    kt_check_fill(in, 8, LONG - 8);
    close_all();
}
END_TEST

START_TEST(long_read)
{
    struct kt_op_s op;

    open_round(_i);
    kt_fill(stream, LONG, 0);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, got, LONG);
    kt_peer_write(&pair, stream, LONG);
    kt_op_expect(&op, &env, 0, 0);
    ck_assert_ptr_eq(op.at, got + LONG);
    kt_check_fill(got, LONG, 0);
    close_all();
}
END_TEST

/* Requests of all types and sizes, queued before and while the bytes come in pieces: they end in
   the order of submission, and together they see the stream, without a gap. */
START_TEST(queued_reads_share_the_stream)
{
    static const unsigned types[] = {DEV_CHAR_READ, DEV_CHAR_READ_PARTIAL, DEV_CHAR_DISCARD,
                                     DEV_CHAR_READ, DEV_CHAR_READ_NONBLOCK};
    static struct kt_op_s op[MANY];
    static uint8_t buffer[MANY][256];
    unsigned seed = 4711 + (unsigned)_i, last = 0;
    size_t at = 0, want = 0, sent = 0, sizes[MANY];

    open_round(_i);
    kt_fill(stream, LONG, 0);
    for (int i = 0; i < MANY; i++) {
        size_t size = sizes[i] = 1 + (size_t)rand_r(&seed) % 200;

        kt_op_init(&op[i], KROUTINE_IMMEDIATE);
        kt_op_submit(&op[i], &pair.dev, types[rand_r(&seed) % 5], buffer[i], size);
        want += size;
        if (i % 7 == 0) {
            size_t n = 1 + (size_t)rand_r(&seed) % 300;

            kt_peer_write(&pair, stream + sent, n);
            sent += n;
        }
    }
    if (sent < want)
        kt_peer_write(&pair, stream + sent, want - sent);
    for (int i = 0; i < MANY; i++) {
        size_t n;

        kt_await(&env, kt_get(&op[i].done) == 1);
        ck_assert_int_eq(op[i].error, 0);
        ck_assert_uint_gt(op[i].stamp, last);
        last = op[i].stamp;
        n = sizes[i] - op[i].left;
        if (op[i].rq.type == DEV_CHAR_READ || op[i].rq.type == DEV_CHAR_DISCARD)
            ck_assert_uint_eq(op[i].left, 0);
        if (op[i].rq.type != DEV_CHAR_DISCARD)
            kt_check_fill(buffer[i], n, at);
        at += n;
    }
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char read");
    const TTest *tests[] = {
        read_waits_for_all,
        data_that_is_there_completes_inside_submit,
        submit_clears_the_error,
        partial_waits_for_one,
        nonblock_takes_what_is_there,
        nonblock_keeps_its_place,
        poll_takes_nothing,
        discard_drops_exactly_that,
        long_discard,
        long_read,
        queued_reads_share_the_stream,
    };

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], kt_rounds(KT_READS), kt_reads_label, 20);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* Writes of every type, on every kind of line, into lines that are full. */
#include "kt_pair.h"

#include <sys/ioctl.h>

static struct kt_env_s env;
static struct kt_pair_s pair;

#define BIG (1 << 20)

static uint8_t out[BIG], in[BIG];

static void open_round(int round)
{
    kt_round_open(&pair, &env, KT_WRITES, round);
}

static void close_all(void)
{
    kt_pair_close(&pair);
    kt_env_close(&env);
}

/* The bytes of a terminal get to the reader's side by a worker of the kernel, and leave room
   behind. That is over when there are 4095, which is all that fits (N_TTY_BUF_SIZE in
   drivers/tty/n_tty.c).
 */
static bool worker_is_done(void)
{
    int there = 0;

    return !kt_kind_is_tty(pair.kind) || (ioctl(pair.peer, FIONREAD, &there) == 0 && there >= 4095);
}

/* Fills the line until it takes nothing more; how many bytes that were. */
static size_t fill_line(void)
{
    size_t total = 0;
    int still = 0;

    kt_fill(out, BIG, 0);
    while (still < 3) { /* a rough line tries in vain */
        size_t n = kt_run(&pair, DEV_CHAR_WRITE_NONBLOCK, out + total, BIG - total, 0);

        total += n;
        still = n || !worker_is_done() ? 0 : still + 1;
        ck_assert_uint_lt(total, BIG);
        if (!n && !kt_kind_is_atomic(pair.kind))
            kt_idle(&env, 5);
    }
    return total;
}

START_TEST(small_write_completes_inside_submit)
{
    struct kt_op_s op;

    open_round(_i);
    kt_fill(out, 100, 0);
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_WRITE, out, 100);
    if (pair.kind != KT_ROUGH) {
        ck_assert_uint_eq(op.done, 1);
        ck_assert(pthread_equal(op.thread, pthread_self()));
    }
    kt_op_expect(&op, &env, 0, 0);
    ck_assert_ptr_eq(op.at, out + 100);
    kt_peer_read(&pair, in, 100);
    kt_check_fill(in, 100, 0);
    close_all();
}
END_TEST

START_TEST(big_write_waits_for_room)
{
    struct kt_op_s op;
    size_t size;

    open_round(_i);
    size = kt_kind_is_atomic(pair.kind) ? BIG / 2 : BIG / 16;
    kt_fill(out, size, 0);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_WRITE, out, size);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_peer_read(&pair, in, size);
    kt_op_expect(&op, &env, 0, 0);
    ck_assert_ptr_eq(op.at, out + size);
    kt_check_fill(in, size, 0);
    close_all();
}
END_TEST

START_TEST(nonblock_on_a_full_line_moves_nothing)
{
    struct kt_op_s op;
    size_t total;

    open_round(_i);
    total = fill_line();
    ck_assert_uint_gt(total, 0);
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_WRITE_NONBLOCK, out + total, 10);
    ck_assert_uint_eq(op.done, 1);
    ck_assert_int_eq(op.error, 0);
    ck_assert_uint_eq(op.left, 10);
    kt_peer_read(&pair, in, total);
    kt_check_fill(in, total, 0);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE, out + total, 10, 0), 10);
    kt_peer_read(&pair, in, 10);
    kt_check_fill(in, 10, total);
    close_all();
}
END_TEST

START_TEST(partial_waits_for_some_room)
{
    struct kt_op_s op;
    size_t total, n;

    open_round(_i);
    total = fill_line();
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_WRITE_PARTIAL, out + total, 5000);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_peer_read(&pair, in, total);
    kt_await(&env, kt_get(&op.done) == 1);
    ck_assert_int_eq(op.error, 0);
    n = 5000 - op.left;
    ck_assert_uint_ge(n, 1);
    ck_assert_ptr_eq(op.at, out + total + n);
    kt_peer_read(&pair, in + total, n);
    kt_check_fill(in, total + n, 0);
    close_all();
}
END_TEST

START_TEST(poll_waits_for_room)
{
    struct kt_op_s op;
    size_t total;

    open_round(_i);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE_POLL, NULL, 0, 0), 0); /* there is some */
    total = fill_line();
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_WRITE_POLL, NULL, 0);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_peer_read(&pair, in, total);
    kt_op_expect(&op, &env, 0, 0);
    kt_check_fill(in, total, 0);
    close_all();
}
END_TEST

static const unsigned flush_types[] = {DEV_CHAR_WRITE_FLUSH, DEV_CHAR_WRITE_PARTIAL_FLUSH,
                                       DEV_CHAR_WRITE_NONBLOCK_FLUSH};

START_TEST(flush_ends_once_the_bytes_have_left)
{
    struct kt_op_s op, next;

    open_round(_i);
    kt_fill(out, 400, 0);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_init(&next, KROUTINE_DEFERRED);
    for (int t = 0; t < 3; t++) {
        size_t n;

        kt_op_submit(&op, &pair.dev, flush_types[t], out + 100 * t, 90);
        kt_await(&env, kt_get(&op.done) == 1);
        ck_assert_int_eq(op.error, 0);
        n = 90 - op.left;
        ck_assert_ptr_eq(op.at, out + 100 * t + n);
        if (t == 0 || pair.kind != KT_ROUGH)
            ck_assert_uint_eq(n, 90);
        kt_op_submit(&next, &pair.dev, DEV_CHAR_WRITE, out + 100 * t + n, 100 - n);
        kt_op_expect(&next, &env, 0, 0);
        kt_peer_read(&pair, in, 100);
        kt_check_fill(in, 100, 100 * (size_t)t);
    }
    close_all();
}
END_TEST

#define MANY 60

/* Writes of all types behind each other into a line that is drained slowly. */
START_TEST(queued_writes_keep_their_order)
{
    static const unsigned types[] = {DEV_CHAR_WRITE, DEV_CHAR_WRITE_PARTIAL,
                                     DEV_CHAR_WRITE_NONBLOCK, DEV_CHAR_WRITE_FLUSH};
    static struct kt_op_s op[MANY];
    static uint8_t piece[MANY][4000], seen[MANY * 4000], expected[MANY * 4000];
    unsigned seed = 99 + (unsigned)_i, last = 0;
    size_t read = 0, total = 0;

    open_round(_i);
    for (int i = 0; i < MANY; i++) {
        size_t size = 1 + (size_t)rand_r(&seed) % 4000;

        kt_fill(piece[i], size, (size_t)rand_r(&seed));
        kt_op_init(&op[i], KROUTINE_IMMEDIATE);
        kt_op_submit(&op[i], &pair.dev, types[rand_r(&seed) % 4], piece[i], size);
    }
    while (!kt_get(&op[MANY - 1].done)) {
        ssize_t n = kt_peer_read_some(&pair, seen + read, 1500);

        ck_assert_int_ge(n, 0);
        read += (size_t)n;
        if (!n)
            kt_pause(&env);
    }
    for (int i = 0; i < MANY; i++) {
        size_t n = (size_t)(op[i].at - piece[i]);

        ck_assert_uint_eq(op[i].done, 1);
        ck_assert_int_eq(op[i].error, 0);
        ck_assert_uint_gt(op[i].stamp, last);
        last = op[i].stamp;
        memcpy(expected + total, piece[i], n);
        total += n;
    }
    kt_peer_read(&pair, seen + read, total - read);
    ck_assert_int_eq(memcmp(seen, expected, total), 0);
    close_all();
}
END_TEST

/* --- both directions at once --- */

START_TEST(directions_do_not_wait_for_each_other)
{
    struct kt_op_s rd, wr;
    uint8_t byte;

    kt_round_open(&pair, &env, KT_DUPLEX, _i);
    fill_line();
    kt_op_init(&wr, KROUTINE_DEFERRED);
    kt_op_init(&rd, KROUTINE_DEFERRED);
    kt_op_submit(&wr, &pair.dev, DEV_CHAR_WRITE, out, 5000);
    kt_op_submit(&rd, &pair.dev, DEV_CHAR_READ, &byte, 1);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&wr.done), 0);
    ck_assert_uint_eq(kt_get(&rd.done), 0);
    kt_peer_write(&pair, "q", 1);
    kt_op_expect(&rd, &env, 0, 0);
    ck_assert_uint_eq(byte, 'q');
    ck_assert_uint_eq(kt_get(&wr.done), 0);
    ck_assert_int_eq(kt_op_cancel(&wr, &pair.dev), 0);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char write");
    const TTest *tests[] = {
        small_write_completes_inside_submit,
        big_write_waits_for_room,
        nonblock_on_a_full_line_moves_nothing,
        partial_waits_for_some_room,
        poll_waits_for_room,
        flush_ends_once_the_bytes_have_left,
        queued_writes_keep_their_order,
    };

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], kt_rounds(KT_WRITES), kt_writes_label, 20);
    kt_add_loop(s, directions_do_not_wait_for_each_other, kt_rounds(KT_DUPLEX), kt_duplex_label,
                20);
    return s;
}

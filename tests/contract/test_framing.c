/* SPDX-License-Identifier: MIT */
/* Framings over another char device, alone and on top of each other: the char class's contract
   holds for them as for every device. Damage, cuts, ends: test_framing_fault.c. */
#include "framing_line.h"

#include <stdio.h>

static struct kt_env_s env;
static struct framing_line_s line;

static void close_all(void)
{
    framing_close(&line);
    kt_env_close(&env);
}

static void open_round(int round, bool two)
{
    framing_round_open(&line, &env, round, two);
}

/* Payloads that every framing carries, but full of what they treat as special. */
static size_t make_payload(uint8_t *data, unsigned n, size_t max)
{
    static const uint8_t special[] = {0x00, 0xc0, 0xdb, 0x7e, 0x7d, 0x5e, 0x11, 'x'};
    size_t size = 2 + n * 37 % (max - 1);

    for (size_t i = 0; i < size; i++)
        data[i] = n % 3 ? (uint8_t)('A' + (n + i) % 26) : special[(i * 5 + n) % 8];
    data[size - 1] = (uint8_t)('a' + n % 26);
    return size;
}

static void expect_payload(const uint8_t *data, size_t size, unsigned n, size_t max)
{
    uint8_t wanted[300];

    ck_assert_uint_eq(size, make_payload(wanted, n, max));
    ck_assert_mem_eq(data, wanted, size);
}

START_TEST(frames_both_ways)
{
    unsigned count = kt_count(line_is_slow(_i) ? 40 : 300);
    uint8_t out[2][300], in[300];
    struct kt_op_s op;

    if (count < 8)
        count = 8;
    open_round(_i, true);
    for (unsigned n = 0; n < count; n++) {
        const struct device_char_s *from = n % 5 < 3 ? &line.up : &line.peer;
        const struct device_char_s *to = from == &line.up ? &line.peer : &line.up;
        size_t size = make_payload(out[0], n, line.max), got;

        kt_op_init(&op, n % 2 ? KROUTINE_DEFERRED : KROUTINE_IMMEDIATE);
        kt_op_submit(&op, from, DEV_CHAR_WRITE_FRAME, out[0], size);
        got = framing_run(&env, to, DEV_CHAR_READ_FRAME, in, sizeof in, 0);
        kt_op_expect(&op, &env, 0, 0);
        ck_assert_ptr_eq(op.at, out[0] + size);
        expect_payload(in, got, n, line.max);
    }
    close_all();
}
END_TEST

/* The reader waits first, several at a time, and they end in order. */
START_TEST(reads_that_wait)
{
    static struct kt_op_s op[6];
    static uint8_t in[6][300];
    uint8_t out[300];

    open_round(_i, true);
    for (unsigned i = 0; i < 6; i++) {
        kt_op_init(&op[i], i % 2 ? KROUTINE_IMMEDIATE : KROUTINE_SCHED_SWITCH);
        kt_op_submit(&op[i], &line.up, DEV_CHAR_READ_FRAME, in[i], 300);
    }
    for (unsigned i = 0; i < 6; i++) {
        size_t size = make_payload(out, i, line.max);

        framing_run(&env, &line.peer, DEV_CHAR_WRITE_FRAME, out, size, 0);
        kt_op_expect(&op[i], &env, 0, 300 - size);
        expect_payload(in[i], size, i, line.max);
        ck_assert_uint_eq(kt_get(&op[5].done), i == 5);
        ck_assert(i == 0 || op[i].stamp > op[i - 1].stamp);
    }
    close_all();
}
END_TEST

START_TEST(types)
{
    static const uint8_t bytes[] = {
        DEV_CHAR_READ,           DEV_CHAR_READ_PARTIAL,
        DEV_CHAR_READ_NONBLOCK,  DEV_CHAR_DISCARD,
        DEV_CHAR_WRITE,          DEV_CHAR_WRITE_PARTIAL,
        DEV_CHAR_WRITE_NONBLOCK, DEV_CHAR_WRITE_PARTIAL_FLUSH,
    };
    uint8_t data[300];
    struct kt_op_s op;
    size_t size;

    open_round(_i, true);
    for (unsigned i = 0; i < sizeof bytes; i++)
        framing_run(&env, &line.up, bytes[i], data, 8, -ENOTSUP);
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    kt_op_submit(&op, &line.up, DEV_CHAR_READ_POLL, NULL, 0);
    framing_run(&env, &line.up, DEV_CHAR_WRITE_POLL, NULL, 0, 0);
    size = make_payload(data, 1, line.max);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    framing_run(&env, &line.peer, DEV_CHAR_WRITE_POLL, NULL, 0, 0);
    framing_run(&env, &line.peer, DEV_CHAR_WRITE_FRAME_FLUSH, data, size, 0);
    kt_op_expect(&op, &env, 0, 0);
    framing_run(&env, &line.up, DEV_CHAR_READ_POLL, NULL, 0, 0); /* it is still there */
    ck_assert_uint_eq(framing_run(&env, &line.up, DEV_CHAR_READ_FRAME, data, sizeof data, 0), size);
    expect_payload(data, size, 1, line.max);
    framing_run(&env, &line.peer, DEV_CHAR_WRITE_FLUSH, NULL, 0, 0);
    close_all();
}
END_TEST

START_TEST(frames_that_do_not_fit)
{
    uint8_t data[4200];

    open_round(_i, true);
    memset(data, 'y', sizeof data);
    framing_run(&env, &line.up, DEV_CHAR_WRITE_FRAME, data, sizeof data, -ENOSPC);
    framing_run(&env, &line.peer, DEV_CHAR_WRITE_FRAME, data, 40, 0);
    framing_run(&env, &line.up, DEV_CHAR_READ_FRAME, data, 39, -ENOSPC);
    framing_run(&env, &line.peer, DEV_CHAR_WRITE_FRAME, TEXT("next"), 4, 0);
    ck_assert_uint_eq(framing_run(&env, &line.up, DEV_CHAR_READ_FRAME, data, 39, 0), 4);
    ck_assert_mem_eq(data, "next", 4);
    close_all();
}
END_TEST

/* --- cancel, time-outs, close --- */

START_TEST(cancelled_reads)
{
    static struct kt_op_s op[2];
    uint8_t in[2][300];

    open_round(_i, true);
    for (unsigned i = 0; i < 2; i++) {
        kt_op_init(&op[i], KROUTINE_DEFERRED);
        kt_op_submit(&op[i], &line.up, DEV_CHAR_READ_FRAME, in[i], 300);
    }
    ck_assert_int_eq(kt_op_cancel(&op[0], &line.up), 0);
    framing_run(&env, &line.peer, DEV_CHAR_WRITE_FRAME, TEXT("hello"), 5, 0);
    kt_op_expect(&op[1], &env, 0, 295);
    ck_assert_mem_eq(in[1], "hello", 5);
    ck_assert_uint_eq(kt_get(&op[0].done), 0);
    ck_assert_int_eq(kt_op_cancel(&op[1], &line.up), -EBUSY);
    /* Nobody waits: what comes is for the next. */
    kt_op_submit(&op[0], &line.up, DEV_CHAR_READ_FRAME, in[0], 300);
    ck_assert_int_eq(kt_op_cancel(&op[0], &line.up), 0);
    framing_run(&env, &line.peer, DEV_CHAR_WRITE_FRAME, TEXT("again"), 5, 0);
    ck_assert_uint_eq(framing_run(&env, &line.up, DEV_CHAR_READ_FRAME, in[0], 300, 0), 5);
    ck_assert_mem_eq(in[0], "again", 5);
    close_all();
}
END_TEST

START_TEST(reads_with_a_time_out)
{
    struct kt_op_s op;
    uint8_t in[300];

    open_round(_i, true);
    kt_op_init(&op, KROUTINE_DEFERRED);
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(20));
    kt_op_submit(&op, &line.up, DEV_CHAR_READ_FRAME, in, 300);
    kt_op_expect(&op, &env, -ETIMEDOUT, 300);
    framing_run(&env, &line.peer, DEV_CHAR_WRITE_FRAME, TEXT("later"), 5, 0);
    ck_assert_uint_eq(framing_run(&env, &line.up, DEV_CHAR_READ_FRAME, in, 300, 0), 5);
    close_all();
}
END_TEST

/* Writes until one does not end: nobody reads. Its number; the frames are 200 bytes. */
static unsigned fill_line(struct kt_op_s *op, uint8_t *data)
{
    unsigned n = 0;
    bool stuck = false;

    kt_op_init(op, KROUTINE_IMMEDIATE);
    while (!stuck) {
        memset(data, 'a' + (int)(n % 26), 200);
        kt_op_submit(op, &line.up, DEV_CHAR_WRITE_FRAME, data, 200);
        for (unsigned wait = 0; wait < 60 && !kt_get(&op->done); wait++)
            kt_pause(&env);
        stuck = !kt_get(&op->done);
        if (!stuck)
            ck_assert_int_eq(op->error, 0);
        n++;
        ck_assert_uint_lt(n, 100000); /* what a line holds has an end */
    }
    return n - 1;
}

/* The frames 0 to n - 1, whole. */
static void drain_line(unsigned n)
{
    uint8_t in[300];

    for (unsigned i = 0; i < n; i++) {
        ck_assert_uint_eq(framing_run(&env, &line.peer, DEV_CHAR_READ_FRAME, in, sizeof in, 0),
                          200);
        for (unsigned k = 0; k < 200; k++)
            ck_assert_uint_eq(in[k], 'a' + i % 26);
    }
}

/* Reads until the frame `text`; others before it may be damaged, or be missing. */
static void find_frame(const char *text)
{
    uint8_t in[300];
    struct kt_op_s op;

    kt_op_init(&op, KROUTINE_DEFERRED);
    do {
        kt_op_submit(&op, &line.peer, DEV_CHAR_READ_FRAME, in, sizeof in);
        kt_await(&env, kt_get(&op.done));
        ck_assert(op.error == 0 || op.error == -EBADMSG);
    } while (op.error || sizeof in - op.left != strlen(text) || memcmp(in, text, strlen(text)));
}

START_TEST(a_write_that_is_cancelled)
{
    uint8_t data[200];
    struct kt_op_s op, next;
    unsigned n;
    error_t err;

    open_round(_i, true);
    n = fill_line(&op, data);
    err = kt_op_cancel(&op, &line.up);
    if (err) {
        ck_assert_int_eq(err, -EBUSY);
        kt_await(&env, kt_get(&op.done));
        ck_assert_int_eq(op.error, -ECANCELED);
    }
    kt_op_init(&next, KROUTINE_DEFERRED);
    kt_op_submit(&next, &line.up, DEV_CHAR_WRITE_FRAME, TEXT("whole again"), 11);
    drain_line(n);
    if (line.framing->restarts) {
        find_frame("whole again");
        kt_op_expect(&next, &env, 0, 0);
    } else { /* the receiver cannot be told; or nothing of the frame was gone */
        kt_await(&env, kt_get(&next.done));
        ck_assert(next.error == -EPIPE || next.error == 0);
    }
    close_all();
}
END_TEST

/* The second has a time-out, not the first, which is under way: it goes on where it was. */
START_TEST(a_write_that_waits_too_long)
{
    uint8_t data[200], in[300];
    struct kt_op_s op, late, after;
    unsigned n;

    open_round(_i, true);
    n = fill_line(&op, data);
    kt_op_init(&late, KROUTINE_DEFERRED);
    dev_request_set_timeout(&late.rq.base, KROUTINE_MSEC(30));
    kt_op_submit(&late, &line.up, DEV_CHAR_WRITE_FRAME, TEXT("late"), 4);
    kt_op_init(&after, KROUTINE_DEFERRED);
    kt_op_submit(&after, &line.up, DEV_CHAR_WRITE_FRAME, TEXT("after"), 5);
    kt_op_expect(&late, &env, -ETIMEDOUT, 4);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    drain_line(n + 1);
    kt_op_expect(&op, &env, 0, 0);
    ck_assert_uint_eq(framing_run(&env, &line.peer, DEV_CHAR_READ_FRAME, in, sizeof in, 0), 5);
    ck_assert_mem_eq(in, "after", 5);
    kt_op_expect(&after, &env, 0, 0);
    close_all();
}
END_TEST

START_TEST(the_write_under_way_is_too_late)
{
    uint8_t data[200];
    struct kt_op_s op, late;

    open_round(_i, true);
    fill_line(&op, data);
    kt_op_init(&late, KROUTINE_DEFERRED);
    dev_request_set_timeout(&late.rq.base, KROUTINE_MSEC(30));
    if (kt_op_cancel(&op, &line.up))
        kt_await(&env, kt_get(&op.done));
    kt_op_submit(&late, &line.up, DEV_CHAR_WRITE_FRAME, data, 200);
    kt_await(&env, kt_get(&late.done));
    ck_assert(late.error == -ETIMEDOUT || (late.error == -EPIPE && !line.framing->restarts));
    close_all();
}
END_TEST

START_TEST(close_with_requests_pending)
{
    static struct kt_op_s reads[3];
    static uint8_t in[3][300];
    uint8_t data[200];
    struct kt_op_s write, flush;

    open_round(_i, true);
    for (unsigned i = 0; i < 3; i++) {
        kt_op_init(&reads[i], i ? KROUTINE_DEFERRED : KROUTINE_IMMEDIATE);
        kt_op_submit(&reads[i], &line.up, i == 1 ? DEV_CHAR_READ_POLL : DEV_CHAR_READ_FRAME, in[i],
                     300);
    }
    fill_line(&write, data);
    kt_op_init(&flush, KROUTINE_IMMEDIATE);
    kt_op_submit(&flush, &line.up, DEV_CHAR_WRITE_FRAME_FLUSH, TEXT("last"), 4);
    device_put_accessor(&line.up.base);
    ck_assert_uint_eq(kt_get(&write.done), 1); /* IMMEDIATE: over before the close returns */
    ck_assert_uint_eq(kt_get(&flush.done), 1);
    ck_assert_uint_eq(kt_get(&reads[0].done), 1);
    kt_op_expect(&write, &env, -ECANCELED, 200);
    kt_op_expect(&flush, &env, -ECANCELED, 4);
    for (unsigned i = 0; i < 3; i++)
        kt_op_expect(&reads[i], &env, -ECANCELED, 300);
    close_all();
}
END_TEST

static void put_accessor(struct kt_op_s *op)
{
    device_put_accessor(op->arg);
}

START_TEST(close_in_a_handler)
{
    struct kt_op_s op, other;
    uint8_t in[2][300];

    open_round(_i, true);
    kt_op_init(&op, KROUTINE_SCHED_SWITCH);
    op.then = put_accessor;
    op.arg = &line.up;
    kt_op_submit(&op, &line.up, DEV_CHAR_READ_FRAME, in[0], 300);
    kt_op_init(&other, KROUTINE_DEFERRED);
    kt_op_submit(&other, &line.up, DEV_CHAR_READ_FRAME, in[1], 300);
    framing_run(&env, &line.peer, DEV_CHAR_WRITE_FRAME, TEXT("bye"), 3, 0);
    kt_op_expect(&op, &env, 0, 297);
    kt_op_expect(&other, &env, -ECANCELED, 300);
    close_all();
}
END_TEST

/* The end of the runtime finds everything open, layers over others included. */
START_TEST(the_runtime_ends_first)
{
    struct kt_op_s read, write;
    uint8_t in[300], data[200];

    open_round(_i, true);
    kt_op_init(&read, KROUTINE_IMMEDIATE);
    kt_op_submit(&read, &line.up, DEV_CHAR_READ_FRAME, in, 300);
    fill_line(&write, data);
    kt_env_close(&env);
    ck_assert_uint_eq(kt_get(&read.done), 1);
    ck_assert_uint_eq(kt_get(&write.done), 1);
    ck_assert_int_ne(read.error, 0); /* or it has seen the other end go: -ENODATA, -ECONNRESET */
    ck_assert_int_ne(write.error, 0);
    framing_close(&line);
}
END_TEST

/* While nobody reads, what comes stays below: what can be written is bounded. And nothing is lost.
 */
START_TEST(back_pressure)
{
    uint8_t data[200];
    struct kt_op_s op;
    unsigned n;

    open_round(_i, true);
    n = fill_line(&op, data);
    ck_assert_uint_gt(n, 3);
    drain_line(n + 1);
    kt_op_expect(&op, &env, 0, 0);
    close_all();
}
END_TEST

/* --- everything at once --- */

#define STORM 400

/* Frames written with cancels in between: those whose write ended well arrive, in order, once;
   others do not. */
START_TEST(storm_of_cancels)
{
    unsigned rounds = kt_count(STORM), expected = 0, seed = 12345;
    uint8_t out[64], in[300];
    struct kt_op_s write, read;

    open_round(_i, true);
    kt_op_init(&write, KROUTINE_IMMEDIATE);
    kt_op_init(&read, KROUTINE_IMMEDIATE);
    for (unsigned n = 0; n < rounds; n++) {
        unsigned length = 20 + n % 40;
        bool gone;

        memset(out, 'A' + (int)(n % 26), length);
        memcpy(out, &n, sizeof n);
        for (unsigned i = 0; i < sizeof n; i++)
            out[i] = (uint8_t)('0' + (n >> 4 * i & 15));
        kt_op_submit(&write, &line.up, DEV_CHAR_WRITE_FRAME, out, length);
        seed = seed * 1103515245 + 12345;
        for (unsigned i = seed >> 16 & 3; i; i--)
            kt_pause(&env);
        if (seed >> 20 & 1 && kt_op_cancel(&write, &line.up) == 0) {
            gone = false;
        } else {
            kt_op_submit(&read, &line.peer, DEV_CHAR_READ_FRAME, in, sizeof in);
            kt_await(&env, kt_get(&write.done));
            ck_assert(write.error == 0 || write.error == -ECANCELED);
            gone = write.error == 0;
            while (gone) {
                kt_await(&env, kt_get(&read.done));
                if (read.error == 0)
                    break;
                ck_assert_int_eq(read.error, -EBADMSG); /* of one that was cut */
                kt_op_submit(&read, &line.peer, DEV_CHAR_READ_FRAME, in, sizeof in);
            }
            if (!gone && kt_op_cancel(&read, &line.peer)) {
                kt_await(&env, kt_get(&read.done));
                ck_assert_int_ne(read.error, 0);
            }
        }
        if (gone) {
            ck_assert_uint_eq(sizeof in - read.left, length);
            ck_assert_mem_eq(in, out, length);
            expected++;
        }
    }
    ck_assert_uint_gt(expected, 0);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("framing");
    int rounds = framing_rounds(FRAMING_ALL), quick = framing_rounds(FRAMING_QUICK);

    kt_add_loop(s, frames_both_ways, rounds, framing_label, 120);
    kt_add_loop(s, reads_that_wait, rounds, framing_label, 60);
    kt_add_loop(s, types, rounds, framing_label, 60);
    kt_add_loop(s, frames_that_do_not_fit, quick, framing_label, 60);
    kt_add_loop(s, cancelled_reads, rounds, framing_label, 60);
    kt_add_loop(s, reads_with_a_time_out, rounds, framing_label, 60);
    kt_add_loop(s, a_write_that_is_cancelled, quick, framing_label, 120);
    kt_add_loop(s, a_write_that_waits_too_long, quick, framing_label, 120);
    kt_add_loop(s, the_write_under_way_is_too_late, quick, framing_label, 120);
    kt_add_loop(s, close_with_requests_pending, quick, framing_label, 120);
    kt_add_loop(s, close_in_a_handler, rounds, framing_label, 60);
    kt_add_loop(s, the_runtime_ends_first, quick, framing_label, 60);
    kt_add_loop(s, back_pressure, quick, framing_label, 120);
    kt_add_loop(s, storm_of_cancels, framing_rounds(FRAMING_CHECKED), framing_label, 120);
    return s;
}

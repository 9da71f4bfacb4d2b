/* SPDX-License-Identifier: MIT */
/*
 * Frames that silence ends: frame=gap:N. Where a case must know what time it is, it runs on a
 * simulated runtime; the others hold however late anybody is.
 */
#include "gap.h"

#include <stdio.h>

#define ROUNDS (kt_rounds(KT_READS | KT_TIMED))

static void open_gap(int round, const char *options)
{
    kt_env_open(&env, kt_round_mode(KT_READS | KT_TIMED, round));
    kt_pair_open(&pair, &env, kt_round_kind(KT_READS | KT_TIMED, round), options);
}

/* --- reading, on anything --- */

START_TEST(one_after_the_other)
{
    struct kt_op_s op;

    open_gap(_i, "frame=gap:5ms");
    for (int i = 0; i < 10; i++) {
        start(&op, 0);
        say("hello");
        kt_await(&env, kt_get(&op.done) == 1);
        ck_assert_int_eq(op.error, 0);
        if (pair.kind == KT_ROUGH && op.left != sizeof in - 5) { /* a try in vain: two frames */
            close_all();
            return;
        }
        expect_frame(&op, "hello");
    }
    close_all();
}
END_TEST

START_TEST(submitted_afterwards)
{
    struct kt_op_s op, poll;

    open_gap(_i, "frame=gap:40ms");
    kt_op_init(&poll, KROUTINE_IMMEDIATE);
    kt_op_submit(&poll, &pair.dev, DEV_CHAR_READ_POLL, NULL, 0);
    say("hello");
    kt_op_expect(&poll, &env, 0, 0);
    kt_idle(&env, 3);
    start(&op, 0);
    expect_frame(&op, "hello");
    close_all();
}
END_TEST

/* The end of the stream ends the frame, and is told to the next request. */
START_TEST(end_of_the_stream)
{
    struct kt_op_s op, next;
    int end;

    open_gap(_i, "frame=gap:3600000ms");
    end = kt_kind_is_tty(pair.kind) ? -ENODEV : -ENODATA;
    if (pair.kind != KT_FIFO_R) {
        start(&op, 0);
        say("hello");
        kt_idle(&env, 20);
        ck_assert_uint_eq(kt_get(&op.done), 0);
        kt_peer_close(&pair);
        kt_await(&env, kt_get(&op.done) == 1);
        if (!kt_kind_is_tty(pair.kind) || op.error == 0) /* a hang-up may overtake bytes */
            expect_frame(&op, "hello");
        start(&next, 0);
        kt_op_expect(&next, &env, end, sizeof in);
    }
    close_all();
}
END_TEST

/* What a request that gives up leaves is the beginning of the next one's frame. */
START_TEST(begun_and_left)
{
    struct kt_op_s op;

    open_gap(_i, "frame=gap:200ms");
    start(&op, KROUTINE_MSEC(10));
    say("hel");
    kt_await(&env, kt_get(&op.done) == 1);
    if (op.error == 0) { /* this thread was later than the gap */
        close_all();
        return;
    }
    ck_assert_int_eq(op.error, -ETIMEDOUT);
    ck_assert_uint_eq(op.left, sizeof in);
    start(&op, 0);
    kt_idle(&env, 1);
    ck_assert_int_eq(kt_op_cancel(&op, &pair.dev), 0);
    ck_assert_uint_eq(op.rq.size, sizeof in);
    say("lo");
    start(&op, 0);
    expect_frame(&op, "hello");
    close_all();
}
END_TEST

/* Bytes of a frame that has begun go to whoever reads bytes. */
START_TEST(bytes_of_a_begun_frame)
{
    struct kt_op_s op;
    struct kt_timed_s timed;
    uint8_t data[8];

    open_gap(_i, "frame=gap:3600000ms");
    for (int i = 0; i < 4; i++) {
        start(&op, KROUTINE_MSEC(10));
        say("abcd");
        kt_op_expect(&op, &env, -ETIMEDOUT, sizeof in);
        ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, data, 1, 0), 1);
        kt_timed_init(&timed, &env, KROUTINE_IMMEDIATE, 0);
        kt_timed_submit(&timed, &pair.dev, data + 1, i < 2 ? 3 : 7, i % 2 ? 3 : 1,
                        i < 3 ? KROUTINE_MSEC(10) : 0);
        kt_timed_expect(&timed, 0, i < 2 ? 0 : 4);
        ck_assert_int_eq(memcmp(data, "abcd", 4), 0);
    }
    close_all();
}
END_TEST

START_TEST(left_over_of_other_framings)
{
    struct kt_timed_s timed;
    struct kt_op_s op;
    uint8_t data[16];

    open_gap(_i, "frame=line");
    start(&op, 0);
    say("one\ntwo");
    expect_frame(&op, "one");
    kt_timed_init(&timed, &env, KROUTINE_IMMEDIATE, 0);
    kt_timed_submit(&timed, &pair.dev, data, sizeof data, 3, KROUTINE_MSEC(10));
    kt_timed_expect(&timed, 0, sizeof data - 3);
    ck_assert_int_eq(memcmp(data, "two", 3), 0);
    kt_timed_submit(&timed, &pair.dev, data, sizeof data, 3, KROUTINE_MSEC(10));
    say("six");
    kt_timed_expect(&timed, 0, sizeof data - 3);
    close_all();
}
END_TEST

/* --- reading, in virtual time --- */

START_TEST(to_the_nanosecond)
{
    struct kt_op_s op;
    uint64_t at;

    if (!open_sim("frame=gap:2ms"))
        return;
    start(&op, 0);
    for (int i = 0; i < 10; i++) {
        say("x");
        pass(GAP - 1);
        ck_assert_uint_eq(kt_get(&op.done), 0);
    }
    say("y");
    at = kt_clock(&env);
    expect_frame(&op, "xxxxxxxxxxy");
    ck_assert_uint_eq(kt_clock(&env), at + GAP);
    close_all();
}
END_TEST

START_TEST(noise)
{
    struct kt_op_s op;

    if (!open_sim("frame=gap:2000us&frame-min=3"))
        return;
    start(&op, 0);
    for (int i = 0; i < 3; i++) {
        say("x");
        pass(GAP + 1);
        say("yz");
        pass(2 * GAP);
    }
    ck_assert_uint_eq(kt_get(&op.done), 0);
    say("abc");
    expect_frame(&op, "abc");
    close_all();
}
END_TEST

START_TEST(too_large)
{
    struct kt_op_s op;

    if (!open_sim("frame=gap:2ms&frame-max=16"))
        return;
    start(&op, 0);
    say("0123456789abcdefg");
    kt_op_expect(&op, &env, -ENOSPC, sizeof in); /* at once */
    start(&op, 0);
    pass(GAP - 1);
    say("what belongs to it is dropped as well");
    pass(GAP + 1);
    say("next");
    expect_frame(&op, "next");
    start(&op, 0);
    say("0123456789abcdef"); /* the largest */
    expect_frame(&op, "0123456789abcdef");
    kt_op_init(&op, KROUTINE_IMMEDIATE); /* larger than the read */
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in, 3);
    say("four");
    kt_op_expect(&op, &env, -ENOSPC, 3);
    start(&op, 0);
    say("next");
    expect_frame(&op, "next");
    close_all();
}
END_TEST

START_TEST(spoilt)
{
    static const enum kroutine_sim_fault_e faults[] = {KROUTINE_SIM_PARITY, KROUTINE_SIM_OVERRUN};
    static const int errors[] = {-EBADMSG, -EPIPE};
    struct kt_op_s op;

    if (!open_sim("frame=gap:2ms"))
        return;
    for (int i = 0; i < 2; i++) {
        start(&op, 0);
        say("abc");
        pass(GAP / 2);
        ck_assert_int_eq(kroutine_sim_char_fault(&pair.dev.base, KROUTINE_SIM_READ, faults[i], 1),
                         0);
        kt_op_expect(&op, &env, errors[i], sizeof in);
        start(&op, 0);
        say("rest of it");
        pass(GAP + 1);
        say("next");
        expect_frame(&op, "next");
    }
    close_all();
}
END_TEST

START_TEST(time_out_and_silence)
{
    struct kt_op_s op;

    if (!open_sim("frame=gap:2ms"))
        return;
    start(&op, GAP / 2); /* nothing at all */
    kt_op_expect(&op, &env, -ETIMEDOUT, sizeof in);
    start(&op, GAP); /* silence, in the same nanosecond */
    say("abc");
    expect_frame(&op, "abc");
    start(&op, GAP - 1);
    say("abc");
    kt_op_expect(&op, &env, -ETIMEDOUT, sizeof in);
    start(&op, 0);
    expect_frame(&op, "abc");
    close_all();
}
END_TEST

/* Each byte comes in the nanosecond in which the gap would be over. */
START_TEST(byte_at_the_end_of_the_gap)
{
    struct device_char_s loop = DEVICE_ACCESSOR_INIT;
    struct kt_op_s op, out;

    if (!open_sim(NULL))
        return;
    ck_assert_int_eq(device_get_accessor_by_path(&loop.base, kroutine_runtime_devices(env.rt),
                                                 "sim-char:edge?latency=2000000&frame=gap:2ms",
                                                 DRIVER_CLASS_CHAR),
                     0);
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    kt_op_submit(&op, &loop, DEV_CHAR_READ_FRAME, in, sizeof in);
    for (unsigned i = 0; i < 6; i++) {
        kt_op_init(&out, KROUTINE_IMMEDIATE);
        kt_op_submit(&out, &loop, DEV_CHAR_WRITE, (uint8_t *)"abcdef" + i, 1);
        pass(GAP);
    }
    expect_frame(&op, "abcdef");
    device_put_accessor(&loop.base);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char gap");
    const TTest *reads[] = {one_after_the_other,    submitted_afterwards,
                            end_of_the_stream,      begun_and_left,
                            bytes_of_a_begun_frame, left_over_of_other_framings};
    const TTest *others[] = {
        to_the_nanosecond,         noise, too_large, spoilt, time_out_and_silence,
        byte_at_the_end_of_the_gap};

    for (unsigned i = 0; i < sizeof reads / sizeof *reads; i++)
        kt_add_loop(s, reads[i], ROUNDS, kt_timed_reads_label, 20);
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        kt_add(s, others[i], 20);
    return s;
}

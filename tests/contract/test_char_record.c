/* SPDX-License-Identifier: MIT */
/* Frames where the line keeps them apart by itself: records of seqpacket and datagram sockets, and
   of the simulator. */
#include "kt_pair.h"

#include <stdio.h>
#include <sys/socket.h>

static struct kt_env_s env;
static struct kt_pair_s pair;

static void close_all(void)
{
    kt_pair_close(&pair);
    kt_env_close(&env);
}

static void expect_frame(const void *frame, size_t size)
{
    uint8_t in[600];
    size_t got = kt_run(&pair, DEV_CHAR_READ_FRAME, in, sizeof in, 0);

    ck_assert_uint_eq(got, size);
    ck_assert_int_eq(memcmp(in, frame, size), 0);
}

static const enum kt_kind_e records[] = {KT_SEQPACKET, KT_DGRAM};

static bool sim(void)
{
    return kt_backend == KROUTINE_BACKEND_SIM;
}

static void open_records(int round)
{
    kt_env_open(&env, (enum kt_mode_e)(round % KT_MODES));
    if (sim())
        kt_pair_open(&pair, &env, KT_SIM, "record=yes");
    else
        kt_pair_open(&pair, &env, records[round / KT_MODES], NULL);
}

static int record_rounds(void)
{
    return sim() ? KT_MODES : 2 * KT_MODES;
}

static const char *record_label(int round)
{
    static char text[64];

    snprintf(text, sizeof text, "%s,%s", sim() ? "sim" : kt_kind_name(records[round / KT_MODES]),
             kt_mode_label(round % KT_MODES));
    return text;
}

/* One record of the peer. */
static void peer_sends(const void *data, size_t size)
{
    struct kt_op_s op;

    if (!sim()) {
        ck_assert_int_eq(send(pair.peer, data, size, MSG_NOSIGNAL), (ssize_t)size);
        return;
    }
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.end, DEV_CHAR_WRITE_FRAME, (void *)(uintptr_t)data, size);
    kt_op_expect(&op, &env, 0, 0);
}

static size_t peer_receives(void *data, size_t size)
{
    struct kt_op_s op;
    ssize_t n = 0;

    if (!sim()) {
        uint64_t end = kt_now() + kt_patience();

        while ((n = recv(pair.peer, data, size, MSG_DONTWAIT)) < 0 && kt_now() < end)
            kt_pause(&env);
        ck_assert_int_ge(n, 0);
        return (size_t)n;
    }
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.end, DEV_CHAR_READ_FRAME, data, size);
    kt_await(&env, kt_get(&op.done) == 1);
    ck_assert_int_eq(op.error, 0);
    return size - op.left;
}

START_TEST(one_record_one_frame)
{
    struct kt_op_s op;
    uint8_t in[64];

    open_records(_i);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in, sizeof in);
    kt_idle(&env, 3);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    peer_sends("hello", 5);
    kt_op_expect(&op, &env, 0, sizeof in - 5);
    ck_assert_ptr_eq(op.at, in + 5);
    ck_assert_int_eq(memcmp(in, "hello", 5), 0);
    peer_sends("a", 1); /* two that are there stay two */
    peer_sends("bcd", 3);
    expect_frame("a", 1);
    expect_frame("bcd", 3);
    close_all();
}
END_TEST

START_TEST(record_of_exactly_the_size)
{
    struct kt_op_s op;
    uint8_t in[5];

    open_records(_i);
    peer_sends("12345", 5);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in, 5);
    kt_op_expect(&op, &env, 0, 0);
    close_all();
}
END_TEST

/* -ENOSPC, and it is dropped whole: the next frame is the next record. */
START_TEST(record_larger_than_the_buffer)
{
    struct kt_op_s op;
    uint8_t in[4];

    open_records(_i);
    peer_sends("too long", 8);
    peer_sends("fits", 4);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in, 4);
    kt_await(&env, kt_get(&op.done) == 1);
    ck_assert_int_eq(op.error, -ENOSPC);
    expect_frame("fits", 4);
    close_all();
}
END_TEST

START_TEST(frames_are_written_whole)
{
    uint8_t in[64];

    open_records(_i);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE_FRAME, (void *)"one", 3, 0), 3);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE_FRAME_FLUSH, (void *)"second", 6, 0), 6);
    ck_assert_uint_eq(peer_receives(in, sizeof in), 3);
    ck_assert_uint_eq(peer_receives(in, sizeof in), 6);
    ck_assert_int_eq(memcmp(in, "second", 6), 0);
    close_all();
}
END_TEST

/* More frames than the line holds: they wait for room, and arrive in order. */
START_TEST(frames_wait_for_room)
{
    static struct kt_op_s op[2000];
    static uint8_t out[2000][100];
    uint8_t in[200];

    open_records(_i);
    for (unsigned i = 0; i < 2000; i++) {
        kt_fill(out[i], 100, i);
        kt_op_init(&op[i], KROUTINE_DEFERRED);
        kt_op_submit(&op[i], &pair.dev, DEV_CHAR_WRITE_FRAME, out[i], 1 + i % 100);
    }
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&op[1999].done), 0);
    for (unsigned i = 0; i < 2000; i++) {
        ck_assert_uint_eq(peer_receives(in, sizeof in), 1 + i % 100);
        kt_check_fill(in, 1 + i % 100, i);
    }
    for (unsigned i = 0; i < 2000; i++)
        kt_op_expect(&op[i], &env, 0, 0);
    close_all();
}
END_TEST

/* Byte requests would tear records. */
START_TEST(bytes_are_refused_on_records)
{
    static const unsigned types[] = {DEV_CHAR_READ,          DEV_CHAR_READ_PARTIAL,
                                     DEV_CHAR_READ_NONBLOCK, DEV_CHAR_DISCARD,
                                     DEV_CHAR_WRITE,         DEV_CHAR_WRITE_PARTIAL};
    uint8_t byte = 0;

    open_records(_i);
    for (int t = 0; t < 6; t++)
        ck_assert_uint_eq(kt_run(&pair, types[t], &byte, 1, -ENOTSUP), 0);
    close_all();
}
END_TEST

START_TEST(cancel_and_timeout_of_frames)
{
    struct kt_op_s op, next;
    uint8_t in[2][16];

    open_records(_i);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_init(&next, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in[0], 16);
    kt_op_submit(&next, &pair.dev, DEV_CHAR_READ_FRAME, in[1], 16);
    kt_idle(&env, 3);
    ck_assert_int_eq(kt_op_cancel(&op, &pair.dev), 0);
    peer_sends("mine", 4);
    kt_op_expect(&next, &env, 0, 12);
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(10));
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in[0], 16);
    kt_op_expect(&op, &env, -ETIMEDOUT, 16);
    peer_sends("later", 5);
    expect_frame("later", 5);
    close_all();
}
END_TEST

START_TEST(end_of_a_seqpacket)
{
    uint8_t in[8];

    kt_env_open(&env, (enum kt_mode_e)_i);
    kt_pair_open(&pair, &env, KT_SEQPACKET, NULL);
    peer_sends("last", 4);
    kt_peer_close(&pair);
    expect_frame("last", 4);
    kt_run(&pair, DEV_CHAR_READ_FRAME, in, 8, -ENODATA);
    kt_run(&pair, DEV_CHAR_WRITE_FRAME, in, 8, -EPIPE);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char record");
    const TTest *tests[] = {one_record_one_frame,          record_of_exactly_the_size,
                            record_larger_than_the_buffer, frames_are_written_whole,
                            frames_wait_for_room,          bytes_are_refused_on_records,
                            cancel_and_timeout_of_frames};

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], record_rounds(), record_label, 20);
    if (!sim())
        kt_add_loop(s, end_of_a_seqpacket, KT_MODES, kt_mode_label, 20);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* Framing of byte streams by the options of the spec, whatever the pieces in which the bytes come.
 */
#include "kt_pair.h"

#include <stdio.h>

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

static bool sim(void)
{
    return kt_backend == KROUTINE_BACKEND_SIM;
}

static const struct framing_s {
    const char *options;
    size_t head, tail;
    const char *name;
} framings[] = {
    {"frame=line", 0, 1, "line"},
    {"frame=delimiter:0x7e", 0, 1, "delimiter"},
    {"frame=length:1", 1, 0, "length:1"},
    {"frame=length:2be", 2, 0, "length:2be"},
    {"frame=length:2le", 2, 0, "length:2le"},
    {"frame=length:4be", 4, 0, "length:4be"},
    {"frame=length:4le", 4, 0, "length:4le"},
};
#define FRAMINGS 7

static const struct framing_s *framing;

static void open_framed(int round)
{
    enum kt_mode_e mode = (enum kt_mode_e)(round / FRAMINGS);

    framing = &framings[round % FRAMINGS];
    kt_env_open(&env, mode);
    kt_pair_open(&pair, &env, sim() ? KT_ROUGH : KT_SOCKET, framing->options);
}

static const char *framed_label(int round)
{
    static char text[64];

    snprintf(text, sizeof text, "%s,%s", framings[round % FRAMINGS].name,
             kt_mode_label(round / FRAMINGS));
    return text;
}

/* A frame as it goes over the line; its length there. */
static size_t wrap(uint8_t *line, const void *payload, size_t size)
{
    const char *o = framing->options;

    for (size_t i = 0; i < framing->head; i++) {
        size_t shift = o[strlen(o) - 2] == 'l' ? i : framing->head - 1 - i;

        line[i] = (uint8_t)(size >> 8 * shift);
    }
    memcpy(line + framing->head, payload, size);
    if (framing->tail)
        line[size] = strstr(o, "line") ? '\n' : 0x7e;
    return framing->head + size + framing->tail;
}

/* Bytes that are no delimiter. */
static void payload_fill(uint8_t *data, size_t size, unsigned number)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)('A' + (number + i) % 26);
}

START_TEST(frames_come_in_pieces)
{
    uint8_t payload[64], line[80], in[64];
    struct kt_op_s op;
    size_t n;

    open_framed(_i);
    for (unsigned size = 1; size < 40; size += 7) {
        payload_fill(payload, size, size);
        n = wrap(line, payload, size);
        kt_op_init(&op, KROUTINE_DEFERRED);
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in, sizeof in);
        for (size_t i = 0; i < n; i++) {
            ck_assert_uint_eq(kt_get(&op.done), 0);
            kt_peer_write(&pair, line + i, 1);
            if (i % 3 == 0)
                kt_pause(&env);
        }
        kt_op_expect(&op, &env, 0, sizeof in - size);
        ck_assert_int_eq(memcmp(in, payload, size), 0);
    }
    close_all();
}
END_TEST

START_TEST(many_frames_at_once)
{
    uint8_t payload[60], line[3000];

    open_framed(_i);
    for (unsigned first = 0; first < 400; first += 40) {
        size_t n = 0;

        for (unsigned i = first; i < first + 40; i++) {
            payload_fill(payload, i % 60 + 1, i);
            n += wrap(line + n, payload, i % 60 + 1);
        }
        kt_peer_write(&pair, line, n);
        for (unsigned i = first; i < first + 40; i++) {
            payload_fill(payload, i % 60 + 1, i);
            expect_frame(payload, i % 60 + 1);
        }
    }
    close_all();
}
END_TEST

START_TEST(empty_frames)
{
    uint8_t line[16];
    size_t n;

    open_framed(_i);
    n = wrap(line, "", 0);
    n += wrap(line + n, "z", 1);
    kt_peer_write(&pair, line, n);
    expect_frame("", 0);
    expect_frame("z", 1);
    close_all();
}
END_TEST

START_TEST(frame_larger_than_the_buffer)
{
    uint8_t payload[30], line[40], in[10];
    struct kt_op_s op;
    size_t n;

    open_framed(_i);
    payload_fill(payload, 30, 0);
    n = wrap(line, payload, 30);
    kt_peer_write(&pair, line, n);
    n = wrap(line, "next", 4);
    kt_peer_write(&pair, line, n);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in, sizeof in);
    kt_await(&env, kt_get(&op.done) == 1);
    ck_assert_int_eq(op.error, -ENOSPC);
    expect_frame("next", 4);
    close_all();
}
END_TEST

/* Larger than the device holds, by frame-max: dropped up to its end, however long. */
START_TEST(frame_larger_than_the_device_holds)
{
    static uint8_t payload[250], line[260], in[300];
    char options[64];
    struct kt_op_s op;
    size_t n;

    framing = &framings[_i % FRAMINGS];
    snprintf(options, sizeof options, "%s&frame-max=20", framing->options);
    kt_env_open(&env, (enum kt_mode_e)(_i / FRAMINGS));
    kt_pair_open(&pair, &env, sim() ? KT_SIM : KT_SOCKET, options);
    payload_fill(payload, 250, 0);
    for (int round = 0; round < 3; round++) {
        n = wrap(line, payload, 250);
        kt_peer_write(&pair, line, n);
        n = wrap(line, payload, 20); /* the largest that fits */
        kt_peer_write(&pair, line, n);
        kt_op_init(&op, KROUTINE_DEFERRED);
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in, sizeof in);
        kt_await(&env, kt_get(&op.done) == 1);
        ck_assert_int_eq(op.error, -ENOSPC);
        expect_frame(payload, 20);
    }
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE_FRAME, payload, 21, -ENOSPC), 0);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE_FRAME, payload, 20, 0), 20);
    close_all();
}
END_TEST

START_TEST(frames_are_wrapped)
{
    uint8_t payload[100], line[120], in[120];
    size_t n;

    open_framed(_i);
    for (unsigned size = 1; size <= 100; size += 33) {
        payload_fill(payload, size, size);
        n = wrap(line, payload, size);
        ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE_FRAME, payload, size, 0), size);
        kt_peer_read(&pair, in, n);
        ck_assert_int_eq(memcmp(in, line, n), 0);
    }
    close_all();
}
END_TEST

/* A delimiter inside a frame that is written would make two of it. */
START_TEST(delimiter_inside_a_written_frame)
{
    uint8_t in[8];

    kt_env_open(&env, (enum kt_mode_e)_i);
    kt_pair_open(&pair, &env, sim() ? KT_SIM : KT_SOCKET, "frame=line");
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE_FRAME, (void *)"a\nb", 3, -EINVAL), 0);
    kt_idle(&env, 3);
    ck_assert_int_eq(kt_peer_read_some(&pair, in, sizeof in), 0);
    close_all();
}
END_TEST

/* What a frame request took from the line beyond its frame is there for bytes, and back. */
START_TEST(leftovers_are_not_lost)
{
    uint8_t in[16], line[16];
    struct kt_op_s op;
    size_t n;

    open_framed(_i);
    n = wrap(line, "one", 3);
    memcpy(line + n, "RAW", 3);
    n += 3;
    kt_peer_write(&pair, line, n);
    expect_frame("one", 3);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 2, 0), 2);
    ck_assert_int_eq(memcmp(in, "RA", 2), 0);
    kt_op_init(&op, KROUTINE_DEFERRED); /* starts with a left-over byte, waits for another */
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 2);
    kt_idle(&env, 3);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    n = wrap(line + 1, "two", 3);
    line[0] = '!';
    kt_peer_write(&pair, line, n + 1);
    kt_op_expect(&op, &env, 0, 0);
    ck_assert_int_eq(memcmp(in, "W!", 2), 0);
    expect_frame("two", 3);
    close_all();
}
END_TEST

/* A cancelled or late frame request leaves the part that has come to the next one. */
START_TEST(a_part_of_a_frame_survives_a_cancel)
{
    uint8_t in[16], line[16];
    struct kt_op_s op;
    size_t n;

    open_framed(_i);
    n = wrap(line, "abcdefgh", 8);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in, sizeof in);
    kt_peer_write(&pair, line, 5);
    kt_idle(&env, 5);
    if (kt_op_cancel(&op, &pair.dev)) /* right in a try: this machine is slow */
        kt_op_expect(&op, &env, -ECANCELED, sizeof in);
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(5));
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in, sizeof in);
    kt_op_expect(&op, &env, -ETIMEDOUT, sizeof in);
    kt_peer_write(&pair, line + 5, n - 5);
    expect_frame("abcdefgh", 8);
    close_all();
}
END_TEST

START_TEST(end_of_the_stream_inside_a_frame)
{
    uint8_t in[16], line[16];
    struct kt_op_s op;

    open_framed(_i);
    wrap(line, "abcdefgh", 8);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_FRAME, in, sizeof in);
    kt_peer_write(&pair, line, 5);
    kt_peer_close(&pair);
    kt_op_expect(&op, &env, -ENODATA, sizeof in);
    close_all();
}
END_TEST

/* --- none --- */

START_TEST(frames_are_refused_on_plain_streams)
{
    uint8_t byte = 0;

    kt_round_open(&pair, &env, KT_DUPLEX, _i);
    kt_run(&pair, DEV_CHAR_READ_FRAME, &byte, 1, -ENOTSUP);
    kt_run(&pair, DEV_CHAR_WRITE_FRAME, &byte, 1, -ENOTSUP);
    kt_run(&pair, DEV_CHAR_WRITE_FRAME_FLUSH, &byte, 1, -ENOTSUP);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char frame");
    const TTest *tests[] = {frames_come_in_pieces,
                            many_frames_at_once,
                            empty_frames,
                            frame_larger_than_the_buffer,
                            frame_larger_than_the_device_holds,
                            frames_are_wrapped,
                            leftovers_are_not_lost,
                            a_part_of_a_frame_survives_a_cancel,
                            end_of_the_stream_inside_a_frame};

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], FRAMINGS * KT_MODES, framed_label, 20);
    kt_add_loop(s, delimiter_inside_a_written_frame, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, frames_are_refused_on_plain_streams, kt_rounds(KT_DUPLEX), kt_duplex_label, 20);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* Writing with frame=gap:N: each frame after so much silence on the line; and the keys of the spec.
 */
#include "gap.h"

#include <stdio.h>

static void write_frame(const char *text)
{
    kt_run(&pair, DEV_CHAR_WRITE_FRAME, (void *)(uintptr_t)text, strlen(text), 0);
}

/* A thousand bytes a second: three of them leave after 3 ms. */
START_TEST(gap_after_what_was_sent)
{
    uint64_t begin;

    if (!open_sim("frame=gap:2ms&rate=1000"))
        return;
    begin = kt_clock(&env);
    write_frame("abc"); /* nothing was there before */
    ck_assert_uint_eq(kt_clock(&env), begin);
    write_frame("de");
    ck_assert_uint_eq(kt_clock(&env), begin + KROUTINE_MSEC(3) + GAP);
    write_frame("f");
    ck_assert_uint_eq(kt_clock(&env), begin + KROUTINE_MSEC(5) + 2 * GAP);
    pass(KROUTINE_MSEC(1) + GAP / 2);
    begin = kt_clock(&env);
    write_frame("g"); /* half of it has passed */
    ck_assert_uint_eq(kt_clock(&env), begin + GAP / 2);
    kt_run(&pair, DEV_CHAR_WRITE, (uint8_t *)"hi", 2, 0); /* bytes do not wait */
    ck_assert_uint_eq(kt_clock(&env), begin + GAP / 2);
    write_frame("j");
    ck_assert_uint_eq(kt_clock(&env), begin + GAP / 2 + KROUTINE_MSEC(3) + GAP);
    close_all();
}
END_TEST

START_TEST(gap_after_what_was_heard)
{
    struct kt_op_s op, out;
    uint64_t begin;

    if (!open_sim("frame=gap:2ms"))
        return;
    start(&op, 0);
    say("abc");
    expect_frame(&op, "abc"); /* the gap is over with it */
    begin = kt_clock(&env);
    write_frame("answer");
    ck_assert_uint_eq(kt_clock(&env), begin);
    pass(GAP);
    kt_op_init(&out, KROUTINE_IMMEDIATE);
    start(&op, 0);
    say("abc");
    pass(GAP / 2);
    kt_op_submit(&out, &pair.dev, DEV_CHAR_WRITE_FRAME, (uint8_t *)"later", 5);
    say("d"); /* the other side goes on: longer */
    begin = kt_clock(&env);
    pass(GAP - 1);
    ck_assert_uint_eq(kt_get(&out.done), 0);
    kt_op_expect(&out, &env, 0, 0);
    ck_assert_uint_eq(kt_clock(&env), begin + GAP);
    expect_frame(&op, "abcd");
    close_all();
}
END_TEST

START_TEST(hold_ends_by_time_out_cancel_and_close)
{
    struct kt_op_s out[3];
    uint64_t begin;
    uint8_t c;

    if (!open_sim("frame=gap:100ms"))
        return;
    write_frame("a");
    begin = kt_clock(&env);
    for (int i = 0; i < 3; i++) {
        kt_op_init(&out[i], KROUTINE_IMMEDIATE);
        dev_request_set_timeout(&out[i].rq.base, i ? 0 : KROUTINE_MSEC(30));
        kt_op_submit(&out[i], &pair.dev, DEV_CHAR_WRITE_FRAME, (uint8_t *)"xyz" + i, 1);
    }
    kt_op_expect(&out[0], &env, -ETIMEDOUT, 1);
    ck_assert_uint_eq(kt_clock(&env), begin + KROUTINE_MSEC(30));
    ck_assert_int_eq(kt_op_cancel(&out[1], &pair.dev), 0);
    kt_op_expect(&out[2], &env, 0, 0);
    ck_assert_uint_eq(kt_clock(&env), begin + KROUTINE_MSEC(100));
    kt_op_submit(&out[0], &pair.dev, DEV_CHAR_WRITE_FRAME, (uint8_t *)"x", 1);
    device_put_accessor(&pair.dev.base);
    kt_op_expect(&out[0], &env, -ECANCELED, 1);
    kt_peer_read(&pair, &c, 1);
    kt_peer_read(&pair, &c, 1);
    ck_assert_uint_eq(c, 'z');
    ck_assert_int_le(kt_peer_read_some(&pair, &c, 1), 0);
    close_all();
}
END_TEST

/* On real lines: as many gaps as frames, less one, pass at least. */
START_TEST(frames_apart)
{
    enum { FRAMES = 12 };
    struct kt_op_s out[FRAMES];
    uint8_t back[FRAMES * 2];
    uint64_t begin;

    kt_env_open(&env, kt_round_mode(KT_DUPLEX | KT_TIMED, _i));
    kt_pair_open(&pair, &env, kt_round_kind(KT_DUPLEX | KT_TIMED, _i), "frame=gap:3000us");
    begin = kt_clock(&env);
    for (int i = 0; i < FRAMES; i++) {
        kt_op_init(&out[i], KROUTINE_IMMEDIATE);
        kt_op_submit(&out[i], &pair.dev, i % 2 ? DEV_CHAR_WRITE_FRAME_FLUSH : DEV_CHAR_WRITE_FRAME,
                     (uint8_t *)"ab", 2);
    }
    for (int i = 0; i < FRAMES; i++)
        kt_op_expect(&out[i], &env, 0, 0);
    ck_assert_uint_ge(kt_clock(&env) - begin, (FRAMES - 1) * KROUTINE_MSEC(3));
    kt_peer_read(&pair, back, sizeof back);
    for (int i = 0; i < FRAMES; i++)
        ck_assert_int_eq(memcmp(back + 2 * i, "ab", 2), 0);
    close_all();
}
END_TEST

START_TEST(frame_too_large_to_write)
{
    struct kt_op_s op;

    kt_env_open(&env, KT_EMBEDDED);
    kt_pair_open(&pair, &env, sim() ? KT_SIM : KT_SOCKET, "frame=gap:2ms&frame-max=4");
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_WRITE_FRAME, in, 5);
    kt_op_expect(&op, &env, -ENOSPC, 5);
    close_all();
}
END_TEST

/* --- the keys --- */

START_TEST(specs)
{
    static const struct {
        const char *keys;
        error_t error;
    } texts[] = {
        {"frame=gap:1", 0},
        {"frame=gap:1750us", 0},
        {"frame=gap:20ns", 0},
        {"frame=gap:3600000ms&frame-min=4&frame-max=4", 0},
        {"frame=gap:", -EINVAL},
        {"frame=gap:0", -EINVAL},
        {"frame=gap:-1", -EINVAL},
        {"frame=gap:1s", -EINVAL},
        {"frame=gap:us", -EINVAL},
        {"frame=gap:1us1", -EINVAL},
        {"frame=gap:3600001ms", -EINVAL},
        {"frame=gap:99999999999999999999", -EINVAL},
        {"frame=gap:1ms&frame-min=9&frame-max=8", -EINVAL},
        {"frame=line&frame-min=2", -EINVAL},
        {"frame-min=2", -EINVAL},
    };
    struct device_char_s dev = DEVICE_ACCESSOR_INIT;
    char spec[100];

    kt_env_open(&env, KT_EMBEDDED);
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        error_t err;

        snprintf(spec, sizeof spec, "sim-char:x?%s", texts[i].keys);
        err = device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt), spec,
                                          DRIVER_CLASS_CHAR);
        ck_assert_msg(err == texts[i].error, "%s: %d", spec, err);
        if (err)
            ck_assert_msg(strstr(kroutine_error_text(), "frame"), "%s", kroutine_error_text());
        else
            device_put_accessor(&dev.base);
    }
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char gap, writing");
    const TTest *tests[] = {gap_after_what_was_sent, gap_after_what_was_heard,
                            hold_ends_by_time_out_cancel_and_close, frame_too_large_to_write,
                            specs};

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add(s, tests[i], 20);
    kt_add_loop(s, frames_apart, kt_rounds(KT_DUPLEX | KT_TIMED), kt_timed_duplex_label, 20);
    return s;
}

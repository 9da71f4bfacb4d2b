/* SPDX-License-Identifier: MIT */
/* Timed reads: they end by number, by silence or by their time-out, and say truly what came. */
#include "kt_pair.h"

static struct kt_env_s env;
static struct kt_pair_s pair;

static void open_round(int round)
{
    kt_round_open(&pair, &env, KT_READS | KT_TIMED, round);
}

static void close_all(void)
{
    kt_pair_close(&pair);
    kt_env_close(&env);
}

#define SHORT KROUTINE_MSEC(20)
#define FAR   KROUTINE_SEC(100)

static uint8_t in[64];

static void start(struct kt_timed_s *op, size_t size, size_t min, uint64_t gap, uint64_t timeout)
{
    kt_timed_init(op, &env, KROUTINE_DEFERRED, timeout);
    kt_timed_submit(op, &pair.dev, in, size, min, gap);
}

static void say(const char *text)
{
    if (*text)
        kt_peer_write(&pair, text, strlen(text));
}

/* Lets the stream read what the peer has written. */
static void settle(void)
{
    kt_idle(&env, 4);
}

static void expect_bytes(struct kt_timed_s *op, const char *text)
{
    kt_timed_expect(op, 0, sizeof in - strlen(text));
    ck_assert_ptr_eq(op->at, in + strlen(text));
    ck_assert_int_eq(memcmp(in, text, strlen(text)), 0);
}

/* --- how it ends --- */

START_TEST(min_alone)
{
    struct kt_timed_s op;

    open_round(_i);
    for (int i = 0; i < 20; i++) {
        start(&op, sizeof in, 3, 0, 0);
        say("ab");
        settle();
        ck_assert_uint_eq(kt_get(&op.done), 0);
        say("c");
        expect_bytes(&op, "abc");
    }
    close_all();
}
END_TEST

/* More than the minimum may be there; what is, is given. */
START_TEST(min_and_more)
{
    struct kt_timed_s op;

    open_round(_i);
    if (pair.kind != KT_ROUGH && !kt_kind_is_tty(pair.kind)) {
        say("abcdefgh");
        start(&op, sizeof in, 3, 0, 0);
        expect_bytes(&op, "abcdefgh");
    }
    say("abcdefgh");
    start(&op, 8, 8, 0, 0);
    kt_timed_expect(&op, 0, 0);
    close_all();
}
END_TEST

START_TEST(silence)
{
    struct kt_timed_s op;
    uint64_t begin;

    open_round(_i);
    for (int i = 0; i < 5; i++) {
        start(&op, sizeof in, 1, SHORT, 0);
        settle();
        ck_assert_uint_eq(kt_get(&op.done), 0); /* silence before the first byte does not count */
        begin = kt_clock(&env);
        say("hello");
        expect_bytes(&op, "hello");
        ck_assert_uint_ge(op.when - begin, SHORT);
        ck_assert_uint_lt(op.when - begin, KROUTINE_SEC(2));
    }
    close_all();
}
END_TEST

START_TEST(no_silence_below_min)
{
    struct kt_timed_s op;

    open_round(_i);
    start(&op, sizeof in, 4, KROUTINE_MSEC(2), 0);
    say("abc");
    kt_idle(&env, 30);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    say("d");
    expect_bytes(&op, "abcd");
    close_all();
}
END_TEST

/* What has come before the submit counts as well. */
START_TEST(bytes_before_the_submit)
{
    struct kt_timed_s op;
    struct kt_op_s poll;

    open_round(_i);
    kt_op_init(&poll, KROUTINE_IMMEDIATE);
    kt_op_submit(&poll, &pair.dev, DEV_CHAR_READ_POLL, NULL, 0);
    say("abc");
    kt_op_expect(&poll, &env, 0, 0);
    settle();
    start(&op, sizeof in, 2, SHORT, FAR);
    expect_bytes(&op, "abc");
    close_all();
}
END_TEST

START_TEST(size_ends_it_at_once)
{
    struct kt_timed_s op;
    uint64_t begin;

    open_round(_i);
    begin = kt_clock(&env);
    for (int i = 0; i < 50; i++) {
        start(&op, 6, 1, FAR, 0);
        say("abcdefgh");
        kt_timed_expect(&op, 0, 0);
        ck_assert_int_eq(memcmp(in, "abcdef", 6), 0);
        ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 2, 0), 2);
        ck_assert_int_eq(memcmp(in, "gh", 2), 0);
    }
    ck_assert_uint_lt(kt_clock(&env) - begin, FAR);
    close_all();
}
END_TEST

/* A gap so long that its end is beyond the clock is one that never ends. */
START_TEST(endless_gap)
{
    struct kt_timed_s op;

    open_round(_i);
    start(&op, 4, 1, UINT64_MAX, 0);
    say("abc");
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    say("d");
    kt_timed_expect(&op, 0, 0);
    close_all();
}
END_TEST

START_TEST(time_out)
{
    static const struct {
        const char *bytes;
        size_t min;
        uint64_t gap;
    } cases[] = {
        {"", 1, 0}, {"", 2, SHORT / 2}, {"ab", 3, 0}, {"ab", 3, SHORT / 2}, {"ab", 1, FAR}};
    struct kt_timed_s op;
    uint64_t begin;

    open_round(_i);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].bytes);

        begin = kt_clock(&env);
        start(&op, sizeof in, cases[i].min, cases[i].gap, SHORT);
        say(cases[i].bytes);
        kt_timed_expect(&op, -ETIMEDOUT, sizeof in - n);
        ck_assert_ptr_eq(op.at, in + n);
        ck_assert_uint_ge(op.when - begin, SHORT);
        ck_assert_uint_lt(op.when - begin, KROUTINE_SEC(2));
    }
    close_all();
}
END_TEST

START_TEST(silence_before_the_time_out)
{
    struct kt_timed_s op;

    open_round(_i);
    start(&op, sizeof in, 1, SHORT, FAR);
    say("ab");
    expect_bytes(&op, "ab");
    close_all();
}
END_TEST

/* --- others in the queue --- */

START_TEST(in_a_row)
{
    static uint8_t data[4][16];
    struct kt_timed_s op[4];

    open_round(_i);
    for (int i = 0; i < 4; i++) {
        kt_timed_init(&op[i], &env, KROUTINE_IMMEDIATE, 0);
        kt_timed_submit(&op[i], &pair.dev, data[i], 16, 2, SHORT);
    }
    for (int i = 0; i < 4; i++) {
        say("xyz");
        kt_timed_expect(&op[i], 0, 13);
        ck_assert_int_eq(memcmp(data[i], "xyz", 3), 0);
        if (i)
            ck_assert_uint_lt(op[i - 1].stamp, op[i].stamp);
    }
    close_all();
}
END_TEST

START_TEST(between_others)
{
    struct kt_op_s before, after;
    struct kt_timed_s op;
    uint8_t first[2], last[2];

    open_round(_i);
    kt_op_init(&before, KROUTINE_IMMEDIATE);
    kt_op_init(&after, KROUTINE_IMMEDIATE);
    kt_op_submit(&before, &pair.dev, DEV_CHAR_READ, first, 2);
    start(&op, sizeof in, 1, SHORT, 0);
    kt_op_submit(&after, &pair.dev, DEV_CHAR_READ, last, 2);
    say("abcde");
    kt_op_expect(&before, &env, 0, 0);
    expect_bytes(&op, "cde");
    ck_assert_uint_eq(kt_get(&after.done), 0);
    say("fg");
    kt_op_expect(&after, &env, 0, 0);
    ck_assert_int_eq(memcmp(last, "fg", 2), 0);
    close_all();
}
END_TEST

/* Those behind know their own time-outs. */
START_TEST(time_out_behind)
{
    struct kt_timed_s head, behind;
    uint8_t data[4];

    open_round(_i);
    start(&head, sizeof in, 1, SHORT * 25, 0);
    kt_timed_init(&behind, &env, KROUTINE_DEFERRED, SHORT);
    kt_timed_submit(&behind, &pair.dev, data, 4, 1, SHORT);
    say("abc");
    kt_timed_expect(&behind, -ETIMEDOUT, 4);
    expect_bytes(&head, "abc");
    ck_assert_uint_lt(behind.stamp, head.stamp);
    close_all();
}
END_TEST

/* --- cancel --- */

START_TEST(cancel_at_each_stage)
{
    static const char *const there[] = {"", "ab", "abcd"}; /* none, too few, in the gap */
    struct kt_timed_s op;
    uint8_t rest[2];

    open_round(_i);
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(there[i]);

        start(&op, sizeof in, 3, FAR, FAR);
        say(there[i]);
        settle();
        ck_assert_int_eq(kt_timed_cancel(&op, &pair.dev), 0);
        /* It has all that came, or the rest is still there. */
        ck_assert_ptr_eq(op.timed.rq.data, in + (sizeof in - op.timed.rq.size));
        n -= sizeof in - op.timed.rq.size;
        memset(&op, 0xa5, sizeof op);
        say("xy");
        while (n--)
            kt_run(&pair, DEV_CHAR_READ, rest, 1, 0);
        ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, rest, 2, 0), 2);
        ck_assert_int_eq(memcmp(rest, "xy", 2), 0);
        for (size_t k = 0; k < sizeof op; k++)
            ck_assert_uint_eq(((uint8_t *)&op)[k], 0xa5);
    }
    close_all();
}
END_TEST

/* The gap of one that was taken away is not that of the next. */
START_TEST(cancel_of_the_head)
{
    struct kt_timed_s head, next;
    uint8_t data[8];

    open_round(_i);
    start(&head, sizeof in, 1, FAR, 0);
    kt_timed_init(&next, &env, KROUTINE_DEFERRED, 0);
    kt_timed_submit(&next, &pair.dev, data, 8, 1, SHORT);
    say("abc");
    settle();
    settle();
    ck_assert_int_eq(kt_timed_cancel(&head, &pair.dev), 0);
    if (head.timed.rq.size == sizeof in - 3) { /* all of it had been read */
        kt_idle(&env, 30);
        ck_assert_uint_eq(kt_get(&next.done), 0);
        say("de");
        kt_timed_expect(&next, 0, 6);
        ck_assert_int_eq(memcmp(data, "de", 2), 0);
    } else {
        kt_await(&env, kt_get(&next.done) == 1);
    }
    close_all();
}
END_TEST

/* --- ends --- */

START_TEST(close_at_each_stage)
{
    static const char *const there[] = {"", "ab", "abcd"};
    struct kt_timed_s op;
    struct device_char_s again;
    size_t said = 0;

    open_round(_i);
    for (int i = 0; i < 3; i++) {
        start(&op, sizeof in, 3, FAR, FAR);
        say(there[i]);
        said += strlen(there[i]); /* a terminal keeps what was not read */
        settle();
        device_put_accessor(&pair.dev.base);
        kt_await(&env, kt_get(&op.done) == 1);
        ck_assert_int_eq(op.error, -ECANCELED);
        ck_assert_uint_ge(op.left, sizeof in - said);
        ck_assert_ptr_eq(op.at, in + (sizeof in - op.left));
        if (pair.kind != KT_TTY && pair.kind != KT_FIFO_R && pair.kind != KT_SIM &&
            pair.kind != KT_ROUGH)
            break; /* nothing is left to open again */
        ck_assert_int_eq(kt_pair_lookup(&pair, &again), 0);
        pair.dev = again;
    }
    close_all();
}
END_TEST

/* Hang-up and end of stream come with what was there, as for READ. */
START_TEST(end_of_the_stream)
{
    static const char *const there[] = {"", "ab", "abcd"};
    struct kt_timed_s op, later;

    for (int i = 0; i < 3; i++) {
        size_t n = strlen(there[i]);
        int end;

        open_round(_i);
        end = kt_kind_is_tty(pair.kind) ? -ENODEV : -ENODATA;
        if (pair.kind == KT_FIFO_R) { /* has a writer always: itself */
            close_all();
            return;
        }
        start(&op, sizeof in, 3, FAR, FAR);
        kt_timed_init(&later, &env, KROUTINE_DEFERRED, 0);
        kt_timed_submit(&later, &pair.dev, in, 8, 1, SHORT);
        say(there[i]);
        settle();
        kt_peer_close(&pair);
        kt_await(&env, kt_get(&op.done) == 1);
        ck_assert_int_eq(op.error, end);
        if (!kt_kind_is_tty(pair.kind)) /* a hang-up may overtake bytes */
            ck_assert_uint_eq(op.left, sizeof in - n);
        kt_timed_expect(&later, end, 8);
        close_all();
    }
}
END_TEST

/* --- a reactor that comes late --- */

/* Not where time stands still meanwhile, nor where a try may find nothing though bytes are there.
 */
static bool open_late(int round)
{
    enum kt_kind_e kind = kt_round_kind(KT_READS | KT_TIMED, round);

    if (kt_backend == KROUTINE_BACKEND_SIM || kind == KT_ROUGH)
        return false;
    kt_env_open(&env, KT_EMBEDDED);
    kt_pair_open(&pair, &env, kind, NULL);
    return true;
}

/* The bytes of the second write come in time, but nobody looks before the gap is over. */
START_TEST(late_reactor)
{
    struct kt_timed_s op;

    if (!open_late(_i))
        return;
    for (int tries = 0; tries < 20; tries++) {
        start(&op, sizeof in, 1, KROUTINE_MSEC(60), 0);
        say("ab");
        settle();
        say("cd");
        kt_sleep_ms(70);
        if (!kt_get(&op.done)) { /* otherwise this thread was late, too */
            expect_bytes(&op, "abcd");
            close_all();
            return;
        }
        kt_run(&pair, DEV_CHAR_READ, in, 2, 0);
    }
    ck_abort_msg("this machine is too slow for a gap of 60 ms");
}
END_TEST

/* Not over before the bytes are written. */
#define TIME_OUT (KROUTINE_MSEC(50) * kt_slow())

/* The same for the time-out: all is there in time. */
START_TEST(late_time_out)
{
    struct kt_timed_s op;

    if (!open_late(_i))
        return;
    for (int i = 0; i < 2; i++) {
        start(&op, 8, 8, 0, TIME_OUT);
        say("abcdefgh");
        kt_sleep_ms(60 * kt_slow());
        kt_timed_expect(&op, 0, 0);
        start(&op, sizeof in, 9, 0, TIME_OUT);
        say("abcdefgh");
        kt_sleep_ms(60 * kt_slow());
        kt_timed_expect(&op, -ETIMEDOUT, sizeof in - 8);
    }
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char timed");
    const TTest *tests[] = {
        min_alone,
        min_and_more,
        silence,
        no_silence_below_min,
        bytes_before_the_submit,
        size_ends_it_at_once,
        endless_gap,
        time_out,
        silence_before_the_time_out,
        in_a_row,
        between_others,
        time_out_behind,
        cancel_at_each_stage,
        cancel_of_the_head,
        close_at_each_stage,
        end_of_the_stream,
        late_reactor,
        late_time_out,
    };

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], kt_rounds(KT_READS | KT_TIMED), kt_timed_reads_label, 20);
    return s;
}

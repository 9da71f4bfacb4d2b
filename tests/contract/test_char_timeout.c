/* SPDX-License-Identifier: MIT */
/* Time-outs: in time, with what was transferred, and gone when the request is. */
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

static void submit_read(struct kt_op_s *op, void *in, size_t size, uint64_t timeout)
{
    kt_op_init(op, KROUTINE_DEFERRED);
    dev_request_set_timeout(&op->rq.base, timeout);
    kt_op_submit(op, &pair.dev, DEV_CHAR_READ, in, size);
}

#define EARLY KROUTINE_MSEC(20)
#define FAR   KROUTINE_SEC(100)

START_TEST(nothing_comes)
{
    struct kt_op_s op;
    uint64_t start;
    uint8_t in[10];

    open_round(_i);
    start = kt_clock(&env);
    submit_read(&op, in, sizeof in, EARLY);
    kt_op_expect(&op, &env, -ETIMEDOUT, sizeof in);
    ck_assert_uint_ge(kt_clock(&env) - start, EARLY);
    ck_assert_uint_lt(kt_clock(&env) - start, KROUTINE_SEC(2));
    ck_assert_ptr_eq(op.at, in);
    close_all();
}
END_TEST

START_TEST(some_of_it_comes)
{
    uint8_t in[10], rest[4];
    struct kt_op_s op;

    open_round(_i);
    kt_peer_write(&pair, "abcd", 4); /* first: the time-out must not be over before it */
    submit_read(&op, in, sizeof in, EARLY);
    kt_op_expect(&op, &env, -ETIMEDOUT, 6);
    ck_assert_ptr_eq(op.at, in + 4);
    ck_assert_int_eq(memcmp(in, "abcd", 4), 0);
    kt_peer_write(&pair, "efgh", 4); /* the next one goes on there */
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, rest, 4, 0), 4);
    ck_assert_int_eq(memcmp(rest, "efgh", 4), 0);
    close_all();
}
END_TEST

/* Each has its own: that of one behind does not wait for the head, nor touch it. */
START_TEST(one_behind_the_head)
{
    struct kt_op_s head, behind, third;
    uint8_t in[3];

    open_round(_i);
    submit_read(&head, in, 1, 0);
    submit_read(&behind, in + 1, 1, EARLY);
    submit_read(&third, in + 2, 1, FAR);
    kt_op_expect(&behind, &env, -ETIMEDOUT, 1);
    ck_assert_uint_eq(kt_get(&head.done), 0);
    ck_assert_uint_eq(kt_get(&third.done), 0);
    kt_peer_write(&pair, "xy", 2);
    kt_op_expect(&head, &env, 0, 0);
    kt_op_expect(&third, &env, 0, 0);
    ck_assert_uint_eq(in[0], 'x');
    ck_assert_uint_eq(in[2], 'y');
    close_all();
}
END_TEST

/* What ends in one look of a late reactor ends in the order of submission: the order of deadlines
   shows when no look was that late. */
#define APART    KROUTINE_MSEC(40)
#define ATTEMPTS 20

static uint64_t ended[4];
static struct kt_op_s in_order[4];

static void note_end(struct kt_op_s *op)
{
    ended[op - in_order] = kt_clock(&env);
}

static uint64_t end_in_order(uint8_t *in)
{
    uint64_t due[4], latest = 0;

    for (unsigned i = 0; i < 4; i++) {
        uint64_t timeout = EARLY + APART * (3 - i);

        due[i] = kt_clock(&env) + timeout;
        kt_op_init(&in_order[i], KROUTINE_IMMEDIATE);
        in_order[i].then = note_end;
        dev_request_set_timeout(&in_order[i].rq.base, timeout);
        kt_op_submit(&in_order[i], &pair.dev, DEV_CHAR_READ, &in[i], 1);
    }
    for (unsigned i = 0; i < 4; i++)
        kt_op_expect(&in_order[i], &env, -ETIMEDOUT, 1);
    for (unsigned i = 0; i < 4; i++)
        latest = ended[i] - due[i] > latest ? ended[i] - due[i] : latest;
    return latest;
}

/* The later submitted may be the earlier to end. */
START_TEST(in_the_order_of_their_deadlines)
{
    unsigned attempts = 0;
    uint8_t in[4];

    open_round(_i);
    while (end_in_order(in) >= APART)
        if (++attempts == ATTEMPTS)
            kt_skip("the machine is too busy: time-outs are noticed 40 ms late");
    for (unsigned i = 1; i < 4; i++)
        ck_assert_uint_lt(in_order[i].stamp, in_order[i - 1].stamp);
    close_all();
}
END_TEST

#define SOON KROUTINE_MSEC(200) /* and not over before the next lines have run */

START_TEST(not_after_the_end)
{
    struct kt_op_s op;
    uint8_t in[1];

    open_round(_i);
    submit_read(&op, in, 1, SOON);
    kt_peer_write(&pair, "x", 1);
    kt_op_expect(&op, &env, 0, 0);
    /* Resubmitted without: the old one must not come. */
    dev_request_set_timeout(&op.rq.base, 0);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
    kt_idle(&env, SOON / KROUTINE_MSEC(1) + 20);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    ck_assert_int_eq(kt_op_cancel(&op, &pair.dev), 0);
    /* Nor after a cancel, nor to the memory. */
    submit_read(&op, in, 1, SOON);
    ck_assert_int_eq(kt_op_cancel(&op, &pair.dev), 0);
    memset(&op.rq, 0xa5, sizeof op.rq);
    kt_idle(&env, SOON / KROUTINE_MSEC(1) + 20);
    for (size_t i = 0; i < sizeof op.rq; i++)
        ck_assert_uint_eq(((uint8_t *)&op.rq)[i], 0xa5);
    close_all();
}
END_TEST

/* It holds for every later submit, counted from each. */
START_TEST(again_and_again)
{
    struct kt_op_s op;
    uint8_t in[1];

    open_round(_i);
    kt_op_init(&op, KROUTINE_IMMEDIATE);
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(2));
    for (int i = 0; i < 20; i++) {
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
        kt_op_expect(&op, &env, -ETIMEDOUT, 1);
    }
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
    kt_op_expect(&op, &env, -ETIMEDOUT, 1);
    close_all();
}
END_TEST

START_TEST(other_types)
{
    static const unsigned types[] = {DEV_CHAR_READ_PARTIAL, DEV_CHAR_READ_POLL, DEV_CHAR_DISCARD};
    struct kt_op_s op;
    uint8_t in[4];

    open_round(_i);
    for (int t = 0; t < 3; t++) {
        kt_op_init(&op, KROUTINE_DEFERRED);
        dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(5));
        kt_op_submit(&op, &pair.dev, types[t], in, 4);
        kt_op_expect(&op, &env, -ETIMEDOUT, 4);
    }
    /* The poll counted nothing and took nothing, the others took nothing either. */
    kt_peer_write(&pair, "abcd", 4);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 4, 0), 4);
    ck_assert_int_eq(memcmp(in, "abcd", 4), 0);
    close_all();
}
END_TEST

/* A time-out that is past before anything could be tried still tries. */
START_TEST(data_that_is_there_comes_first)
{
    struct kt_op_s op;
    uint8_t in[2];

    open_round(_i);
    for (int i = 0; i < 20; i++) {
        kt_peer_write(&pair, "xy", 2);
        kt_run(&pair, DEV_CHAR_READ_POLL, NULL, 0, 0);
        if (kt_kind_is_tty(pair.kind))
            kt_idle(&env, 3);
        submit_read(&op, in, 2, pair.kind == KT_ROUGH ? FAR : 1); /* it may try in vain */
        kt_op_expect(&op, &env, 0, 0);
    }
    close_all();
}
END_TEST

/* --- writing --- */

START_TEST(write_into_a_full_line)
{
    static uint8_t out[1 << 20], in[1 << 20];
    struct kt_op_s op;
    size_t moved;

    kt_round_open(&pair, &env, KT_WRITES | KT_TIMED, _i);
    kt_fill(out, sizeof out, 0);
    kt_op_init(&op, KROUTINE_DEFERRED);
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(60));
    kt_op_submit(&op, &pair.dev, DEV_CHAR_WRITE, out, sizeof out);
    kt_await(&env, kt_get(&op.done) == 1);
    ck_assert_int_eq(op.error, -ETIMEDOUT);
    moved = sizeof out - op.left;
    ck_assert_uint_gt(moved, 0);
    ck_assert_uint_lt(moved, sizeof out);
    ck_assert_ptr_eq(op.at, out + moved);
    /* Exactly that many are on the line. */
    kt_peer_read(&pair, in, moved);
    kt_check_fill(in, moved, 0);
    kt_idle(&env, 5);
    ck_assert_int_eq(kt_peer_read_some(&pair, in, 10), 0);
    close_all();
}
END_TEST

/* --- many --- */

#define MANY 2000

START_TEST(many_at_once)
{
    static struct kt_op_s op[MANY];
    static uint8_t in[MANY];
    unsigned seed = 3;

    open_round(_i);
    for (unsigned i = 0; i < MANY; i++)
        submit_read(&op[i], &in[i], 1, KROUTINE_MSEC(5) + rand_r(&seed) % KROUTINE_MSEC(50));
    for (unsigned i = 0; i < MANY; i++)
        kt_op_expect(&op[i], &env, -ETIMEDOUT, 1);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char time-out");
    const TTest *tests[] = {
        nothing_comes,     some_of_it_comes, one_behind_the_head, in_the_order_of_their_deadlines,
        not_after_the_end, again_and_again,  other_types,         data_that_is_there_comes_first,
        many_at_once,
    };

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], kt_rounds(KT_READS | KT_TIMED), kt_timed_reads_label, 20);
    kt_add_loop(s, write_into_a_full_line, kt_rounds(KT_WRITES | KT_TIMED), kt_timed_writes_label,
                20);
    return s;
}

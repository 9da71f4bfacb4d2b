/* SPDX-License-Identifier: MIT */
/* Closing: with requests pending, from anywhere, for real; and opening again. */
#include "kt_pair.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

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

static const enum kroutine_policy_e policies[] = {KROUTINE_IMMEDIATE, KROUTINE_DEFERRED,
                                                  KROUTINE_SCHED_SWITCH};

/* -ECANCELED, completed before the close returns: an IMMEDIATE handler has run by then. */
START_TEST(close_completes_what_is_pending)
{
    struct kt_op_s op[6];
    uint8_t in[6][4];

    open_round(_i);
    for (int i = 0; i < 6; i++) {
        kt_op_init(&op[i], policies[i % 3]);
        kt_op_submit(&op[i], &pair.dev, DEV_CHAR_READ, in[i], 4);
    }
    kt_peer_write(&pair, "ab", 2);
    kt_idle(&env, 3);
    device_put_accessor(&pair.dev.base);
    ck_assert(!device_check_accessor(&pair.dev.base));
    ck_assert_uint_eq(kt_get(&op[0].done), 1);
    ck_assert_uint_eq(kt_get(&op[3].done), 1);
    for (int i = 0; i < 6; i++) {
        kt_await(&env, kt_get(&op[i].done) == 1);
        ck_assert_int_eq(op[i].error, -ECANCELED);
        if (i)
            ck_assert_uint_eq(op[i].left, 4);
    }
    ck_assert_uint_ge(op[0].left, 2);
    ck_assert_uint_lt(op[0].stamp, op[3].stamp);
    close_all();
}
END_TEST

START_TEST(close_with_writes_pending)
{
    static uint8_t out[1 << 20];
    struct kt_op_s op[3];

    kt_round_open(&pair, &env, KT_WRITES, _i);
    for (int i = 0; i < 3; i++) {
        kt_op_init(&op[i], KROUTINE_IMMEDIATE);
        kt_op_submit(&op[i], &pair.dev, DEV_CHAR_WRITE, out, sizeof out);
    }
    device_put_accessor(&pair.dev.base);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(kt_get(&op[i].done), 1);
        ck_assert_int_eq(op[i].error, -ECANCELED);
    }
    ck_assert_uint_lt(op[0].left, sizeof out);
    ck_assert_uint_eq(op[2].left, sizeof out);
    close_all();
}
END_TEST

/* --- from a handler of the device itself --- */

static struct kt_op_s later;

static void close_here(struct kt_op_s *op)
{
    (void)op;
    device_put_accessor(&pair.dev.base);
}

START_TEST(close_from_a_handler)
{
    uint8_t in[2];

    open_round(_i);
    device_put_accessor(&pair.dev.base);
    for (int p = 0; p < 3; p++) {
        struct kt_op_s op;

        kt_pair_close(&pair);
        kt_pair_open(&pair, &env, kt_round_kind(KT_READS, _i), NULL);
        kt_op_init(&op, policies[p]);
        kt_op_init(&later, policies[(p + 1) % 3]);
        op.then = close_here;
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
        kt_op_submit(&later, &pair.dev, DEV_CHAR_READ, in + 1, 1);
        kt_peer_write(&pair, "x", 1);
        kt_op_expect(&op, &env, 0, 0);
        kt_op_expect(&later, &env, -ECANCELED, 1);
        ck_assert(!device_check_accessor(&pair.dev.base));
    }
    close_all();
}
END_TEST

/* The handler of a request that the close itself ends closes a second time, and submits once
   more: refused, not looped for ever. */
static struct device_char_s second;
static unsigned refusals;

static void submit_again(struct kt_op_s *op)
{
    if (op->rq.error == -ECANCELED && refusals++ < 3)
        DEVICE_OP(&second, request, &op->rq);
}

START_TEST(submit_while_the_device_closes)
{
    struct kt_op_s op;
    uint8_t in[1];

    open_round(_i);
    second = pair.dev; /* no reference: what a handler could have in its hands at that moment */
    kt_op_init(&op, KROUTINE_SCHED_SWITCH);
    op.then = submit_again;
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
    kt_env_close(&env); /* closes its devices; the accessor stays */
    ck_assert_uint_ge(kt_get(&op.done), 1);
    ck_assert_int_eq(op.error, -ECANCELED);
    ck_assert_uint_ge(refusals, 1);
    kt_pair_close(&pair);
}
END_TEST

/* --- for real --- */

static short peer_events(void)
{
    struct pollfd pfd = {pair.peer, POLLIN | POLLOUT, 0};

    return poll(&pfd, 1, 0) < 0 ? 0 : pfd.revents;
}

/* What the peer sees when nothing holds the other side any more. */
static bool peer_sees_the_end(void)
{
    uint8_t byte;

    if (pair.kind == KT_SIM || pair.kind == KT_ROUGH)
        return kt_peer_read_some(&pair, &byte, 1) < 0;
    return peer_events() & (POLLHUP | POLLERR);
}

/* With a read in flight: an io_uring request that stays behind keeps the file open. */
START_TEST(the_peer_sees_it)
{
    struct kt_op_s op;
    uint8_t in[1];

    open_round(_i);
    if (pair.kind != KT_FIFO_R) /* whose peer is reader and writer both */
        ck_assert(!peer_sees_the_end());
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
    kt_idle(&env, 5);
    device_put_accessor(&pair.dev.base);
    if (pair.kind != KT_FIFO_R)
        kt_await(&env, peer_sees_the_end());
    kt_op_expect(&op, &env, -ECANCELED, 1);
    close_all();
}
END_TEST

START_TEST(descriptors_are_given_back)
{
    unsigned before = 0;

    kt_env_open(&env, kt_round_mode(KT_READS, _i));
    for (int i = 0; i < 50; i++) {
        struct kt_op_s op;

        if (i == 2) /* what the runtime itself opens at first use is open by now */
            before = kt_open_fds();
        uint8_t in[1];

        kt_pair_open(&pair, &env, kt_round_kind(KT_READS, _i), NULL);
        kt_op_init(&op, policies[i % 3]);
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
        if (i % 2)
            kt_idle(&env, 1);
        kt_pair_close(&pair);
        kt_op_expect(&op, &env, -ECANCELED, 1);
    }
    kt_await(&env, kt_open_fds() == before);
    kt_env_close(&env);
}
END_TEST

/* --- accessors --- */

START_TEST(the_last_accessor_closes)
{
    struct device_char_s copy, other;
    struct kt_op_s op;
    uint8_t in[1];

    open_round(_i);
    memset(&copy, 0, sizeof copy);
    ck_assert_int_eq(device_copy_accessor(&copy.base, &pair.dev.base), 0);
    ck_assert(device_cmp_accessor(&copy.base, &pair.dev.base));
    if (strncmp(pair.spec, "fd:", 3)) { /* the same spec: the same device */
        ck_assert_int_eq(kt_pair_lookup(&pair, &other), 0);
        ck_assert(device_cmp_accessor(&other.base, &pair.dev.base));
    } else {
        memset(&other, 0, sizeof other);
    }
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &copy, DEV_CHAR_READ, in, 1);
    device_put_accessor(&pair.dev.base);
    device_put_accessor(&other.base);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_peer_write(&pair, "y", 1);
    kt_op_expect(&op, &env, 0, 0);
    kt_op_submit(&op, &copy, DEV_CHAR_READ, in, 1);
    device_put_accessor(&copy.base);
    kt_op_expect(&op, &env, -ECANCELED, 1);
    device_put_accessor(&copy.base); /* not open: left alone */
    close_all();
}
END_TEST

/* A descriptor's number names something else once the program has closed it and opened another:
   then the same spec is another device. */
START_TEST(the_same_number_is_another_device)
{
    struct device_char_s first, other;
    char spec[32];
    uint8_t byte = 0;
    int a[2], b[2];

    kt_env_open(&env, (enum kt_mode_e)_i);
    pair.env = &env;
    pair.peer = -1;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
    snprintf(pair.spec, sizeof pair.spec, "fd:%d", a[0]);
    ck_assert_int_eq(kt_pair_lookup(&pair, &first), 0);
    close(a[0]);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
    snprintf(spec, sizeof spec, "fd:%d", b[0]);
    ck_assert_str_eq(spec, pair.spec);
    ck_assert_int_eq(kt_pair_lookup(&pair, &other), 0);
    ck_assert(!device_cmp_accessor(&first.base, &other.base));
    ck_assert_int_eq(write(b[1], "b", 1), 1);
    ck_assert_int_eq(write(a[1], "a", 1), 1);
    pair.dev = other;
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, &byte, 1, 0), 1);
    ck_assert_uint_eq(byte, 'b');
    pair.dev = first;
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, &byte, 1, 0), 1);
    ck_assert_uint_eq(byte, 'a');
    device_put_accessor(&other.base);
    close_all();
}
END_TEST

/* Devices with a path can be opened again at once, bytes and all. */
START_TEST(opened_again)
{
    static const enum kt_kind_e by_path[] = {KT_TTY, KT_FIFO_R, KT_SIM};
    bool sim = kt_backend == KROUTINE_BACKEND_SIM;
    enum kt_kind_e kind = by_path[sim ? 2 : _i / 2];
    uint8_t in[3];

    kt_env_open(&env, (enum kt_mode_e)(_i % 2));
    kt_pair_open(&pair, &env, kind, NULL);
    for (int i = 0; i < 30; i++) {
        struct kt_op_s op;

        kt_op_init(&op, KROUTINE_DEFERRED);
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 3);
        kt_peer_write(&pair, "abc", 3);
        kt_op_expect(&op, &env, 0, 0);
        ck_assert_int_eq(memcmp(in, "abc", 3), 0);
        if (i % 2)
            kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 3);
        device_put_accessor(&pair.dev.base);
        ck_assert_int_eq(kt_pair_lookup(&pair, &pair.dev), 0);
        if (i % 2)
            kt_op_expect(&op, &env, -ECANCELED, 3);
    }
    close_all();
}
END_TEST

static const char *again_label(int round)
{
    static const char *const names[] = {"tty,threads",   "tty,embedded", "fifo,threads",
                                        "fifo,embedded", "sim,threads",  "sim,embedded"};

    return names[round + (kt_backend == KROUTINE_BACKEND_SIM ? 4 : 0)];
}

/* --- against submitters --- */

static bool stop;
static unsigned completed, submitted;

static KROUTINE_EXEC(count_and_free)
{
    struct dev_char_rq_s *rq = dev_char_rq_from_kr(kr);

    (void)flags;
    if (rq->error != 0 && rq->error != -ECANCELED)
        ck_abort_msg("error %d", rq->error);
    free(rq);
    kt_inc(&completed);
}

static void *submit_and_put(void *arg)
{
    struct device_char_s mine;

    (void)arg;
    while (!kt_get(&stop)) {
        if (kt_pair_lookup(&pair, &mine))
            ck_abort_msg("%s: %s", pair.spec, kroutine_error_text());
        for (int i = 0; i < 5; i++) {
            struct dev_char_rq_s *rq = calloc(1, sizeof *rq + 8);

            dev_char_rq_init(rq, count_and_free);
            rq->type = DEV_CHAR_READ;
            rq->data = (uint8_t *)(rq + 1);
            rq->size = 8;
            kt_inc(&submitted);
            DEVICE_OP(&mine, request, rq);
        }
        device_put_accessor(&mine.base);
    }
    return NULL;
}

/* Three threads open, submit and close the same device: each request completes, once. */
START_TEST(many_open_and_close_the_same)
{
    pthread_t thread[3];

    kt_env_open(&env, KT_THREADS);
    kt_pair_open(&pair, &env, kt_backend == KROUTINE_BACKEND_SIM ? KT_SIM : KT_FIFO_R, NULL);
    device_put_accessor(&pair.dev.base);
    for (int i = 0; i < 3; i++)
        thread[i] = kt_thread(submit_and_put, NULL);
    for (int i = 0; i < 200; i++) {
        if (pair.peer >= 0 && write(pair.peer, "12345678", 8) < 0)
            ck_assert_int_eq(errno, EAGAIN);
        kt_sleep_ms(1);
    }
    kt_set(&stop, true);
    for (int i = 0; i < 3; i++)
        kt_join(thread[i]);
    kt_await(&env, kt_get(&completed) == kt_get(&submitted));
    ck_assert_uint_gt(submitted, 100);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char close");
    const TTest *tests[] = {
        close_completes_what_is_pending, close_from_a_handler,
        submit_while_the_device_closes,  the_peer_sees_it,
        descriptors_are_given_back,      the_last_accessor_closes,
    };

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], kt_rounds(KT_READS), kt_reads_label, 20);
    kt_add_loop(s, close_with_writes_pending, kt_rounds(KT_WRITES), kt_writes_label, 20);
    kt_add_loop(s, opened_again, kt_backend == KROUTINE_BACKEND_SIM ? 2 : 4, again_label, 20);
    if (kt_backend != KROUTINE_BACKEND_SIM)
        kt_add_loop(s, the_same_number_is_another_device, KT_MODES, kt_mode_label, 20);
    kt_add(s, many_open_and_close_the_same, 30);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* Cancel: its answer can be trusted, no byte is lost to it, and it never runs a handler. */
#include "kt_pair.h"

#include <sched.h>
#include <semaphore.h>

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

/* The answer for a request that waits: 0; or -EBUSY while some thread tries it right now, and then
   it ends at once, with -ECANCELED. True: 0. */
static bool cancel_waiting(struct kt_op_s *op)
{
    error_t err = kt_op_cancel(op, &pair.dev);

    if (err == 0)
        return true;
    ck_assert_int_eq(err, -EBUSY);
    kt_await(&env, kt_get(&op->done) == 1);
    ck_assert_int_eq(op->error, -ECANCELED);
    return false;
}

START_TEST(cancelled_read_never_runs)
{
    struct kt_op_s op;
    uint8_t in[4];

    open_round(_i);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, sizeof in);
    kt_idle(&env, 5);
    ck_assert_int_eq(kt_op_cancel(&op, &pair.dev), 0);
    ck_assert_uint_eq(op.rq.size, sizeof in);
    ck_assert_ptr_eq(op.rq.data, in);
    ck_assert_int_eq(kt_op_cancel(&op, &pair.dev), -EBUSY); /* over */
    kt_peer_write(&pair, "abcd", 4);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, sizeof in); /* the caller's again */
    kt_op_expect(&op, &env, 0, 0);
    ck_assert_int_eq(memcmp(in, "abcd", 4), 0);
    close_all();
}
END_TEST

START_TEST(cancel_of_what_is_over)
{
    struct kt_op_s op;
    uint8_t in[1];

    open_round(_i);
    kt_op_init(&op, KROUTINE_DEFERRED);
    ck_assert_int_eq(kt_op_cancel(&op, &pair.dev), -EBUSY); /* never submitted */
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
    kt_peer_write(&pair, "x", 1);
    kt_op_expect(&op, &env, 0, 0);
    ck_assert_int_eq(kt_op_cancel(&op, &pair.dev), -EBUSY);
    kt_idle(&env, 5);
    ck_assert_uint_eq(op.done, 1);
    close_all();
}
END_TEST

/* The head has some of its bytes: they are counted, or still there for the next. Never lost. */
START_TEST(cancel_of_a_partly_done_read)
{
    uint8_t in[10], rest[10];
    struct kt_op_s op;
    size_t taken, left;

    open_round(_i);
    for (int round = 0; round < 10; round++) {
        memset(in, 0, sizeof in);
        kt_op_init(&op, KROUTINE_DEFERRED);
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, sizeof in);
        kt_peer_write(&pair, "wxyz", 4);
        if (round % 2)
            kt_idle(&env, 3);
        cancel_waiting(&op);
        taken = sizeof in - op.rq.size;
        ck_assert_uint_le(taken, 4);
        ck_assert_ptr_eq(op.rq.data, in + taken);
        left = kt_run(&pair, DEV_CHAR_READ, rest, 4 - taken, 4 - taken ? 0 : -EINVAL);
        ck_assert_uint_eq(taken + left, 4);
        memcpy(in + taken, rest, left);
        ck_assert_int_eq(memcmp(in, "wxyz", 4), 0);
    }
    close_all();
}
END_TEST

#define ROW 5

START_TEST(cancel_of_any_in_a_row)
{
    struct kt_op_s op[ROW];
    uint8_t in[ROW][2];

    open_round(_i);
    for (unsigned mask = 1; mask < 1u << ROW; mask++) {
        unsigned last = 0, expected = 0;
        bool gone[ROW] = {false};

        for (unsigned i = 0; i < ROW; i++) {
            kt_op_init(&op[i], KROUTINE_IMMEDIATE);
            kt_op_submit(&op[i], &pair.dev, DEV_CHAR_READ, in[i], 2);
        }
        for (unsigned i = 0; i < ROW; i++)
            if (mask & 1u << i) {
                cancel_waiting(&op[i]);
                gone[i] = true;
            }
        for (unsigned i = 0; i < ROW; i++) {
            uint8_t piece[2] = {(uint8_t)i, (uint8_t)mask};

            if (gone[i])
                continue;
            kt_peer_write(&pair, piece, 2);
            expected++;
        }
        for (unsigned i = 0; i < ROW && expected; i++) {
            if (gone[i])
                continue;
            kt_op_expect(&op[i], &env, 0, 0);
            ck_assert_uint_eq(in[i][0], i);
            ck_assert_uint_gt(op[i].stamp, last);
            last = op[i].stamp;
        }
    }
    close_all();
}
END_TEST

/* The head waits for many bytes and is cancelled: what is there satisfies the next at once. */
START_TEST(next_goes_on_after_the_head)
{
    struct kt_op_s head, next;
    uint8_t in[100], byte = 0;

    open_round(_i);
    kt_op_init(&head, KROUTINE_DEFERRED);
    kt_op_init(&next, KROUTINE_DEFERRED);
    kt_op_submit(&head, &pair.dev, DEV_CHAR_READ_POLL, NULL, 0);
    kt_op_submit(&next, &pair.dev, DEV_CHAR_READ_NONBLOCK, in, sizeof in);
    kt_idle(&env, 3);
    ck_assert_uint_eq(kt_get(&next.done), 0);
    cancel_waiting(&head);
    kt_op_expect(&next, &env, 0, sizeof in); /* its turn came, nothing was there */
    kt_op_submit(&head, &pair.dev, DEV_CHAR_READ, in, sizeof in);
    kt_op_submit(&next, &pair.dev, DEV_CHAR_READ, &byte, 1);
    cancel_waiting(&head);
    kt_peer_write(&pair, "k", 1);
    kt_op_expect(&next, &env, 0, 0);
    ck_assert_uint_eq(byte, 'k');
    close_all();
}
END_TEST

/* --- from a handler of a neighbour --- */

static struct kt_op_s neighbour;
static error_t answer;

static void cancel_neighbour(struct kt_op_s *op)
{
    (void)op;
    answer = kt_op_cancel(&neighbour, &pair.dev);
}

static const enum kroutine_policy_e policies[] = {KROUTINE_IMMEDIATE, KROUTINE_DEFERRED,
                                                  KROUTINE_SCHED_SWITCH};

START_TEST(cancel_from_a_neighbours_handler)
{
    struct kt_op_s op;
    uint8_t in[8];
    size_t taken;

    open_round(_i);
    for (int round = 0; round < 12; round++) {
        kt_op_init(&op, policies[round % 3]);
        kt_op_init(&neighbour, policies[round / 3 % 3]);
        op.then = cancel_neighbour;
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 2);
        kt_op_submit(&neighbour, &pair.dev, DEV_CHAR_READ, in + 2, 2);
        kt_peer_write(&pair, "abcd", 4);
        kt_op_expect(&op, &env, 0, 0);
        if (answer == 0) {
            kt_idle(&env, 2);
            ck_assert_uint_eq(kt_get(&neighbour.done), 0);
        } else {
            ck_assert_int_eq(answer, -EBUSY);
            kt_await(&env, kt_get(&neighbour.done) == 1);
        }
        taken = 2 - neighbour.rq.size;
        if (taken < 2)
            kt_run(&pair, DEV_CHAR_READ, in + 2 + taken, 2 - taken, 0);
        ck_assert_int_eq(memcmp(in, "abcd", 4), 0);
    }
    close_all();
}
END_TEST

/* --- cancel_wait --- */

static sem_t entered, go;
static bool handler_returned;

static void stay(struct kt_op_s *op)
{
    (void)op;
    sem_post(&entered);
    sem_wait(&go);
    kt_set(&handler_returned, true);
}

static void *release_later(void *arg)
{
    (void)arg;
    kt_sleep_ms(30);
    sem_post(&go);
    return NULL;
}

START_TEST(cancel_wait_of_a_waiting_one)
{
    struct kt_op_s op;
    uint8_t in[1];
    error_t err;

    open_round(_i);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
    err = dev_request_cancel_wait(&pair.dev.base, &op.rq.base);
    if (env.embedded) {
        ck_assert_int_eq(err, -EDEADLK); /* this thread is the reactor */
        ck_assert_int_eq(kt_op_cancel(&op, &pair.dev), 0);
    } else {
        ck_assert(err == 0 || err == -EBUSY);
        ck_assert_uint_eq(kt_get(&op.done), err ? 1 : 0);
    }
    memset(&op, 0xee, sizeof op);
    kt_idle(&env, 5);
    close_all();
}
END_TEST

START_TEST(cancel_wait_waits_for_the_handler)
{
    struct kt_op_s op;
    pthread_t thread;
    uint8_t in[1];

    kt_env_open(&env, KT_THREADS);
    kt_pair_open(&pair, &env, kt_round_kind(KT_READS, _i), NULL);
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    kt_op_init(&op, KROUTINE_DEFERRED);
    op.then = stay;
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
    kt_peer_write(&pair, "x", 1);
    sem_wait(&entered);
    thread = kt_thread(release_later, NULL);
    ck_assert_int_eq(dev_request_cancel_wait(&pair.dev.base, &op.rq.base), -EBUSY);
    ck_assert(kt_get(&handler_returned));
    ck_assert_uint_eq(kt_get(&op.done), 1);
    kt_join(thread);
    close_all();
}
END_TEST

static void wait_for_itself(struct kt_op_s *op)
{
    answer = dev_request_cancel_wait(&pair.dev.base, &op->rq.base);
}

START_TEST(cancel_wait_is_refused_where_it_would_hang)
{
    struct kt_op_s op;
    uint8_t in[1];

    open_round(_i);
    for (int p = 0; p < 3; p++) {
        answer = 1;
        kt_op_init(&op, policies[p]);
        op.then = wait_for_itself;
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
        kt_peer_write(&pair, "x", 1);
        kt_op_expect(&op, &env, 0, 0);
        ck_assert_int_eq(answer, -EDEADLK);
    }
    close_all();
}
END_TEST

/* --- races --- */

static bool stop;
static unsigned sent, received; /* received: atomic */

/* Never far ahead: sometimes there is something, sometimes not. */
static void *feed(void *arg)
{
    unsigned seed = 5;

    (void)arg;
    while (!kt_get(&stop)) {
        uint8_t piece[8];
        size_t n = 1 + (size_t)rand_r(&seed) % 8;

        if (sent - kt_get(&received) > 40) {
            sched_yield();
            continue;
        }
        kt_fill(piece, n, sent);
        if (write(pair.peer, piece, n) == (ssize_t)n)
            sent += (unsigned)n;
        for (unsigned i = rand_r(&seed) % 2000; i; i--)
            __asm__ volatile("");
    }
    return NULL;
}

/* Reads that are cancelled while their bytes come: handler or cancel, never both, and each byte
   of the stream is seen exactly once, in order. */
START_TEST(handler_or_cancel_and_no_byte_lost)
{
    unsigned seed = 17, cancels = 0, handlers = 0;
    uint64_t end = kt_now() + kt_patience();
    enum kt_kind_e kind = _i ? KT_SOCKET : KT_PIPE_R;
    pthread_t thread;
    size_t at = 0;

    kt_env_open(&env, KT_THREADS);
    kt_pair_open(&pair, &env, kind, NULL);
    thread = kt_thread(feed, NULL);
    /* Both answers must have been seen, which a loaded machine may put off. */
    for (unsigned i = 0; i < kt_count(20000) || ((!cancels || !handlers) && kt_now() < end); i++) {
        uint8_t in[16];
        struct kt_op_s op;
        size_t size = 1 + (size_t)rand_r(&seed) % sizeof in;
        error_t err;

        kt_op_init(&op, policies[rand_r(&seed) % 3]);
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, size);
        for (unsigned n = rand_r(&seed) % 4000; n; n--)
            __asm__ volatile("");
        err = kt_op_cancel(&op, &pair.dev);
        if (err == 0) {
            cancels++;
            if (kt_get(&op.done))
                ck_abort_msg("cancelled, and yet the handler ran");
        } else {
            handlers++;
            kt_await(&env, kt_get(&op.done) == 1);
            if (op.error != 0 && op.error != -ECANCELED)
                ck_abort_msg("error %d", op.error);
        }
        kt_check_fill(in, size - op.rq.size, at);
        at += size - op.rq.size;
        kt_set(&received, (unsigned)at);
    }
    kt_set(&stop, true);
    kt_join(thread);
    ck_assert_uint_gt(cancels, 0);
    ck_assert_uint_gt(handlers, 0);
    ck_assert_uint_gt(at, 0);
    close_all();
}
END_TEST

static const char *race_label(int i)
{
    return i ? "socket" : "pipe";
}

static const char *threads_label(int i)
{
    return kt_kind_name(kt_round_kind(KT_READS, i));
}

Suite *kt_suite(void)
{
    Suite *s = suite_create("char cancel");
    const TTest *tests[] = {
        cancelled_read_never_runs,    cancel_of_what_is_over,
        cancel_of_a_partly_done_read, cancel_of_any_in_a_row,
        next_goes_on_after_the_head,  cancel_from_a_neighbours_handler,
        cancel_wait_of_a_waiting_one, cancel_wait_is_refused_where_it_would_hang,
    };

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], kt_rounds(KT_READS), kt_reads_label, 20);
    kt_add_loop(s, cancel_wait_waits_for_the_handler, kt_rounds(KT_READS) / KT_MODES, threads_label,
                10);
    if (kt_backend != KROUTINE_BACKEND_SIM)
        kt_add_loop(s, handler_or_cancel_and_no_byte_lost, 2, race_label, 60);
    return s;
}

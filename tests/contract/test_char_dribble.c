/* SPDX-License-Identifier: MIT */
/*
 * Timed reads against a writer that dribbles: pieces of random size, at random times, and reads of
 * random `min`, `size`, gap and time-out, some of them cancelled.
 *
 * Nothing here depends on how fast the machine is. Each byte has the times just before and just
 * after the call that wrote it; each request is kept, and all are checked at the end against what
 * must be so in any case:
 *
 *   - bytes come in order, none is lost or doubled
 *   - a request ends by number, silence, time-out or cancel, and by number if it has it
 *   - it ended by silence: not before the gap had passed since its last byte was written; and the
 *     next byte's write was not over when the gap could have been over at the earliest
 *   - it timed out: not before its time
 */
#include "kt_pair.h"

#include <sched.h>

static struct kt_env_s env;
static struct kt_pair_s pair;

#define BYTES_MAX 12000
#define READS_MAX 60000

static uint8_t bytes[BYTES_MAX];
static uint64_t before[BYTES_MAX], after[BYTES_MAX];
static size_t total;

static struct read_s {
    size_t first, got, size, min;
    uint64_t gap, timeout, submitted, when;
    int error;
} reads[READS_MAX];

/* --- the writer: a thread, or on a simulated runtime who waits --- */

static size_t written; /* atomic */
static unsigned writer_seed;
static uint64_t write_at;

static void write_piece(void)
{
    size_t n = 1 + (size_t)rand_r(&writer_seed) % 20, from = written;
    uint64_t now;

    if (n > total - from)
        n = total - from;
    now = kt_clock(&env);
    for (size_t i = 0; i < n; i++)
        kt_set(&before[from + i], now);
    if (pair.peer < 0 && !env.embedded)
        ck_assert_int_eq(dev_char_wait_op(&pair.end, DEV_CHAR_WRITE, bytes + from, n), n);
    else
        kt_peer_write(&pair, bytes + from, n);
    now = kt_clock(&env);
    for (size_t i = 0; i < n; i++)
        kt_set(&after[from + i], now);
    kt_set(&written, from + n);
}

/* Mostly a few hundred microseconds, now and then as long as the longest gap. */
static uint64_t random_pause(void)
{
    unsigned r = (unsigned)rand_r(&writer_seed);

    return r % 8 == 0 ? KROUTINE_MSEC(3) : r % 3 == 0 ? 0 : r % KROUTINE_USEC(400);
}

static void *dribble(void *arg)
{
    (void)arg;
    while (written < total) {
        uint64_t ns = random_pause();
        struct timespec t = {.tv_nsec = (long)ns};

        write_piece();
        if (ns)
            nanosleep(&t, NULL);
        else
            sched_yield();
    }
    return NULL;
}

static void pass_time(void)
{
    uint64_t now = kt_clock(&env);

    if (!env.embedded) {
        kt_pause(&env);
    } else if (written == total) {
        kt_pause(&env);
    } else if (now < write_at) {
        ck_assert_int_ge(kroutine_runtime_wait(env.rt, (int64_t)(write_at - now)), 0);
    } else {
        write_piece();
        write_at = kt_clock(&env) + random_pause();
    }
}

/* --- the reader --- */

static unsigned seed;

static uint64_t pick_time(void)
{
    switch (rand_r(&seed) % 4) {
    case 0:
        return 0;
    case 1:
        return KROUTINE_USEC(50) + (unsigned)rand_r(&seed) % KROUTINE_USEC(100);
    case 2:
        return KROUTINE_USEC(500);
    default:
        return KROUTINE_MSEC(2);
    }
}

static void await(struct kt_timed_s *op)
{
    uint64_t end = kt_now() + kt_patience();

    while (!kt_get(&op->done)) {
        ck_assert_msg(kt_now() < end, "a read never ended");
        pass_time();
    }
}

/* One read; the number of the next byte. */
static size_t read_once(struct read_s *r, size_t first)
{
    static const enum kroutine_policy_e policies[] = {KROUTINE_IMMEDIATE, KROUTINE_DEFERRED,
                                                      KROUTINE_SCHED_SWITCH};
    static uint8_t in[128];
    static struct kt_timed_s op;
    unsigned cancel = rand_r(&seed) % 8 == 0 ? (unsigned)rand_r(&seed) % 4 : 0;

    r->first = first;
    r->size = 1 + (size_t)rand_r(&seed) % (rand_r(&seed) % 2 ? sizeof in : 8);
    r->min = 1 + (size_t)rand_r(&seed) % r->size;
    r->gap = pick_time();
    r->timeout = KROUTINE_USEC(100) + pick_time();
    memset(in, 0, sizeof in);
    kt_timed_init(&op, &env, policies[rand_r(&seed) % 3], r->timeout);
    r->submitted = kt_clock(&env);
    kt_timed_submit(&op, &pair.dev, in, r->size, r->min, r->gap);
    for (unsigned i = 0; i < cancel; i++)
        pass_time();
    if (cancel && kt_timed_cancel(&op, &pair.dev) == 0) {
        r->error = -ECANCELED;
        r->got = r->size - op.timed.rq.size;
        ck_assert_uint_eq(kt_get(&op.done), 0);
    } else {
        await(&op);
        r->error = op.error;
        r->got = r->size - op.left;
        r->when = op.when;
    }
    ck_assert_ptr_eq(op.timed.rq.data, in + r->got);
    kt_check_fill(in, r->got, first);
    return first + r->got;
}

/* --- the oracle --- */

static void check_silence(const struct read_s *r, bool exact)
{
    size_t last = r->first + r->got - 1;

    ck_assert_uint_ge(r->got, r->min);
    ck_assert_msg(r->when >= before[last] + r->gap, "silence of %llu ns after %llu",
                  (unsigned long long)r->gap, (unsigned long long)(r->when - before[last]));
    if (pair.kind == KT_ROUGH) /* finds nothing now and then, though something is there */
        return;
    if (last + 1 < total)
        ck_assert_msg(after[last + 1] > before[last] + r->gap,
                      "byte %zu was there before the gap was over", last + 1);
    if (exact && before[last] >= r->submitted)
        ck_assert_uint_eq(r->when, before[last] + r->gap);
}

static void check(const struct read_s *r, bool exact)
{
    bool full = r->got == r->size, enough = r->gap == 0 && r->got >= r->min;

    ck_assert_uint_le(r->first + r->got, total);
    switch (r->error) {
    case 0:
        if (!full && !enough)
            check_silence(r, exact);
        break;
    case -ETIMEDOUT:
        ck_assert(!full && !enough);
        ck_assert_uint_ge(r->when, r->submitted + r->timeout);
        if (exact && pair.kind != KT_ROUGH)
            ck_assert_uint_eq(r->when, r->submitted + r->timeout);
        break;
    case -ECANCELED:
        ck_assert(!full);
        break;
    default:
        ck_abort_msg("error %d (%s)", r->error, strerror(-r->error));
    }
}

START_TEST(dribble_and_check)
{
    unsigned ends[3] = {0, 0, 0}, n = 0;
    bool simulated = kt_backend == KROUTINE_BACKEND_SIM;
    pthread_t writer = 0;
    size_t next = 0;

    kt_env_open(&env, simulated ? KT_EMBEDDED : KT_THREADS);
    kt_pair_open(&pair, &env, kt_round_kind(KT_READS | KT_TIMED, _i), NULL);
    total = simulated ? BYTES_MAX : kt_count(BYTES_MAX / 4);
    seed = writer_seed = 1234 + (unsigned)_i;
    kt_fill(bytes, total, 0);
    if (!simulated)
        writer = kt_thread(dribble, NULL);
    while (next < total) {
        ck_assert_uint_lt(n, READS_MAX);
        next = read_once(&reads[n++], next);
    }
    if (!simulated)
        kt_join(writer);
    ck_assert_uint_eq(next, total);
    for (unsigned i = 0; i < n; i++) {
        check(&reads[i], simulated);
        ends[reads[i].error == 0 ? 0 : reads[i].error == -ETIMEDOUT ? 1 : 2]++;
    }
    for (int i = 0; i < 2; i++) /* it was a test of both */
        ck_assert_uint_gt(ends[i], 0);
    kt_pair_close(&pair);
    kt_env_close(&env);
}
END_TEST

/* Every byte comes a gap after the one before it, to the nanosecond of virtual time: the timer is
   first, and silence is not believed before another look. */
START_TEST(byte_at_the_end_of_the_gap)
{
    struct device_char_s loop = DEVICE_ACCESSOR_INIT;
    struct kt_timed_s op;
    struct kt_op_s out;
    uint64_t begin;
    uint8_t in[16];

    if (kt_backend != KROUTINE_BACKEND_SIM)
        return;
    kt_env_open(&env, KT_EMBEDDED);
    ck_assert_int_eq(device_get_accessor_by_path(&loop.base, kroutine_runtime_devices(env.rt),
                                                 "sim-char:edge?latency=1000000",
                                                 DRIVER_CLASS_CHAR),
                     0);
    kt_timed_init(&op, &env, KROUTINE_IMMEDIATE, 0);
    kt_timed_submit(&op, &loop, in, sizeof in, 1, KROUTINE_MSEC(1));
    begin = kt_clock(&env);
    for (unsigned i = 0; i < 6; i++) {
        kt_op_init(&out, KROUTINE_IMMEDIATE);
        kt_op_submit(&out, &loop, DEV_CHAR_WRITE, (uint8_t *)"abcdef" + i, 1);
        kt_op_expect(&out, &env, 0, 0);
        while (kt_clock(&env) < begin + (i + 1) * KROUTINE_MSEC(1))
            ck_assert_int_ge(kroutine_runtime_wait(env.rt, KROUTINE_MSEC(1)), 0);
        ck_assert_uint_eq(kt_clock(&env), begin + (i + 1) * KROUTINE_MSEC(1));
    }
    kt_timed_expect(&op, 0, 10);
    ck_assert_int_eq(memcmp(in, "abcdef", 6), 0);
    ck_assert_uint_eq(op.when, begin + 7 * KROUTINE_MSEC(1));
    device_put_accessor(&loop.base);
    kt_env_close(&env);
}
END_TEST

/* Late, and bytes keep coming one by one: one look decides. */
START_TEST(flood_after_the_time_out)
{
    struct kt_timed_s op;
    uint8_t in[16];

    if (kt_backend == KROUTINE_BACKEND_SIM) /* is never late */
        return;
    kt_env_open(&env, KT_EMBEDDED);
    kt_pair_open(&pair, &env, KT_SIM, NULL);
    /* Not over before the bytes are written. */
    kt_timed_init(&op, &env, KROUTINE_IMMEDIATE, KROUTINE_MSEC(50) * kt_slow());
    kt_timed_submit(&op, &pair.dev, in, sizeof in, sizeof in, 0);
    ck_assert_int_eq(
        kroutine_sim_char_fault(&pair.dev.base, KROUTINE_SIM_READ, KROUTINE_SIM_SHORT, 100), 0);
    kt_peer_write(&pair, "abcdefgh", 8);
    kt_sleep_ms(60 * kt_slow());
    kt_timed_expect(&op, -ETIMEDOUT, sizeof in - 1);
    ck_assert_uint_eq(in[0], 'a');
    kt_pair_close(&pair);
    kt_env_close(&env);
}
END_TEST

/* --- one after the other, as fast as it goes --- */

START_TEST(thousands)
{
    static uint8_t in[8];
    static struct kt_timed_s op;
    unsigned n = kt_count(4000);

    kt_round_open(&pair, &env, KT_READS | KT_TIMED, _i);
    for (unsigned i = 0; i < n; i++) {
        char out[8] = {(char)i, (char)(i >> 8), 'x', 'y', 'z', 'a', 'b', 'c'};
        size_t size = 3 + i % 6;

        kt_timed_init(&op, &env, i % 2 ? KROUTINE_DEFERRED : KROUTINE_SCHED_SWITCH, 0);
        kt_timed_submit(&op, &pair.dev, in, i % 5 ? size : 8, size, i % 5 ? KROUTINE_MSEC(9) : 0);
        kt_peer_write(&pair, out, size);
        kt_await(&env, kt_get(&op.done) == 1);
        ck_assert_int_eq(op.error, 0);
        ck_assert_uint_eq((size_t)(op.at - in), size);
        ck_assert_int_eq(memcmp(in, out, size), 0);
    }
    kt_pair_close(&pair);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char dribble");
    int rounds = kt_rounds(KT_READS | KT_TIMED);

    /* The first half of the rounds is threads, or all there is. */
    kt_add_loop(s, dribble_and_check, kt_backend == KROUTINE_BACKEND_SIM ? rounds : rounds / 2,
                kt_timed_reads_label, 60);
    kt_add_loop(s, thousands, rounds, kt_timed_reads_label, 60);
    kt_add(s, byte_at_the_end_of_the_gap, 20);
    kt_add(s, flood_after_the_time_out, 20);
    return s;
}

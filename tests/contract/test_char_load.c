/* SPDX-License-Identifier: MIT */
/* Many requests, many devices, a line that nobody reads: the reactor stays there for the rest. */
#include "kt_pair.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>

static struct kt_env_s env;
static struct kt_pair_s pair;

static void close_all(void)
{
    kt_pair_close(&pair);
    kt_env_close(&env);
}

#define QUEUED 10000

static struct kt_op_s op[QUEUED];
static uint8_t in[QUEUED], out[QUEUED];

static void submit_all(void)
{
    for (unsigned i = 0; i < QUEUED; i++) {
        kt_op_init(&op[i], i % 2 ? KROUTINE_IMMEDIATE : KROUTINE_DEFERRED);
        kt_op_submit(&op[i], &pair.dev, i % 3 ? DEV_CHAR_READ : DEV_CHAR_READ_PARTIAL, &in[i], 1);
    }
}

START_TEST(ten_thousand_queued)
{
    unsigned last = 0;

    kt_round_open(&pair, &env, KT_READS, _i);
    submit_all();
    for (unsigned i = 0; i < QUEUED; i++)
        ck_assert_uint_eq(kt_get(&op[i].done), 0);
    kt_fill(out, QUEUED, 0);
    kt_peer_write(&pair, out, QUEUED);
    for (unsigned i = 0; i < QUEUED; i++) {
        kt_await(&env, kt_get(&op[i].done));
        if (op[i].error || op[i].left || kt_get(&op[i].done) != 1)
            ck_abort_msg("number %u: error %d, %zu left", i, op[i].error, op[i].left);
        if (i % 2 == 0)
            continue;
        if (op[i].stamp <= last)
            ck_abort_msg("number %u overtook", i);
        last = op[i].stamp;
    }
    kt_check_fill(in, QUEUED, 0);
    close_all();
}
END_TEST

START_TEST(ten_thousand_cancelled)
{
    unsigned busy = 0;

    kt_round_open(&pair, &env, KT_READS, _i);
    submit_all();
    for (unsigned k = 0; k < QUEUED; k++) { /* from the end, from the start, every other one */
        unsigned i = k < QUEUED / 4   ? QUEUED - 1 - k
                     : k < QUEUED / 2 ? k - QUEUED / 4
                     : k % 2          ? QUEUED / 4 + (k - QUEUED / 2) / 2
                                      : QUEUED / 2 + (k - QUEUED / 2) / 2;
        error_t err = kt_op_cancel(&op[i], &pair.dev);

        if (err && err != -EBUSY)
            ck_abort_msg("cancel of %u: %d", i, err);
        busy += err == -EBUSY;
    }
    ck_assert_uint_le(busy, 2); /* the head, if it was in a system call right then */
    for (unsigned i = 0; i < QUEUED; i++)
        if (kt_get(&op[i].done) > busy)
            ck_abort_msg("number %u ran", i);
    kt_peer_write(&pair, "end", 3);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 3, 0), 3);
    ck_assert_int_eq(memcmp(in, "end", 3), 0);
    close_all();
}
END_TEST

START_TEST(ten_thousand_closed)
{
    kt_round_open(&pair, &env, KT_READS, _i);
    submit_all();
    device_put_accessor(&pair.dev.base);
    for (unsigned i = 0; i < QUEUED; i++) {
        kt_await(&env, kt_get(&op[i].done));
        if (op[i].error != -ECANCELED)
            ck_abort_msg("number %u: error %d", i, op[i].error);
    }
    close_all();
}
END_TEST

/* --- many devices --- */

#define DEVICES 1000

static struct device_char_s dev[DEVICES];
static int peer[DEVICES];

static bool raise_limit(rlim_t wanted)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= wanted)
        return true;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted)
        limit.rlim_max = wanted; /* with CAP_SYS_RESOURCE */
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void open_device(unsigned i)
{
    char spec[32];
    int sv[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    snprintf(spec, sizeof spec, "fd:%d", sv[0]);
    if (device_get_accessor_by_path(&dev[i].base, kroutine_runtime_devices(env.rt), spec,
                                    DRIVER_CLASS_CHAR))
        ck_abort_msg("device %u: %s", i, kroutine_error_text());
    close(sv[0]);
    peer[i] = sv[1];
}

static void read_from_all(unsigned round)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        kt_op_init(&op[i], KROUTINE_DEFERRED);
        kt_op_submit(&op[i], &dev[i], DEV_CHAR_READ, &in[i], 1);
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        uint8_t byte = (uint8_t)(i + round);

        if (write(peer[i], &byte, 1) != 1)
            ck_abort_msg("peer %u: %s", i, strerror(errno));
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        kt_await(&env, kt_get(&op[i].done) == 1);
        if (op[i].error || in[i] != (uint8_t)(i + round))
            ck_abort_msg("device %u: error %d, byte %u", i, op[i].error, in[i]);
    }
}

START_TEST(a_thousand_devices)
{
    struct kroutine_runtime_info_s info;

    if (!raise_limit(2 * DEVICES + 200))
        kt_skip("RLIMIT_NOFILE cannot be raised to %d here", 2 * DEVICES + 200);
    kt_env_open(&env, (enum kt_mode_e)_i);
    for (unsigned i = 0; i < DEVICES; i++)
        open_device(i);
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    ck_assert_uint_eq(info.open_devices, DEVICES);
    for (unsigned round = 0; round < 5; round++)
        read_from_all(round);
    for (unsigned i = 0; i < DEVICES; i++) {
        kt_op_submit(&op[i], &dev[i], DEV_CHAR_READ, &in[i], 1);
        device_put_accessor(&dev[i].base);
        kt_op_expect(&op[i], &env, -ECANCELED, 1);
        close(peer[i]);
    }
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    ck_assert_uint_eq(info.open_devices, 0);
    kt_env_close(&env);
}
END_TEST

/* In the simulator a thousand lines need no descriptor. */
START_TEST(a_thousand_simulated_devices)
{
    kt_env_open(&env, (enum kt_mode_e)_i);
    for (unsigned i = 0; i < DEVICES; i++) {
        char spec[48];

        snprintf(spec, sizeof spec, "sim-char:many%u?latency=%u", i, 1000 * (i % 7));
        ck_assert_int_eq(device_get_accessor_by_path(&dev[i].base, kroutine_runtime_devices(env.rt),
                                                     spec, DRIVER_CLASS_CHAR),
                         0);
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        kt_op_init(&op[i], KROUTINE_DEFERRED);
        kt_op_init(&op[DEVICES + i], KROUTINE_DEFERRED);
        out[i] = (uint8_t)i;
        kt_op_submit(&op[i], &dev[i], DEV_CHAR_READ, &in[i], 1);
        kt_op_submit(&op[DEVICES + i], &dev[i], DEV_CHAR_WRITE, &out[i], 1);
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        kt_op_expect(&op[i], &env, 0, 0);
        kt_op_expect(&op[DEVICES + i], &env, 0, 0);
        ck_assert_uint_eq(in[i], (uint8_t)i);
        device_put_accessor(&dev[i].base);
    }
    kt_env_close(&env);
}
END_TEST

/* --- a tty that blocks does not block the reactor --- */

static struct device_timer_s timer;
static struct {
    unsigned count; /* atomic */
    uint64_t last, longest;
    bool stop, stopped; /* atomic */
} ticks;

static KROUTINE_EXEC(tick)
{
    struct dev_timer_rq_s *rq = dev_timer_rq_from_kr(kr);
    uint64_t now = kt_now();

    (void)flags;
    if (rq->error)
        return;
    if (now - ticks.last > ticks.longest)
        ticks.longest = now - ticks.last;
    ticks.last = now;
    kt_inc(&ticks.count);
    rq->delay = KROUTINE_MSEC(1);
    if (kt_get(&ticks.stop))
        kt_set(&ticks.stopped, true);
    else if (DEVICE_OP(&timer, request, rq))
        ck_abort_msg("the tick was refused");
}

/* Settings with which a blocking descriptor would block in the kernel: VMIN, VTIME. */
static void set_blocking_terminal(void)
{
    struct termios t;

    ck_assert_int_eq(tcgetattr(pair.peer, &t), 0);
    t.c_cc[VMIN] = 10;
    t.c_cc[VTIME] = 10;
    ck_assert_int_eq(tcsetattr(pair.peer, TCSANOW, &t), 0);
}

/* Two seconds of writing to a full pty, and of reads with too few bytes, beside a timer of 1 ms. */
START_TEST(full_tty_leaves_the_timer_alone)
{
    struct kroutine_runtime_info_s before, after;
    static uint8_t big[1 << 17];
    struct dev_timer_rq_s rq;
    struct kt_op_s rd, wr;
    uint64_t end;

    kt_env_open(&env, (enum kt_mode_e)_i);
    kt_pair_open(&pair, &env, KT_PTY, NULL);
    set_blocking_terminal();
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    memset(&rq, 0, sizeof rq);
    dev_timer_rq_init_immediate(&rq, tick);
    rq.delay = KROUTINE_MSEC(1);
    ticks.last = kt_now();
    ck_assert_int_eq(DEVICE_OP(&timer, request, &rq), 0);
    kt_op_init(&rd, KROUTINE_DEFERRED);
    kt_op_init(&wr, KROUTINE_DEFERRED);
    kt_op_submit(&rd, &pair.dev, DEV_CHAR_READ, in, 10);
    kt_op_submit(&wr, &pair.dev, DEV_CHAR_WRITE, big, sizeof big);
    kt_peer_write(&pair, "five!", 5); /* half of what VMIN waits for */
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &before), 0);
    end = kt_now() + KROUTINE_SEC(2);
    while (kt_now() < end)
        kt_idle(&env, 10);
    ck_assert_int_eq(kroutine_runtime_info(env.rt, &after), 0);
    /* 2000 ticks, and few tries to write: a tty that takes nothing may say again and again that it
       does. An embedded runtime counts the calls of this loop too. */
    if (_i == KT_THREADS)
        ck_assert_uint_lt(after.batches - before.batches, 10000);
    ck_assert_uint_eq(kt_get(&wr.done), 0);
    ck_assert_uint_eq(kt_get(&rd.done), 0);
    kt_set(&ticks.stop, true);
    if (kt_op_cancel(&wr, &pair.dev)) /* right in a try */
        kt_await(&env, kt_get(&wr.done) == 1);
    ck_assert_int_eq(kt_op_cancel(&rd, &pair.dev), 0);
    kt_await(&env, kt_get(&ticks.stopped));
    ck_assert_uint_ge(kt_get(&ticks.count), kt_slow() > 1 ? 100 : 1000);
    if (kt_slow() == 1) /* what blocks, blocks for a second and more */
        ck_assert_uint_lt(ticks.longest, KROUTINE_MSEC(400));
    device_put_accessor(&timer.base);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char load");

    kt_add_loop(s, ten_thousand_queued, kt_rounds(KT_READS), kt_reads_label, 30);
    kt_add_loop(s, ten_thousand_cancelled, kt_rounds(KT_READS), kt_reads_label, 30);
    kt_add_loop(s, ten_thousand_closed, kt_rounds(KT_READS), kt_reads_label, 30);
    kt_add_loop(s, a_thousand_simulated_devices, KT_MODES, kt_mode_label, 30);
    if (kt_backend == KROUTINE_BACKEND_SIM)
        return s;
    kt_add_loop(s, a_thousand_devices, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, full_tty_leaves_the_timer_alone, KT_MODES, kt_mode_label, 30);
    return s;
}

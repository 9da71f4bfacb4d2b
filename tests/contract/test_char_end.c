/* SPDX-License-Identifier: MIT */
/* The other side goes away: end of stream, broken pipe, hang-up. Never a hang, never a signal. */
#include "kt_pair.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

static struct kt_env_s env;
static struct kt_pair_s pair;

static void close_all(void)
{
    kt_pair_close(&pair);
    kt_env_close(&env);
}

/* Lines that end, kind by mode. */
static const enum kt_kind_e ends_fd[] = {KT_PIPE_R, KT_SOCKET, KT_SIM, KT_ROUGH};
static const enum kt_kind_e breaks_fd[] = {KT_PIPE_W, KT_SOCKET, KT_SIM, KT_ROUGH};
static const enum kt_kind_e ttys[] = {KT_PTY, KT_TTY};

static int ends_count(void)
{
    return kt_backend == KROUTINE_BACKEND_SIM ? 2 : 4;
}

static enum kt_kind_e end_kind(const enum kt_kind_e *list, int round)
{
    return list[round % ends_count() + (kt_backend == KROUTINE_BACKEND_SIM ? 2 : 0)];
}

static void open_end(const enum kt_kind_e *list, int round)
{
    kt_env_open(&env, (enum kt_mode_e)(round / ends_count()));
    kt_pair_open(&pair, &env, end_kind(list, round), NULL);
}

static const char *end_label(int round)
{
    static char text[64];

    snprintf(text, sizeof text, "%s,%s", kt_kind_name(end_kind(ends_fd, round)),
             kt_mode_label(round / ends_count()));
    return text;
}

static const char *tty_label(int round)
{
    static char text[64];

    snprintf(text, sizeof text, "%s,%s", kt_kind_name(ttys[round % 2]), kt_mode_label(round / 2));
    return text;
}

static void open_tty(int round)
{
    kt_env_open(&env, (enum kt_mode_e)(round / 2));
    kt_pair_open(&pair, &env, ttys[round % 2], NULL);
}

/* --- the end of a stream --- */

START_TEST(end_of_stream_for_pending_reads)
{
    struct kt_op_s op[3];
    uint8_t in[30];

    open_end(ends_fd, _i);
    for (int i = 0; i < 3; i++) {
        kt_op_init(&op[i], KROUTINE_DEFERRED);
        kt_op_submit(&op[i], &pair.dev, i ? DEV_CHAR_READ_PARTIAL : DEV_CHAR_READ, in + 10 * i, 10);
    }
    kt_peer_write(&pair, "abc", 3);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&op[0].done), 0);
    kt_peer_close(&pair);
    kt_op_expect(&op[0], &env, -ENODATA, 7);
    ck_assert_int_eq(memcmp(in, "abc", 3), 0);
    for (int i = 1; i < 3; i++)
        kt_op_expect(&op[i], &env, -ENODATA, 10);
    close_all();
}
END_TEST

START_TEST(end_of_stream_for_later_reads)
{
    static const unsigned types[] = {DEV_CHAR_READ, DEV_CHAR_READ_PARTIAL, DEV_CHAR_READ_NONBLOCK,
                                     DEV_CHAR_DISCARD};
    struct kt_op_s op;
    uint8_t in[10];

    open_end(ends_fd, _i);
    kt_peer_write(&pair, "abc", 3);
    kt_peer_close(&pair);
    /* What came before the end comes first. */
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 3);
    kt_op_expect(&op, &env, 0, 0);
    ck_assert_int_eq(memcmp(in, "abc", 3), 0);
    for (int round = 0; round < 2; round++)
        for (int t = 0; t < 4; t++) {
            kt_op_submit(&op, &pair.dev, types[t], in, sizeof in);
            kt_op_expect(&op, &env, -ENODATA, sizeof in);
        }
    close_all();
}
END_TEST

START_TEST(poll_sees_the_end)
{
    struct kt_op_s op;

    open_end(ends_fd, _i);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ_POLL, NULL, 0);
    kt_idle(&env, 3);
    kt_peer_close(&pair);
    kt_await(&env, kt_get(&op.done) == 1); /* a read would tell the end */
    ck_assert(op.error == 0 || op.error == -ENODATA);
    close_all();
}
END_TEST

/* A reader that tries again and again at the end must not make the reactor spin either. */
START_TEST(an_ended_line_is_quiet)
{
    uint64_t cpu;
    uint8_t in[1];

    open_end(ends_fd, _i);
    kt_peer_close(&pair);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_READ, in, 1, -ENODATA), 0);
    cpu = kt_cpu_time();
    if (env.embedded)
        kroutine_runtime_wait(env.rt, 100000000);
    else
        kt_sleep_ms(100);
    ck_assert_uint_lt(kt_cpu_time() - cpu, KROUTINE_MSEC(40) * kt_slow());
    close_all();
}
END_TEST

/* --- writing to nobody --- */

static volatile sig_atomic_t signalled;

static void on_signal(int sig)
{
    (void)sig;
    signalled++;
}

/* SIGPIPE would end the program, or run its handler, which did nothing wrong. */
START_TEST(write_to_nobody)
{
    static uint8_t out[100];
    struct kt_op_s op;
    sigset_t pending;

    open_end(breaks_fd, _i);
    kt_peer_close(&pair);
    for (int round = 0; round < 3; round++) {
        kt_op_init(&op, KROUTINE_DEFERRED);
        kt_op_submit(&op, &pair.dev, round == 2 ? DEV_CHAR_WRITE_NONBLOCK : DEV_CHAR_WRITE, out,
                     sizeof out);
        kt_op_expect(&op, &env, -EPIPE, sizeof out);
        sigpending(&pending);
        ck_assert(!sigismember(&pending, SIGPIPE));
        signal(SIGPIPE, on_signal);
    }
    ck_assert_int_eq(signalled, 0);
    close_all();
}
END_TEST

/* One that the program has blocked and pending on its own account stays. */
START_TEST(the_programs_own_sigpipe_stays)
{
    struct kt_op_s op;
    sigset_t set, old;
    uint8_t byte = 0;

    open_end(breaks_fd, _i);
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    raise(SIGPIPE);
    kt_peer_close(&pair);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_WRITE, &byte, 1);
    kt_op_expect(&op, &env, -EPIPE, 1);
    sigpending(&set);
    ck_assert(sigismember(&set, SIGPIPE));
    pthread_sigmask(SIG_BLOCK, NULL, &old);
    ck_assert(sigismember(&old, SIGPIPE));
    close_all();
}
END_TEST

START_TEST(broken_while_writes_wait)
{
    static uint8_t out[1 << 20];
    struct kt_op_s op[3];

    open_end(breaks_fd, _i);
    for (int i = 0; i < 3; i++) {
        kt_op_init(&op[i], KROUTINE_DEFERRED);
        kt_op_submit(&op[i], &pair.dev, DEV_CHAR_WRITE, out, sizeof out);
    }
    kt_idle(&env, 20);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(kt_get(&op[i].done), 0);
    kt_peer_close(&pair);
    for (int i = 0; i < 3; i++) {
        kt_await(&env, kt_get(&op[i].done) == 1);
        ck_assert(op[i].error == -EPIPE || op[i].error == -ECONNRESET);
        ck_assert_uint_gt(op[i].left, 0);
        ck_assert_ptr_eq(op[i].at, out + (sizeof out - op[i].left));
    }
    close_all();
}
END_TEST

/* One half of a socket: the other still works. */
START_TEST(half_closed_socket)
{
    struct kt_op_s op;
    uint8_t in[4];

    kt_env_open(&env, (enum kt_mode_e)_i);
    kt_pair_open(&pair, &env, KT_SOCKET, NULL);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 4);
    shutdown(pair.peer, SHUT_WR);
    kt_op_expect(&op, &env, -ENODATA, 4);
    ck_assert_uint_eq(kt_run(&pair, DEV_CHAR_WRITE, (void *)"okay", 4, 0), 4);
    kt_peer_read(&pair, in, 4);
    ck_assert_int_eq(memcmp(in, "okay", 4), 0);
    close_all();
}
END_TEST

/* Closed with bytes that it never read: read(2) says so once, and then the end. */
START_TEST(reset_socket)
{
    uint8_t in[1];

    kt_env_open(&env, (enum kt_mode_e)_i);
    kt_pair_open(&pair, &env, KT_SOCKET, NULL);
    kt_run(&pair, DEV_CHAR_WRITE, (void *)"unread", 6, 0);
    kt_peer_close(&pair);
    kt_run(&pair, DEV_CHAR_READ, in, 1, -ECONNRESET);
    kt_run(&pair, DEV_CHAR_READ, in, 1, -ENODATA);
    close_all();
}
END_TEST

/* --- a FIFO outlives its writers --- */

START_TEST(fifo_waits_for_the_next_writer)
{
    struct kt_op_s op;
    uint8_t in[4];

    kt_env_open(&env, (enum kt_mode_e)_i);
    kt_pair_open(&pair, &env, KT_FIFO_R, NULL);
    for (int i = 0; i < 3; i++) {
        kt_op_init(&op, KROUTINE_DEFERRED);
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 4);
        kt_peer_write(&pair, "ab", 2);
        kt_peer_close(&pair);
        kt_idle(&env, 5);
        ck_assert_uint_eq(kt_get(&op.done), 0);
        pair.peer = open(pair.path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        ck_assert_int_ge(pair.peer, 0);
        kt_peer_write(&pair, "cd", 2);
        kt_op_expect(&op, &env, 0, 0);
        ck_assert_int_eq(memcmp(in, "abcd", 4), 0);
    }
    close_all();
}
END_TEST

/* --- hang-up of a terminal: the device is gone --- */

START_TEST(hang_up_ends_what_is_pending)
{
    static uint8_t out[1 << 20];
    struct kt_op_s rd[3], wr[2];
    uint8_t in[30];

    open_tty(_i);
    for (int i = 0; i < 3; i++) {
        kt_op_init(&rd[i], KROUTINE_DEFERRED);
        kt_op_submit(&rd[i], &pair.dev, i ? DEV_CHAR_READ_POLL : DEV_CHAR_READ, in, 10);
    }
    for (int i = 0; i < 2; i++) {
        kt_op_init(&wr[i], KROUTINE_DEFERRED);
        kt_op_submit(&wr[i], &pair.dev, DEV_CHAR_WRITE, out, sizeof out);
    }
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&rd[0].done), 0);
    ck_assert_uint_eq(kt_get(&wr[0].done), 0);
    kt_peer_close(&pair);
    for (int i = 0; i < 3; i++)
        kt_op_expect(&rd[i], &env, -ENODEV, 10);
    for (int i = 0; i < 2; i++) {
        kt_await(&env, kt_get(&wr[i].done) == 1);
        ck_assert_int_eq(wr[i].error, -ENODEV);
    }
    ck_assert_uint_eq(wr[1].left, sizeof out);
    close_all();
}
END_TEST

START_TEST(hang_up_refuses_what_is_later)
{
    static const unsigned types[] = {
        DEV_CHAR_READ,    DEV_CHAR_READ_PARTIAL, DEV_CHAR_READ_NONBLOCK, DEV_CHAR_READ_POLL,
        DEV_CHAR_DISCARD, DEV_CHAR_WRITE,        DEV_CHAR_WRITE_FLUSH};
    struct kt_op_s op;
    uint8_t byte = 0;

    open_tty(_i);
    kt_peer_close(&pair);
    for (int round = 0; round < 2; round++)
        for (int t = 0; t < 7; t++) {
            kt_op_init(&op, KROUTINE_IMMEDIATE);
            kt_op_submit(&op, &pair.dev, types[t], &byte, 1);
            kt_op_expect(&op, &env, -ENODEV, 1);
        }
    close_all();
}
END_TEST

START_TEST(a_hung_up_tty_is_quiet)
{
    struct kt_op_s op;
    uint64_t cpu;
    uint8_t in[1];

    open_tty(_i);
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 1);
    kt_peer_close(&pair);
    kt_op_expect(&op, &env, -ENODEV, 1);
    cpu = kt_cpu_time();
    if (env.embedded)
        kroutine_runtime_wait(env.rt, 100000000);
    else
        kt_sleep_ms(100);
    ck_assert_uint_lt(kt_cpu_time() - cpu, KROUTINE_MSEC(40) * kt_slow());
    close_all();
}
END_TEST

/* Unplugged in the simulator: the same. */
START_TEST(unplugged_line)
{
    struct kt_op_s rd, wr, later;
    static uint8_t out[100000];
    uint8_t in[1];

    kt_env_open(&env, (enum kt_mode_e)_i);
    kt_pair_open(&pair, &env, KT_SIM, NULL);
    kt_op_init(&rd, KROUTINE_DEFERRED);
    kt_op_init(&wr, KROUTINE_DEFERRED);
    kt_op_init(&later, KROUTINE_DEFERRED);
    kt_op_submit(&rd, &pair.dev, DEV_CHAR_READ, in, 1);
    kt_op_submit(&wr, &pair.dev, DEV_CHAR_WRITE, out, sizeof out);
    kt_idle(&env, 5);
    ck_assert_int_eq(kroutine_sim_char_fault(&pair.dev.base, KROUTINE_SIM_READ | KROUTINE_SIM_WRITE,
                                             KROUTINE_SIM_GONE, 1),
                     0);
    kt_op_expect(&rd, &env, -ENODEV, 1);
    kt_await(&env, kt_get(&wr.done) == 1);
    ck_assert_int_eq(wr.error, -ENODEV);
    kt_op_submit(&later, &pair.dev, DEV_CHAR_READ, in, 1);
    kt_op_expect(&later, &env, -ENODEV, 1);
    close_all();
}
END_TEST

/* Faults of a line, each reported once, to the request at the head. */
START_TEST(faults_are_reported_once)
{
    static const struct {
        enum kroutine_sim_fault_e fault;
        int error;
    } faults[] = {
        {KROUTINE_SIM_EIO, -EIO}, {KROUTINE_SIM_OVERRUN, -EPIPE}, {KROUTINE_SIM_PARITY, -EBADMSG}};
    struct kt_op_s op;
    uint8_t in[2];

    kt_env_open(&env, (enum kt_mode_e)_i);
    kt_pair_open(&pair, &env, KT_SIM, NULL);
    for (int f = 0; f < 3; f++) {
        kt_op_init(&op, KROUTINE_DEFERRED);
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 2);
        kt_idle(&env, 2);
        ck_assert_int_eq(
            kroutine_sim_char_fault(&pair.dev.base, KROUTINE_SIM_READ, faults[f].fault, 1), 0);
        kt_peer_write(&pair, "ab", 2);
        kt_await(&env, kt_get(&op.done) == 1);
        ck_assert_int_eq(op.error, faults[f].error);
        kt_op_submit(&op, &pair.dev, DEV_CHAR_READ, in, 2);
        kt_peer_write(&pair, "cd", 2);
        kt_op_expect(&op, &env, 0, 0);
        while (kt_run(&pair, DEV_CHAR_READ_NONBLOCK, in, 2, 0))
            ;
    }
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("char end");
    const TTest *ends[] = {end_of_stream_for_pending_reads,
                           end_of_stream_for_later_reads,
                           poll_sees_the_end,
                           an_ended_line_is_quiet,
                           write_to_nobody,
                           the_programs_own_sigpipe_stays,
                           broken_while_writes_wait};
    const TTest *tty_tests[] = {hang_up_ends_what_is_pending, hang_up_refuses_what_is_later,
                                a_hung_up_tty_is_quiet};
    const TTest *fd_tests[] = {half_closed_socket, reset_socket, fifo_waits_for_the_next_writer};

    for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++)
        kt_add_loop(s, ends[i], ends_count() * KT_MODES, end_label, 20);
    kt_add_loop(s, unplugged_line, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, faults_are_reported_once, KT_MODES, kt_mode_label, 20);
    if (kt_backend == KROUTINE_BACKEND_SIM)
        return s;
    for (unsigned i = 0; i < sizeof tty_tests / sizeof *tty_tests; i++)
        kt_add_loop(s, tty_tests[i], 2 * KT_MODES, tty_label, 20);
    for (unsigned i = 0; i < sizeof fd_tests / sizeof *fd_tests; i++)
        kt_add_loop(s, fd_tests[i], KT_MODES, kt_mode_label, 20);
    return s;
}

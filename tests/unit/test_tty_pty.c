/* SPDX-License-Identifier: MIT */
/*
 * The uart class on a pseudo-terminal: what it does not have is refused with a reason; what nobody
 * reads keeps neither the close nor the reactor; and what was unplugged can come back.
 */
#include "kt.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>

static struct kt_env_s env;
static int master, slave;
static char path[KT_PTY_PATH];
static struct device_uart_s uart;
static struct device_char_s chr;

static void plug(void)
{
    master = kt_open_pty(0, path, &slave);
}

static void unplug(void)
{
    close(slave);
    close(master);
    slave = master = -1;
}

static void put(void)
{
    device_put_accessor(&uart.base);
    device_put_accessor(&chr.base);
}

static void set_up(enum kt_mode_e mode)
{
    kt_env_open(&env, mode);
    plug();
}

static void tear_down(void)
{
    put();
    unplug();
    kt_env_close(&env);
}

static error_t open_at(const char *port, const char *keys)
{
    char spec[400];

    snprintf(spec, sizeof spec, "tty:%s%s", port, keys);
    return kt_open_uart(&env, spec, &uart, &chr);
}

static error_t open_tty(const char *keys)
{
    return open_at(path, keys);
}

/* --- what a pseudo-terminal does not have --- */

static const struct {
    const char *keys;
    const char *text;
} refused[] = {
    {"?rs485=yes", "rs485: the port cannot switch a transceiver; use an adapter that does it by "
                   "itself, and leave this off"},
    {"?low-latency=yes", "low-latency: the port has no such setting, leave it away"},
    {"?dtr=no", "dtr: the port has no modem lines (pseudo-terminals have none), leave it away"},
    {"?rts=yes", "rts: the port has no modem lines (pseudo-terminals have none), leave it away"},
    {"?parity=mark", "the port refused parity=mark: it keeps none (ask for that, or use another "
                     "port)"},
    {"?parity=space", "the port refused parity=space: it keeps none (ask for that, or use another "
                      "port)"},
    {"?flow=dtrdsr", "flow=dtrdsr: Linux has no handshake on DTR and DSR; use flow=rtscts and a "
                     "cable that puts the peer's DTR on CTS"},
};

START_TEST(refused_in_the_spec)
{
    char expected[400];
    unsigned fds;

    set_up(KT_THREADS);
    fds = kt_open_fds();
    for (unsigned i = 0; i < sizeof refused / sizeof *refused; i++) {
        ck_assert_int_eq(open_tty(refused[i].keys), -ENOTSUP);
        snprintf(expected, sizeof expected, "tty:%s%s: %s", path, refused[i].keys, refused[i].text);
        ck_assert_str_eq(kroutine_error_text(), expected);
        ck_assert_uint_eq(kt_open_fds(), fds);
    }
    tear_down();
}
END_TEST

static void expect_text(error_t err, const char *text)
{
    ck_assert_int_eq(err, -ENOTSUP);
    ck_assert_str_eq(kroutine_error_text(), text);
}

START_TEST(refused_while_it_is_open)
{
    static const char no_lines[] = "the port has no modem lines (pseudo-terminals have none): "
                                   "leave dtr, rts and waiting for lines away";
    struct dev_uart_rs485_s rs485 = {.enable = true};
    struct dev_uart_config_s config = {9600, 8, 1, 0, DEV_UART_FLOW_DTRDSR};
    struct dev_uart_counts_s counts;
    uint32_t lines = 77;
    bool on = true;

    set_up(KT_THREADS);
    ck_assert_int_eq(open_tty("?baud=9600"), 0);
    expect_text(DEVICE_OP(&uart, get_rs485, &rs485), refused[0].text);
    ck_assert(rs485.enable);
    expect_text(DEVICE_OP(&uart, set_rs485, &rs485), refused[0].text);
    expect_text(DEVICE_OP(&uart, get_low_latency, &on), refused[1].text);
    ck_assert(on);
    expect_text(DEVICE_OP(&uart, set_low_latency, true), refused[1].text);
    expect_text(DEVICE_OP(&uart, get_lines, &lines), no_lines);
    ck_assert_uint_eq(lines, 77);
    expect_text(DEVICE_OP(&uart, set_lines, DEV_UART_DTR, 0), no_lines);
    expect_text(DEVICE_OP(&uart, set_break, true),
                "the port cannot send a break (pseudo-terminals cannot)");
    expect_text(DEVICE_OP(&uart, get_counts, &counts),
                "the port does not count errors: open it with errors=report, and those that are "
                "seen in the stream are counted");
    expect_text(DEVICE_OP(&uart, set_config, &config), refused[6].text);
    ck_assert_int_eq(dev_uart_wait_break(&uart, KROUTINE_MSEC(1)), -ENOTSUP);
    ck_assert_int_eq(dev_uart_wait_lines(&uart, DEV_UART_CTS, &lines, 0), -ENOTSUP);
    ck_assert_uint_eq(lines, 77);
    ck_assert_int_eq(dev_uart_wait_drain(&uart, KROUTINE_SEC(20)), 0);
    tear_down();
}
END_TEST

/* --- damaged bytes: there are none, but the byte 377 is what marks begin with --- */

START_TEST(every_byte_with_marks)
{
    uint8_t out[1024], in[1024];

    set_up(KT_THREADS);
    ck_assert_int_eq(open_tty("?errors=report"), 0);
    for (unsigned i = 0; i < sizeof out; i++)
        out[i] = i % 3 ? (uint8_t)(i * 7) : 0xff;
    ck_assert_int_eq((int)write(master, out, sizeof out), (int)sizeof out);
    ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_READ, in, 1000), 1000);
    ck_assert_mem_eq(in, out, 1000);
    ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_READ_PARTIAL, in, 1000), 24);
    ck_assert_mem_eq(in, out + 1000, 24);
    put();
    ck_assert_int_eq(open_tty("?errors=mark"), 0);
    ck_assert_int_eq((int)write(master, "a\377b", 3), 3);
    ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_READ, in, 4), 4);
    ck_assert_mem_eq(in, "a\377\377b", 4);
    tear_down();
}
END_TEST

/* --- ends --- */

static void fill(void)
{
    static uint8_t data[65536];
    struct dev_char_rq_s rq = {.type = DEV_CHAR_WRITE, .data = data, .size = sizeof data};

    rq.timeout = KROUTINE_MSEC(50);
    ck_assert_int_eq(dev_char_wait_rq(&chr, &rq), -ETIMEDOUT);
}

START_TEST(close_with_a_reader_that_is_dead)
{
    static const char *const keys[] = {"?baud=9600", "?baud=9600&flow=xonxoff",
                                       "?baud=9600&flow=rtscts&close-wait=100"};
    uint64_t start;

    set_up(KT_THREADS);
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++) {
        ck_assert_int_eq(open_tty(keys[i]), 0);
        fill();
        if (i == 1)
            ck_assert_int_eq((int)write(master, "\023", 1), 1); /* XOFF */
        start = kt_now();
        put();
        ck_assert_uint_lt(kt_now() - start, KROUTINE_SEC(10)); /* not the kernel's 30 s */
        unplug();
        plug();
    }
    tear_down();
}
END_TEST

START_TEST(close_while_the_output_is_stopped)
{
    uint64_t start;

    set_up(KT_THREADS);
    ck_assert_int_eq(open_tty("?baud=9600"), 0);
    ck_assert_int_eq(tcflow(slave, TCOOFF), 0);
    fill();
    start = kt_now();
    put();
    ck_assert_uint_lt(kt_now() - start, KROUTINE_SEC(10));
    tear_down();
}
END_TEST

START_TEST(a_flush_throws_away)
{
    uint8_t data[64] = {0};

    set_up(KT_THREADS);
    ck_assert_int_eq(open_tty("?baud=9600"), 0);
    ck_assert_int_eq((int)write(master, "old", 3), 3);
    kt_await(&env, dev_char_wait_op(&chr, DEV_CHAR_READ_POLL, NULL, 0) == 0);
    ck_assert_int_eq(DEVICE_OP(&uart, flush, DEV_UART_FLUSH_IN), 0);
    ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_READ_NONBLOCK, data, 9), 0);
    ck_assert_int_eq((int)write(master, "new", 3), 3);
    ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_READ, data, 3), 3);
    ck_assert_str_eq((char *)data, "new");
    ck_assert_int_eq(DEVICE_OP(&uart, flush, DEV_UART_FLUSH_OUT), 0);
    ck_assert_int_eq(DEVICE_OP(&uart, flush, DEV_UART_FLUSH_BOTH), 0);
    tear_down();
}
END_TEST

/* --- blocking never reaches the reactor --- */

static struct device_timer_s timer;
static struct dev_timer_rq_s tick;
static unsigned ticks; /* atomic */

static KROUTINE_EXEC(ticked)
{
    struct dev_timer_rq_s *rq = dev_timer_rq_from_kr(kr);

    (void)flags;
    if (rq->error)
        return;
    kt_inc(&ticks);
    rq->delay = KROUTINE_MSEC(10);
    DEVICE_OP(&timer, request, rq);
}

static KROUTINE_EXEC(count_end)
{
    (void)flags;
    kt_inc((unsigned *)dev_char_rq_from_kr(kr)->pvdata);
}

#define HELD_MS 5000

START_TEST(a_full_line_for_five_seconds)
{
    static uint8_t data[65536];
    struct dev_char_rq_s rq = {.type = DEV_CHAR_WRITE_FLUSH};
    unsigned ended = 0, before, worst = UINT32_MAX;

    set_up(_i);
    ck_assert_int_eq(open_tty("?baud=115200"), 0);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    dev_char_rq_init(&rq, count_end);
    rq.pvdata = &ended;
    rq.data = data;
    rq.size = sizeof data;
    dev_timer_rq_init_immediate(&tick, ticked);
    tick.delay = KROUTINE_MSEC(10);
    ck_assert_int_eq(DEVICE_OP(&timer, request, &tick), 0);
    DEVICE_OP(&chr, request, &rq);
    /* A reactor that is held for as much as a second shows as a second without a tick. */
    for (unsigned second = 0; second < HELD_MS / 1000; second++) {
        before = kt_get(&ticks);
        kt_idle(&env, 1000);
        worst = kt_get(&ticks) - before < worst ? kt_get(&ticks) - before : worst;
    }
    ck_assert_uint_ge(worst, 20); /* of 100 */
    ck_assert_uint_eq(kt_get(&ended), 0);
    ck_assert_uint_gt(rq.size, 0);
    put();
    kt_await(&env, kt_get(&ended) == 1);
    ck_assert_int_eq(rq.error, -ECANCELED);
    dev_request_cancel_wait(&timer.base, &tick.base);
    DEVICE_OP(&timer, cancel, &tick);
    device_put_accessor(&timer.base);
    tear_down();
}
END_TEST

/* --- unplugged --- */

struct end_s {
    union {
        struct dev_char_rq_s chr;
        struct dev_uart_rq_s uart;
    };
    unsigned done;
    error_t error;
};

static KROUTINE_EXEC(noted)
{
    struct end_s *end = KROUTINE_CONTAINER(kr, struct end_s, chr.base.kr);

    (void)flags;
    end->error = end->chr.error;
    kt_inc(&end->done);
}

START_TEST(unplugged_with_requests)
{
    static uint8_t data[8][65536];
    struct end_s end[10];
    uint8_t byte;

    set_up(_i);
    ck_assert_int_eq(open_tty("?errors=report"), 0);
    memset(end, 0, sizeof end);
    for (unsigned i = 0; i < 10; i++) {
        if (i < 8) {
            dev_char_rq_init(&end[i].chr, noted);
            end[i].chr.type = i < 4 ? DEV_CHAR_READ : DEV_CHAR_WRITE;
            end[i].chr.data = data[i];
            end[i].chr.size = sizeof data[i];
            DEVICE_OP(&chr, request, &end[i].chr);
        }
    }
    kt_idle(&env, 20);
    unplug();
    for (unsigned i = 0; i < 8; i++) {
        kt_await(&env, kt_get(&end[i].done));
        ck_assert_int_eq(end[i].error, -ENODEV);
    }
    for (unsigned i = 8; i < 10; i++) { /* later ones too */
        dev_uart_rq_init(&end[i].uart, noted);
        end[i].uart.type = DEV_UART_DRAIN;
        DEVICE_OP(&uart, request, &end[i].uart);
        kt_await(&env, kt_get(&end[i].done));
        ck_assert_int_eq(end[i].error, -ENODEV);
    }
    if (!env.embedded)
        ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_READ, &byte, 1), -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&uart, flush, DEV_UART_FLUSH_BOTH), -ENODEV);
    kt_idle(&env, 20);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_uint_eq(kt_get(&end[i].done), 1);
    plug();
    tear_down();
}
END_TEST

/* As udev does it: one name, whichever device is behind it now. */
START_TEST(plugged_in_again)
{
    char name[256];
    uint8_t byte = 0;
    error_t err;

    set_up(KT_THREADS);
    snprintf(name, sizeof name, "%s/port", kt_folder());
    for (unsigned round = 0; round < 3; round++) {
        unlink(name);
        ck_assert_int_eq(symlink(path, name), 0);
        err = open_at(name, "?baud=19200");
        ck_assert_msg(err == 0, "%s", kroutine_error_text());
        ck_assert_int_eq((int)write(master, &round, 1), 1);
        ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_READ, &byte, 1), 1);
        ck_assert_uint_eq(byte, round);
        unplug();
        ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_READ, &byte, 1), -ENODEV);
        put();
        ck_assert_int_lt(open_at(name, "?baud=19200"), 0); /* not there */
        plug();
    }
    unlink(name);
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("tty_pty");

    kt_need_termios2();
    kt_add(s, refused_in_the_spec, 20);
    kt_add(s, refused_while_it_is_open, 60);
    kt_add(s, every_byte_with_marks, 20);
    kt_add(s, close_with_a_reader_that_is_dead, 120);
    kt_add(s, close_while_the_output_is_stopped, 60);
    kt_add(s, a_flush_throws_away, 20);
    kt_add_loop(s, a_full_line_for_five_seconds, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, unplugged_with_requests, KT_MODES, kt_mode_label, 60);
    kt_add(s, plugged_in_again, 30);
    return s;
}

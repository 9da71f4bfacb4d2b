/* SPDX-License-Identifier: MIT */
/*
 * The uart class: what every port promises, on a pseudo-terminal and on a simulated line. What only
 * one of them can show (a pseudo-terminal has no modem lines and no breaks) is skipped on the
 * other.
 */
#include "kt_pair.h"

#include <fcntl.h>
#include <stdio.h>
#include <termios.h>

struct port_s {
    struct kt_env_s env;
    bool sim;
    int master, slave;
    struct device_uart_s uart;
    struct device_char_s chr;
    struct device_uart_s far_uart; /* simulated: the other end */
    struct device_char_s far;
};

static struct port_s p;

static void open_both(const char *spec, struct device_uart_s *uart, struct device_char_s *chr)
{
    ck_assert_msg(kt_open_uart(&p.env, spec, uart, chr) == 0, "%s", kroutine_error_text());
}

static void set_up(int mode)
{
    char path[KT_PTY_PATH], spec[128];

    kt_env_open(&p.env, (enum kt_mode_e)mode);
    p.sim = kt_backend == KROUTINE_BACKEND_SIM;
    p.master = p.slave = -1;
    if (p.sim) {
        open_both("sim-char:uart?side=a", &p.uart, &p.chr);
        open_both("sim-char:uart?side=b", &p.far_uart, &p.far);
        return;
    }
    p.master = kt_open_pty(O_NONBLOCK, path, &p.slave);
    snprintf(spec, sizeof spec, "tty:%s?baud=115200", path);
    open_both(spec, &p.uart, &p.chr);
}

static void close_port(void)
{
    device_put_accessor(&p.uart.base);
    device_put_accessor(&p.chr.base);
}

static void tear_down(void)
{
    close_port();
    device_put_accessor(&p.far_uart.base);
    device_put_accessor(&p.far.base);
    if (!p.sim) {
        close(p.slave);
        close(p.master);
    }
    kt_env_close(&p.env);
}

static void unplug(void)
{
    if (p.sim) {
        ck_assert_int_eq(
            kroutine_sim_char_fault(&p.chr.base, KROUTINE_SIM_READ, KROUTINE_SIM_GONE, 1), 0);
        return;
    }
    close(p.slave);
    close(p.master);
    p.slave = p.master = -1;
}

static void arrives(const void *data, size_t size)
{
    struct kt_op_s op;

    if (!p.sim) {
        ck_assert_int_eq((int)write(p.master, data, size), (int)size);
        return;
    }
    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &p.far, DEV_CHAR_WRITE, (void *)data, size);
    kt_op_expect(&op, &p.env, 0, 0);
}

static void expect_read(unsigned type, const char *text, size_t size, int error)
{
    uint8_t data[64] = {0};
    struct kt_op_s op;

    kt_op_init(&op, KROUTINE_DEFERRED);
    kt_op_submit(&op, &p.chr, type, data, size);
    kt_op_expect(&op, &p.env, error, size - strlen(text));
    ck_assert_mem_eq(data, text, strlen(text));
}

/* --- requests --- */

struct op_s {
    struct dev_uart_rq_s rq;
    unsigned done;
    error_t error;
};

static KROUTINE_EXEC(over)
{
    struct op_s *op = KROUTINE_CONTAINER(kr, struct op_s, rq.base.kr);

    (void)flags;
    op->error = op->rq.error;
    kt_inc(&op->done);
}

static void submit(struct op_s *op, enum dev_uart_rq_type_e type, uint64_t timeout)
{
    memset(op, 0, sizeof *op);
    dev_uart_rq_init(&op->rq, over);
    op->rq.type = (uint8_t)type;
    op->rq.duration = KROUTINE_MSEC(20);
    op->rq.mask = DEV_UART_CTS | DEV_UART_DCD;
    op->rq.lines = DEV_UART_OUTPUTS | DEV_UART_CTS | DEV_UART_DSR | DEV_UART_DCD;
    dev_request_set_timeout(&op->rq.base, timeout);
    DEVICE_OP(&p.uart, request, &op->rq);
}

static void expect(struct op_s *op, error_t error)
{
    kt_await(&p.env, kt_get(&op->done));
    ck_assert_int_eq(op->error, error);
    ck_assert_uint_eq(kt_get(&op->done), 1);
}

#define need_lines()                                                                               \
    do {                                                                                           \
        if (!p.sim) {                                                                              \
            tear_down();                                                                           \
            kt_skip("a pseudo-terminal has no modem lines and no breaks");                         \
        }                                                                                          \
    } while (0)

/* --- settings --- */

START_TEST(settings)
{
    struct dev_uart_config_s config = {57600, 8, 2, 0, 0}, back;
    struct dev_uart_config_s bad[] = {
        {0, 8, 1, 0, 0}, {1, 4, 1, 0, 0}, {1, 9, 1, 0, 0}, {1, 8, 0, 0, 0},
        {1, 8, 3, 0, 0}, {1, 8, 1, 5, 0}, {1, 8, 1, 0, 4},
    };

    set_up(_i);
    ck_assert_int_eq(DEVICE_OP(&p.uart, get_config, &back), 0);
    ck_assert_uint_eq(back.baudrate, 115200);
    ck_assert_int_eq(DEVICE_OP(&p.uart, set_config, &config), 0);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(DEVICE_OP(&p.uart, set_config, &bad[i]), -EINVAL);
    bad[0] = (struct dev_uart_config_s){57600, 8, 1, 0, DEV_UART_FLOW_DTRDSR};
    ck_assert_int_eq(DEVICE_OP(&p.uart, set_config, &bad[0]), -ENOTSUP);
    ck_assert_int_eq(DEVICE_OP(&p.uart, get_config, &back), 0);
    ck_assert_mem_eq(&back, &config, sizeof back);
    tear_down();
}
END_TEST

START_TEST(ends_that_speak_differently)
{
    struct dev_uart_config_s config = {9600, 8, 1, 0, 0};
    struct dev_uart_counts_s counts;

    set_up(_i);
    need_lines();
    arrives("good", 4);
    ck_assert_int_eq(DEVICE_OP(&p.far_uart, set_config, &config), 0);
    arrives("bad", 3);
    expect_read(DEV_CHAR_READ, "good", 10, -EBADMSG);
    config.baudrate = 117000; /* within 3 % */
    ck_assert_int_eq(DEVICE_OP(&p.far_uart, set_config, &config), 0);
    arrives("good", 4);
    expect_read(DEV_CHAR_READ, "good", 4, 0);
    ck_assert_int_eq(DEVICE_OP(&p.uart, get_counts, &counts), 0);
    ck_assert_uint_eq(counts.framing, 3);
    tear_down();
}
END_TEST

/* --- requests --- */

START_TEST(drain)
{
    struct op_s op;

    set_up(_i);
    submit(&op, DEV_UART_DRAIN, 0);
    expect(&op, 0);
    tear_down();
}
END_TEST

START_TEST(bad_requests)
{
    struct op_s op;

    set_up(_i);
    submit(&op, DEV_UART_TYPES, 0);
    expect(&op, -EINVAL);
    memset(&op, 0, sizeof op);
    dev_uart_rq_init(&op.rq, over);
    op.rq.type = DEV_UART_BREAK;
    DEVICE_OP(&p.uart, request, &op.rq);
    expect(&op, -EINVAL);
    op.done = 0;
    op.rq.type = DEV_UART_WAIT_LINES;
    op.rq.mask = DEV_UART_RTS;
    DEVICE_OP(&p.uart, request, &op.rq);
    expect(&op, -EINVAL);
    close_port();
    op.done = 0;
    DEVICE_OP(&p.uart, request, &op.rq); /* the accessor is not open */
    expect(&op, -ECANCELED);
    ck_assert_int_eq(DEVICE_OP(&p.uart, get_lines, &op.rq.lines), -ECANCELED);
    tear_down();
}
END_TEST

START_TEST(a_break)
{
    struct dev_uart_counts_s counts;
    uint64_t start;
    struct op_s op;

    set_up(_i);
    submit(&op, DEV_UART_BREAK, 0);
    if (!p.sim) {
        expect(&op, -ENOTSUP);
        tear_down();
        return;
    }
    expect(&op, 0);
    arrives("ab", 2);
    start = kt_clock(&p.env);
    ck_assert_int_eq(DEVICE_OP(&p.far_uart, set_break, true), 0);
    ck_assert_int_eq(DEVICE_OP(&p.far_uart, set_break, false), 0);
    arrives("c", 1);
    expect_read(DEV_CHAR_READ, "ab", 3, -EBADMSG);
    expect_read(DEV_CHAR_READ, "c", 1, 0);
    ck_assert_int_eq(DEVICE_OP(&p.uart, get_counts, &counts), 0);
    ck_assert_uint_eq(counts.breaks, 1);
    submit(&op, DEV_UART_BREAK, 0);
    expect(&op, 0);
    ck_assert_uint_ge(kt_clock(&p.env) - start, KROUTINE_MSEC(20));
    submit(&op, DEV_UART_BREAK, KROUTINE_MSEC(5));
    expect(&op, -ETIMEDOUT);
    tear_down();
}
END_TEST

START_TEST(modem_lines)
{
    uint32_t lines = 0;
    struct op_s op;

    set_up(_i);
    if (!p.sim) {
        submit(&op, DEV_UART_WAIT_LINES, 0);
        expect(&op, -ENOTSUP);
        ck_assert_int_eq(DEVICE_OP(&p.uart, get_lines, &lines), -ENOTSUP);
        ck_assert_int_eq(DEVICE_OP(&p.uart, set_lines, DEV_UART_RTS, 0), -ENOTSUP);
        tear_down();
        return;
    }
    ck_assert_int_eq(DEVICE_OP(&p.uart, get_lines, &lines), 0);
    ck_assert_uint_eq(lines, DEV_UART_OUTPUTS | DEV_UART_CTS | DEV_UART_DSR | DEV_UART_DCD);
    submit(&op, DEV_UART_WAIT_LINES, KROUTINE_MSEC(50));
    expect(&op, -ETIMEDOUT);
    submit(&op, DEV_UART_WAIT_LINES, 0);
    kt_idle(&p.env, 5);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    ck_assert_int_eq(DEVICE_OP(&p.far_uart, set_lines, 0, DEV_UART_RTS), 0);
    expect(&op, 0);
    ck_assert_uint_eq(op.rq.changed, DEV_UART_CTS);
    ck_assert_uint_eq(op.rq.lines, DEV_UART_OUTPUTS | DEV_UART_DSR | DEV_UART_DCD);
    /* a pulse, between two requests */
    ck_assert_int_eq(DEVICE_OP(&p.far_uart, set_lines, 0, DEV_UART_DTR), 0);
    ck_assert_int_eq(DEVICE_OP(&p.far_uart, set_lines, DEV_UART_DTR, 0), 0);
    op.done = 0;
    DEVICE_OP(&p.uart, request, &op.rq);
    expect(&op, 0);
    ck_assert_uint_eq(op.rq.changed, DEV_UART_DCD);
    /* the other end is closed: its outputs drop */
    op.done = 0;
    DEVICE_OP(&p.uart, request, &op.rq);
    device_put_accessor(&p.far_uart.base);
    device_put_accessor(&p.far.base);
    expect(&op, 0);
    ck_assert_uint_eq(op.rq.lines, DEV_UART_OUTPUTS);
    ck_assert_int_eq(DEVICE_OP(&p.uart, set_lines, DEV_UART_CTS, 0), -EINVAL);
    tear_down();
}
END_TEST

/* --- flush --- */

START_TEST(flush)
{
    set_up(_i);
    arrives("old", 3);
    expect_read(DEV_CHAR_READ, "o", 1, 0);
    kt_idle(&p.env, 5);
    ck_assert_int_eq(DEVICE_OP(&p.uart, flush, DEV_UART_FLUSH_IN), 0);
    expect_read(DEV_CHAR_READ_NONBLOCK, "", 9, 0);
    arrives("new", 3);
    expect_read(DEV_CHAR_READ, "new", 3, 0);
    ck_assert_int_eq(DEVICE_OP(&p.uart, flush, DEV_UART_FLUSH_BOTH), 0);
    tear_down();
}
END_TEST

/* --- ends --- */

static void submit_all(struct op_s op[3])
{
    submit(&op[0], DEV_UART_DRAIN, 0);
    submit(&op[1], DEV_UART_BREAK, 0);
    submit(&op[2], DEV_UART_WAIT_LINES, 0);
}

START_TEST(cancelled)
{
    struct op_s op[3];
    error_t err;

    set_up(_i);
    for (unsigned round = 0; round < kt_count(100); round++) {
        submit_all(op);
        if (round & 1)
            kt_pause(&p.env);
        for (unsigned i = 0; i < 3; i++) {
            err = DEVICE_OP(&p.uart, cancel, &op[i].rq);
            ck_assert(err == 0 || err == -EBUSY);
            if (err == -EBUSY)
                kt_await(&p.env, kt_get(&op[i].done));
            else
                ck_assert_uint_eq(kt_get(&op[i].done), 0);
        }
    }
    tear_down();
}
END_TEST

START_TEST(closed)
{
    struct op_s op[3];

    set_up(_i);
    submit_all(op);
    close_port();
    for (unsigned i = 0; i < 3; i++) {
        kt_await(&p.env, kt_get(&op[i].done));
        ck_assert(op[i].error == -ECANCELED || op[i].error == 0 || op[i].error == -ENOTSUP);
        ck_assert_uint_eq(kt_get(&op[i].done), 1);
    }
    tear_down();
}
END_TEST

START_TEST(unplugged)
{
    struct op_s op[3];
    struct dev_uart_config_s config;

    set_up(_i);
    submit(&op[2], DEV_UART_WAIT_LINES, 0);
    unplug();
    kt_await(&p.env, kt_get(&op[2].done));
    ck_assert(op[2].error == -ENODEV || op[2].error == -ENOTSUP); /* a pty has refused it first */
    submit_all(op);
    for (unsigned i = 0; i < 3; i++)
        expect(&op[i], -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&p.uart, get_config, &config), -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&p.uart, flush, DEV_UART_FLUSH_BOTH), -ENODEV);
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("uart");

    if (kt_backend != KROUTINE_BACKEND_SIM)
        kt_need_termios2();
    kt_add_loop(s, settings, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, ends_that_speak_differently, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, drain, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, bad_requests, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_break, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, modem_lines, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, flush, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, cancelled, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, closed, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, unplugged, KT_MODES, kt_mode_label, 30);
    return s;
}

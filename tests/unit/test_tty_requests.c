/* SPDX-License-Identifier: MIT */
/* Drain, break and waiting for modem lines: each ends once, whatever ends it, and the line is at
   rest afterwards. */
#include "port.h"

struct op_s {
    struct dev_uart_rq_s rq;
    unsigned done; /* atomic */
    error_t error;
    unsigned stamp;
    void (*then)(struct op_s *op);
};

static KROUTINE_EXEC(over)
{
    struct op_s *op = KROUTINE_CONTAINER(kr, struct op_s, rq.base.kr);

    (void)flags;
    op->error = op->rq.error;
    op->stamp = kt_stamp();
    if (op->then)
        op->then(op);
    kt_inc(&op->done);
}

static void submit(struct op_s *op, enum dev_uart_rq_type_e type, uint64_t timeout)
{
    op->done = 0;
    op->rq.type = (uint8_t)type;
    dev_request_set_timeout(&op->rq.base, timeout);
    DEVICE_OP(&uart, request, &op->rq);
}

static void init(struct op_s *op)
{
    memset(op, 0, sizeof *op);
    dev_uart_rq_init(&op->rq, over);
}

static void wait_lines(struct op_s *op, uint32_t mask, uint32_t lines, uint64_t timeout)
{
    op->rq.mask = mask;
    op->rq.lines = lines;
    submit(op, DEV_UART_WAIT_LINES, timeout);
}

static void send_break(struct op_s *op, uint64_t duration, uint64_t timeout)
{
    op->rq.duration = duration;
    submit(op, DEV_UART_BREAK, timeout);
}

static void expect(struct op_s *op, error_t error)
{
    kt_await(&env, kt_get(&op->done));
    ck_assert_int_eq(op->error, error);
    ck_assert_uint_eq(kt_get(&op->done), 1);
}

/* --- drain --- */

START_TEST(drains)
{
    struct op_s a, b, c;

    port_set_up(_i);
    port_open("?baud=115200");
    init(&a);
    init(&b);
    init(&c);
    submit(&a, DEV_UART_DRAIN, 0);
    expect(&a, 0);
    kt_set(&port.queued, 100);
    submit(&a, DEV_UART_DRAIN, 0);
    submit(&b, DEV_UART_DRAIN, 0);
    submit(&c, DEV_UART_DRAIN, KROUTINE_MSEC(20));
    expect(&c, -ETIMEDOUT);
    ck_assert_uint_eq(kt_get(&a.done) + kt_get(&b.done), 0);
    kt_set(&port.queued, 0);
    expect(&a, 0);
    expect(&b, 0);
    port_tear_down();
}
END_TEST

START_TEST(in_the_order_of_submission)
{
    struct op_s op[8];

    port_set_up(_i);
    port_open("?baud=115200");
    kt_set(&port.queued, 1);
    for (unsigned i = 0; i < 8; i++) {
        memset(&op[i], 0, sizeof op[i]);
        dev_uart_rq_init_immediate(&op[i].rq, over);
        submit(&op[i], DEV_UART_DRAIN, 0);
    }
    kt_set(&port.queued, 0);
    for (unsigned i = 0; i < 8; i++) {
        expect(&op[i], 0);
        ck_assert(i == 0 || op[i].stamp > op[i - 1].stamp);
    }
    port_tear_down();
}
END_TEST

/* --- break --- */

START_TEST(breaks)
{
    uint64_t start;
    struct op_s a, b;

    port_set_up(_i);
    port_open("?baud=115200");
    init(&a);
    init(&b);
    send_break(&a, KROUTINE_SEC(1000), 0);
    kt_await(&env, kt_get(&port.breaks_begun) == 1);
    ck_assert_int_eq(DEVICE_OP(&uart, set_break, true), -EBUSY);
    ck_assert_int_eq(DEVICE_OP(&uart, cancel, &a.rq), 0);
    kt_await(&env, kt_get(&port.breaks_ended) == 1);
    start = kt_clock(&env);
    send_break(&a, KROUTINE_MSEC(30), 0);
    send_break(&b, KROUTINE_MSEC(20), 0);
    expect(&a, 0);
    ck_assert_uint_ge(kt_clock(&env) - start, KROUTINE_MSEC(30));
    expect(&b, 0);
    ck_assert_uint_ge(kt_clock(&env) - start, KROUTINE_MSEC(50));
    ck_assert_uint_eq(kt_get(&port.breaks_begun), 3);
    ck_assert_uint_eq(kt_get(&port.breaks_ended), 3);
    port_tear_down();
}
END_TEST

START_TEST(a_break_waits_for_the_bytes_before_it)
{
    struct op_s a;

    port_set_up(_i);
    port_open("?baud=115200");
    init(&a);
    kt_set(&port.queued, 10);
    ck_assert_int_eq(DEVICE_OP(&uart, set_break, true), -EBUSY);
    send_break(&a, KROUTINE_MSEC(1), KROUTINE_MSEC(30));
    expect(&a, -ETIMEDOUT);
    ck_assert_uint_eq(kt_get(&port.breaks_begun), 0);
    send_break(&a, KROUTINE_MSEC(1), 0);
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_get(&port.breaks_begun), 0);
    kt_set(&port.queued, 0);
    expect(&a, 0);
    ck_assert_uint_eq(kt_get(&port.breaks_begun), 1);
    port_tear_down();
}
END_TEST

START_TEST(a_break_that_is_cut_short)
{
    struct op_s a, b;

    port_set_up(_i);
    port_open("?baud=115200");
    init(&a);
    init(&b);
    send_break(&a, KROUTINE_SEC(1000), KROUTINE_MSEC(20)); /* by its time-out */
    expect(&a, -ETIMEDOUT);
    ck_assert_uint_eq(kt_get(&port.breaks_ended), 1);

    send_break(&a, KROUTINE_SEC(1000), 0); /* by cancel: the next one begins */
    send_break(&b, KROUTINE_MSEC(1), 0);
    kt_await(&env, kt_get(&port.breaks_begun) == 2);
    ck_assert_int_eq(DEVICE_OP(&uart, cancel, &a.rq), 0);
    expect(&b, 0);
    ck_assert_uint_eq(kt_get(&port.breaks_ended), 3);
    ck_assert_int_eq(DEVICE_OP(&uart, cancel, &a.rq), -EBUSY);

    send_break(&a, KROUTINE_SEC(1000), 0); /* by close */
    kt_await(&env, kt_get(&port.breaks_begun) == 4);
    port_close();
    expect(&a, -ECANCELED);
    ck_assert_uint_eq(kt_get(&port.breaks_ended), 4);
    ck_assert_uint_eq(kt_get(&b.done), 1);
    port_tear_down();
}
END_TEST

START_TEST(a_break_by_hand)
{
    port_set_up(_i);
    port_open("?baud=115200");
    ck_assert_int_eq(DEVICE_OP(&uart, set_break, true), 0);
    ck_assert_int_eq(DEVICE_OP(&uart, set_break, false), 0);
    ck_assert_uint_eq(kt_get(&port.breaks_ended), 1);
    ck_assert_int_eq(DEVICE_OP(&uart, set_break, true), 0);
    port_close(); /* not left behind */
    ck_assert_uint_eq(kt_get(&port.breaks_ended), 2);
    port_tear_down();
}
END_TEST

/* --- modem lines --- */

START_TEST(levels)
{
    uint32_t lines = 0;

    port_set_up(_i);
    port.lines = TIOCM_DTR | TIOCM_RTS | TIOCM_CTS | TIOCM_RNG;
    port_open("?dtr=no");
    ck_assert_int_eq(DEVICE_OP(&uart, get_lines, &lines), 0);
    ck_assert_uint_eq(lines, DEV_UART_RTS | DEV_UART_CTS | DEV_UART_RI);
    ck_assert_int_eq(DEVICE_OP(&uart, set_lines, DEV_UART_DTR, DEV_UART_RTS), 0);
    ck_assert_int_eq(port.lines, TIOCM_DTR | TIOCM_CTS | TIOCM_RNG);
    ck_assert_int_eq(DEVICE_OP(&uart, set_lines, 0, 0), 0);
    ck_assert_int_eq(DEVICE_OP(&uart, set_lines, DEV_UART_CTS, 0), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&uart, set_lines, DEV_UART_RTS, DEV_UART_RTS), -EINVAL);
    port_close();
    ck_assert_int_eq(port.lines, TIOCM_DTR | TIOCM_RTS | TIOCM_CTS | TIOCM_RNG); /* as before */
    port_tear_down();
}
END_TEST

START_TEST(a_line_changes)
{
    struct op_s a, b;

    port_set_up(_i);
    port.lines = TIOCM_CTS;
    port_open("?baud=115200");
    init(&a);
    init(&b);
    wait_lines(&a, DEV_UART_CTS | DEV_UART_DCD, DEV_UART_CTS, 0);
    wait_lines(&b, DEV_UART_DSR, DEV_UART_CTS, 0);
    kt_idle(&env, 30);
    ck_assert_uint_eq(kt_get(&a.done), 0);
    kt_set(&port.lines, TIOCM_CTS | TIOCM_CAR);
    expect(&a, 0);
    ck_assert_uint_eq(a.rq.changed, DEV_UART_DCD);
    ck_assert_uint_eq(a.rq.lines, DEV_UART_CTS | DEV_UART_DCD);
    ck_assert_uint_eq(kt_get(&b.done), 0); /* not its line */
    ck_assert_int_eq(DEVICE_OP(&uart, cancel, &b.rq), 0);
    wait_lines(&a, DEV_UART_CTS, 0, 0); /* the caller did not know: at once */
    expect(&a, 0);
    ck_assert_uint_eq(a.rq.changed, DEV_UART_CTS);
    ck_assert_uint_eq(kt_get(&b.done), 0);
    port_tear_down();
}
END_TEST

START_TEST(a_pulse_between_two_looks)
{
    uint32_t lines;
    struct op_s a;

    port_set_up(_i);
    port_open("?baud=115200");
    init(&a);
    ck_assert_int_eq(DEVICE_OP(&uart, get_lines, &lines), 0);
    kt_inc(&port.dcd); /* before the request, after the levels were told */
    wait_lines(&a, DEV_UART_DCD | DEV_UART_DSR, lines, 0);
    expect(&a, 0);
    ck_assert_uint_eq(a.rq.changed, DEV_UART_DCD);
    ck_assert_uint_eq(a.rq.lines, lines);
    wait_lines(&a, DEV_UART_DCD, lines, KROUTINE_MSEC(30)); /* it is told once */
    expect(&a, -ETIMEDOUT);
    kt_inc(&port.dcd); /* and between two requests */
    wait_lines(&a, DEV_UART_DCD, lines, 0);
    expect(&a, 0);
    wait_lines(&a, DEV_UART_DCD, lines, 0);
    kt_idle(&env, 20);
    kt_inc(&port.cts); /* another line */
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_get(&a.done), 0);
    kt_inc(&port.dcd);
    expect(&a, 0);
    port_tear_down();
}
END_TEST

START_TEST(nobody_looks_when_nobody_waits)
{
    unsigned asked;
    struct op_s a;

    port_set_up(_i);
    port_open("?baud=115200");
    init(&a);
    wait_lines(&a, DEV_UART_DCD, 0, 0);
    asked = kt_get(&port.asked);
    kt_await(&env, kt_get(&port.asked) >= asked + 3);
    ck_assert_int_eq(DEVICE_OP(&uart, cancel, &a.rq), 0);
    kt_idle(&env, 30); /* one look may have been under way */
    asked = kt_get(&port.asked);
    kt_idle(&env, 60);
    ck_assert_uint_eq(kt_get(&port.asked), asked);
    ck_assert_uint_eq(kt_get(&a.done), 0);
    port_tear_down();
}
END_TEST

/* --- ends --- */

START_TEST(bad_requests)
{
    struct op_s a;

    port_set_up(_i);
    port_open("?baud=115200");
    init(&a);
    submit(&a, DEV_UART_TYPES, 0);
    expect(&a, -EINVAL);
    send_break(&a, 0, 0);
    expect(&a, -EINVAL);
    wait_lines(&a, 0, 0, 0);
    expect(&a, -EINVAL);
    wait_lines(&a, DEV_UART_RTS | DEV_UART_CTS, 0, 0);
    expect(&a, -EINVAL);
    port_tear_down();
}
END_TEST

START_TEST(closed_with_all_of_them)
{
    struct op_s op[6];

    port_set_up(_i);
    port_open("?baud=115200");
    kt_set(&port.queued, 1);
    for (unsigned i = 0; i < 6; i++) {
        init(&op[i]);
        if (i < 2)
            submit(&op[i], DEV_UART_DRAIN, KROUTINE_SEC(100));
        else if (i < 4)
            send_break(&op[i], KROUTINE_MSEC(10), 0);
        else
            wait_lines(&op[i], DEV_UART_CTS, 0, 0);
    }
    kt_idle(&env, 5);
    port_close();
    for (unsigned i = 0; i < 6; i++)
        expect(&op[i], -ECANCELED);
    ck_assert_uint_eq(kt_get(&port.breaks_begun), 0);
    port_tear_down();
}
END_TEST

static void close_device(struct op_s *op)
{
    (void)op;
    port_close();
}

START_TEST(closed_from_a_handler)
{
    struct op_s a, b;

    port_set_up(_i);
    port_open("?baud=115200");
    memset(&a, 0, sizeof a);
    dev_uart_rq_init_immediate(&a.rq, over);
    a.then = close_device;
    init(&b);
    kt_set(&port.queued, 1);
    submit(&a, DEV_UART_DRAIN, 0);
    submit(&b, DEV_UART_DRAIN, 0);
    kt_set(&port.queued, 0);
    expect(&a, 0);
    kt_await(&env, kt_get(&b.done));
    port_tear_down();
}
END_TEST

START_TEST(unplugged)
{
    struct op_s op[4];

    port_set_up(_i);
    port_open("?baud=115200");
    kt_set(&port.queued, 1);
    for (unsigned i = 0; i < 4; i++)
        init(&op[i]);
    submit(&op[0], DEV_UART_DRAIN, 0);
    send_break(&op[1], KROUTINE_SEC(100), 0);
    wait_lines(&op[2], DEV_UART_CTS, 0, 0);
    kt_set(&port.fail, EIO);
    for (unsigned i = 0; i < 3; i++)
        expect(&op[i], -ENODEV);
    submit(&op[3], DEV_UART_DRAIN, 0);
    expect(&op[3], -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&uart, get_lines, &(uint32_t){0}), -ENODEV);
    port_tear_down();
}
END_TEST

START_TEST(blocking_calls)
{
    uint32_t lines = 0;

    port_set_up(KT_THREADS);
    port_open("?baud=115200");
    ck_assert_int_eq(dev_uart_wait_drain(&uart, 0), 0);
    kt_set(&port.queued, 1);
    ck_assert_int_eq(dev_uart_wait_drain(&uart, KROUTINE_MSEC(10)), -ETIMEDOUT);
    kt_set(&port.queued, 0);
    ck_assert_int_eq(dev_uart_wait_break(&uart, KROUTINE_MSEC(10)), 0);
    ck_assert_int_eq(dev_uart_wait_lines(&uart, DEV_UART_DSR, &lines, KROUTINE_MSEC(10)),
                     -ETIMEDOUT);
    kt_set(&port.lines, TIOCM_DSR);
    ck_assert_int_eq(dev_uart_wait_lines(&uart, DEV_UART_DSR, &lines, 0), 0);
    ck_assert_uint_eq(lines, DEV_UART_DSR);
    port_tear_down();
}
END_TEST

/* --- cancel against everything else --- */

#define ROUNDS 400

static void *toggles(void *arg)
{
    unsigned *stop = arg;

    while (!kt_get(stop)) {
        kt_set(&port.lines, kt_get(&port.lines) ^ TIOCM_CTS);
        kt_set(&port.queued, !kt_get(&port.queued));
        kt_sleep_ms(1);
    }
    return NULL;
}

START_TEST(cancel_races)
{
    unsigned stop = 0, cancelled = 0;
    struct op_s op[3];
    pthread_t thread;

    port_set_up(KT_THREADS);
    port_open("?baud=115200");
    thread = kt_thread(toggles, &stop);
    for (unsigned i = 0; i < 3; i++)
        init(&op[i]);
    for (unsigned round = 0; round < kt_count(ROUNDS); round++) {
        submit(&op[0], DEV_UART_DRAIN, 0);
        send_break(&op[1], KROUTINE_USEC(500), 0);
        wait_lines(&op[2], DEV_UART_CTS, round & 1 ? DEV_UART_CTS : 0, 0);
        if (round % 3)
            kt_sleep_ms(round % 3);
        for (unsigned i = 0; i < 3; i++) {
            error_t err = dev_request_cancel_wait(&uart.base, &op[i].rq.base);

            ck_assert_int_eq((int)kt_get(&op[i].done), err == 0 ? 0 : 1);
            cancelled += err == 0;
        }
    }
    ck_assert_uint_gt(cancelled, 0);
    kt_set(&stop, 1);
    kt_join(thread);
    kt_set(&port.queued, 0);
    port_close();
    ck_assert_uint_eq(kt_get(&port.breaks_begun), kt_get(&port.breaks_ended));
    port_tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("tty_requests");

    kt_need_termios2();
    kt_add_loop(s, drains, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, in_the_order_of_submission, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, breaks, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_break_waits_for_the_bytes_before_it, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_break_that_is_cut_short, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_break_by_hand, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, levels, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_line_changes, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, a_pulse_between_two_looks, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, nobody_looks_when_nobody_waits, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, bad_requests, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, closed_with_all_of_them, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, closed_from_a_handler, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, unplugged, KT_MODES, kt_mode_label, 30);
    kt_add(s, blocking_calls, 30);
    kt_add(s, cancel_races, 60);
    return s;
}

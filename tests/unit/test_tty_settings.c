/* SPDX-License-Identifier: MIT */
/* Settings beside the line's, on a port that has them: what is refused, and what comes back. */
#include "port.h"

static void expect_text(const char *words)
{
    ck_assert_msg(strstr(kroutine_error_text(), words) != NULL, "'%s' is not in '%s'", words,
                  kroutine_error_text());
}

START_TEST(rs485_of_the_spec)
{
    struct dev_uart_rs485_s rs485;

    port_set_up(KT_THREADS);
    port_open("?rs485=yes&rs485-before=2&rs485-after=3&rs485-rx=yes&rs485-term=yes");
    ck_assert_uint_eq(port.rs485.flags, SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND |
                                            SER_RS485_RX_DURING_TX | SER_RS485_TERMINATE_BUS);
    ck_assert_int_eq(DEVICE_OP(&uart, get_rs485, &rs485), 0);
    ck_assert(rs485.enable && rs485.rts_on_send && !rs485.rts_after_send && rs485.rx_during_tx &&
              rs485.terminate_bus);
    ck_assert_uint_eq(rs485.delay_before_ms, 2);
    ck_assert_uint_eq(rs485.delay_after_ms, 3);
    port_close();
    ck_assert_uint_eq(port.rs485.flags, 0); /* as before */
    port_open("?rs485=yes&rs485-rts=low&restore=no");
    ck_assert_uint_eq(port.rs485.flags, SER_RS485_ENABLED | SER_RS485_RTS_AFTER_SEND);
    port_close();
    ck_assert_uint_eq(port.rs485.flags, SER_RS485_ENABLED | SER_RS485_RTS_AFTER_SEND);
    port_open("?rs485=no");
    ck_assert_uint_eq(port.rs485.flags, 0);
    port_close();
    ck_assert_uint_eq(port.rs485.flags, SER_RS485_ENABLED | SER_RS485_RTS_AFTER_SEND);
    ck_assert_int_eq(port_try("?rs485-before=3"), -EINVAL);
    expect_text("rs485-before needs rs485=yes");
    ck_assert_int_eq(port_try("?rs485=no&rs485-rx=yes"), -EINVAL);
    expect_text("rs485-rx needs rs485=yes");
    port_tear_down();
}
END_TEST

START_TEST(rs485_that_the_port_changes)
{
    struct dev_uart_rs485_s rs485 = {.enable = true, .rts_on_send = true, .delay_before_ms = 500};

    port_set_up(KT_THREADS);
    ck_assert_int_eq(port_try("?rs485=yes&rs485-before=500"), -ENOTSUP);
    expect_text("the port refused rs485-before=500: it keeps 100");
    ck_assert_uint_eq(port.rs485.flags, 0);
    port_open("");
    ck_assert_int_eq(DEVICE_OP(&uart, set_rs485, &rs485), -ENOTSUP);
    expect_text("the port refused rs485-before=500: it keeps 100");
    ck_assert_uint_eq(port.rs485.flags, 0);
    rs485.delay_before_ms = 100;
    ck_assert_int_eq(DEVICE_OP(&uart, set_rs485, &rs485), 0);
    port_close();
    ck_assert_uint_eq(port.rs485.flags, 0);
    port_tear_down();
}
END_TEST

START_TEST(low_latency)
{
    bool on = true;

    port_set_up(KT_THREADS);
    port_open("");
    ck_assert_int_eq(DEVICE_OP(&uart, get_low_latency, &on), 0);
    ck_assert(!on);
    ck_assert_int_eq(DEVICE_OP(&uart, set_low_latency, true), 0);
    ck_assert_int_eq(DEVICE_OP(&uart, get_low_latency, &on), 0);
    ck_assert(on && port.flags == (int)ASYNC_LOW_LATENCY);
    port_close();
    ck_assert_int_eq(port.flags, 0);
    port_open("?low-latency=yes");
    ck_assert_int_eq(port.flags, (int)ASYNC_LOW_LATENCY);
    port_close();
    ck_assert_int_eq(port.flags, 0);
    port.stuck_flags = (int)ASYNC_LOW_LATENCY; /* as cdc-acm: no error, no effect */
    ck_assert_int_eq(port_try("?low-latency=yes"), -ENOTSUP);
    expect_text("the port refused low-latency=yes");
    port_open("?low-latency=no");
    port_tear_down();
}
END_TEST

START_TEST(lines_of_the_spec)
{
    port_set_up(KT_THREADS);
    port.lines = TIOCM_DTR | TIOCM_RTS;
    port_open("?dtr=no&rts=no");
    ck_assert_int_eq(port.lines, 0);
    port_close();
    ck_assert_int_eq(port.lines, TIOCM_DTR | TIOCM_RTS);
    port_open("?dtr=no&restore=no");
    port_close();
    ck_assert_int_eq(port.lines, TIOCM_RTS);
    port_tear_down();
}
END_TEST

static unsigned hangs_up(void)
{
    struct termios2 line;

    ck_assert_int_eq(__real_ioctl(slave, TCGETS2, &line), 0);
    return line.c_cflag & HUPCL;
}

START_TEST(hang_up_on_close)
{
    port_set_up(KT_THREADS);
    port_open("?hupcl=yes");
    ck_assert_uint_ne(hangs_up(), 0);
    port_close();
    ck_assert_uint_ne(hangs_up(), 0); /* it is about the close: it stays */
    port_open("?hupcl=no");
    port_close();
    ck_assert_uint_eq(hangs_up(), 0);
    port_tear_down();
}
END_TEST

/* Each of these fails after some settings were made: all are as before. */
START_TEST(half_way)
{
    static const char *const keys[] = {
        "?baud=300&rs485=yes&low-latency=yes&dtr=no&frame=nonsense",
        "?baud=300&rs485=yes&rs485-after=1&low-latency=yes&dtr=no&parity=even",
        "?baud=300&rs485=yes&rs485-before=200",
        "?baud=300&flow=dtrdsr",
        "?baud=300&rs485-term=yes",
    };
    struct termios2 before, line;
    unsigned fds;

    port_set_up(KT_THREADS);
    port.lines = TIOCM_DTR;
    fds = kt_open_fds();
    ck_assert_int_eq(__real_ioctl(slave, TCGETS2, &before), 0);
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++) {
        ck_assert_int_lt(port_try(keys[i]), 0);
        ck_assert_int_eq(__real_ioctl(slave, TCGETS2, &line), 0);
        ck_assert_mem_eq(&line, &before, sizeof line);
        ck_assert_uint_eq(port.rs485.flags, 0);
        ck_assert_int_eq(port.flags, 0);
        ck_assert_int_eq(port.lines, TIOCM_DTR);
        ck_assert_uint_eq(kt_open_fds(), fds);
    }
    port_tear_down();
}
END_TEST

START_TEST(settings_that_stay)
{
    struct termios2 line;

    port_set_up(KT_THREADS);
    port_open("?baud=4800&restore=no");
    port_close();
    ck_assert_int_eq(__real_ioctl(slave, TCGETS2, &line), 0);
    ck_assert_uint_eq(line.c_ospeed, 4800);
    port_tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("tty_settings");

    kt_need_termios2();
    kt_add(s, rs485_of_the_spec, 30);
    kt_add(s, rs485_that_the_port_changes, 30);
    kt_add(s, low_latency, 30);
    kt_add(s, lines_of_the_spec, 30);
    kt_add(s, hang_up_on_close, 30);
    kt_add(s, half_way, 30);
    kt_add(s, settings_that_stay, 30);
    return s;
}

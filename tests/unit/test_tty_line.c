/* SPDX-License-Identifier: MIT */
/* Line settings on ports that no test machine has: the file is compiled in here, over an ioctl of
   the test that makes what its hardware can. */
#include "kt.h"

#include <linux/serial.h>
#include <stdarg.h>

#define ioctl fake_ioctl
#include "../../backends/tty/line.c"
#include "../../lib/uart_line.h"

static struct termios2 port;
static struct serial_struct serial;
static uint32_t clock_hz; /* baud rates are this divided by 16 n; 0: any */
static tcflag_t stuck;    /* bits of c_cflag that cannot be set */
static int fail;          /* errno of the next call */

int fake_ioctl(int fd, unsigned long request, ...)
{
    struct termios2 *line;
    va_list args;
    void *arg;

    (void)fd;
    va_start(args, request);
    line = arg = va_arg(args, void *);
    va_end(args);
    if (request == TIOCGSERIAL) {
        *(struct serial_struct *)arg = serial;
        return 0;
    }
    if (fail) {
        errno = fail;
        return -1;
    }
    if (request == TCGETS2) {
        *line = port;
        return 0;
    }
    ck_assert_uint_eq(request, TCSETS2);
    port = *line;
    port.c_cflag &= ~stuck;
    if (clock_hz && (line->c_cflag & CBAUD) == BOTHER) {
        uint32_t divisor = (clock_hz / 16 + line->c_ospeed / 2) / line->c_ospeed;

        port.c_ospeed = port.c_ispeed = clock_hz / 16 / (divisor ? divisor : 1);
    }
    return 0;
}

static void reset(void)
{
    memset(&port, 0, sizeof port);
    memset(&serial, 0, sizeof serial);
    port.c_cflag = CS8 | B9600 | HUPCL | PARENB | CMSPAR;
    port.c_iflag = ICRNL | IXON | BRKINT;
    port.c_lflag = ICANON | ECHO;
    port.c_ospeed = 9600;
    clock_hz = 0;
    stuck = 0;
    fail = 0;
}

START_TEST(every_setting)
{
    struct dev_uart_config_s config, back;

    for (unsigned data = 5; data <= 8; data++)
        for (unsigned stop = 1; stop <= 2; stop++)
            for (unsigned p = 0; p <= 4; p++)
                for (unsigned f = 0; f <= 2; f++) {
                    reset();
                    config = (struct dev_uart_config_s){57600, (uint8_t)data, (uint8_t)stop,
                                                        (uint8_t)p, (uint8_t)f};
                    ck_assert_int_eq(tty_line_validate(&config), 0);
                    ck_assert_int_eq(tty_line_apply(3, &config, TTY_ERRORS_NO), 0);
                    tty_line_describe(&port, &back);
                    ck_assert_mem_eq(&back, &config, sizeof back);
                    ck_assert_uint_eq(port.c_cflag & (HUPCL | CMSPAR),
                                      p > 2 ? HUPCL | CMSPAR : HUPCL);
                    ck_assert_uint_eq(port.c_iflag & INPCK, p ? INPCK : 0);
                    ck_assert_uint_eq(port.c_iflag & (IXON | IXOFF), f == 2 ? IXON | IXOFF : 0);
                    ck_assert_uint_eq(kr_uart_char_ns(&config), (1 + data + stop + (p ? 1 : 0)) *
                                                                    UINT64_C(1000000000) / 57600);
                }
}
END_TEST

START_TEST(the_baud_rate_stays)
{
    struct dev_uart_config_s config = {0, 8, 1, 0, 0};

    reset();
    ck_assert_int_eq(tty_line_apply(3, &config, TTY_ERRORS_NO), 0);
    ck_assert_uint_eq(port.c_cflag & CBAUD, B9600);
    ck_assert_uint_eq(port.c_ospeed, 9600);
    ck_assert_uint_eq(kr_uart_char_ns(&config), 100000);
}
END_TEST

static void expect_baud(uint32_t baud, error_t err, const char *text)
{
    struct dev_uart_config_s config = {baud, 8, 1, 0, 0};

    ck_assert_int_eq(tty_line_apply(3, &config, TTY_ERRORS_NO), err);
    if (text)
        ck_assert_msg(strstr(kroutine_error_text(), text) != NULL, "%s", kroutine_error_text());
}

START_TEST(baud_rates_that_are_off)
{
    reset();
    clock_hz = 1843200; /* 115200 at most */
    expect_baud(115200, 0, NULL);
    expect_baud(14200, 0, NULL); /* 14400: 1.4 % off */
    expect_baud(111900, 0, NULL);
    expect_baud(111700, -ENOTSUP, "baud=111700: the port makes 115200, more than 3 % off");
    expect_baud(230400, -ENOTSUP, "baud=230400: the port makes 115200, more than 3 % off");
    expect_baud(100000, -ENOTSUP, "baud=100000: the port makes 115200, more than 3 % off");
    expect_baud(UINT32_MAX, -ENOTSUP, NULL);
}
END_TEST

/* The driver of the 16550 does not say what its divisor makes of a rate. */
START_TEST(baud_rates_of_a_divisor)
{
    reset();
    serial.type = PORT_16550A;
    serial.port = 0x3f8;
    serial.baud_base = 115200;
    expect_baud(115200, 0, NULL);
    expect_baud(56000, 0, NULL);
    expect_baud(31250, -ENOTSUP, "baud=31250: the port makes 28800, more than 3 % off");
    expect_baud(100000, -ENOTSUP, "baud=100000: the port makes 115200, more than 3 % off");
    ck_assert_uint_eq(tty_line_achieved(3, 56000), 57600);
    ck_assert_uint_eq(tty_line_achieved(3, 50), 50);
    ck_assert_uint_eq(tty_line_achieved(3, 0), 0);
    /* Memory-mapped ones may have fractions, and USB adapters say anything. */
    serial.io_type = SERIAL_IO_MEM;
    expect_baud(31250, 0, NULL);
    serial.io_type = SERIAL_IO_PORT;
    serial.port = 1;
    expect_baud(31250, 0, NULL);
    serial.port = 0x3f8;
    serial.type = PORT_UNKNOWN;
    expect_baud(31250, 0, NULL);
}
END_TEST

START_TEST(refused_settings)
{
    struct dev_uart_config_s config = {9600, 7, 2, DEV_UART_PARITY_ODD, DEV_UART_FLOW_RTSCTS};

    reset();
    stuck = CRTSCTS;
    ck_assert_int_eq(tty_line_apply(3, &config, TTY_ERRORS_NO), -ENOTSUP);
    ck_assert_str_eq(
        kroutine_error_text(),
        "the port refused flow=rtscts: it keeps none (ask for that, or use another port)");
    stuck = CSTOPB;
    ck_assert_int_eq(tty_line_apply(3, &config, TTY_ERRORS_NO), -ENOTSUP);
    ck_assert_str_eq(kroutine_error_text(),
                     "the port refused stop=2: it keeps 1 (ask for that, or use another port)");
    stuck = PARODD;
    ck_assert_int_eq(tty_line_apply(3, &config, TTY_ERRORS_NO), -ENOTSUP);
    ck_assert_str_eq(
        kroutine_error_text(),
        "the port refused parity=odd: it keeps even (ask for that, or use another port)");
    fail = EIO;
    ck_assert_int_eq(tty_line_apply(3, &config, TTY_ERRORS_NO), -EIO);
    ck_assert_str_eq(kroutine_error_text(), "cannot read the line settings: Input/output error");
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("tty_line");

    kt_add(s, every_setting, 10);
    kt_add(s, the_baud_rate_stays, 10);
    kt_add(s, baud_rates_that_are_off, 10);
    kt_add(s, baud_rates_of_a_divisor, 10);
    kt_add(s, refused_settings, 10);
    return s;
}

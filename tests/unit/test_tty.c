/* SPDX-License-Identifier: MIT */
/* The tty driver on a pseudo terminal: settings, what a refused one leaves behind, and the end. */
#include "kt.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include <kroutine/uart.h>

static struct kt_env_s env;
static int master, slave; /* `slave`: keeps the settings between two opens */
static char path[KT_PTY_PATH];
static struct device_uart_s uart;
static struct device_char_s chr;

static void set_up(void)
{
    kt_env_open(&env, KT_THREADS);
    master = kt_open_pty(0, path, &slave);
}

static void tear_down(void)
{
    device_put_accessor(&uart.base);
    device_put_accessor(&chr.base);
    close(slave);
    close(master);
    kt_env_close(&env);
}

static error_t open_tty(const char *keys)
{
    char spec[160];

    snprintf(spec, sizeof spec, "tty:%s%s", path, keys);
    return kt_open_uart(&env, spec, &uart, &chr);
}

static void settings(struct termios2 *line)
{
    memset(line, 0, sizeof *line);
    ck_assert_int_eq(ioctl(slave, TCGETS2, line), 0);
}

static void expect_config(uint32_t baud, enum dev_uart_flow_e flow, uint8_t stop)
{
    struct dev_uart_config_s config;

    ck_assert_int_eq(DEVICE_OP(&uart, get_config, &config), 0);
    ck_assert_uint_eq(config.baudrate, baud);
    ck_assert_uint_eq(config.data_bits, 8);
    ck_assert_uint_eq(config.stop_bits, stop);
    ck_assert_uint_eq(config.parity, DEV_UART_PARITY_NONE);
    ck_assert_uint_eq(config.flow_ctrl, flow);
}

START_TEST(settings_of_the_spec)
{
    struct termios2 before, line;

    set_up();
    settings(&before);
    ck_assert_msg(open_tty("?baud=115200&flow=rtscts&stop=2") == 0, "%s", kroutine_error_text());
    expect_config(115200, DEV_UART_FLOW_RTSCTS, 2);
    settings(&line);
    ck_assert_uint_eq(line.c_lflag & (ICANON | ECHO | ISIG), 0);
    ck_assert_uint_eq(line.c_oflag & OPOST, 0);
    ck_assert_uint_eq(line.c_cflag & (CLOCAL | CREAD), CLOCAL | CREAD);
    ck_assert_uint_eq(line.c_cc[VMIN], 1);
    ck_assert_uint_eq(line.c_cc[VTIME], 0);
    device_put_accessor(&uart.base);
    device_put_accessor(&chr.base);
    settings(&line); /* back to what they were */
    ck_assert_mem_eq(&line, &before, sizeof line);
    ck_assert_int_eq(open_tty(""), 0);
    expect_config(before.c_ospeed, DEV_UART_FLOW_NONE, 1);
    tear_down();
}
END_TEST

START_TEST(any_baud_rate)
{
    static const uint32_t rates[] = {50, 300, 9600, 31250, 250000, 1843200, 4000000};
    char keys[40];

    set_up();
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
        snprintf(keys, sizeof keys, "?baud=%u&flow=xonxoff", rates[i]);
        ck_assert_msg(open_tty(keys) == 0, "%s", kroutine_error_text());
        expect_config(rates[i], DEV_UART_FLOW_XONXOFF, 1);
        device_put_accessor(&uart.base);
        device_put_accessor(&chr.base);
    }
    tear_down();
}
END_TEST

static void expect_error(const char *spec, error_t err, const char *words)
{
    ck_assert_int_eq(device_get_accessor_by_path(&uart.base, kroutine_runtime_devices(env.rt), spec,
                                                 DRIVER_CLASS_UART),
                     err);
    ck_assert_msg(strstr(kroutine_error_text(), words) != NULL, "'%s' is not in '%s'", words,
                  kroutine_error_text());
}

START_TEST(what_cannot_be_opened)
{
    unsigned fds;

    set_up();
    fds = kt_open_fds();
    expect_error("tty:/dev/ttyS999?baud=9600", -ENOENT,
                 "tty:/dev/ttyS999?baud=9600: cannot open /dev/ttyS999: No such file");
    expect_error("tty:", -EINVAL, "no path: use tty:/dev/");
    expect_error("tty:/dev/null", -ENOTTY, "/dev/null is not a tty: use file:/dev/null");
    expect_error("tty:/tmp", -EISDIR, "cannot open /tmp");
    expect_error("tty:/dev/x?baud=9x", -EINVAL, "baud=9x: not a number");
    expect_error("tty:/dev/x?baud=0", -ERANGE, "baud=0: must be 1 to 4294967295");
    expect_error("tty:/dev/x?data=9", -ERANGE, "data=9: must be 5 to 8");
    expect_error("tty:/dev/x?parity=both", -EINVAL,
                 "parity=both: must be one of none|odd|even|mark|space");
    expect_error("tty:/dev/x?baudrate=9600", -EINVAL,
                 "unknown key 'baudrate' in 'tty:/dev/x?baudrate=9600' (keys: baud, data, parity, "
                 "stop, flow, exclusive, errors, rs485");
    ck_assert_uint_eq(kt_open_fds(), fds);
    tear_down();
}
END_TEST

/* A pseudo terminal has eight bits and no parity, and says so when the settings are read back. */
START_TEST(what_the_port_refuses)
{
    struct termios2 before, line;
    unsigned fds;

    set_up();
    fds = kt_open_fds();
    settings(&before);
    ck_assert_int_eq(open_tty("?baud=9600&parity=even"), -ENOTSUP);
    ck_assert_ptr_nonnull(
        strstr(kroutine_error_text(), "the port refused parity=even: it keeps none"));
    ck_assert_int_eq(open_tty("?data=7"), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "the port refused data=7: it keeps 8"));
    ck_assert_int_eq(open_tty("?frame=nonsense"), -EINVAL);
    settings(&line);
    ck_assert_mem_eq(&line, &before, sizeof line);
    ck_assert_uint_eq(kt_open_fds(), fds);
    tear_down();
}
END_TEST

START_TEST(settings_while_it_is_open)
{
    struct dev_uart_config_s config = {19200, 8, 2, DEV_UART_PARITY_NONE, DEV_UART_FLOW_RTSCTS};
    struct dev_uart_config_s bad[] = {
        {9600, 4, 1, 0, 0}, {9600, 8, 3, 0, 0}, {9600, 8, 1, 5, 0}, {9600, 8, 1, 0, 4},
        {0, 8, 1, 0, 0},    {9600, 8, 0, 0, 0}, {9600, 9, 1, 0, 0},
    };

    set_up();
    ck_assert_int_eq(open_tty("?baud=9600"), 0);
    ck_assert_int_eq(DEVICE_OP(&uart, set_config, &config), 0);
    expect_config(19200, DEV_UART_FLOW_RTSCTS, 2);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(DEVICE_OP(&uart, set_config, &bad[i]), -EINVAL);
    config.baudrate = 300;
    config.flow_ctrl = DEV_UART_FLOW_NONE;
    config.parity = DEV_UART_PARITY_ODD;
    ck_assert_int_eq(DEVICE_OP(&uart, set_config, &config), -ENOTSUP);
    ck_assert_str_eq(kroutine_error_text(),
                     "the port refused parity=odd: it keeps none (ask for that, or use another "
                     "port)");
    expect_config(19200, DEV_UART_FLOW_RTSCTS, 2); /* the old ones stand */
    tear_down();
}
END_TEST

START_TEST(all_bytes_both_ways)
{
    uint8_t out[256], in[256];

    set_up();
    ck_assert_int_eq(open_tty("?baud=115200"), 0);
    for (unsigned i = 0; i < 256; i++)
        out[i] = (uint8_t)i;
    ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_WRITE_FLUSH, out, 256), 256);
    ck_assert_int_eq((int)read(master, in, 256), 256);
    ck_assert_mem_eq(in, out, 256);
    memset(in, 0, 256);
    ck_assert_int_eq((int)write(master, out, 256), 256);
    ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_READ, in, 256), 256);
    ck_assert_mem_eq(in, out, 256);
    tear_down();
}
END_TEST

START_TEST(exclusive_use)
{
    int exclusive = -1;

    set_up();
    ck_assert_int_eq(open_tty("?exclusive=yes"), 0);
    ck_assert_int_eq(ioctl(slave, TIOCGEXCL, &exclusive), 0);
    ck_assert_int_eq(exclusive, 1);
    if (geteuid() != 0)
        ck_assert_int_eq(open(path, O_RDWR | O_NOCTTY), -1);
    device_put_accessor(&uart.base);
    device_put_accessor(&chr.base);
    ck_assert_int_eq(ioctl(slave, TIOCGEXCL, &exclusive), 0);
    ck_assert_int_eq(exclusive, 0);
    tear_down();
}
END_TEST

START_TEST(the_other_side_goes_away)
{
    struct dev_uart_config_s config = {9600, 8, 1, 0, 0};
    uint8_t byte = 0;

    set_up();
    ck_assert_int_eq(open_tty("?baud=9600"), 0);
    close(master);
    master = open("/dev/null", O_RDWR);
    ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_READ, &byte, 1), -ENODEV);
    ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_WRITE, &byte, 1), -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&uart, get_config, &config), -ENODEV);
    ck_assert_int_eq(DEVICE_OP(&uart, set_config, &config), -ENODEV);
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("tty");

    kt_need_termios2();
    kt_add(s, settings_of_the_spec, 20);
    kt_add(s, any_baud_rate, 20);
    kt_add(s, what_cannot_be_opened, 20);
    kt_add(s, what_the_port_refuses, 20);
    kt_add(s, settings_while_it_is_open, 20);
    kt_add(s, all_bytes_both_ways, 20);
    kt_add(s, exclusive_use, 20);
    kt_add(s, the_other_side_goes_away, 20);
    return s;
}

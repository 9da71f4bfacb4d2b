/* SPDX-License-Identifier: MIT */
/* Two 16550 of QEMU, each the other's peer (SERIAL_PAIR in suites.py), and its monitor on a third.
 */
#include "vm_port.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define NEAR     "/dev/ttyS4"
#define FAR      "/dev/ttyS5"
#define OPERATOR "/dev/ttyS6"
#define KEYS     "?baud=115200"
#define LOOP     0x8000 /* TIOCM_LOOP; asm/termios.h does not go with sys/ioctl.h */

static struct kt_env_s env;
static struct vm_port_s near, far;

static void set_up(const char *keys)
{
    kt_env_open(&env, KT_THREADS);
    vm_port_open(&near, &env, NEAR, keys);
    vm_port_open(&far, &env, FAR, keys);
}

static void tear_down(void)
{
    vm_port_close(&near);
    vm_port_close(&far);
    kt_env_close(&env);
}

START_TEST(all_bytes_both_ways)
{
    set_up(KEYS);
    vm_transfer(&near, &far, 100000);
    vm_transfer(&far, &near, 100000);
    tear_down();
}
END_TEST

/* The clock is 115200 times 16: a rate is that divided by a whole number. */
static const struct {
    uint32_t baud;
    bool possible;
} rates[] = {
    {50, true},      {300, true},     {9600, true},    {14400, true},
    {38400, true},   {57600, true},   {115200, true},  {56000, true},
    {112000, true},  {111000, false}, {250000, false}, {230400, false},
    {100000, false}, {110000, false}, {31250, false},  {77000, false},
};

START_TEST(baud_rates_of_the_divisor)
{
    struct dev_uart_config_s config, before;
    unsigned count = sizeof rates / sizeof *rates;

    set_up(KEYS);
    ck_assert_int_eq(DEVICE_OP(&near.uart, get_config, &before), 0);
    ck_assert_uint_eq(before.baudrate, 115200);
    for (unsigned i = 0; i < count; i++) {
        uint32_t divisor = (115200 + rates[i].baud / 2) / rates[i].baud;
        error_t err;

        config = before;
        config.baudrate = rates[i].baud;
        err = DEVICE_OP(&near.uart, set_config, &config);
        ck_assert_msg(err == (rates[i].possible ? 0 : -ENOTSUP), "baud=%u: error %d: %s",
                      rates[i].baud, err, err ? kroutine_error_text() : "");
        if (err) {
            ck_assert_msg(strstr(kroutine_error_text(), "more than 3 % off") != NULL, "%s",
                          kroutine_error_text());
            ck_assert_int_eq(DEVICE_OP(&near.uart, get_config, &config), 0);
            ck_assert_uint_eq(config.baudrate, 115200);
            continue;
        }
        ck_assert_int_eq(DEVICE_OP(&near.uart, get_config, &config), 0);
        ck_assert_uint_eq(config.baudrate, 115200 / divisor);
        ck_assert_int_eq(DEVICE_OP(&near.uart, set_config, &before), 0);
    }
    tear_down();
}
END_TEST

/* Reads what the monitor says until it says nothing for a moment after its prompt. */
static void await_prompt(int fd)
{
    uint64_t end = kt_now() + kt_patience();
    struct pollfd p = {fd, POLLIN, 0};
    char text[1000];
    size_t size = 0;

    for (;;) {
        ck_assert_msg(kt_now() < end, "no prompt of QEMU's monitor");
        if (poll(&p, 1, 50) > 0) {
            ssize_t n = read(fd, text + size, sizeof text - 1 - size);

            size += n > 0 ? (size_t)n : 0;
            text[size] = 0;
            if (size > sizeof text / 2) {
                memmove(text, text + size - 20, 21);
                size = 20;
            }
        } else if (size >= 7 && !strcmp(text + size - 7, "(qemu) ")) {
            return;
        }
    }
}

static void type(int fd, const char *text)
{
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* An order to QEMU's monitor, as typed there; it is carried out at the return. Its greeting may
   have been echoed to it before the port was raw: an empty line ends that. */
static void order(const char *text)
{
    int fd = open(OPERATOR, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct termios2 line;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ioctl(fd, TCGETS2, &line), 0);
    line.c_iflag = line.c_oflag = line.c_lflag = 0;
    ck_assert_int_eq(ioctl(fd, TCSETS2, &line), 0);
    type(fd, "\r");
    await_prompt(fd);
    type(fd, text);
    await_prompt(fd);
    close(fd);
}

START_TEST(a_break_is_met_at_its_place)
{
    struct dev_uart_counts_s counts;
    struct kt_op_s op;
    uint8_t data[20];

    set_up(KEYS);
    for (unsigned round = 1; round <= 5; round++) {
        memset(data, 0, sizeof data);
        kt_op_init(&op, KROUTINE_DEFERRED);
        kt_op_submit(&op, &near.chr, DEV_CHAR_READ, data, sizeof data);
        vm_write(&far, "before", 6, 0);
        ck_assert_int_eq(dev_uart_wait_drain(&far.uart, KROUTINE_SEC(30)), 0);
        /* The bytes have left the one; when they are in the other is not to be seen. */
        kt_sleep_ms(100);
        ck_assert_uint_eq(kt_get(&op.done), 0);
        order("chardev-send-break near\r");
        kt_op_expect(&op, &env, -EBADMSG, sizeof data - 6);
        ck_assert_mem_eq(data, "before", 6);
        vm_write(&far, "after", 5, 0);
        ck_assert_uint_eq(vm_read(&near, data, 5, 0), 5);
        ck_assert_mem_eq(data, "after", 5);
        ck_assert_int_eq(DEVICE_OP(&near.uart, get_counts, &counts), 0);
        ck_assert_uint_eq(counts.breaks, round);
        ck_assert_uint_eq(counts.framing + counts.parity, 0);
    }
    tear_down();
}
END_TEST

START_TEST(breaks_as_zero_bytes)
{
    uint8_t data[2] = {1, 1};

    set_up("?baud=115200&errors=no");
    order("chardev-send-break near\r");
    kt_sleep_ms(100);
    vm_write(&far, "x", 1, 0);
    vm_read(&near, data, 1, 0);
    /* IGNBRK drops it, otherwise it is a zero: never an error, and nothing after it is lost. */
    if (data[0] == 0)
        vm_read(&near, data, 1, 0);
    ck_assert_uint_eq(data[0], 'x');
    tear_down();
}
END_TEST

START_TEST(drained_means_sent)
{
    static uint8_t data[4000];
    int queued = -1, fd;
    unsigned state = 0;

    set_up(KEYS);
    fd = open(NEAR, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    for (int i = 0; i < 5; i++) {
        struct kt_op_s reader;

        kt_op_init(&reader, KROUTINE_DEFERRED);
        kt_op_submit(&reader, &far.chr, DEV_CHAR_DISCARD, NULL, sizeof data);
        vm_write(&near, data, sizeof data, 0);
        ck_assert_int_eq(dev_uart_wait_drain(&near.uart, KROUTINE_SEC(60)), 0);
        ck_assert_int_eq(ioctl(fd, TIOCOUTQ, &queued), 0);
        ck_assert_int_eq(queued, 0);
        ck_assert_int_eq(ioctl(fd, TIOCSERGETLSR, &state), 0);
        ck_assert_uint_eq(state & TIOCSER_TEMT, TIOCSER_TEMT);
        kt_op_expect(&reader, &env, 0, 0);
    }
    close(fd);
    tear_down();
}
END_TEST

START_TEST(no_rs485_without_a_transceiver)
{
    struct dev_uart_rs485_s rs485 = {.enable = true, .rts_on_send = true};
    struct vm_port_s port;

    set_up(KEYS);
    ck_assert_int_eq(DEVICE_OP(&near.uart, set_rs485, &rs485), -ENOTSUP);
    ck_assert_msg(strstr(kroutine_error_text(), "rs485") != NULL, "%s", kroutine_error_text());
    tear_down();
    kt_env_open(&env, KT_THREADS);
    ck_assert_int_eq(vm_port_try(&port, &env, NEAR, "?rs485=yes"), -ENOTSUP);
    ck_assert_msg(strstr(kroutine_error_text(), "rs485") != NULL, "%s", kroutine_error_text());
    kt_env_close(&env);
}
END_TEST

START_TEST(low_latency)
{
    bool on;

    set_up(KEYS);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(DEVICE_OP(&near.uart, set_low_latency, i % 2 == 0), 0);
        ck_assert_int_eq(DEVICE_OP(&near.uart, get_low_latency, &on), 0);
        ck_assert_int_eq(on, i % 2 == 0);
    }
    vm_transfer(&far, &near, 2000);
    tear_down();
}
END_TEST

/* MCR loop-back of the 16550: what is sent is received, and the outputs are wired to the inputs:
   DTR to DSR, RTS to CTS. */
START_TEST(looped_back)
{
    int fd, loop = LOOP;
    uint32_t lines = 0;

    set_up(KEYS);
    fd = open(NEAR, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ioctl(fd, TIOCMBIS, &loop), 0);
    vm_transfer(&near, &near, 10000);
    for (uint32_t out = 0; out <= DEV_UART_OUTPUTS; out++) {
        uint32_t in =
            (out & DEV_UART_DTR ? DEV_UART_DSR : 0) | (out & DEV_UART_RTS ? DEV_UART_CTS : 0);

        ck_assert_int_eq(DEVICE_OP(&near.uart, set_lines, out, DEV_UART_OUTPUTS & ~out), 0);
        ck_assert_int_eq(DEVICE_OP(&near.uart, get_lines, &lines), 0);
        ck_assert_uint_eq(lines & (DEV_UART_OUTPUTS | DEV_UART_DSR | DEV_UART_CTS), out | in);
    }
    ck_assert_int_eq(ioctl(fd, TIOCMBIC, &loop), 0);
    close(fd);
    tear_down();
}
END_TEST

START_TEST(a_line_that_changes)
{
    struct vm_uart_op_s op;
    uint32_t lines = 0;
    int fd, loop = LOOP;

    set_up(KEYS);
    fd = open(NEAR, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_eq(ioctl(fd, TIOCMBIS, &loop), 0);
    for (int i = 0; i < 20; i++) {
        uint32_t mask = i % 2 ? DEV_UART_DSR : DEV_UART_CTS;
        uint32_t out = i % 2 ? DEV_UART_DTR : DEV_UART_RTS;
        bool up;

        ck_assert_int_eq(DEVICE_OP(&near.uart, get_lines, &lines), 0);
        up = lines & mask;
        vm_uart_init(&op, DEV_UART_WAIT_LINES);
        op.rq.mask = DEV_UART_DSR | DEV_UART_CTS;
        op.rq.lines = lines;
        vm_uart_submit(&op, &near);
        kt_sleep_ms(20);
        ck_assert_uint_eq(kt_get(&op.done), 0);
        ck_assert_int_eq(DEVICE_OP(&near.uart, set_lines, up ? 0 : out, up ? out : 0), 0);
        vm_uart_expect(&op, &near, 0);
        ck_assert_uint_eq(op.rq.changed, mask);
        ck_assert_uint_eq(op.rq.lines & mask, up ? 0 : mask);
    }
    ck_assert_int_eq(ioctl(fd, TIOCMBIC, &loop), 0);
    close(fd);
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("vm_16550");

    kt_add(s, all_bytes_both_ways, 20);
    kt_add(s, baud_rates_of_the_divisor, 10);
    kt_add(s, a_break_is_met_at_its_place, 20);
    kt_add(s, breaks_as_zero_bytes, 20);
    kt_add(s, drained_means_sent, 20);
    kt_add(s, no_rs485_without_a_transceiver, 10);
    kt_add(s, low_latency, 20);
    kt_add(s, looped_back, 20);
    kt_add(s, a_line_that_changes, 20);
    return s;
}

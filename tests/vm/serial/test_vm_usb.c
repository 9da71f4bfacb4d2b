/* SPDX-License-Identifier: MIT */
/* A USB serial port that can break, change its lines, and be pulled: see gadget.h. */
#include "vm_port.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "gadget.h"

#define KEYS "?baud=115200"

static struct kt_env_s env;
static struct vm_port_s host, gadget;

static void set_up(void)
{
    gadget_plug();
    kt_env_open(&env, KT_THREADS);
    vm_port_open(&host, &env, HOST_TTY, KEYS);
    vm_port_open(&gadget, &env, GADGET_TTY, "");
}

static void tear_down(void)
{
    vm_port_close(&host);
    vm_port_close(&gadget);
    kt_env_close(&env);
    gadget_unplug();
}

START_TEST(all_bytes_both_ways)
{
    set_up();
    vm_transfer(&host, &gadget, 300000);
    vm_transfer(&gadget, &host, 300000);
    tear_down();
}
END_TEST

START_TEST(a_break_is_met_at_its_place)
{
    struct dev_uart_counts_s counts;
    struct kt_op_s op;
    uint8_t data[20];
    int side;

    set_up();
    side = open(GADGET_TTY, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(side, 0);
    for (unsigned round = 1; round <= 10; round++) {
        kt_op_init(&op, KROUTINE_DEFERRED);
        kt_op_submit(&op, &host.chr, DEV_CHAR_READ, data, sizeof data);
        vm_write(&gadget, "before", 6, 0);
        /* Data and break take different ways: endpoints of their own. */
        kt_sleep_ms(100);
        ck_assert_uint_eq(kt_get(&op.done), 0);
        ck_assert_int_eq(ioctl(side, TIOCSBRK, 0), 0);
        kt_op_expect(&op, &env, -EBADMSG, sizeof data - 6);
        ck_assert_mem_eq(data, "before", 6);
        ck_assert_int_eq(ioctl(side, TIOCCBRK, 0), 0);
        vm_write(&gadget, "after", 5, 0);
        vm_read(&host, data, 5, 0);
        ck_assert_mem_eq(data, "after", 5);
        ck_assert_int_eq(DEVICE_OP(&host.uart, get_counts, &counts), 0);
        ck_assert_uint_eq(counts.breaks, round);
    }
    close(side);
    tear_down();
}
END_TEST

/* The gadget says that it is there, DSR and DCD, while its tty is open. */
START_TEST(carrier_of_the_other_side)
{
    struct vm_uart_op_s op;
    uint32_t lines = 0;
    const uint32_t both = DEV_UART_DSR | DEV_UART_DCD;

    set_up();
    for (int i = 0; i < 10; i++) {
        /* Until it has come over the wire, and is counted: cdc-acm does that after it. */
        kt_await(&env, DEVICE_OP(&host.uart, get_lines, &lines) == 0 && (lines & both) == both);
        kt_sleep_ms(20);
        ck_assert_int_eq(DEVICE_OP(&host.uart, get_lines, &lines), 0);
        vm_uart_init(&op, DEV_UART_WAIT_LINES);
        op.rq.mask = DEV_UART_DCD;
        op.rq.lines = lines;
        vm_uart_submit(&op, &host);
        kt_sleep_ms(30);
        ck_assert_uint_eq(kt_get(&op.done), 0);
        vm_port_close(&gadget);
        vm_uart_expect(&op, &host, 0);
        ck_assert_uint_eq(op.rq.changed, DEV_UART_DCD);
        ck_assert_uint_eq(op.rq.lines & DEV_UART_DCD, 0);
        vm_uart_submit(&op, &host);
        vm_port_open(&gadget, &env, GADGET_TTY, "");
        vm_uart_expect(&op, &host, 0);
        ck_assert_uint_eq(op.rq.changed, DEV_UART_DCD);
        ck_assert_uint_eq(op.rq.lines & DEV_UART_DCD, DEV_UART_DCD);
    }
    vm_transfer(&gadget, &host, 1000);
    tear_down();
}
END_TEST

START_TEST(outputs_on_the_wire)
{
    int monitor;

    set_up();
    monitor = monitor_open();
    ck_assert_int_eq(DEVICE_OP(&host.uart, set_lines, 0, DEV_UART_DTR), 0);
    ck_assert_uint_eq(monitor_lines(monitor), 2);
    ck_assert_int_eq(DEVICE_OP(&host.uart, set_lines, 0, DEV_UART_RTS), 0);
    ck_assert_uint_eq(monitor_lines(monitor), 0);
    ck_assert_int_eq(DEVICE_OP(&host.uart, set_lines, DEV_UART_DTR | DEV_UART_RTS, 0), 0);
    ck_assert_uint_eq(monitor_lines(monitor), 3);
    close(monitor);
    tear_down();
}
END_TEST

START_TEST(baud_rate_on_the_wire)
{
    static const uint32_t rates[] = {9600, 250000, 31250, 1000000, 12345, 3000000};
    struct dev_uart_config_s config;
    int monitor;

    set_up();
    monitor = monitor_open();
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
        ck_assert_int_eq(DEVICE_OP(&host.uart, get_config, &config), 0);
        config.baudrate = rates[i];
        ck_assert_int_eq(DEVICE_OP(&host.uart, set_config, &config), 0);
        ck_assert_uint_eq(monitor_baud(monitor), rates[i]);
        ck_assert_int_eq(DEVICE_OP(&host.uart, get_config, &config), 0);
        ck_assert_uint_eq(config.baudrate, rates[i]);
    }
    close(monitor);
    tear_down();
}
END_TEST

/* Fills the way to a gadget that does not read, so that a write stays under way. */
static void stuff(struct kt_op_s *op, uint8_t *data, size_t size)
{
    kt_op_init(op, KROUTINE_DEFERRED);
    kt_op_submit(op, &host.chr, DEV_CHAR_WRITE, data, size);
    kt_sleep_ms(100);
    ck_assert_uint_eq(kt_get(&op->done), 0);
}

START_TEST(pulled_with_requests_under_way)
{
    static uint8_t in[100], out[1 << 20];
    struct kt_op_s reader, queued, writer;
    struct vm_uart_op_s lines, drain;
    uint8_t byte;

    for (int round = 0; round < 3; round++) {
        set_up();
        kt_op_init(&reader, KROUTINE_DEFERRED);
        kt_op_init(&queued, KROUTINE_IMMEDIATE);
        kt_op_submit(&reader, &host.chr, DEV_CHAR_READ, in, sizeof in);
        kt_op_submit(&queued, &host.chr, DEV_CHAR_READ, &byte, 1);
        stuff(&writer, out, sizeof out);
        vm_uart_init(&lines, DEV_UART_WAIT_LINES);
        lines.rq.mask = DEV_UART_RI;
        vm_uart_submit(&lines, &host);
        vm_uart_init(&drain, DEV_UART_DRAIN);
        vm_uart_submit(&drain, &host);
        kt_sleep_ms(20);
        gadget_unplug();
        kt_op_expect(&reader, &env, -ENODEV, sizeof in);
        kt_op_expect(&queued, &env, -ENODEV, 1);
        kt_await(&env, kt_get(&writer.done) >= 1);
        ck_assert_int_eq(writer.error, -ENODEV);
        vm_uart_expect(&lines, &host, -ENODEV);
        /* cdc-acm drops what is to be sent a moment before it hangs the tty up: drained, it says.
         */
        kt_await(&env, kt_get(&drain.done) >= 1);
        ck_assert_msg(drain.error == -ENODEV || drain.error == 0, "error %d", drain.error);
        ck_assert_uint_eq(kt_get(&drain.done), 1);
        /* Afterwards too, at once. */
        ck_assert_uint_eq(vm_read(&host, in, 1, -ENODEV), 0);
        ck_assert_uint_eq(vm_write(&host, out, 1, -ENODEV), 0);
        vm_uart_submit(&lines, &host);
        vm_uart_expect(&lines, &host, -ENODEV);
        ck_assert_uint_eq(kt_get(&reader.done) + kt_get(&queued.done) + kt_get(&writer.done), 3);
        vm_port_close(&host);
        vm_port_close(&gadget);
        kt_env_close(&env);
    }
}
END_TEST

START_TEST(plugged_in_again)
{
    struct vm_port_s none;
    uint8_t byte;

    set_up();
    for (int round = 0; round < 5; round++) {
        vm_transfer(&host, &gadget, 1000);
        gadget_unplug();
        ck_assert_uint_eq(vm_read(&host, &byte, 1, -ENODEV), 0);
        vm_port_close(&host);
        vm_port_close(&gadget);
        ck_assert_int_lt(vm_port_try(&none, &env, HOST_TTY, KEYS), 0);
        gadget_plug();
        vm_port_open(&host, &env, HOST_TTY, KEYS);
        vm_port_open(&gadget, &env, GADGET_TTY, "");
    }
    vm_transfer(&gadget, &host, 1000);
    tear_down();
}
END_TEST

START_TEST(closed_while_it_is_pulled)
{
    struct kt_op_s reader;
    uint8_t data[10];

    for (int round = 0; round < 10; round++) {
        set_up();
        kt_op_init(&reader, KROUTINE_DEFERRED);
        kt_op_submit(&reader, &host.chr, DEV_CHAR_READ, data, sizeof data);
        gadget_unplug();
        vm_port_close(&host);
        vm_port_close(&gadget);
        kt_env_close(&env);
        ck_assert_uint_eq(kt_get(&reader.done), 1);
        ck_assert(reader.error == -ENODEV || reader.error == -ECANCELED);
    }
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("vm_usb");

    kt_add(s, all_bytes_both_ways, 20);
    kt_add(s, a_break_is_met_at_its_place, 20);
    kt_add(s, carrier_of_the_other_side, 20);
    kt_add(s, outputs_on_the_wire, 20);
    kt_add(s, baud_rate_on_the_wire, 20);
    kt_add(s, pulled_with_requests_under_way, 20);
    kt_add(s, plugged_in_again, 20);
    kt_add(s, closed_while_it_is_pulled, 20);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* Damaged bytes, breaks and overruns: which request meets them, once, and what it got before. */
#include "port.h"

static void arrives(const char *text, size_t size)
{
    ck_assert_int_eq((int)write(master, text, size), (int)size);
}

#define ARRIVES(text) arrives(text, sizeof(text) - 1)

/* One read, in the type asked for: what it got, then its error. */
static void expect(enum dev_char_rq_type_e type, size_t size, const char *text, error_t error)
{
    struct dev_char_rq_s rq = {.type = (uint8_t)type, .size = size};
    uint8_t data[64] = {0};

    rq.data = data;
    rq.timeout = KROUTINE_SEC(20);
    ck_assert_int_eq(dev_char_wait_rq(&chr, &rq), error);
    ck_assert_uint_eq(size - rq.size, strlen(text));
    ck_assert_mem_eq(data, text, strlen(text));
    ck_assert_ptr_eq(rq.data, data + strlen(text));
}

START_TEST(good_bytes_first)
{
    port_set_up(KT_THREADS);
    port_open("?baud=9600");
    ARRIVES("abc\377\0xdef\377\377\377\0\0gh");
    expect(DEV_CHAR_READ, 10, "abc", -EBADMSG);
    expect(DEV_CHAR_READ, 4, "def\377", 0);
    expect(DEV_CHAR_READ, 1, "", -EBADMSG); /* the break */
    expect(DEV_CHAR_READ_PARTIAL, 10, "gh", 0);
    port_tear_down();
}
END_TEST

START_TEST(each_type_of_read)
{
    port_set_up(KT_THREADS);
    port_open("?baud=9600");
    ARRIVES("ab\377\0x");
    expect(DEV_CHAR_READ_PARTIAL, 10, "ab", 0);
    expect(DEV_CHAR_READ_POLL, 0, "", 0); /* an error is something to read */
    expect(DEV_CHAR_READ_PARTIAL, 10, "", -EBADMSG);
    expect(DEV_CHAR_READ_NONBLOCK, 10, "", 0);
    ARRIVES("\377\0\0yz");
    expect(DEV_CHAR_READ_POLL, 0, "", 0);
    expect(DEV_CHAR_READ_NONBLOCK, 10, "", -EBADMSG);
    expect(DEV_CHAR_READ_NONBLOCK, 1, "y", 0);
    expect(DEV_CHAR_READ_NONBLOCK, 10, "z", 0);
    port_tear_down();
}
END_TEST

/* A wrong baud rate makes nothing but errors: one for each run of them, not one for each byte. */
START_TEST(errors_in_a_row)
{
    port_set_up(KT_THREADS);
    port_open("?baud=9600");
    ARRIVES("\377\0x\377\0\0\377\0y\377\0z!\377\0q");
    expect(DEV_CHAR_READ, 1, "", -EBADMSG);
    expect(DEV_CHAR_READ, 1, "!", 0);
    expect(DEV_CHAR_READ, 1, "", -EBADMSG);
    ARRIVES("a");
    expect(DEV_CHAR_READ, 1, "a", 0);
    port_tear_down();
}
END_TEST

START_TEST(in_frames)
{
    port_set_up(KT_THREADS);
    port_open("?baud=9600&frame=line");
    ARRIVES("one\ntw\377\0xo\nthree\n");
    expect(DEV_CHAR_READ_FRAME, 60, "one", 0);
    expect(DEV_CHAR_READ_FRAME, 60, "", -EBADMSG);
    expect(DEV_CHAR_READ_FRAME, 60, "two", 0); /* what is left of it */
    expect(DEV_CHAR_READ_FRAME, 60, "three", 0);
    port_tear_down();
}
END_TEST

START_TEST(a_mark_in_pieces)
{
    struct dev_char_rq_s rq = {.type = DEV_CHAR_READ, .size = 3};
    static const char text[] = "\377\0xa\377\377b";
    uint8_t data[3];

    port_set_up(KT_THREADS);
    port_open("?baud=9600");
    for (size_t i = 0; i < sizeof text - 1; i++) {
        arrives(text + i, 1);
        kt_sleep_ms(2);
    }
    expect(DEV_CHAR_READ, 3, "", -EBADMSG);
    rq.data = data;
    ck_assert_int_eq(dev_char_wait_rq(&chr, &rq), 0);
    ck_assert_mem_eq(data, "a\377b", 3);
    port_tear_down();
}
END_TEST

START_TEST(overruns)
{
    struct dev_uart_counts_s counts;

    port_set_up(KT_THREADS);
    port.overrun = 7; /* before it was opened */
    port_open("?baud=9600");
    ARRIVES("abc");
    expect(DEV_CHAR_READ, 3, "abc", 0);
    kt_inc(&port.overrun);
    ARRIVES("def");
    expect(DEV_CHAR_READ, 10, "def", -EPIPE);
    ARRIVES("g");
    expect(DEV_CHAR_READ, 1, "g", 0);
    kt_inc(&port.overrun);
    ARRIVES("h\377\0xi");
    expect(DEV_CHAR_READ, 9, "h", -EBADMSG);
    expect(DEV_CHAR_READ, 9, "i", -EPIPE);
    ck_assert_int_eq(DEVICE_OP(&uart, get_counts, &counts), 0);
    ck_assert_uint_eq(counts.overrun, 2);
    port_tear_down();
}
END_TEST

START_TEST(counters)
{
    struct dev_uart_counts_s counts;

    port_set_up(KT_THREADS);
    port.parity = -1; /* wraps */
    port.frame = 5;
    port_open("?baud=9600");
    port.parity = 3;
    port.frame = 6;
    port.brk = 2;
    ck_assert_int_eq(DEVICE_OP(&uart, get_counts, &counts), 0);
    ck_assert_uint_eq(counts.parity, 4);
    ck_assert_uint_eq(counts.framing, 1);
    ck_assert_uint_eq(counts.breaks, 2);
    port_tear_down();
}
END_TEST

START_TEST(without_counters_those_that_were_seen)
{
    struct dev_uart_counts_s counts;

    port_set_up(KT_THREADS);
    port.no_counters = true;
    port_open("?errors=report");
    ARRIVES("\377\0x.\377\0\0.\377\0y.");
    for (int i = 0; i < 3; i++) {
        expect(DEV_CHAR_READ, 1, "", -EBADMSG);
        expect(DEV_CHAR_READ, 1, ".", 0);
    }
    ck_assert_int_eq(DEVICE_OP(&uart, get_counts, &counts), 0);
    ck_assert_uint_eq(counts.framing, 2);
    ck_assert_uint_eq(counts.breaks, 1);
    port_close();
    port_open("?errors=no");
    ck_assert_int_eq(DEVICE_OP(&uart, get_counts, &counts), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "open it with errors=report"));
    port_tear_down();
}
END_TEST

START_TEST(other_ways)
{
    port_set_up(KT_THREADS);
    port_open("?errors=mark");
    ck_assert(port.marks);
    ARRIVES("a\377\0xb");
    expect(DEV_CHAR_READ_NONBLOCK, 1, "a", 0);
    ck_assert_int_eq((int)dev_char_wait_op(&chr, DEV_CHAR_READ, (uint8_t[4]){0}, 4), 4);
    port_close();
    port_open("?errors=no");
    ck_assert(!port.marks);
    ARRIVES("\377\377");
    expect(DEV_CHAR_READ, 2, "\377\377", 0);
    port_tear_down();
}
END_TEST

START_TEST(a_flush_forgets_all)
{
    port_set_up(KT_THREADS);
    port_open("?baud=9600&frame=line");
    ARRIVES("one\ntw\377\0xo");
    expect(DEV_CHAR_READ_FRAME, 9, "one", 0);
    ck_assert_int_eq(DEVICE_OP(&uart, flush, DEV_UART_FLUSH_IN), 0);
    expect(DEV_CHAR_READ_NONBLOCK, 9, "", 0);
    ARRIVES("new\n");
    expect(DEV_CHAR_READ_FRAME, 9, "new", 0);
    ARRIVES("old\377");
    expect(DEV_CHAR_READ_PARTIAL, 9, "old", 0);
    ck_assert_int_eq(DEVICE_OP(&uart, flush, DEV_UART_FLUSH_BOTH), 0);
    ARRIVES("x");
    expect(DEV_CHAR_READ, 1, "x", 0); /* no half of a mark was left */
    ck_assert_int_eq(DEVICE_OP(&uart, flush, (enum dev_uart_flush_e)0), -EINVAL);
    ck_assert_int_eq(DEVICE_OP(&uart, flush, (enum dev_uart_flush_e)4), -EINVAL);
    port_tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("tty_errors");

    kt_need_termios2();
    kt_add(s, good_bytes_first, 30);
    kt_add(s, each_type_of_read, 30);
    kt_add(s, errors_in_a_row, 30);
    kt_add(s, in_frames, 30);
    kt_add(s, a_mark_in_pieces, 30);
    kt_add(s, overruns, 30);
    kt_add(s, counters, 30);
    kt_add(s, without_counters_those_that_were_seen, 30);
    kt_add(s, other_ways, 30);
    kt_add(s, a_flush_forgets_all, 30);
    return s;
}

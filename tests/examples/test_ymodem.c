/* SPDX-License-Identifier: MIT */
/* The state machine of ymodem-receive by itself: what no real sender can be made to do at will. */
#include "kt.h"

#include "../../examples/ymodem-receive/ymodem.h"

#include <stdio.h>

enum { SOH = 1, STX = 2, EOT = 4, ACK = 6, NAK = 0x15, CAN = 0x18, BS = 8 };

static struct ymodem_s y;
static uint8_t block[3 + YMODEM_BLOCK_MAX + 2];

/* Fills `block`: header, data, checksum. Its size. */
static size_t make(uint8_t number, const void *data, size_t size)
{
    size_t room = size > 128 ? 1024 : 128;
    uint16_t crc;

    memset(block, 0x1a, sizeof(block));
    block[0] = room == 128 ? SOH : STX;
    block[1] = number;
    block[2] = (uint8_t)~number;
    memcpy(block + 3, data, size);
    crc = ymodem_crc(block + 3, room);
    block[3 + room] = (uint8_t)(crc >> 8);
    block[4 + room] = (uint8_t)crc;
    return room + 5;
}

static enum ymodem_event_e feed(const void *data, size_t size)
{
    enum ymodem_event_e event;

    ck_assert_uint_eq(ymodem_feed(&y, data, size, &event), size);
    return event;
}

static enum ymodem_event_e feed_byte(uint8_t byte)
{
    return feed(&byte, 1);
}

static enum ymodem_event_e feed_block(uint8_t number, const void *data, size_t size)
{
    return feed(block, make(number, data, size));
}

/* Was this said, and nothing else? */
static void said(const char *what)
{
    ck_assert_mem_eq(y.reply, what, strlen(what));
    ck_assert_uint_eq(y.reply_size, strlen(what));
    y.reply_size = 0;
}

/* Up to the first data block of a file. */
static void open_file(const char *header, size_t size)
{
    uint8_t padded[128] = {0};

    memcpy(padded, header, size);
    ymodem_init(&y);
    said("C");
    ck_assert_int_eq(feed_block(0, padded, 128), YMODEM_FILE);
    ymodem_accept(&y);
    said("\x06"
         "C");
}

static void data_block(uint8_t number, char fill)
{
    uint8_t data[128];

    memset(data, fill, sizeof(data));
    ck_assert_int_eq(feed_block(number, data, sizeof(data)), YMODEM_DATA);
    ck_assert_uint_eq(y.data_size, 128);
    ck_assert_int_eq(y.data[127], (uint8_t)fill);
    ymodem_accept(&y);
    said("\x06");
}

START_TEST(crc_is_that_of_xmodem)
{
    ck_assert_uint_eq(ymodem_crc((const uint8_t *)"123456789", 9), 0x31c3);
}
END_TEST

START_TEST(a_whole_session)
{
    static const uint8_t none[128];

    open_file("name\0"
              "130 17 100644",
              18);
    ck_assert_str_eq(y.name, "name");
    ck_assert_int_eq(y.length, 130);
    ck_assert_int_eq(y.mtime, 017);
    data_block(1, 'x');
    ck_assert_int_eq(feed_block(2, "ab", 2), YMODEM_DATA);
    ck_assert_uint_eq(y.data_size, 2); /* the rest fills the block up */
    ymodem_accept(&y);
    said("\x06");
    ck_assert_int_eq(feed_byte(EOT), YMODEM_NOTHING);
    said("\x15");
    ck_assert_int_eq(feed_byte(EOT), YMODEM_FILE_END);
    ymodem_accept(&y);
    said("\x06"
         "C");
    ck_assert_int_eq(feed_block(0, none, 128), YMODEM_BATCH_END);
    said("\x06");
}
END_TEST

START_TEST(byte_by_byte)
{
    size_t size;

    open_file("n\0"
              "5",
              4);
    size = make(1, "hello", 5);
    for (size_t i = 0; i + 1 < size; i++)
        ck_assert_int_eq(feed_byte(block[i]), YMODEM_NOTHING);
    ck_assert_int_eq(feed_byte(block[size - 1]), YMODEM_DATA);
    ck_assert_mem_eq(y.data, "hello", 5);
}
END_TEST

START_TEST(without_a_length_all_is_kept)
{
    open_file("n", 2);
    ck_assert_int_eq(y.length, -1);
    ck_assert_int_eq(feed_block(1, "hello", 5), YMODEM_DATA);
    ck_assert_uint_eq(y.data_size, 128);
}
END_TEST

START_TEST(numbers_wrap_and_copies_are_dropped)
{
    open_file("n", 2);
    for (unsigned i = 1; i < 600; i++) {
        uint8_t data[128];

        data_block((uint8_t)i, (char)i);
        memset(data, (char)i, sizeof(data));
        ck_assert_int_eq(feed_block((uint8_t)i, data, sizeof(data)), YMODEM_NOTHING);
        said("\x06");
    }
    ck_assert_int_eq(y.received, 599 * 128);
}
END_TEST

START_TEST(first_block_twice)
{
    open_file("n", 2);
    ck_assert_int_eq(feed_block(0, "n", 2), YMODEM_NOTHING);
    said("\x06"
         "C");
    data_block(1, 'x');
}
END_TEST

START_TEST(a_missing_block_ends_it)
{
    open_file("n", 2);
    data_block(1, 'x');
    ck_assert_int_eq(feed_block(3, "x", 1), YMODEM_FAILED);
    said("\x18\x18\x18\x18\x18\x18\x18\x18\b\b\b\b\b\b\b\b");
    ck_assert_str_eq(y.reason, "a block is missing");
}
END_TEST

/* sz takes a NAK at the first block as a wish for the old checksum. */
START_TEST(asks_again_with_the_right_word)
{
    size_t size;

    open_file("n", 2);
    size = make(1, "x", 1);
    block[10] ^= 1;
    ck_assert_int_eq(feed(block, size), YMODEM_NOTHING);
    said("");
    ck_assert_int_eq(feed("rubbish", 7), YMODEM_NOTHING); /* behind it: no answer yet */
    ck_assert_int_eq(ymodem_timeout(&y), YMODEM_NOTHING);
    said("C");
    data_block(1, 'x');
    size = make(2, "x", 1);
    block[1] ^= 1; /* the number and its complement */
    ck_assert_int_eq(feed(block, size), YMODEM_NOTHING);
    ck_assert_int_eq(ymodem_timeout(&y), YMODEM_NOTHING);
    said("\x15");
    ck_assert_int_eq(feed(block, 77), YMODEM_NOTHING); /* the rest was lost */
    ck_assert_int_eq(ymodem_timeout(&y), YMODEM_NOTHING);
    said("\x15");
    data_block(2, 'y');
    ck_assert_uint_eq(y.retries, 3);
}
END_TEST

START_TEST(cancelled_between_blocks)
{
    open_file("n", 2);
    data_block(1, 'x');
    ck_assert_int_eq(feed_byte(CAN), YMODEM_NOTHING);
    ck_assert_int_eq(feed_byte(CAN), YMODEM_CANCELLED);
}
END_TEST

START_TEST(cancelled_inside_a_block)
{
    static const uint8_t can[] = {CAN, CAN, CAN, BS, BS, BS};

    open_file("n", 2);
    ck_assert_int_eq(feed(block, make(1, "x", 1) - 30), YMODEM_NOTHING);
    ck_assert_int_eq(feed(can, sizeof(can)), YMODEM_NOTHING);
    ck_assert_int_eq(ymodem_timeout(&y), YMODEM_CANCELLED);
}
END_TEST

START_TEST(cans_are_data_in_a_block)
{
    uint8_t data[128];

    memset(data, CAN, sizeof(data));
    open_file("n", 2);
    ck_assert_int_eq(feed_block(1, data, sizeof(data)), YMODEM_DATA);
    ymodem_accept(&y);
    said("\x06");
    ck_assert_int_eq(feed_byte(CAN), YMODEM_NOTHING);
    data_block(2, 'x');
}
END_TEST

START_TEST(a_false_end_is_no_end)
{
    open_file("n", 2);
    data_block(1, 'x');
    ck_assert_int_eq(feed_byte(EOT), YMODEM_NOTHING);
    said("\x15");
    data_block(2, 'x');
    ck_assert_int_eq(feed_byte(EOT), YMODEM_NOTHING);
    said("\x15");
    ck_assert_int_eq(feed_byte(EOT), YMODEM_FILE_END);
    ymodem_accept(&y);
    said("\x06"
         "C");
    ck_assert_int_eq(feed_byte(EOT), YMODEM_NOTHING); /* our answer was lost */
    said("\x06"
         "C");
}
END_TEST

START_TEST(a_short_file_is_an_error)
{
    open_file("n\0"
              "300",
              6);
    data_block(1, 'x');
    ck_assert_int_eq(feed_byte(EOT), YMODEM_NOTHING);
    said("\x15");
    ck_assert_int_eq(feed_byte(EOT), YMODEM_FAILED);
}
END_TEST

START_TEST(patience_ends)
{
    int rounds = 0;

    ymodem_init(&y);
    while (ymodem_timeout(&y) == YMODEM_NOTHING)
        ck_assert_int_lt(++rounds, 100);
    ck_assert_str_eq(y.reason, "no sender");

    open_file("n", 2);
    for (rounds = 1; ymodem_timeout(&y) == YMODEM_NOTHING; rounds++)
        y.reply_size = 0;
    ck_assert_int_eq(rounds, YMODEM_ERRORS);
}
END_TEST

START_TEST(takes_nothing_before_the_answer)
{
    enum ymodem_event_e event;

    open_file("n", 2);
    ck_assert_int_eq(feed_block(1, "x", 1), YMODEM_DATA);
    ck_assert_uint_eq(ymodem_feed(&y, block, 5, &event), 0);
    ck_assert_int_eq(event, YMODEM_NOTHING);
    ck_assert_int_eq(ymodem_timeout(&y), YMODEM_NOTHING);
    said("");
}
END_TEST

START_TEST(a_name_without_an_end)
{
    uint8_t data[1024];

    memset(data, 'n', sizeof(data));
    ymodem_init(&y);
    ck_assert_int_eq(feed_block(0, data, sizeof(data)), YMODEM_FAILED);
}
END_TEST

Suite *kt_suite(void)
{
    static const TTest *const *const cases[] = {
        &crc_is_that_of_xmodem,
        &a_whole_session,
        &byte_by_byte,
        &without_a_length_all_is_kept,
        &numbers_wrap_and_copies_are_dropped,
        &first_block_twice,
        &a_missing_block_ends_it,
        &asks_again_with_the_right_word,
        &cancelled_between_blocks,
        &cancelled_inside_a_block,
        &cans_are_data_in_a_block,
        &a_false_end_is_no_end,
        &a_short_file_is_an_error,
        &patience_ends,
        &takes_nothing_before_the_answer,
        &a_name_without_an_end,
    };
    Suite *s = suite_create("ymodem");

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        kt_add(s, *cases[i], 20);
    return s;
}

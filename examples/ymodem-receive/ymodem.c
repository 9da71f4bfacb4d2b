/* SPDX-License-Identifier: MIT */
#include "ymodem.h"

#include <stdlib.h>
#include <string.h>

#define SOH 0x01 /* a block of 128 bytes */
#define STX 0x02 /* a block of 1024 bytes */
#define EOT 0x04
#define ACK 0x06
#define NAK 0x15
#define CAN 0x18
#define BS  0x08
#define CRC 'C'

/* Between the bytes of a block; how long a line is silent when the sender waits; for a block; and
   between two invitations, when there may be no sender yet. */
#define MS_BYTE     1000
#define MS_PURGE    200
#define MS_BLOCK    10000
#define MS_INVITE   3000

#define INVITATIONS 20

uint16_t ymodem_crc(const uint8_t *data, size_t size)
{
    unsigned crc = 0;

    for (; size; size--) {
        crc ^= (unsigned)*data++ << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
    }
    return (uint16_t)crc;
}

/* --- what goes out --- */

static void say(struct ymodem_s *y, uint8_t byte)
{
    if (y->reply_size < sizeof(y->reply))
        y->reply[y->reply_size++] = byte;
}

static void wait_for_block(struct ymodem_s *y, unsigned timeout_ms)
{
    y->state = YMODEM_WAIT;
    y->cans = 0;
    y->timeout_ms = timeout_ms;
}

/* 'C' does not only ask for a block, it also chooses the checksum: sz takes a NAK at this point as
   a wish for the old one. */
static void ask_again(struct ymodem_s *y)
{
    say(y, y->started ? NAK : CRC);
    wait_for_block(y, y->in_file ? MS_BLOCK : MS_INVITE);
}

static void begin_file(struct ymodem_s *y)
{
    y->in_file = y->started = y->eot = false;
    y->expected = 0;
    y->received = 0;
    y->errors = 0;
    ask_again(y);
}

static enum ymodem_event_e over(struct ymodem_s *y, enum ymodem_event_e event, const char *reason)
{
    y->state = YMODEM_OVER;
    y->reason = reason;
    y->timeout_ms = 0;
    return event;
}

/* Eight CAN, so that two in a row arrive whatever the line does, and backspaces that remove them
   from the command line of whoever is there. */
void ymodem_cancel(struct ymodem_s *y)
{
    y->reply_size = 0;
    for (int i = 0; i < 8; i++)
        say(y, CAN);
    for (int i = 0; i < 8; i++)
        say(y, BS);
    over(y, YMODEM_FAILED, "cancelled here");
}

static enum ymodem_event_e fail(struct ymodem_s *y, const char *reason)
{
    ymodem_cancel(y);
    y->reason = reason;
    return YMODEM_FAILED;
}

/* --- blocks --- */

/* Not understood: wait until the sender has finished, then ask again. */
static enum ymodem_event_e purge(struct ymodem_s *y)
{
    y->state = YMODEM_PURGE;
    y->timeout_ms = MS_PURGE;
    return YMODEM_NOTHING;
}

static enum ymodem_event_e ask(struct ymodem_s *y, enum ymodem_event_e event)
{
    y->state = YMODEM_ASK;
    y->timeout_ms = 0; /* it is the caller that we wait for */
    return event;
}

static int64_t number(const char **text, int base)
{
    char *end;
    long long value = strtoll(*text, &end, base);
    bool found = end != *text && value >= 0;

    *text = end;
    return found ? (int64_t)value : -1;
}

/* "name" NUL "length mtime mode serial" NUL, decimal and octal; all but the name may be missing. */
static enum ymodem_event_e first_block(struct ymodem_s *y, const uint8_t *data, size_t size)
{
    char text[YMODEM_BLOCK_MAX + 1];
    const char *rest;
    size_t length;

    memcpy(text, data, size);
    text[size] = '\0';
    length = strlen(text);
    if (length == 0) {
        say(y, ACK);
        return over(y, YMODEM_BATCH_END, NULL);
    }
    if (length >= sizeof(y->name))
        return fail(y, "the name of the file is too long");
    memcpy(y->name, text, length + 1);
    rest = length < size ? text + length + 1 : "";
    y->length = number(&rest, 10);
    y->mtime = number(&rest, 8);
    if (y->mtime < 0)
        y->mtime = 0;
    return ask(y, YMODEM_FILE);
}

/* The last block is filled up: the length tells where the file ends. */
static enum ymodem_event_e data_block(struct ymodem_s *y, const uint8_t *data, size_t size)
{
    if (y->length >= 0 && (int64_t)size > y->length - y->received)
        size = (size_t)(y->length - y->received);
    y->received += (int64_t)size;
    y->data = data;
    y->data_size = size;
    return ask(y, YMODEM_DATA);
}

static enum ymodem_event_e good_block(struct ymodem_s *y, uint8_t n, const uint8_t *data,
                                      size_t size)
{
    /* Once more the one before: our answer was lost. */
    if (y->in_file && n == (uint8_t)(y->expected - 1)) {
        say(y, ACK);
        if (!y->started)
            say(y, CRC);
        wait_for_block(y, MS_BLOCK);
        return YMODEM_NOTHING;
    }
    if (n != y->expected)
        return fail(y, "a block is missing");
    y->errors = 0;
    y->eot = false;
    if (!y->in_file)
        return first_block(y, data, size);
    y->started = true;
    return data_block(y, data, size);
}

static enum ymodem_event_e whole_block(struct ymodem_s *y)
{
    const uint8_t *data = y->block + 3;
    size_t size = y->wanted - 5;
    uint16_t crc = (uint16_t)(data[size] << 8 | data[size + 1]);

    if ((y->block[1] ^ y->block[2]) != 0xff || ymodem_crc(data, size) != crc)
        return purge(y);
    return good_block(y, y->block[1], data, size);
}

static enum ymodem_event_e end_of_file(struct ymodem_s *y)
{
    if (!y->in_file) {
        if (y->files) { /* our answer to the last one was lost */
            say(y, ACK);
            say(y, CRC);
        }
        return YMODEM_NOTHING;
    }
    if (!y->eot) {
        y->eot = true;
        say(y, NAK);
        wait_for_block(y, MS_BLOCK);
        return YMODEM_NOTHING;
    }
    if (y->length >= 0 && y->received < y->length)
        return fail(y, "the file ended before its length");
    return ask(y, YMODEM_FILE_END);
}

/* --- what comes in --- */

static enum ymodem_event_e cancelled(struct ymodem_s *y)
{
    return over(y, YMODEM_CANCELLED, "cancelled by the sender");
}

/* In a block, two CAN are data. But a sender that gives up in the middle of one sends nothing
   behind them, except backspaces. */
static void count_cans(struct ymodem_s *y, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == CAN)
            y->cans++;
        else if (data[i] != BS || y->cans < 2)
            y->cans = 0;
    }
}

static enum ymodem_event_e first_byte(struct ymodem_s *y, uint8_t byte)
{
    y->cans = byte == CAN ? y->cans + 1 : 0;
    if (y->cans == 2)
        return cancelled(y);
    switch (byte) {
    case SOH:
    case STX:
        y->state = YMODEM_BLOCK;
        y->timeout_ms = MS_BYTE;
        y->block[0] = byte;
        y->fill = 1;
        y->wanted = 5 + (byte == SOH ? 128 : 1024);
        return YMODEM_NOTHING;
    case EOT:
        return end_of_file(y);
    case CAN:
        return YMODEM_NOTHING;
    default:
        /* Before the first block this may be anything: the command line that started sz. */
        return y->in_file ? purge(y) : YMODEM_NOTHING;
    }
}

static size_t fill_block(struct ymodem_s *y, const uint8_t *data, size_t size)
{
    size_t take = y->wanted - y->fill;

    if (take > size)
        take = size;
    memcpy(y->block + y->fill, data, take);
    count_cans(y, data, take);
    y->fill += take;
    return take;
}

size_t ymodem_feed(struct ymodem_s *y, const uint8_t *data, size_t size, enum ymodem_event_e *event)
{
    size_t used = 0;

    *event = YMODEM_NOTHING;
    while (used < size && *event == YMODEM_NOTHING) {
        switch (y->state) {
        case YMODEM_WAIT:
            *event = first_byte(y, data[used++]);
            break;
        case YMODEM_BLOCK:
            used += fill_block(y, data + used, size - used);
            if (y->fill == y->wanted)
                *event = whole_block(y);
            break;
        case YMODEM_PURGE:
            count_cans(y, data + used, size - used);
            return size;
        default:
            return used;
        }
    }
    return used;
}

enum ymodem_event_e ymodem_timeout(struct ymodem_s *y)
{
    unsigned most = y->in_file ? YMODEM_ERRORS : INVITATIONS;

    if (y->state == YMODEM_ASK || y->state == YMODEM_OVER)
        return YMODEM_NOTHING;
    if (y->state != YMODEM_WAIT && y->cans >= 2)
        return cancelled(y);
    if (++y->errors >= most)
        return fail(y, y->in_file ? "too many errors in a row" : "no sender");
    if (y->state != YMODEM_WAIT)
        y->retries++;
    ask_again(y);
    return YMODEM_NOTHING;
}

void ymodem_accept(struct ymodem_s *y)
{
    if (y->state != YMODEM_ASK)
        return;
    say(y, ACK);
    if (y->eot) {
        y->files++;
        begin_file(y);
        return;
    }
    if (!y->in_file) {
        y->in_file = true;
        say(y, CRC);
    }
    y->expected++;
    wait_for_block(y, MS_BLOCK);
}

void ymodem_init(struct ymodem_s *y)
{
    memset(y, 0, sizeof(*y));
    begin_file(y);
}

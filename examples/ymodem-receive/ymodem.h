/* SPDX-License-Identifier: MIT */
/*
 * The receiving side of YMODEM as a state machine: bytes and time-outs go in, events and bytes for
 * the sender come out. It does no I/O and knows no clock, so it can be tested by itself.
 *
 * After C. Forsberg, "XMODEM/YMODEM Protocol Reference" (1988), chapters 3, 5 and 7, and after what
 * sz of lrzsz 0.12 really sends. CRC-16 only, no YMODEM-g.
 *
 *     'C' ──▶                      every 3 s, until the first block comes
 *         ◀── block 0: name, length, time of modification
 *     ACK 'C' ──▶
 *         ◀── blocks 1, 2 … of 128 or 1024 bytes, each answered with ACK, or NAK: once more
 *         ◀── EOT                  answered with NAK, in case it was noise
 *         ◀── EOT                  answered with ACK, and all from the start
 *         ◀── block 0 without a name: the end
 *
 * Every block is answered by the caller, with ymodem_accept, when it has room for the next one.
 */
#ifndef YMODEM_H
#define YMODEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define YMODEM_BLOCK_MAX 1024
#define YMODEM_ERRORS    10 /* in a row: given up */

enum ymodem_event_e {
    YMODEM_NOTHING,   /* feed it more */
    YMODEM_FILE,      /* a file begins: `name`, `length`, `mtime`. Answer it */
    YMODEM_DATA,      /* `data`, `data_size`. Answer it */
    YMODEM_FILE_END,  /* the file is complete. Answer it */
    YMODEM_BATCH_END, /* no more files; over */
    YMODEM_CANCELLED, /* the sender has given up; over */
    YMODEM_FAILED,    /* too many errors, or the wrong block: see `reason`; over */
};

struct ymodem_s {
    /* for the caller to read */
    char name[256]; /* as sent: not to be trusted */
    int64_t length; /* bytes, -1: was not sent */
    int64_t mtime;  /* seconds since 1970, 0: was not sent */
    const uint8_t *data;
    size_t data_size;
    const char *reason;
    uint8_t reply[24]; /* for the sender: send it after every call, then it is empty */
    size_t reply_size;
    unsigned timeout_ms; /* call ymodem_timeout after that long without a byte */
    uint64_t retries;    /* blocks that were asked for again */

    /* private */
    enum {
        YMODEM_WAIT,  /* for the first byte of a block */
        YMODEM_BLOCK, /* in a block */
        YMODEM_PURGE, /* in rubbish: it is over when there is silence */
        YMODEM_ASK,   /* for ymodem_accept */
        YMODEM_OVER,
    } state;
    bool in_file;     /* block 0 was accepted */
    bool started;     /* a good block of this file has come: NAK asks for more, no longer 'C' */
    bool eot;         /* one was answered with NAK */
    unsigned cans;    /* CAN in a row at the end of what came */
    uint8_t expected; /* number of the next block */
    unsigned errors;  /* in a row */
    unsigned files;   /* that are complete */
    int64_t received; /* bytes of the file */
    size_t fill;
    size_t wanted; /* bytes of this block, header and checksum included */
    uint8_t block[3 + YMODEM_BLOCK_MAX + 2];
};

/* Begins: `reply` asks for the first block. */
void ymodem_init(struct ymodem_s *y);

/* Takes bytes, up to the next event at most: how many. Takes none while an answer is due. */
size_t ymodem_feed(struct ymodem_s *y, const uint8_t *data, size_t size,
                   enum ymodem_event_e *event);

/* `timeout_ms` have passed without a byte. */
enum ymodem_event_e ymodem_timeout(struct ymodem_s *y);

/* Answers FILE, DATA and FILE_END: go on. */
void ymodem_accept(struct ymodem_s *y);

/* Ends the session: `reply` tells the sender. */
void ymodem_cancel(struct ymodem_s *y);

/* CRC of XMODEM: polynomial 0x1021, start 0. */
uint16_t ymodem_crc(const uint8_t *data, size_t size);

#endif

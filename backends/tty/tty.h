/* SPDX-License-Identifier: MIT */
/* The driver tty from inside: what a device is, and the files it is made of. */
#ifndef KR_TTY_H
#define KR_TTY_H

#include "fd_stream.h"
#include "line.h"
#include "reader.h"
#include "uart_requests.h"

/* What was before this driver came, and what it has changed of that. */
struct tty_saved_s {
    struct termios2 line;
    struct dev_uart_rs485_s rs485;
    uint32_t lines;
    bool low_latency;
    bool have_rs485, have_lines, have_low_latency; /* read when the port was opened */
    bool rs485_changed, low_latency_changed;       /* under `configuring` */
    uint32_t lines_changed;                        /* atomic: DTR, RTS */
};

struct tty_s {
    struct kr_fd_stream_s *fs;
    struct kr_stream_s *stream;
    struct tty_reader_s *reader; /* NULL: the stream reads by itself */
    struct kr_uart_requests_s requests;
    int fd; /* of `fs` */
    bool pty;
    bool exclusive; /* by this driver */
    bool restore;
    uint64_t close_wait;       /* ns */
    uint64_t char_ns;          /* atomic */
    enum tty_errors_e errors;  /* not AUTO */
    uint32_t configuring;      /* atomic: a thread is changing settings */
    bool counted;              /* the port has counters */
    struct tty_count_s counts; /* when it was opened */
    struct tty_saved_s saved;
};

/* --- settings.c: the operations of the uart class --- */

/* Notes what is in force. -ENOTTY and others of tty_line_get. */
error_t tty_save(struct tty_s *tty);
void tty_restore(struct tty_s *tty);
void tty_update_char_time(struct tty_s *tty);
extern const struct driver_uart_s tty_uart;
extern const struct kr_uart_port_ops_s tty_port_ops; /* of a struct tty_s */

/* --- close.c --- */

void tty_close(struct device_s *dev);

#endif

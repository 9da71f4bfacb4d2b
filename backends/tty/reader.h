/* SPDX-License-Identifier: MIT */
/* Reads a port with marks in its stream, and turns those into errors. */
#ifndef KR_TTY_READER_H
#define KR_TTY_READER_H

#include <pthread.h>

#include "fd_stream.h"
#include "marks.h"
#include "modem.h"

/*
 * What was read from the port waits in `raw` until a request wants it, so that an error is met by
 * the request whose bytes come after those before it. The thread that serves the stream reads; a
 * flush may come from any other, hence the lock, which is not held while the kernel is read.
 */
struct tty_reader_s {
    struct kr_fd_reader_s base;
    int fd;
    bool counted; /* the port has counters: overruns can be seen */
    pthread_mutex_t lock;
    struct tty_marks_s marks;
    uint32_t flushes;
    uint32_t overruns;     /* of the counters, when last looked at */
    bool error;            /* marks were taken out, and nobody was told */
    bool lost;             /* bytes were lost behind what is in `raw` */
    uint64_t errors_found; /* marks taken out */
    uint64_t breaks_found;
    size_t start, end;
    uint8_t raw[4096];
};

/* -ENOMEM. */
error_t tty_reader_create(struct tty_reader_s **ret, int fd);
void tty_reader_destroy(struct tty_reader_s *r); /* NULL: nothing */
void tty_reader_flush(struct tty_reader_s *r);
/* What this end has seen, for ports that do not count: both sorts of errors as one. */
void tty_reader_found(struct tty_reader_s *r, uint64_t *errors, uint64_t *breaks);

#endif

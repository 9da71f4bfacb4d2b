/* SPDX-License-Identifier: MIT */
#include "reader.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* --- bytes that are here --- */

/* With the lock: from `raw` into one buffer, up to a mark. */
static size_t decode(struct tty_reader_s *r, uint8_t *to, size_t size)
{
    struct tty_marks_result_s d =
        tty_marks_decode(&r->marks, r->raw + r->start, r->end - r->start, to, size);

    r->start += d.used;
    if (d.mark != TTY_MARK_NONE)
        r->error = true;
    r->errors_found += d.mark == TTY_MARK_ERROR;
    r->breaks_found += d.mark == TTY_MARK_BREAK;
    return d.made;
}

/* With the lock: one more mark, if nothing else is before it. */
static bool decode_mark(struct tty_reader_s *r)
{
    uint64_t found = r->errors_found + r->breaks_found;

    decode(r, NULL, 0);
    return r->errors_found + r->breaks_found != found;
}

/* With the lock: bytes, or an error whose turn it is; -EAGAIN: nothing is left in `raw`. Marks that
   follow each other without a good byte between are one error. */
static ssize_t take(struct tty_reader_s *r, struct iovec *iov, int count)
{
    size_t total = 0, before, made;

    for (int i = 0; i < count; i++) {
        for (size_t used = 0; used < iov[i].iov_len; used += made) {
            if (r->error || r->start == r->end)
                goto out;
            before = r->start;
            made = decode(r, (uint8_t *)iov[i].iov_base + used, iov[i].iov_len - used);
            total += made;
            if (made == 0 && r->start == before)
                goto out;
        }
    }
out:
    if (total)
        return (ssize_t)total;
    while (r->error && decode_mark(r))
        ;
    if (r->error) {
        r->error = false;
        return -EBADMSG;
    }
    if (r->start == r->end && r->lost) {
        r->lost = false;
        return -EPIPE;
    }
    return -EAGAIN;
}

/* --- bytes of the kernel --- */

/* An overrun is counted when it happens, and the bytes around it are read later: its place in the
   stream is between two reads of ours, not better. */
static bool overrun(struct tty_reader_s *r)
{
    struct tty_count_s count;
    uint32_t overruns;
    bool more;

    if (!r->counted || tty_count(r->fd, &count))
        return false;
    overruns = count.overrun + count.buffer_overrun;
    more = overruns != r->overruns;
    r->overruns = overruns;
    return more;
}

/* `raw` is empty. Bytes that are there now, 0 and -errno as read(2). */
static ssize_t refill(struct tty_reader_s *r)
{
    uint32_t flushes;
    bool lost;
    ssize_t n;

    pthread_mutex_lock(&r->lock);
    flushes = r->flushes;
    pthread_mutex_unlock(&r->lock);
    n = read(r->fd, r->raw, sizeof(r->raw));
    if (n < 0)
        n = -errno;
    lost = n > 0 && overrun(r);
    pthread_mutex_lock(&r->lock);
    r->start = r->end = 0;
    if (flushes != r->flushes) {
        n = n > 0 ? -EINTR : n; /* thrown away: look again */
    } else if (n > 0) {
        r->end = (size_t)n;
        r->lost |= lost;
    }
    pthread_mutex_unlock(&r->lock);
    return n;
}

static ssize_t reader_readv(struct kr_fd_reader_s *base, struct iovec *iov, int count)
{
    struct tty_reader_s *r = KROUTINE_CONTAINER(base, struct tty_reader_s, base);
    ssize_t n;

    for (;;) {
        pthread_mutex_lock(&r->lock);
        n = take(r, iov, count);
        pthread_mutex_unlock(&r->lock);
        if (n != -EAGAIN)
            return n;
        n = refill(r);
        if (n <= 0 && n != -EINTR)
            return n;
    }
}

static bool reader_pending(struct kr_fd_reader_s *base)
{
    struct tty_reader_s *r = KROUTINE_CONTAINER(base, struct tty_reader_s, base);
    struct tty_marks_result_s next;
    struct tty_marks_s marks;
    uint8_t byte;
    bool pending;

    pthread_mutex_lock(&r->lock);
    marks = r->marks;
    next = tty_marks_decode(&marks, r->raw + r->start, r->end - r->start, &byte, 1);
    pending = r->error || next.made || next.mark != TTY_MARK_NONE || r->lost;
    pthread_mutex_unlock(&r->lock);
    return pending;
}

/* --- life --- */

error_t tty_reader_create(struct tty_reader_s **ret, int fd)
{
    struct tty_reader_s *r = calloc(1, sizeof(*r));
    struct tty_count_s count;

    if (!r)
        return -ENOMEM;
    r->base.readv = reader_readv;
    r->base.pending = reader_pending;
    r->fd = fd;
    r->counted = tty_count(fd, &count) == 0;
    if (r->counted)
        r->overruns = count.overrun + count.buffer_overrun;
    pthread_mutex_init(&r->lock, NULL);
    *ret = r;
    return 0;
}

void tty_reader_destroy(struct tty_reader_s *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void tty_reader_flush(struct tty_reader_s *r)
{
    pthread_mutex_lock(&r->lock);
    r->flushes++;
    r->marks.seen = 0;
    r->error = r->lost = false;
    r->start = r->end = 0;
    pthread_mutex_unlock(&r->lock);
}

void tty_reader_found(struct tty_reader_s *r, uint64_t *errors, uint64_t *breaks)
{
    pthread_mutex_lock(&r->lock);
    *errors = r->errors_found;
    *breaks = r->breaks_found;
    pthread_mutex_unlock(&r->lock);
}

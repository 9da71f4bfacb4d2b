/* SPDX-License-Identifier: MIT */
/*
 * Layers: writing. A frame is encoded into a buffer of the layer and written below as a whole.
 *
 * It may be cut short: by a cancel, a time-out, an error below. The next frame then continues it if
 * it starts with the very bytes that have gone: the stream aborts an operation also to look after
 * other requests, and starts it again. If it does not, the receiver is told to drop what it has, if
 * the framing has a way to say so.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"
#include "layer.h"

#define ASK_AGAIN KROUTINE_USEC(100)

static struct kr_clock_s *clock_of(const struct kr_layer_s *l)
{
    return &l->rt->clocks[KR_CLOCK_MONOTONIC];
}

/* --- silence before a frame --- */

static KROUTINE_EXEC(quiet)
{
    struct kr_layer_s *l = KROUTINE_CONTAINER(kr, struct kr_layer_s, out.timer.base.kr);
    struct kr_stream_s *s = l->stream;

    (void)flags;
    pthread_mutex_lock(&l->out.lower.lock);
    l->out.waiting = false;
    pthread_mutex_unlock(&l->out.lower.lock);
    kr_stream_ready(s, KR_DIR_WRITE);
    kr_stream_put(s);
}

void kr_layer_init_timer(struct kr_layer_s *l)
{
    dev_timer_rq_init_immediate(&l->out.timer, quiet);
    l->out.timer.base.kr.runtime = l->rt;
}

void kr_layer_stop_timer(struct kr_layer_s *l)
{
    if (kr_clock_cancel(clock_of(l), &l->out.timer) == 0)
        kr_stream_put(l->stream);
}

/* The line has not been silent for long enough. */
static bool must_wait(struct kr_layer_s *l)
{
    struct kr_writing_s *out = &l->out;
    bool mine;

    if (!l->gap || kr_clock_now(clock_of(l)) >= out->quiet_until)
        return false;
    pthread_mutex_lock(&out->lower.lock);
    mine = !out->waiting;
    out->waiting = true;
    pthread_mutex_unlock(&out->lower.lock);
    if (!mine)
        return true;
    out->timer.delay = 0;
    out->timer.deadline = out->quiet_until;
    kr_stream_keep(l->stream);
    if (kr_clock_request(clock_of(l), &out->timer) == 0)
        return true;
    pthread_mutex_lock(&out->lower.lock); /* past already */
    out->waiting = false;
    pthread_mutex_unlock(&out->lower.lock);
    kr_stream_put(l->stream);
    return false;
}

/* --- frames --- */

/* Makes of a frame what remains to be written: offset, size and gone. */
static error_t prepare(struct kr_layer_s *l, const void *data, size_t size)
{
    struct kr_writing_s *out = &l->out;
    uint8_t *line = out->line[!out->current];
    const uint8_t *old = out->line[out->current] + out->offset;
    ssize_t n = l->codec->encode(&l->config, data, size, line + KR_RESYNC_MAX);
    size_t more;

    if (n < 0)
        return (error_t)n;
    if (out->gone && (out->gone > (size_t)n || memcmp(line + KR_RESYNC_MAX, old, out->gone))) {
        if (!l->codec->resync)
            return -EPIPE;
        more = l->codec->resync(&l->config, line);
        memmove(line + KR_RESYNC_MAX - more, line, more);
        out->gone = 0;
    } else {
        more = 0;
    }
    out->current = !out->current;
    out->offset = KR_RESYNC_MAX - more;
    out->size = (size_t)n + more;
    out->payload = size;
    return 0;
}

static void set_request(struct kr_writing_s *out, enum dev_char_rq_type_e type, uint8_t *data,
                        size_t size)
{
    struct dev_char_rq_s *rq = &out->lower.timed.rq;

    rq->type = (uint8_t)type;
    rq->data = data;
    rq->size = size;
    out->polling = type == DEV_CHAR_WRITE_POLL;
    out->draining = type == DEV_CHAR_WRITE_FLUSH && size == 0;
}

ssize_t kr_layer_write_over(struct kr_layer_s *l, error_t error)
{
    struct kr_writing_s *out = &l->out;

    if (out->draining)
        return error;
    out->gone = out->size - out->lower.timed.rq.size;
    if (l->gap)
        out->quiet_until = kr_clock_now(clock_of(l)) + l->gap;
    if (out->gone == out->size) /* whole, though perhaps not sent yet */
        out->gone = 0;
    if (!error)
        return (ssize_t)out->payload;
    if (error != -ENOTSUP || out->records)
        return error;
    out->records = true; /* it takes no bytes, perhaps frames: another layer, a socket */
    return -EAGAIN;
}

/* True: nothing is below. False: an answer to a question is on its way, and the kick behind it. */
static bool is_free(struct kr_writing_s *out)
{
    return kr_lower_take(&out->lower) != KR_LOWER_BUSY ||
           (out->polling && kr_lower_cancel(&out->lower));
}

/* The request below has ended during its submit. */
static ssize_t over_at_once(ssize_t result)
{
    return result == -ECANCELED ? KR_STREAM_GONE : result; /* see end_async in layer.c */
}

ssize_t kr_layer_send(struct kr_stream_s *s, const void *data, size_t size)
{
    struct kr_layer_s *l = kr_stream_pv(s);
    struct kr_writing_s *out = &l->out;
    ssize_t n;

    if (!is_free(out) || must_wait(l))
        return -EAGAIN;
    n = prepare(l, data, size);
    if (n)
        return n;
    do {
        set_request(out,
                    out->records ? DEV_CHAR_WRITE_FRAME
                    : l->gap     ? DEV_CHAR_WRITE_FLUSH /* silence is counted from its end */
                                 : DEV_CHAR_WRITE,
                    out->line[out->current] + out->offset + out->gone, out->size - out->gone);
        if (!kr_lower_start(&out->lower, true))
            return -EINPROGRESS;
        n = kr_layer_write_over(l, out->lower.timed.rq.error);
    } while (n == -EAGAIN);
    return over_at_once(n);
}

int64_t kr_layer_drain(struct kr_stream_s *s)
{
    struct kr_layer_s *l = kr_stream_pv(s);
    struct kr_writing_s *out = &l->out;

    if (!is_free(out))
        return ASK_AGAIN;
    set_request(out, DEV_CHAR_WRITE_FLUSH, NULL, 0);
    if (!kr_lower_start(&out->lower, true))
        return -EINPROGRESS;
    return over_at_once(out->lower.timed.rq.error);
}

int kr_layer_poll_write(struct kr_layer_s *l)
{
    struct kr_writing_s *out = &l->out;
    enum kr_lower_state_e state = kr_lower_take(&out->lower);
    error_t err;

    if (state == KR_LOWER_BUSY || must_wait(l))
        return 0;
    if (state != KR_LOWER_DONE || !out->polling) {
        set_request(out, DEV_CHAR_WRITE_POLL, NULL, 0);
        if (!kr_lower_start(&out->lower, false))
            return 0;
    }
    err = out->lower.timed.rq.error;
    if (err)
        return (int)over_at_once(err);
    return 1;
}

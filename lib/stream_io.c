/* SPDX-License-Identifier: MIT */
/*
 * One step of a direction: what the request at the head asks for, tried once.
 *
 * Plain requests that follow each other share one readv or writev. Others (poll, frame,
 * non-blocking, flush) go alone. A direction that is not `ready` is not tried; `ready` is cleared
 * before the call, so that an event that comes during it is not lost.
 */
#include <errno.h>
#include <string.h>

#include "stream_internal.h"

#define DRAINING       0x80000000u /* in rq_progress: written, waiting for the device to be empty */
#define FRAME_PROGRESS 0x7fffffffu /* in rq_progress: bytes of the frame that have gone */

static bool is_partial(enum dev_char_rq_type_e type)
{
    return type == DEV_CHAR_READ_PARTIAL || type == DEV_CHAR_WRITE_PARTIAL ||
           type == DEV_CHAR_WRITE_PARTIAL_FLUSH;
}

static bool is_nonblock(enum dev_char_rq_type_e type)
{
    return type == DEV_CHAR_READ_NONBLOCK || type == DEV_CHAR_WRITE_NONBLOCK ||
           type == DEV_CHAR_WRITE_NONBLOCK_FLUSH;
}

static bool is_flush(enum dev_char_rq_type_e type)
{
    return type >= DEV_CHAR_WRITE_FLUSH;
}

static bool is_frame(enum dev_char_rq_type_e type)
{
    return type == DEV_CHAR_READ_FRAME || type == DEV_CHAR_WRITE_FRAME ||
           type == DEV_CHAR_WRITE_FRAME_FLUSH;
}

static bool is_poll(enum dev_char_rq_type_e type)
{
    return type == DEV_CHAR_READ_POLL || type == DEV_CHAR_WRITE_POLL;
}

/* May it share a call with its neighbours? */
static bool is_plain(enum dev_char_rq_type_e type)
{
    return type == DEV_CHAR_READ || type == DEV_CHAR_READ_PARTIAL || type == DEV_CHAR_DISCARD ||
           type == DEV_CHAR_WRITE || type == DEV_CHAR_WRITE_PARTIAL;
}

void kr_stream_finish(struct kr_dir_s *d, struct dev_char_rq_s *rq, error_t error,
                      struct kr_done_s *done)
{
    if (d->queue.head == &rq->base)
        d->drain_at = 0; /* was its question */
    dev_rq_remove(&d->queue, &rq->base);
    if (rq->expires)
        d->timed--;
    rq->error = (int16_t)error;
    rq->rq_state = DEV_RQ_IDLE;
    rq->next = NULL;
    if (done->last)
        done->last->next = &rq->base;
    else
        done->first = &rq->base;
    done->last = &rq->base;
}

static void advance(struct dev_char_rq_s *rq, size_t n)
{
    if (rq->type != DEV_CHAR_DISCARD)
        rq->data += n;
    rq->size -= n;
}

/* A request has all that it wants but the emptiness of the device. */
static enum kr_step_e satisfied(struct kr_dir_s *d, struct dev_char_rq_s *rq,
                                struct kr_done_s *done)
{
    if (is_flush(kr_type(&rq->base)) && d->stream->ops->drain && !(rq->rq_progress & DRAINING)) {
        rq->rq_progress |= DRAINING;
        return KR_STEP_AGAIN;
    }
    kr_stream_finish(d, rq, 0, done);
    return KR_STEP_AGAIN;
}

/* --- marking what takes part in an operation --- */

static void activate(struct kr_dir_s *d, struct dev_request_s *rq)
{
    rq->rq_state = DEV_RQ_ACTIVE;
    d->active++;
}

/* With the lock, after the operation. Those that were cancelled meanwhile end now; true when the
   head is not among them. */
static bool deactivate(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct dev_request_s *rq = d->queue.head, *next;
    bool head_stays = rq && rq->rq_state != DEV_RQ_ABORTED;

    for (; d->active; d->active--, rq = next) {
        next = rq->next;
        if (rq->rq_state == DEV_RQ_ABORTED)
            kr_stream_finish(d, dev_char_rq_cast(rq), -ECANCELED, done);
        else
            rq->rq_state = DEV_RQ_QUEUED;
    }
    return head_stays;
}

/* --- plain bytes --- */

static void add_iov(struct kr_dir_s *d, unsigned *n, void *base, size_t size)
{
    d->iov[*n].iov_base = base;
    d->iov[*n].iov_len = size;
    d->iov_total += size;
    ++*n;
}

static unsigned gather(struct kr_dir_s *d)
{
    struct dev_request_s *rq = d->queue.head;
    unsigned n = 0;

    d->iov_total = 0;
    do {
        struct dev_char_rq_s *c = dev_char_rq_cast(rq);

        if (rq->type == DEV_CHAR_DISCARD) {
            size_t size = c->size < KR_STREAM_SCRAP ? c->size : KR_STREAM_SCRAP;

            activate(d, rq);
            add_iov(d, &n, d->stream->scrap, size);
            if (size < c->size)
                break;
        } else {
            activate(d, rq);
            add_iov(d, &n, c->data, c->size);
        }
        rq = rq->next;
    } while (rq && n < KR_STREAM_IOV && is_plain(kr_type(rq)) && is_plain(kr_type(d->queue.head)));
    return n;
}

/* Gives n bytes to the active requests, and ends those that have enough. */
static void distribute(struct kr_dir_s *d, size_t n, struct kr_done_s *done)
{
    unsigned active = d->active;
    struct dev_request_s *rq = d->queue.head, *next;

    d->active = 0;
    for (; active; active--, rq = next) {
        struct dev_char_rq_s *c = dev_char_rq_cast(rq);
        size_t take = n < c->size ? n : c->size;
        bool aborted = rq->rq_state == DEV_RQ_ABORTED;

        next = rq->next;
        advance(c, take);
        n -= take;
        rq->rq_state = DEV_RQ_QUEUED;
        if (c->size == 0 || (take && is_partial(kr_type(rq))) || is_nonblock(kr_type(rq)))
            satisfied(d, c, done);
        else if (aborted)
            kr_stream_finish(d, c, -ECANCELED, done);
    }
}

enum kr_step_e kr_stream_end_io(struct kr_dir_s *d, ssize_t n, struct kr_done_s *done)
{
    if (n > 0) {
        d->vain = 0;
        distribute(d, (size_t)n, done);
        /* A short read does not say that nothing more is there: it ends with a line of a terminal,
           a packet of a pipe (pipe(2), O_DIRECT), descriptors in a socket, and before the end. */
        d->maybe = !d->ready; /* no event has come meanwhile */
        d->ready = true;
        return KR_STEP_AGAIN;
    }
    if (n != -EAGAIN)
        d->ready = true; /* an error is no reason to wait before the next try */
    if (n == KR_STREAM_GONE)
        d->closed = KR_STREAM_GONE;
    if (!deactivate(d, done) || d->closed)
        return KR_STEP_AGAIN;
    if (n == -EAGAIN) {
        if (is_nonblock(kr_type(d->queue.head)))
            satisfied(d, kr_head(d), done);
    } else if (n != -ECANCELED) { /* by abort: those it was meant for have ended above */
        kr_stream_finish(d, kr_head(d), (error_t)n, done);
    }
    return KR_STEP_AGAIN;
}

/* With the lock: the driver's function has given -EINPROGRESS. True: it is complete already. */
static bool has_completed(struct kr_dir_s *d)
{
    d->async_returned = true;
    if (d->closing) /* that thread has an operation to abort now */
        pthread_cond_broadcast(&d->quiet);
    return d->async_done;
}

/* Calls an operation of the driver, which may say that it goes on without us. */
static enum kr_step_e start(struct kr_dir_s *d, unsigned count, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    ssize_t n;

    d->ready = false;
    d->async = s->ops->abort != NULL;
    d->async_returned = d->async_done = false;
    pthread_mutex_unlock(&d->lock);
    if (d->which == KR_DIR_READ)
        n = s->ops->readv(s, d->iov, (int)count);
    else
        n = s->ops->writev(s, d->iov, (int)count);
    pthread_mutex_lock(&d->lock);
    if (n == -EINPROGRESS) {
        if (!has_completed(d))
            return KR_STEP_STARTED;
        n = d->async_result;
    }
    d->async = false;
    return kr_stream_end_io(d, n, done);
}

/* --- poll --- */

static enum kr_step_e step_poll(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    int r;

    if (d->which == KR_DIR_READ && kr_frame_fill(&s->frames)) {
        kr_stream_finish(d, kr_head(d), 0, done);
        return KR_STEP_AGAIN;
    }
    d->ready = false;
    activate(d, d->queue.head);
    pthread_mutex_unlock(&d->lock);
    r = s->ops->poll(s, d->which);
    pthread_mutex_lock(&d->lock);
    if (!deactivate(d, done) || r == 0)
        return KR_STEP_AGAIN;
    d->ready = true;
    if (r == KR_STREAM_GONE)
        d->closed = KR_STREAM_GONE;
    else
        kr_stream_finish(d, kr_head(d), r < 0 ? r : 0, done);
    return KR_STEP_AGAIN;
}

/* --- frames --- */

static void take_frame(struct kr_dir_s *d, const uint8_t *data, size_t size, struct kr_done_s *done)
{
    struct dev_char_rq_s *rq = kr_head(d);

    if (size > rq->size) {
        kr_stream_finish(d, rq, -ENOSPC, done);
        return;
    }
    memcpy(rq->data, data, size);
    advance(rq, size);
    kr_stream_finish(d, rq, 0, done);
}

/* More bytes into the buffer of frames. */
static enum kr_step_e fill_frames(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    ssize_t n;

    kr_frame_room(&s->frames, &d->iov[0]);
    d->ready = false;
    activate(d, d->queue.head);
    pthread_mutex_unlock(&d->lock);
    n = s->ops->readv(s, d->iov, 1);
    pthread_mutex_lock(&d->lock);
    if (n > 0) {
        kr_frame_added(&s->frames, &s->framing, (size_t)n);
        d->ready = true;
        deactivate(d, done);
        return KR_STEP_AGAIN;
    }
    return kr_stream_end_io(d, n, done);
}

static enum kr_step_e step_read_framed(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    struct dev_char_rq_s *rq = kr_head(d);
    const uint8_t *data;
    size_t size;
    int r;

    if (rq->type != DEV_CHAR_READ_FRAME) { /* bytes that came with frames */
        rq->rq_state = DEV_RQ_QUEUED;
        size = kr_frame_take_bytes(&s->frames, rq->type == DEV_CHAR_DISCARD ? NULL : rq->data,
                                   rq->size);
        advance(rq, size);
        if (rq->size == 0 || rq->type != DEV_CHAR_READ)
            if (rq->size == 0 || rq->type != DEV_CHAR_DISCARD)
                kr_stream_finish(d, rq, 0, done);
        return KR_STEP_AGAIN;
    }
    r = kr_frame_next(&s->frames, &s->framing, &data, &size);
    if (r > 0)
        take_frame(d, data, size, done);
    else if (r < 0)
        kr_stream_finish(d, rq, r, done);
    else
        return d->ready ? fill_frames(d, done) : KR_STEP_WAIT;
    return KR_STEP_AGAIN;
}

/* One record of a descriptor that keeps them apart. */
static enum kr_step_e step_record(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    struct dev_char_rq_s *rq = kr_head(d);
    ssize_t n;

    d->ready = false;
    d->iov_total = rq->size;
    activate(d, &rq->base);
    pthread_mutex_unlock(&d->lock);
    n = d->which == KR_DIR_READ ? s->ops->recv_frame(s, rq->data, rq->size)
                                : s->ops->send_frame(s, rq->data, rq->size);
    pthread_mutex_lock(&d->lock);
    if (n < 0)
        return kr_stream_end_io(d, n == -EMSGSIZE ? -ENOSPC : n, done);
    d->active = 0;
    d->ready = true;
    rq->rq_state = DEV_RQ_QUEUED;
    advance(rq, (size_t)n);
    return satisfied(d, rq, done);
}

/* The rest of a frame: what goes before, the payload, what goes after. */
static error_t frame_iov(struct kr_dir_s *d, struct dev_char_rq_s *rq, unsigned *count)
{
    size_t gone = rq->rq_progress & FRAME_PROGRESS, head, tail, moved, total;
    error_t err;

    /* `data` and `size` have moved with the payload: go back to its start. */
    head = d->stream->framing.kind == KR_FRAMING_LENGTH ? d->stream->framing.length_bytes : 0;
    moved = gone > head ? gone - head : 0;
    if (rq->size == 0)
        moved = 0; /* only the tail is left: the payload is not looked at again */
    total = moved + rq->size;
    if (gone == 0) {
        err = kr_frame_wrap(&d->stream->framing, rq->data, total, d->frame_head, &head,
                            d->frame_tail, &tail);
        if (err)
            return err;
    } else {
        tail = d->stream->framing.kind == KR_FRAMING_DELIMITER;
        d->frame_tail[0] = d->stream->framing.delimiter;
    }
    *count = 0;
    d->iov_total = 0;
    if (gone < head) {
        if (gone) /* rebuilt: another frame may have used the bytes since */
            (void)kr_frame_wrap(&d->stream->framing, rq->data, total, d->frame_head, &head,
                                d->frame_tail, &tail);
        add_iov(d, count, d->frame_head + gone, head - gone);
    }
    if (rq->size)
        add_iov(d, count, rq->data, rq->size);
    if (tail)
        add_iov(d, count, d->frame_tail, tail);
    return 0;
}

static enum kr_step_e step_write_framed(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    struct dev_char_rq_s *rq = kr_head(d);
    size_t total, head, payload;
    unsigned count;
    ssize_t n;
    error_t err = frame_iov(d, rq, &count);

    if (err) {
        kr_stream_finish(d, rq, err, done);
        return KR_STEP_AGAIN;
    }
    if (!d->ready)
        return KR_STEP_WAIT;
    total = d->iov_total;
    d->ready = false;
    activate(d, &rq->base);
    pthread_mutex_unlock(&d->lock);
    n = s->ops->writev(s, d->iov, (int)count);
    pthread_mutex_lock(&d->lock);
    if (n < 0)
        return kr_stream_end_io(d, n, done);
    head = s->framing.kind == KR_FRAMING_LENGTH ? s->framing.length_bytes : 0;
    head = head > rq->rq_progress ? head - rq->rq_progress : 0;
    payload = (size_t)n > head ? (size_t)n - head : 0;
    advance(rq, payload < rq->size ? payload : rq->size);
    rq->rq_progress += (uint32_t)n;
    d->vain = 0;
    d->ready = true;
    if ((size_t)n < total)
        deactivate(d, done);
    else {
        d->active = 0;
        rq->rq_state = DEV_RQ_QUEUED;
        satisfied(d, rq, done);
    }
    return KR_STEP_AGAIN;
}

/* --- flush --- */

static enum kr_step_e step_drain(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    uint64_t now = kr_clock_now(&s->rt->clocks[KR_CLOCK_MONOTONIC]);
    int64_t left;

    if (now < d->drain_at)
        return KR_STEP_WAIT;
    d->drain_at = 0;
    d->iov_total = 0;
    d->async = s->ops->abort != NULL;
    d->async_returned = d->async_done = false;
    activate(d, d->queue.head);
    pthread_mutex_unlock(&d->lock);
    left = s->ops->drain(s);
    pthread_mutex_lock(&d->lock);
    if (left == -EINPROGRESS) {
        if (!has_completed(d))
            return KR_STEP_STARTED;
        left = d->async_result;
    }
    d->async = false;
    if (left < 0)
        return kr_stream_end_io(d, (ssize_t)left, done);
    if (!deactivate(d, done))
        return KR_STEP_AGAIN;
    if (left > 0)
        d->drain_at = now + (uint64_t)left;
    else
        kr_stream_finish(d, kr_head(d), 0, done);
    return KR_STEP_AGAIN;
}

/* --- choosing --- */

bool kr_stream_begin_read(struct kr_dir_s *d)
{
    if (!d->ready || d->closed || d->tick || !d->queue.head || !is_plain(kr_type(d->queue.head)) ||
        kr_frame_fill(&d->stream->frames))
        return false;
    d->ready = false;
    gather(d);
    return true;
}

enum kr_step_e kr_stream_step(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    struct dev_request_s *rq = d->queue.head;
    enum dev_char_rq_type_e type = kr_type(rq);
    bool framed = s->framing.kind != KR_FRAMING_NONE;

    if (rq->rq_progress & DRAINING)
        return step_drain(d, done);
    if (is_poll(type))
        return d->ready || kr_frame_fill(&s->frames) ? step_poll(d, done) : KR_STEP_WAIT;
    if (is_frame(type) && framed)
        return d->which == KR_DIR_READ ? step_read_framed(d, done) : step_write_framed(d, done);
    if (d->which == KR_DIR_READ && kr_frame_fill(&s->frames))
        return step_read_framed(d, done);
    if (!d->ready && !is_nonblock(type)) /* those never wait: their turn is now */
        return KR_STEP_WAIT;
    if (is_frame(type))
        return step_record(d, done);
    return start(d, gather(d), done);
}

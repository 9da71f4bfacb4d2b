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

void kr_stream_finish(struct kr_dir_s *d, struct dev_char_rq_s *rq, error_t error,
                      struct kr_done_s *done)
{
    if (d->queue.head == &rq->base)
        d->again_at = 0; /* was its time */
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

void kr_stream_advance(struct dev_char_rq_s *rq, size_t n)
{
    if (rq->type != DEV_CHAR_DISCARD)
        rq->data += n;
    rq->size -= n;
}

/* A request has all that it wants but the emptiness of the device. */
enum kr_step_e kr_stream_satisfied(struct kr_dir_s *d, struct dev_char_rq_s *rq,
                                   struct kr_done_s *done)
{
    if (kr_is_flush(kr_type(&rq->base)) && d->stream->ops->drain &&
        !(rq->rq_progress & KR_DRAINING)) {
        rq->rq_progress |= KR_DRAINING;
        return KR_STEP_AGAIN;
    }
    kr_stream_finish(d, rq, 0, done);
    return KR_STEP_AGAIN;
}

/* --- marking what takes part in an operation --- */

void kr_stream_activate(struct kr_dir_s *d, struct dev_request_s *rq)
{
    rq->rq_state = DEV_RQ_ACTIVE;
    d->active++;
}

/* With the lock, after the operation. Those that were cancelled meanwhile end now; true when the
   head is not among them. */
bool kr_stream_deactivate(struct kr_dir_s *d, struct kr_done_s *done)
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

void kr_stream_add_iov(struct kr_dir_s *d, unsigned *n, void *base, size_t size)
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

            kr_stream_activate(d, rq);
            kr_stream_add_iov(d, &n, d->stream->scrap, size);
            if (size < c->size)
                break;
        } else {
            kr_stream_activate(d, rq);
            kr_stream_add_iov(d, &n, c->data, c->size);
        }
        rq = rq->next;
    } while (rq && n < KR_STREAM_IOV && kr_is_plain(kr_type(rq)) &&
             kr_is_plain(kr_type(d->queue.head)));
    return n;
}

bool kr_stream_timed_got(struct dev_char_rq_s *rq, size_t n)
{
    const struct dev_char_timed_rq_s *timed = dev_char_timed_rq_cast(rq);

    rq->drvuint += n;
    return rq->size == 0 || (timed->gap == 0 && rq->drvuint >= timed->min);
}

/* `take` bytes are the request's now. */
static bool has_enough(struct dev_char_rq_s *rq, size_t take)
{
    enum dev_char_rq_type_e type = kr_type(&rq->base);

    if (type == DEV_CHAR_READ_TIMED)
        return kr_stream_timed_got(rq, take);
    return rq->size == 0 || (take && kr_is_partial(type)) || kr_is_nonblock(type);
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
        kr_stream_advance(c, take);
        n -= take;
        rq->rq_state = DEV_RQ_QUEUED;
        if (has_enough(c, take))
            kr_stream_satisfied(d, c, done);
        else if (aborted)
            kr_stream_finish(d, c, -ECANCELED, done);
        else if (d->verdict == KR_VERDICT_LATE) /* these were there in time, or not; enough */
            kr_stream_finish(d, c, -ETIMEDOUT, done);
    }
}

enum kr_step_e kr_stream_end_io(struct kr_dir_s *d, ssize_t n, struct kr_done_s *done)
{
    if (n > 0) {
        d->vain = 0;
        kr_stream_note(d, (size_t)n);
        distribute(d, (size_t)n, done);
        /* A short read does not say that nothing more is there: it ends with a line of a terminal,
           a packet of a pipe (pipe(2), O_DIRECT), descriptors in a socket, and before the end. */
        d->maybe = !d->ready; /* no event has come meanwhile */
        d->ready = true;
        if ((size_t)n < d->iov_total)
            kr_stream_collect(d, true);
        return KR_STEP_AGAIN;
    }
    if (n == -EAGAIN)
        kr_stream_collect(d, false);
    else
        d->ready = true; /* an error is no reason to wait before the next try */
    if (n == KR_STREAM_GONE)
        d->closed = KR_STREAM_GONE;
    if (!kr_stream_deactivate(d, done) || d->closed)
        return KR_STEP_AGAIN;
    if (n == -EAGAIN) {
        if (kr_is_nonblock(kr_type(d->queue.head)))
            kr_stream_satisfied(d, kr_head(d), done);
        else if (d->verdict != KR_VERDICT_NONE)
            kr_stream_conclude(d, done);
    } else if (n != -ECANCELED) { /* by abort: those it was meant for have ended above */
        kr_stream_finish(d, kr_head(d), (error_t)n, done);
    }
    return KR_STEP_AGAIN;
}

/* With the lock: the driver's function has given -EINPROGRESS. True: it is complete already. */
bool kr_stream_has_completed(struct kr_dir_s *d)
{
    d->async_returned = true;
    if (d->closing) /* that thread has an operation to abort now */
        pthread_cond_broadcast(&d->quiet);
    return d->async_done;
}

/* The driver may say that the operation goes on without us. */
enum kr_step_e kr_stream_start(struct kr_dir_s *d, unsigned count, bool framed,
                               struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    ssize_t n;

    d->ready = false;
    d->framed = framed;
    d->async = s->ops->abort != NULL;
    d->async_returned = d->async_done = false;
    pthread_mutex_unlock(&d->lock);
    if (d->which == KR_DIR_READ)
        n = s->ops->readv(s, d->iov, (int)count);
    else
        n = s->ops->writev(s, d->iov, (int)count);
    pthread_mutex_lock(&d->lock);
    if (n == -EINPROGRESS) {
        if (!kr_stream_has_completed(d))
            return KR_STEP_STARTED;
        n = d->async_result;
    }
    d->async = false;
    return (framed ? kr_stream_end_framed : kr_stream_end_io)(d, n, done);
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
    kr_stream_activate(d, d->queue.head);
    pthread_mutex_unlock(&d->lock);
    r = s->ops->poll(s, d->which);
    pthread_mutex_lock(&d->lock);
    if (!kr_stream_deactivate(d, done) || r == 0)
        return KR_STEP_AGAIN;
    d->ready = true;
    if (r == KR_STREAM_GONE)
        d->closed = KR_STREAM_GONE;
    else
        kr_stream_finish(d, kr_head(d), r < 0 ? r : 0, done);
    return KR_STEP_AGAIN;
}

/* --- choosing --- */

bool kr_stream_begin_read(struct kr_dir_s *d)
{
    if (!d->ready || d->closed || d->tick || !d->queue.head ||
        !(kr_is_plain(kr_type(d->queue.head)) || d->queue.head->type == DEV_CHAR_READ_TIMED) ||
        kr_frame_fill(&d->stream->frames))
        return false;
    d->verdict = kr_stream_judge(d);
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

    kr_stream_look_now(d);
    if (rq->rq_progress & KR_DRAINING)
        return kr_stream_drain(d, done);
    if (type == DEV_CHAR_WRITE_FLUSH && kr_head(d)->size == 0) /* only drains, or is over */
        return kr_stream_satisfied(d, kr_head(d), done);
    d->verdict = kr_stream_judge(d);
    if (kr_is_poll(type))
        return d->ready || kr_frame_fill(&s->frames) ? step_poll(d, done) : KR_STEP_WAIT;
    if (kr_is_frame(type) && framed)
        return d->which == KR_DIR_READ ? kr_stream_read_framed(d, done)
                                       : kr_stream_write_framed(d, done);
    if (d->which == KR_DIR_READ && kr_frame_fill(&s->frames))
        return kr_stream_read_framed(d, done);
    if (!d->ready && !kr_is_nonblock(type) && d->verdict == KR_VERDICT_NONE)
        return KR_STEP_WAIT; /* those that do not block never wait: their turn is now */
    if (kr_is_frame(type))
        return kr_stream_record(d, done);
    return kr_stream_start(d, gather(d), false, done);
}

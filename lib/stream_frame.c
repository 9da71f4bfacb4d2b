/* SPDX-License-Identifier: MIT */
/* Steps of a direction that move frames: in a stream of bytes, or records of the descriptor. */
#include <errno.h>
#include <string.h>

#include "stream_internal.h"

void kr_stream_take_frame(struct kr_dir_s *d, const uint8_t *data, size_t size,
                          struct kr_done_s *done)
{
    struct dev_char_rq_s *rq = kr_head(d);

    if (size > rq->size) {
        kr_stream_finish(d, rq, -ENOSPC, done);
        return;
    }
    memcpy(rq->data, data, size);
    kr_stream_advance(rq, size);
    kr_stream_finish(d, rq, 0, done);
}

/* With the lock: a try for the head has ended with an error. What gap framing makes of the bytes
   that are there: see the top of stream_time.c. */
static enum kr_step_e end_gapped(struct kr_dir_s *d, ssize_t n, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    const uint8_t *data;
    size_t size;

    if (n == -EPIPE || n == -EBADMSG) {
        kr_frame_spoil(&s->frames);
        kr_stream_note(d, 0);
    } else if ((n == KR_STREAM_END || n == KR_STREAM_GONE) && kr_frame_fill(&s->frames)) {
        d->ready = true;
        if (!kr_stream_deactivate(d, done))
            return KR_STEP_AGAIN;
        if (kr_frame_cut(&s->frames, &s->framing, &data, &size))
            kr_stream_take_frame(d, data, size, done);
        if (n == KR_STREAM_GONE)
            d->closed = KR_STREAM_GONE;
        return KR_STEP_AGAIN;
    }
    return kr_stream_end_io(d, n, done);
}

/* More bytes into the buffer of frames. */
static enum kr_step_e fill_frames(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;

    kr_frame_room(&s->frames, &d->iov[0]);
    kr_stream_activate(d, d->queue.head);
    return kr_stream_start(d, 1, true, done);
}

static enum kr_step_e end_fill(struct kr_dir_s *d, ssize_t n, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;

    if (n > 0) {
        kr_stream_note(d, (size_t)n);
        kr_frame_added(&s->frames, &s->framing, (size_t)n);
        d->ready = true;
        if ((size_t)n < d->iov[0].iov_len)
            kr_stream_collect(d, true);
        if (kr_stream_deactivate(d, done) && d->verdict == KR_VERDICT_LATE)
            kr_stream_finish(d, kr_head(d), -ETIMEDOUT, done);
        return KR_STEP_AGAIN;
    }
    return s->framing.kind == KR_FRAMING_GAP ? end_gapped(d, n, done)
                                             : kr_stream_end_io(d, n, done);
}

/* Are `size` bytes that came with frames enough? */
static bool satisfied_by(struct dev_char_rq_s *rq, size_t size)
{
    if (rq->type == DEV_CHAR_READ_TIMED)
        return kr_stream_timed_got(rq, size);
    return rq->size == 0 || (rq->type != DEV_CHAR_READ && rq->type != DEV_CHAR_DISCARD);
}

enum kr_step_e kr_stream_read_framed(struct kr_dir_s *d, struct kr_done_s *done)
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
        kr_stream_advance(rq, size);
        if (satisfied_by(rq, size))
            kr_stream_finish(d, rq, 0, done);
        return KR_STEP_AGAIN;
    }
    r = kr_frame_next(&s->frames, &s->framing, &data, &size);
    if (r > 0)
        kr_stream_take_frame(d, data, size, done);
    else if (r < 0)
        kr_stream_finish(d, rq, r, done);
    else
        return d->ready || d->verdict != KR_VERDICT_NONE ? fill_frames(d, done) : KR_STEP_WAIT;
    return KR_STEP_AGAIN;
}

/* One record of a descriptor that keeps them apart. */
enum kr_step_e kr_stream_record(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    struct dev_char_rq_s *rq = kr_head(d);
    bool writes = d->which == KR_DIR_WRITE;
    ssize_t n;

    if (writes && kr_stream_time_ahead(d))
        return KR_STEP_AGAIN;
    d->ready = false;
    d->iov_total = rq->size;
    kr_stream_activate(d, &rq->base);
    d->async = writes && s->ops->abort;
    d->async_returned = d->async_done = false;
    pthread_mutex_unlock(&d->lock);
    n = writes ? s->ops->send_frame(s, rq->data, rq->size)
               : s->ops->recv_frame(s, rq->data, rq->size);
    pthread_mutex_lock(&d->lock);
    if (n == -EINPROGRESS) {
        if (!kr_stream_has_completed(d))
            return KR_STEP_STARTED;
        n = d->async_result;
    }
    d->async = false;
    if (n < 0)
        return kr_stream_end_io(d, n == -EMSGSIZE ? -ENOSPC : n, done);
    d->active = 0;
    d->ready = true;
    rq->rq_state = DEV_RQ_QUEUED;
    kr_stream_advance(rq, (size_t)n);
    return kr_stream_satisfied(d, rq, done);
}

/* The rest of a frame: what goes before, the payload, what goes after. */
static error_t frame_iov(struct kr_dir_s *d, struct dev_char_rq_s *rq, unsigned *count)
{
    size_t gone = rq->rq_progress & KR_FRAME_PROGRESS, head, tail, moved, total;
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
        kr_stream_add_iov(d, count, d->frame_head + gone, head - gone);
    }
    if (rq->size)
        kr_stream_add_iov(d, count, rq->data, rq->size);
    if (tail)
        kr_stream_add_iov(d, count, d->frame_tail, tail);
    return 0;
}

enum kr_step_e kr_stream_write_framed(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    struct dev_char_rq_s *rq = kr_head(d);
    unsigned count;
    error_t err = frame_iov(d, rq, &count);
    bool begins = (rq->rq_progress & KR_FRAME_PROGRESS) == 0;

    if (err) {
        kr_stream_finish(d, rq, err, done);
        return KR_STEP_AGAIN;
    }
    if (begins && s->framing.kind == KR_FRAMING_GAP && kr_stream_must_hold(d))
        return KR_STEP_WAIT;
    if (!d->ready)
        return KR_STEP_WAIT;
    kr_stream_activate(d, &rq->base);
    return kr_stream_start(d, count, true, done);
}

static enum kr_step_e end_write(struct kr_dir_s *d, ssize_t n, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    struct dev_char_rq_s *rq = kr_head(d);
    size_t head, payload;

    if (n < 0)
        return kr_stream_end_io(d, n, done);
    head = s->framing.kind == KR_FRAMING_LENGTH ? s->framing.length_bytes : 0;
    head = head > rq->rq_progress ? head - rq->rq_progress : 0;
    payload = (size_t)n > head ? (size_t)n - head : 0;
    kr_stream_advance(rq, payload < rq->size ? payload : rq->size);
    rq->rq_progress += (uint32_t)n;
    kr_stream_note(d, (size_t)n);
    d->vain = 0;
    d->ready = true;
    if ((size_t)n < d->iov_total) {
        kr_stream_deactivate(d, done);
    } else {
        d->active = 0;
        rq->rq_state = DEV_RQ_QUEUED;
        kr_stream_satisfied(d, rq, done);
    }
    return KR_STEP_AGAIN;
}

enum kr_step_e kr_stream_end_framed(struct kr_dir_s *d, ssize_t n, struct kr_done_s *done)
{
    return d->which == KR_DIR_READ ? end_fill(d, n, done) : end_write(d, n, done);
}

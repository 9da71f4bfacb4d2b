/* SPDX-License-Identifier: MIT */
/*
 * Time in streams: time-outs, silence, collecting, drains, and the one timer of a direction for all
 * of them.
 *
 * Silence. Two kinds of requests end by it: READ_TIMED, and READ_FRAME with gap framing. `heard` is
 * when the last byte was read; whose it was need not be noted, as only the head reads. A READ_TIMED
 * counts its bytes in drvuint; those of a frame are in the buffer of frames.
 *
 *     FILLING ──enough bytes──▶ COUNTING ──heard + gap has passed──▶ DECIDING ──nothing──▶ over
 *        ▲ │                      ▲   │                                │
 *        │ └──time-out passed──▶ DECIDING (LATE) ◀──time-out passed────┤
 *        └────────noise────────── └────────────bytes: counts anew──────┘
 *
 * A state is not stored but follows from the bytes, `heard` and the clock; only DECIDING is noted
 * beside (d->verdict), for as long as a try takes. The rule that makes it right with a late
 * reactor: silence is believed only if a try that began at heard + gap, or later, has found nothing
 * (on a tty that try also gets what the interrupt handler has left in the flip buffer: n_tty_read
 * in drivers/tty/n_tty.c flushes its work before it says EAGAIN). What that try does find belongs
 * to the request, since nobody can say when it came, and the gap starts again. The time-out is
 * decided in the same way, but by one try, whatever it finds: a peer that never stops cannot
 * prolong it. Whichever of the two was to pass first decides, if both have.
 *
 *   cancel       while QUEUED: takes it away, data and size tell what had come. During a try: it is
 *                ABORTED, and ends with -ECANCELED, unless the try completes it
 *   close, gone  as every request; what had come is in data and size
 *   -ENODATA     and other errors of a try: the same, also when `min` bytes were there. A frame of
 *                gap framing is whole at the end of the stream, or when the line hangs up: the
 *                request gets it, the next one the error. -EPIPE and -EBADMSG spoil the frame: what
 *                is left of it is dropped up to the next silence
 *   queued       requests behind such a head wait for their turn, and know only their time-out
 *   left over    bytes in the buffer of frames go to a READ_TIMED first. They are as old as
 *                `heard`; a time-out or cancel leaves the begun frame there for the next READ_FRAME
 *   records      have no silence in them: -ENOTSUP
 *   files        cannot be tried twice (-EINPROGRESS): a try decides by what it gives, and the
 *                time-out needs no try
 *
 * The timer rings at the earliest of what next_tick knows. Bytes that come put the end of the gap
 * off, not the timer: it rings at the old end, and is set again then, once a gap rather than once a
 * byte.
 */
#include <errno.h>

#include "stream_internal.h"

static struct kr_clock_s *clock_of(const struct kr_stream_s *s)
{
    return &s->rt->clocks[KR_CLOCK_MONOTONIC];
}

uint64_t kr_stream_now(const struct kr_stream_s *s)
{
    return kr_clock_now(clock_of(s));
}

/* --- silence --- */

static bool has_gap(const struct kr_stream_s *s)
{
    return s->framing.kind == KR_FRAMING_GAP;
}

/* Does the head end by silence? Then its time-out is decided by a try, too. */
static bool knows_time(const struct kr_dir_s *d)
{
    const struct dev_request_s *rq = d->queue.head;

    return rq->type == DEV_CHAR_READ_TIMED ||
           (rq->type == DEV_CHAR_READ_FRAME && has_gap(d->stream));
}

/* When silence will have been long enough for the head, ns; 0: it is not COUNTING. */
static uint64_t end_of_gap(const struct kr_dir_s *d)
{
    const struct kr_stream_s *s = d->stream;
    uint64_t gap, end;

    if (!knows_time(d))
        return 0;
    if (d->queue.head->type == DEV_CHAR_READ_TIMED) {
        const struct dev_char_timed_rq_s *timed = dev_char_timed_rq_cast(kr_head(d));

        if (!timed->gap || timed->rq.drvuint < timed->min)
            return 0;
        gap = timed->gap;
    } else {
        if (!kr_frame_begun(&s->frames))
            return 0;
        gap = s->framing.gap;
    }
    return __builtin_add_overflow(kr_load_relaxed(&s->heard), gap, &end) ? 0 : end;
}

enum kr_verdict_e kr_stream_judge(struct kr_dir_s *d)
{
    uint64_t now, end, expires;
    bool late;

    if (!knows_time(d))
        return KR_VERDICT_NONE;
    now = kr_stream_now(d->stream);
    end = end_of_gap(d);
    expires = d->queue.head->expires;
    late = expires && expires <= now && !d->stream->ops->abort;
    if (end && end <= now && (!late || end <= expires))
        return KR_VERDICT_SILENCE;
    return late ? KR_VERDICT_LATE : KR_VERDICT_NONE;
}

void kr_stream_conclude(struct kr_dir_s *d, struct kr_done_s *done)
{
    const uint8_t *data;
    size_t size;

    if (d->verdict == KR_VERDICT_LATE)
        kr_stream_finish(d, kr_head(d), -ETIMEDOUT, done);
    else if (d->queue.head->type == DEV_CHAR_READ_TIMED)
        kr_stream_finish(d, kr_head(d), 0, done);
    else if (kr_frame_cut(&d->stream->frames, &d->stream->framing, &data, &size))
        kr_stream_take_frame(d, data, size, done);
}

/* Both directions of gap framing write here, each its own time; each reads both. */
void kr_stream_note(struct kr_dir_s *d, size_t n)
{
    struct kr_stream_s *s = d->stream;
    uint64_t now, spoke;

    if (d->which == KR_DIR_READ) {
        if (s->framing.kind != KR_FRAMING_NONE || d->queue.head->type == DEV_CHAR_READ_TIMED)
            kr_store_relaxed(&s->heard, kr_stream_now(s));
    } else if (has_gap(s)) {
        now = kr_stream_now(s);
        spoke = kr_load_relaxed(&s->spoke);
        if (spoke < now)
            spoke = now;
        kr_store_relaxed(&s->spoke, spoke + (s->ops->char_time ? s->ops->char_time(s) * n : 0));
    }
}

bool kr_stream_must_hold(struct kr_dir_s *d)
{
    const struct kr_stream_s *s = d->stream;
    uint64_t heard = kr_load_relaxed(&s->heard), spoke = kr_load_relaxed(&s->spoke);
    uint64_t last = heard > spoke ? heard : spoke;

    d->again_at = 0;
    if (!last || kr_stream_now(s) >= last + s->framing.gap)
        return false;
    d->again_at = last + s->framing.gap;
    return true;
}

/* --- time-outs --- */

void kr_stream_expire(struct kr_dir_s *d, struct kr_done_s *done)
{
    uint64_t now = kr_stream_now(d->stream), earliest = UINT64_MAX;
    struct dev_request_s *rq, *next;

    d->tick = false;
    if (d->retry_at && d->retry_at <= now) {
        d->retry_at = 0;
        d->ready = true;
    }
    for (rq = d->queue.head; rq && d->timed; rq = next) {
        bool by_try = rq == d->queue.head && knows_time(d) && !d->stream->ops->abort;

        next = rq->next;
        if (!rq->expires)
            continue;
        if (rq->expires <= now && !by_try)
            kr_stream_finish(d, dev_char_rq_cast(rq), -ETIMEDOUT, done);
        else if (rq->expires < earliest)
            earliest = rq->expires;
    }
    d->earliest = earliest == UINT64_MAX ? 0 : earliest;
}

/* --- collecting ---

   Many ports that bring a few bytes each cost a wake-up a packet. With `collect` a direction that
   has just read something is not looked at by events but at the next multiple of that time, which
   is the same for all: one wake-up looks at all of them. After some looks in vain the line is
   quiet, and events are waited for again, so nothing runs when nothing comes. What ends by silence
   needs each byte in its time, what does not block or polls wants an answer now: such a head is
   looked at at once. */

#define COLLECT_PATIENCE 4

static bool collects(const struct kr_dir_s *d)
{
    enum dev_char_rq_type_e type = kr_type(d->queue.head);

    return !knows_time(d) && !kr_is_nonblock(type) && !kr_is_poll(type);
}

void kr_stream_collect(struct kr_dir_s *d, bool found)
{
    uint64_t period = d->stream->framing.collect;

    if (kr_likely(!period) || d->which != KR_DIR_READ || (d->queue.head && !collects(d)))
        return;
    if (found)
        d->vain_looks = 0;
    else if (d->vain_looks < COLLECT_PATIENCE)
        d->vain_looks++;
    if (d->vain_looks == COLLECT_PATIENCE)
        return;
    d->retry_at = (kr_stream_now(d->stream) / period + 1) * period;
    d->ready = d->maybe = false;
}

void kr_stream_look_now(struct kr_dir_s *d)
{
    if (kr_likely(!d->retry_at) || d->which != KR_DIR_READ)
        return;
    if (collects(d) && kr_stream_now(d->stream) < d->retry_at)
        return;
    d->retry_at = 0;
    d->ready = true;
}

/* --- the timer --- */

static uint64_t sooner(uint64_t at, uint64_t other)
{
    return other && other < at ? other : at;
}

uint64_t kr_stream_next_tick(const struct kr_dir_s *d)
{
    uint64_t at = UINT64_MAX;

    if (!d->queue.head || d->closed)
        return 0;
    if (d->timed)
        at = sooner(at, d->earliest);
    at = sooner(at, d->again_at);
    at = sooner(at, d->retry_at);
    at = sooner(at, end_of_gap(d));
    return at == UINT64_MAX ? 0 : at;
}

void kr_stream_set_timer(struct kr_dir_s *d, uint64_t old, uint64_t at)
{
    error_t err;

    if (old && kr_clock_cancel(clock_of(d->stream), &d->timer)) {
        /* It is firing, and will leave its note: nothing to arm. If it has not cleared timer_at
           yet, any small value keeps the pumper from coming here again before it does. */
        pthread_mutex_lock(&d->lock);
        if (d->timer_at == old)
            d->timer_at = 1;
        pthread_mutex_unlock(&d->lock);
        return;
    }
    if (!old)
        kr_stream_hold(d->stream);
    pthread_mutex_lock(&d->lock);
    d->timer_at = at;
    pthread_mutex_unlock(&d->lock);
    d->timer.delay = 0;
    d->timer.deadline = at;
    err = kr_clock_request(clock_of(d->stream), &d->timer);
    if (!err)
        return;
    pthread_mutex_lock(&d->lock);
    d->timer_at = 0;
    d->tick = err == -ETIMEDOUT; /* it is that late already */
    pthread_mutex_unlock(&d->lock);
    kr_stream_put(d->stream);
}

bool kr_stream_time_ahead(struct kr_dir_s *d)
{
    uint64_t at = kr_stream_next_tick(d), old = d->timer_at;

    /* Files have no use for it: an operation on them ends by itself. */
    if (!d->stream->ops->send_frame || !d->stream->ops->abort || !at || (old && old <= at))
        return false;
    pthread_mutex_unlock(&d->lock);
    kr_stream_set_timer(d, old, at);
    pthread_mutex_lock(&d->lock);
    return true;
}

static KROUTINE_EXEC(timer_fired)
{
    struct kr_dir_s *d = KROUTINE_CONTAINER(kr, struct kr_dir_s, timer.base.kr);
    struct kr_stream_s *s = d->stream;
    bool mine, abort;

    (void)flags;
    pthread_mutex_lock(&d->lock);
    d->timer_at = 0;
    d->tick = true;
    mine = kr_stream_seize(d);
    abort = !mine && kr_stream_under_way(d);
    pthread_mutex_unlock(&d->lock);
    if (abort)
        s->ops->abort(s, d->which);
    if (mine)
        kr_stream_serve(d);
    kr_stream_put(s);
}

void kr_stream_init_timer(struct kr_dir_s *d)
{
    dev_timer_rq_init_immediate(&d->timer, timer_fired);
    d->timer.base.kr.runtime = d->stream->rt;
    d->vain_looks = COLLECT_PATIENCE;
}

void kr_stream_stop_timer(struct kr_dir_s *d)
{
    bool armed;

    pthread_mutex_lock(&d->lock);
    armed = d->timer_at != 0;
    pthread_mutex_unlock(&d->lock);
    if (armed && kr_clock_cancel(clock_of(d->stream), &d->timer) == 0) {
        d->timer_at = 0;
        kr_stream_put(d->stream);
    }
}

/* --- drains --- */

enum kr_step_e kr_stream_drain(struct kr_dir_s *d, struct kr_done_s *done)
{
    struct kr_stream_s *s = d->stream;
    uint64_t now = kr_stream_now(s);
    int64_t left;

    if (now < d->again_at)
        return KR_STEP_WAIT;
    if (kr_stream_time_ahead(d))
        return KR_STEP_AGAIN;
    d->again_at = 0;
    d->iov_total = 0;
    d->framed = false;
    d->async = s->ops->abort != NULL;
    d->async_returned = d->async_done = false;
    kr_stream_activate(d, d->queue.head);
    pthread_mutex_unlock(&d->lock);
    left = s->ops->drain(s);
    pthread_mutex_lock(&d->lock);
    if (left == -EINPROGRESS) {
        if (!kr_stream_has_completed(d))
            return KR_STEP_STARTED;
        left = d->async_result;
    }
    d->async = false;
    if (left < 0)
        return kr_stream_end_io(d, (ssize_t)left, done);
    if (!kr_stream_deactivate(d, done))
        return KR_STEP_AGAIN;
    if (left > 0)
        d->again_at = now + (uint64_t)left;
    else
        kr_stream_finish(d, kr_head(d), 0, done);
    return KR_STEP_AGAIN;
}

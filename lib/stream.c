/* SPDX-License-Identifier: MIT */
/*
 * Streams: who serves a direction, and when.
 *
 * States of a direction, besides its queue of requests:
 *
 *     free ──seize──▶ pumped ──(-EINPROGRESS)──▶ under way ──complete──▶ pumped ──▶ free
 *
 * `seize` is done under the lock by a submit, an event, a timer or a close, whoever comes first;
 * the others change what the pumper looks at (the queue, `ready`, `tick`, `closed`) and go: it
 * gives the direction free under the same lock under which it found nothing left to do. Only the
 * pumper executes kroutines of requests that end by I/O, time-out or close, so they come in order;
 * only cancel takes requests out beside it, without executing anything.
 *
 * A request is QUEUED (can be cancelled: 0), ACTIVE (its memory is in a system call right now, or
 * in an operation under way: -EBUSY, and it becomes ABORTED), or over (IDLE: -EBUSY).
 */
#include <errno.h>
#include <stdlib.h>

#include "stream_internal.h"

/* --- references --- */

void kr_stream_put(struct kr_stream_s *s)
{
    if (kr_sub(&s->refs, 1) != 1)
        return;
    for (int i = 0; i < KR_DIRS; i++) {
        pthread_mutex_destroy(&s->dir[i].lock);
        pthread_cond_destroy(&s->dir[i].quiet);
    }
    kr_frame_cleanup(&s->frames);
    if (s->ops->released)
        s->ops->released(s);
    free(s);
}

void kr_stream_keep(struct kr_stream_s *s)
{
    kr_stream_hold(s);
}

void *kr_stream_pv(const struct kr_stream_s *s)
{
    return s->pv;
}

/* --- the pump --- */

bool kr_stream_seize(struct kr_dir_s *d)
{
    if (d->pumping)
        return false;
    d->pumping = true;
    d->pumper = pthread_self();
    kr_stream_hold(d->stream);
    return true;
}

/* One by one from the list: a handler that closes the device executes the rest (close_dir), and may
   free them all. */
void kr_stream_execute(struct kr_dir_s *d)
{
    struct dev_request_s *rq;

    while ((rq = d->ended.first)) {
        d->ended.first = rq->next;
        if (!rq->next)
            d->ended.last = NULL;
        dev_request_done(rq); /* may be freed in here */
    }
}

static enum kr_step_e finish_all(struct kr_dir_s *d, struct kr_done_s *done)
{
    if (!d->queue.head)
        return KR_STEP_WAIT;
    while (d->queue.head)
        kr_stream_finish(d, kr_head(d), d->closed, done);
    return KR_STEP_AGAIN;
}

/* With the lock; may release it for a while. */
static enum kr_step_e look(struct kr_dir_s *d, struct kr_done_s *done)
{
    if (d->closed)
        return finish_all(d, done);
    if (d->drop) {
        d->drop = false;
        kr_frame_drop(&d->stream->frames);
    }
    if (d->tick) {
        kr_stream_expire(d, done);
        return KR_STEP_AGAIN;
    }
    return d->queue.head ? kr_stream_step(d, done) : KR_STEP_WAIT;
}

/* With the lock, nothing to do now. True: something was set up, look again; the lock was released.
 */
static bool prepare_to_wait(struct kr_dir_s *d)
{
    struct kr_stream_s *s = d->stream;
    uint64_t at = kr_stream_next_tick(d);

    if (d->retry_at && d->armed && s->ops->disarm) {
        d->armed = false;
        pthread_mutex_unlock(&d->lock);
        s->ops->disarm(s, d->which);
        return true;
    }
    if (d->queue.head && !d->closed && !d->armed && !d->again_at && !d->retry_at) {
        d->armed = true;
        pthread_mutex_unlock(&d->lock);
        s->ops->arm(s, d->which);
        return true;
    }
    if (at && (!d->timer_at || at < d->timer_at)) {
        uint64_t old = d->timer_at;

        pthread_mutex_unlock(&d->lock);
        kr_stream_set_timer(d, old, at);
        return true;
    }
    return false;
}

/* Does a cancel wait for the operation under way? */
static bool has_aborted(const struct kr_dir_s *d)
{
    const struct dev_request_s *rq = d->queue.head;

    for (unsigned i = d->active; i && rq; i--, rq = rq->next)
        if (rq->rq_state == DEV_RQ_ABORTED)
            return true;
    return false;
}

/* With the lock, an operation goes on by itself from here. While it was being started others could
   not stop it: is there one that was cancelled, or that the timer does not know? */
static bool missed_something(const struct kr_dir_s *d)
{
    const struct kr_stream_s *s = d->stream;
    uint64_t at = kr_stream_next_tick(d);

    return (s->ops->send_frame && at && (!d->timer_at || d->timer_at > at)) || has_aborted(d);
}

/* With the lock, which is released: the pump goes with the operation. */
static void let_go(struct kr_dir_s *d)
{
    struct kr_stream_s *s = d->stream;
    bool abort = s->ops->abort && missed_something(d);

    if (abort)
        kr_stream_hold(s);
    pthread_mutex_unlock(&d->lock);
    if (!abort)
        return;
    s->ops->abort(s, d->which); /* and what is not over begins again, or goes on where it was */
    kr_stream_put(s);
}

void kr_stream_serve(struct kr_dir_s *d)
{
    struct kr_stream_s *s = d->stream;

    for (;;) {
        enum kr_step_e step;

        pthread_mutex_lock(&d->lock);
        step = look(d, &d->ended);
        if (step == KR_STEP_STARTED) {
            let_go(d);
            return;
        }
        if (step == KR_STEP_AGAIN) {
            pthread_mutex_unlock(&d->lock);
            kr_stream_execute(d);
            continue;
        }
        if (prepare_to_wait(d))
            continue;
        d->pumping = false;
        if (d->closing)
            pthread_cond_broadcast(&d->quiet);
        pthread_mutex_unlock(&d->lock);
        kr_stream_put(s);
        return;
    }
}

/* Takes the lock; seizes and serves when the direction is free. */
static void pump(struct kr_dir_s *d)
{
    bool mine;

    pthread_mutex_lock(&d->lock);
    mine = kr_stream_seize(d);
    pthread_mutex_unlock(&d->lock);
    if (mine)
        kr_stream_serve(d);
}

/* --- events --- */

/* How many events in a row may come unasked before the descriptor is disarmed: a reader that is
   between two requests is common, a writer that has nothing to write is not. */
static const uint8_t patience[KR_DIRS] = {[KR_DIR_READ] = 8, [KR_DIR_WRITE] = 1};

/* A tty whose buffer is nearly full may say that it takes bytes, and take none; and each try in
   vain makes it say so again, since the end of a write wakes those who wait to write
   (tty_write_unlock in drivers/tty/tty_io.c). After so many events without a byte gone, time
   decides. */
#define VAIN_MAX 16
#define RETRY_NS KROUTINE_MSEC(5)

/* With the lock. */
static bool believe(struct kr_dir_s *d)
{
    if (d->which == KR_DIR_READ)
        return d->retry_at == 0; /* collecting: the next look will find it */
    if (!d->queue.head || !d->stream->ops->disarm)
        return true;
    if (d->vain < VAIN_MAX) {
        d->vain++;
        return true;
    }
    if (!d->retry_at)
        d->retry_at = kr_stream_now(d->stream) + RETRY_NS;
    return false;
}

void kr_stream_ready(struct kr_stream_s *s, enum kr_dir_e dir)
{
    struct kr_dir_s *d = &s->dir[dir];
    bool disarm = false, mine = false;

    pthread_mutex_lock(&d->lock);
    if (believe(d)) {
        d->ready = true;
        d->maybe = false;
    }
    if (d->pumping || d->queue.head) {
        d->spurious = 0;
        if (!d->pumping && dir == KR_DIR_READ && s->fd >= 0 && kr_self.reactor == s->rt) {
            kr_stream_make_runnable(s);
        } else {
            mine = kr_stream_seize(d);
        }
    } else if (d->armed && ++d->spurious >= patience[dir] && s->ops->disarm) {
        /* With the pump: an arm by another thread must not be overtaken. */
        d->spurious = 0;
        d->armed = false;
        disarm = mine = kr_stream_seize(d);
    }
    pthread_mutex_unlock(&d->lock);
    if (disarm)
        s->ops->disarm(s, dir);
    if (mine)
        kr_stream_serve(d);
}

void kr_stream_gone(struct kr_stream_s *s)
{
    for (int i = 0; i < KR_DIRS; i++) {
        struct kr_dir_s *d = &s->dir[i];

        pthread_mutex_lock(&d->lock);
        if (!d->closed)
            d->closed = KR_STREAM_GONE;
        pthread_mutex_unlock(&d->lock);
        pump(d);
    }
}

void kr_stream_complete(struct kr_stream_s *s, enum kr_dir_e dir, ssize_t result)
{
    struct kr_dir_s *d = &s->dir[dir];

    pthread_mutex_lock(&d->lock);
    d->async_done = true;
    d->async_result = result;
    if (!d->async_returned) {
        /* Faster than the call that started it: that one goes on. */
        pthread_mutex_unlock(&d->lock);
        return;
    }
    d->async = false;
    d->pumper = pthread_self();
    (d->framed ? kr_stream_end_framed : kr_stream_end_io)(d, result, &d->ended);
    pthread_mutex_unlock(&d->lock);
    kr_stream_execute(d);
    kr_stream_serve(d);
}

static KROUTINE_EXEC(kicked)
{
    struct kr_dir_s *d = KROUTINE_CONTAINER(kr, struct kr_dir_s, kick);
    struct kr_stream_s *s = d->stream;
    bool abort;

    (void)flags;
    pthread_mutex_lock(&d->lock);
    d->kicked = false;
    abort = kr_stream_under_way(d) && has_aborted(d);
    pthread_mutex_unlock(&d->lock);
    if (abort)
        s->ops->abort(s, d->which);
    pump(d);
    kr_stream_put(s);
}

/* --- the class --- */

static struct kr_dir_s *dir_of(struct kr_stream_s *s, const struct dev_char_rq_s *rq)
{
    return &s->dir[rq->type >= DEV_CHAR_WRITE ? KR_DIR_WRITE : KR_DIR_READ];
}

static bool supports(const struct kr_stream_s *s, const struct kr_dir_s *d,
                     const struct dev_char_rq_s *rq)
{
    bool frame = rq->type == DEV_CHAR_READ_FRAME || rq->type == DEV_CHAR_WRITE_FRAME ||
                 rq->type == DEV_CHAR_WRITE_FRAME_FLUSH;
    bool poll = rq->type == DEV_CHAR_READ_POLL || rq->type == DEV_CHAR_WRITE_POLL;

    if (!s->can[d->which])
        return false;
    if (s->ops->recv_frame) /* records: bytes of two must not be mixed, nor the rest of one lost */
        return frame || poll || rq->size == 0;
    return !frame || s->framing.kind != KR_FRAMING_NONE;
}

void kr_stream_request(struct kr_stream_s *s, struct dev_char_rq_s *rq)
{
    struct kr_dir_s *d = dir_of(s, rq);
    bool mine = false, too_late;
    error_t err = supports(s, d, rq) ? 0 : -ENOTSUP;

    pthread_mutex_lock(&d->lock);
    if (d->closed)
        err = d->closed;
    if (err) {
        pthread_mutex_unlock(&d->lock);
        rq->error = (int16_t)err;
        dev_request_done(&rq->base);
        return;
    }
    rq->rq_state = DEV_RQ_QUEUED;
    rq->drvuint = 0; /* READ_TIMED: bytes so far */
    dev_rq_pushback(&d->queue, &rq->base);
    if (rq->expires) {
        d->timed++;
        if (!d->earliest || rq->expires < d->earliest)
            d->earliest = rq->expires;
    }
    if (d->queue.head == &rq->base && !d->pumping && !(d->which == KR_DIR_READ && d->retry_at))
        d->ready = kr_stream_try_now(d, rq);
    if (d->queue.head == &rq->base || d->ready || rq->expires || d->pumping)
        mine = kr_stream_seize(d);
    /* Otherwise others wait before this one, for an event. Or for an operation that goes on without
       a pumper: somebody has to set the timer, and then it is started again. */
    too_late = rq->expires && s->ops->send_frame && kr_stream_under_way(d) &&
               (!d->timer_at || d->timer_at > rq->expires);
    pthread_mutex_unlock(&d->lock);
    if (too_late)
        s->ops->abort(s, d->which); /* rq may be over, and gone */
    if (mine)
        kr_stream_serve(d);
}

error_t kr_stream_cancel(struct kr_stream_s *s, struct dev_char_rq_s *rq)
{
    struct kr_dir_s *d = dir_of(s, rq);
    bool kick = false, was_head;
    error_t err = 0;

    pthread_mutex_lock(&d->lock);
    if (rq->rq_state == DEV_RQ_QUEUED) {
        was_head = d->queue.head == &rq->base;
        dev_rq_remove(&d->queue, &rq->base);
        if (rq->expires)
            d->timed--;
        rq->rq_state = DEV_RQ_IDLE;
        if (was_head)
            d->again_at = 0;
        kick = was_head && d->queue.head; /* it may have waited for this one only */
    } else {
        err = -EBUSY;
        if (rq->rq_state == DEV_RQ_ACTIVE) {
            rq->rq_state = DEV_RQ_ABORTED;
            kick = kr_stream_under_way(d);
        }
    }
    /* No handler may run in here, so the reactor looks after the rest. */
    kick = kick && !d->kicked;
    if (kick) {
        d->kicked = true;
        kr_stream_hold(s);
    }
    pthread_mutex_unlock(&d->lock);
    if (kick)
        kroutine_exec(&d->kick);
    return err;
}

/* Whoever serves the direction may be reading into the buffer: then it is left to that one. */
void kr_stream_drop_input(struct kr_stream_s *s)
{
    struct kr_dir_s *d = &s->dir[KR_DIR_READ];

    pthread_mutex_lock(&d->lock);
    if (d->pumping)
        d->drop = true;
    else
        kr_frame_drop(&s->frames);
    pthread_mutex_unlock(&d->lock);
}

/* --- life --- */

static void init_dir(struct kr_stream_s *s, enum kr_dir_e which)
{
    struct kr_dir_s *d = &s->dir[which];

    d->stream = s;
    d->which = which;
    d->ready = true; /* not known: worth a try */
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->quiet, NULL);
    dev_rq_queue_init(&d->queue);
    kr_stream_init_timer(d);
    kroutine_init_sched_switch(&d->kick, kicked);
    kroutine_bind(&d->kick, s->rt);
    d->kick.mark = KR_INTERNAL;
}

error_t kr_stream_create(struct kr_stream_s **ret, const struct kr_stream_config_s *config,
                         void *pv)
{
    struct kroutine_runtime_s *rt = device_runtime(config->dev);
    struct kr_stream_s *s;
    error_t err = kr_clock_open(&rt->clocks[KR_CLOCK_MONOTONIC]); /* for time-outs and flushes */

    if (err)
        return err;
    s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->ops = config->ops;
    s->dev = config->dev;
    s->rt = rt;
    s->framing = config->framing;
    s->fd = config->fd;
    s->can[KR_DIR_READ] = config->readable;
    s->can[KR_DIR_WRITE] = config->writable;
    s->refs = 1;
    s->pv = pv;
    err = kr_frame_init(&s->frames, &s->framing);
    if (err) {
        free(s);
        return err;
    }
    init_dir(s, KR_DIR_READ);
    init_dir(s, KR_DIR_WRITE);
    *ret = s;
    return 0;
}

static void close_dir(struct kr_dir_s *d, error_t error)
{
    struct kr_stream_s *s = d->stream;
    bool mine, aborted = false;

    pthread_mutex_lock(&d->lock);
    if (!d->closed)
        d->closed = error;
    mine = kr_stream_seize(d);
    if (!mine && !d->async && pthread_equal(d->pumper, pthread_self())) {
        /* A handler further up on this stack closes the device: of this direction, or of the same
           batch. What is over already, and waits there to be executed, comes first. */
        finish_all(d, &d->ended);
        pthread_mutex_unlock(&d->lock);
        kr_stream_execute(d);
        return;
    }
    pthread_mutex_unlock(&d->lock);
    if (mine)
        kr_stream_serve(d);
    pthread_mutex_lock(&d->lock);
    d->closing = true;
    while (d->pumping) {
        if (aborted || !kr_stream_under_way(d)) {
            pthread_cond_wait(&d->quiet, &d->lock);
            continue;
        }
        aborted = true;
        pthread_mutex_unlock(&d->lock);
        s->ops->abort(s, d->which);
        pthread_mutex_lock(&d->lock);
    }
    pthread_mutex_unlock(&d->lock);
}

void kr_stream_close(struct kr_stream_s *s, error_t error)
{
    for (int i = 0; i < KR_DIRS; i++) {
        close_dir(&s->dir[i], error);
        kr_stream_stop_timer(&s->dir[i]);
    }
}

/* SPDX-License-Identifier: MIT */
/* See requests.h for who does what. */
#include "requests.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <time.h>

#include "fd_stream.h"
#include "line.h"

#define LINES_STEP_MIN KROUTINE_MSEC(1)
#define LINES_STEP_MAX KROUTINE_MSEC(10)
#define BREAK_STEP     KROUTINE_MSEC(100) /* is the port still there? */

static struct kr_clock_s *clock_of(const struct tty_requests_s *r)
{
    return &r->rt->clocks[KR_CLOCK_MONOTONIC];
}

static struct dev_uart_rq_s *head(const struct tty_requests_s *r, enum dev_uart_rq_type_e type)
{
    return dev_uart_rq_head(&r->queue[type]);
}

/* --- the end of a request --- */

/* With the lock. */
static void finish(struct tty_requests_s *r, struct dev_uart_rq_s *rq, error_t error)
{
    dev_rq_remove(&r->queue[rq->type], &rq->base);
    rq->error = (int16_t)error;
    rq->rq_state = DEV_RQ_IDLE;
    rq->next = NULL;
    *(r->ended ? &r->ended_last->next : &r->ended) = &rq->base;
    r->ended_last = &rq->base;
}

static void finish_type(struct tty_requests_s *r, enum dev_uart_rq_type_e type, error_t error)
{
    while (head(r, type))
        finish(r, head(r, type), error);
}

static void finish_all(struct tty_requests_s *r, error_t error)
{
    for (unsigned type = 0; type < DEV_UART_TYPES; type++)
        finish_type(r, (enum dev_uart_rq_type_e)type, error);
}

/* The looker, without the lock. One by one from the list: a handler that closes the device executes
   the rest, and may free them all. */
static void execute(struct tty_requests_s *r)
{
    struct dev_request_s *rq;

    while ((rq = r->ended)) {
        r->ended = rq->next;
        dev_request_done(rq);
    }
}

/* --- asking the port --- */

/* What the looker has found out about those that were in the queues when it began. */
struct found_s {
    bool drain, lines, begin_break, end_break; /* what is asked */
    int64_t left;                              /* ns until all may have been sent, or an error */
    error_t lines_error;
    uint32_t levels;
    error_t counted; /* 0: the port has counters */
    struct tty_count_s counts;
    error_t broke; /* of the call that began or ended the break */
    bool gone;
};

/* With the lock. Requests that come later are not marked: what is found says nothing about them. */
static bool plan(struct tty_requests_s *r, struct found_s *f, uint64_t now)
{
    struct dev_uart_rq_s *first = head(r, DEV_UART_BREAK);
    bool on_line = first && first->rq_state == DEV_RQ_ACTIVE;

    *f = (struct found_s){.left = -EAGAIN};
    f->end_break = r->break_on && (!on_line || now >= r->break_until);
    f->begin_break = !r->break_on && first;
    f->drain = head(r, DEV_UART_DRAIN) || f->begin_break;
    f->lines = head(r, DEV_UART_WAIT_LINES);
    for (unsigned type = 0; type < DEV_UART_TYPES; type++)
        for (struct dev_request_s *rq = r->queue[type].head; rq; rq = rq->next)
            rq->rq_progress = 1;
    return f->drain || f->lines || f->end_break || r->break_on;
}

static void ask_lines(const struct tty_requests_s *r, struct found_s *f)
{
    f->counted = tty_count(r->fd, &f->counts);
    f->lines_error = tty_lines_get(r->fd, &f->levels);
}

/* Without the lock. */
static void ask(const struct tty_requests_s *r, struct found_s *f)
{
    int queued;

    f->gone = ioctl(r->fd, TIOCOUTQ, &queued) && tty_errno(errno) == -ENODEV;
    if (f->drain)
        f->left = kr_fd_tty_drain(r->fd, kr_load_relaxed(r->char_ns));
    if (f->lines)
        ask_lines(r, f);
    if (f->end_break)
        f->broke = tty_break(r->fd, false);
    else if (f->begin_break && r->pty)
        f->broke = -ENOTSUP; /* the call would succeed, and do nothing */
    else if (f->begin_break && f->left == 0)
        f->broke = tty_break(r->fd, true);
    f->gone |= f->left == -ENODEV || f->lines_error == -ENODEV || f->broke == -ENODEV;
}

/* --- what follows from the answers; all with the lock --- */

static void settle_drains(struct tty_requests_s *r, const struct found_s *f)
{
    struct dev_uart_rq_s *rq;

    if (f->left > 0)
        return;
    while ((rq = head(r, DEV_UART_DRAIN)) && rq->rq_progress)
        finish(r, rq, (error_t)f->left);
}

/* After the end: with the line at rest. */
static void settle_break_end(struct tty_requests_s *r, const struct found_s *f)
{
    struct dev_uart_rq_s *rq = head(r, DEV_UART_BREAK);

    r->break_on = false;
    r->break_set = false;
    if (rq && rq->rq_state == DEV_RQ_ACTIVE)
        finish(r, rq, f->broke ? f->broke : rq->drvuint ? -ETIMEDOUT : 0);
}

static void settle_break_begin(struct tty_requests_s *r, const struct found_s *f)
{
    struct dev_uart_rq_s *rq = head(r, DEV_UART_BREAK);
    uint64_t now = kr_clock_now(clock_of(r));

    if (f->left < 0 || f->broke) {
        if (rq && rq->rq_progress)
            finish(r, rq, f->broke ? f->broke : (error_t)f->left);
        return;
    }
    if (f->left > 0)
        return;
    r->break_on = true; /* also when its request was cancelled meanwhile: the next look ends it */
    r->break_until = now;
    if (!rq || !rq->rq_progress)
        return;
    rq->rq_state = DEV_RQ_ACTIVE;
    rq->drvuint = rq->expires && rq->expires < now + rq->duration;
    r->break_until = rq->drvuint ? rq->expires : now + rq->duration;
}

static void settle_lines(struct tty_requests_s *r, const struct found_s *f)
{
    struct dev_request_s *base, *next;
    uint32_t edges = r->known && !f->counted ? tty_count_edges(&f->counts, &r->counts) : 0;
    bool told = false;

    if (f->lines_error) {
        finish_type(r, DEV_UART_WAIT_LINES, f->lines_error);
        return;
    }
    for (base = r->queue[DEV_UART_WAIT_LINES].head; base; base = next) {
        struct dev_uart_rq_s *rq = dev_uart_rq_cast(base);
        uint32_t changed = ((f->levels ^ rq->lines) | edges) & rq->mask;

        next = base->next;
        if (!rq->rq_progress || !changed)
            continue;
        rq->lines = f->levels;
        rq->changed = changed;
        finish(r, rq, 0);
        told = true;
    }
    if (told || !r->known) {
        r->known = true;
        if (!f->counted)
            r->counts = f->counts;
    }
    r->step = told ? LINES_STEP_MIN : r->step * 2 < LINES_STEP_MAX ? r->step * 2 : LINES_STEP_MAX;
}

static void settle_late(struct tty_requests_s *r)
{
    uint64_t now = kr_clock_now(clock_of(r));
    struct dev_request_s *rq, *next;

    for (unsigned type = 0; type < DEV_UART_TYPES; type++) {
        for (rq = r->queue[type].head; rq; rq = next) {
            next = rq->next;
            /* A break on the line is ended first. */
            if (rq->expires && rq->expires <= now && rq->rq_state != DEV_RQ_ACTIVE)
                finish(r, dev_uart_rq_cast(rq), -ETIMEDOUT);
        }
    }
}

static void settle(struct tty_requests_s *r, const struct found_s *f)
{
    if (f->gone) {
        r->closed = r->closed ? r->closed : -ENODEV;
        finish_all(r, r->closed);
        return;
    }
    if (f->drain)
        settle_drains(r, f);
    if (f->end_break)
        settle_break_end(r, f);
    else if (f->begin_break)
        settle_break_begin(r, f);
    if (f->lines)
        settle_lines(r, f);
    settle_late(r);
}

/* --- when to look again --- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* With the lock. ns, 0: never. `f` may hold a question that is still open. */
static uint64_t next_look(const struct tty_requests_s *r, const struct found_s *f, uint64_t now)
{
    uint64_t at = UINT64_MAX;

    if (r->break_on)
        at = sooner(r->break_until, now + BREAK_STEP);
    if (head(r, DEV_UART_DRAIN) || (head(r, DEV_UART_BREAK) && !r->break_on))
        at = sooner(at, now + (f->left > 0 ? (uint64_t)f->left : KROUTINE_MSEC(1)));
    if (head(r, DEV_UART_WAIT_LINES))
        at = sooner(at, now + r->step);
    if (at == UINT64_MAX)
        return 0;
    for (unsigned type = 0; type < DEV_UART_TYPES; type++)
        for (struct dev_request_s *rq = r->queue[type].head; rq; rq = rq->next)
            at = rq->expires ? sooner(at, rq->expires) : at;
    return at;
}

/* The looker, without the lock; `old`: timer_at before. */
static void set_timer(struct tty_requests_s *r, uint64_t old, uint64_t at)
{
    error_t err;

    if (old && kr_clock_cancel(clock_of(r), &r->timer))
        return; /* it is firing, and will kick */
    if (!old)
        device_hold(r->dev);
    pthread_mutex_lock(&r->lock);
    r->timer_at = at;
    pthread_mutex_unlock(&r->lock);
    r->timer.delay = 0;
    r->timer.deadline = at;
    err = kr_clock_request(clock_of(r), &r->timer);
    if (!err)
        return;
    pthread_mutex_lock(&r->lock);
    r->timer_at = 0;
    r->again = err == -ETIMEDOUT; /* it is that late already */
    pthread_mutex_unlock(&r->lock);
    device_release(r->dev);
}

/* --- looking --- */

/* With the lock, which is released meanwhile. True: there is more to do now. */
static bool look_once(struct tty_requests_s *r)
{
    struct found_s f;
    uint64_t at, old;
    bool any;

    r->again = false;
    any = !r->closed && plan(r, &f, kr_clock_now(clock_of(r)));
    pthread_mutex_unlock(&r->lock);
    if (any)
        ask(r, &f);
    pthread_mutex_lock(&r->lock);
    if (r->closed)
        finish_all(r, r->closed);
    else if (any)
        settle(r, &f);
    if (r->ended) {
        pthread_mutex_unlock(&r->lock);
        execute(r);
        pthread_mutex_lock(&r->lock);
        if (!r->closed) /* handlers may have submitted, and a break may have to begin */
            return true;
    }
    at = any && !r->closed ? next_look(r, &f, kr_clock_now(clock_of(r))) : 0;
    old = r->timer_at;
    if (at && (!old || at < old)) {
        pthread_mutex_unlock(&r->lock);
        set_timer(r, old, at);
        pthread_mutex_lock(&r->lock);
    }
    return r->again;
}

static KROUTINE_EXEC(look)
{
    struct tty_requests_s *r = KROUTINE_CONTAINER(kr, struct tty_requests_s, look);
    struct device_s *dev = r->dev;

    (void)flags;
    pthread_mutex_lock(&r->lock);
    r->kicked = false;
    r->again = true;
    if (!r->looking) {
        r->looking = true;
        r->looker = pthread_self();
        while (look_once(r))
            ;
        r->looking = false;
        pthread_cond_broadcast(&r->quiet);
    }
    pthread_mutex_unlock(&r->lock);
    device_release(dev);
}

/* With the lock. True: the caller executes the look once it has released it. */
static bool want_kick(struct tty_requests_s *r)
{
    if (r->kicked || r->closed)
        return false;
    if (r->looking) {
        r->again = true;
        return false;
    }
    r->kicked = true;
    device_hold(r->dev);
    return true;
}

static KROUTINE_EXEC(timer_fired)
{
    struct tty_requests_s *r = KROUTINE_CONTAINER(kr, struct tty_requests_s, timer.base.kr);
    struct device_s *dev = r->dev;
    bool kick;

    (void)flags;
    pthread_mutex_lock(&r->lock);
    r->timer_at = 0;
    kick = want_kick(r);
    pthread_mutex_unlock(&r->lock);
    if (kick)
        kroutine_exec(&r->look);
    device_release(dev);
}

/* --- the class --- */

void tty_requests_submit(struct tty_requests_s *r, struct dev_uart_rq_s *rq)
{
    error_t closed;
    bool kick = false;

    pthread_mutex_lock(&r->lock);
    closed = r->closed;
    if (!closed) {
        rq->rq_state = DEV_RQ_QUEUED;
        dev_uart_rq_pushback(&r->queue[rq->type], rq);
        if (rq->type == DEV_UART_WAIT_LINES)
            r->step = LINES_STEP_MIN;
        kick = want_kick(r);
    }
    pthread_mutex_unlock(&r->lock);
    if (closed) {
        rq->error = (int16_t)closed;
        dev_uart_rq_done(rq);
    } else if (kick) {
        kroutine_exec(&r->look);
    }
}

error_t tty_requests_cancel(struct tty_requests_s *r, struct dev_uart_rq_s *rq)
{
    error_t err = -EBUSY;
    bool kick = false;

    pthread_mutex_lock(&r->lock);
    if (rq->rq_state != DEV_RQ_IDLE) {
        /* The break that it was is ended by the next look, and the one behind it begins. */
        kick = rq->rq_state == DEV_RQ_ACTIVE && want_kick(r);
        dev_uart_rq_remove(&r->queue[rq->type], rq);
        rq->rq_state = DEV_RQ_IDLE;
        err = 0;
    }
    pthread_mutex_unlock(&r->lock);
    if (kick)
        kroutine_exec(&r->look);
    return err;
}

error_t tty_requests_get_lines(struct tty_requests_s *r, uint32_t *lines)
{
    struct tty_count_s counts;
    error_t counted = tty_count(r->fd, &counts); /* first: an edge after it is told later */
    error_t err = tty_lines_get(r->fd, lines);

    if (err)
        return err;
    pthread_mutex_lock(&r->lock);
    r->known = true;
    if (!counted)
        r->counts = counts;
    pthread_mutex_unlock(&r->lock);
    return 0;
}

error_t tty_requests_set_break(struct tty_requests_s *r, bool on)
{
    int queued = 0;
    error_t err = 0;

    if (r->pty)
        return -ENOTSUP;
    pthread_mutex_lock(&r->lock);
    if (head(r, DEV_UART_BREAK) || r->break_on)
        err = -EBUSY;
    else
        r->break_set = on;
    pthread_mutex_unlock(&r->lock);
    if (!err && on && ioctl(r->fd, TIOCOUTQ, &queued) == 0 && queued)
        err = -EAGAIN; /* the call would wait */
    return err ? err : tty_break(r->fd, on);
}

/* --- life --- */

error_t tty_requests_init(struct tty_requests_s *r, struct device_s *dev, int fd, bool pty,
                          const uint64_t *char_ns)
{
    error_t err;

    r->dev = dev;
    r->rt = device_runtime(dev);
    r->fd = fd;
    r->pty = pty;
    r->char_ns = char_ns;
    err = kr_clock_open(clock_of(r));
    if (err)
        return err;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->quiet, NULL);
    for (unsigned type = 0; type < DEV_UART_TYPES; type++)
        dev_rq_queue_init(&r->queue[type]);
    r->step = LINES_STEP_MIN;
    kroutine_init_deferred(&r->look, look);
    kroutine_bind(&r->look, r->rt);
    r->look.mark = KR_INTERNAL;
    dev_timer_rq_init_immediate(&r->timer, timer_fired);
    r->timer.base.kr.runtime = r->rt;
    return 0;
}

/* With the lock: another thread looks. Should its call wait for bytes to leave (see tty_break),
   they are thrown away: the close has no use for them. */
static void wait_until_quiet(struct tty_requests_s *r)
{
    struct timespec until;

    while (r->looking) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)KROUTINE_MSEC(200);
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_cond_timedwait(&r->quiet, &r->lock, &until) != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&r->lock);
        ioctl(r->fd, TCFLSH, TCOFLUSH);
        pthread_mutex_lock(&r->lock);
    }
}

void tty_requests_close(struct tty_requests_s *r, error_t error)
{
    bool above, armed, on;

    pthread_mutex_lock(&r->lock);
    if (!r->closed)
        r->closed = error;
    above = r->looking && pthread_equal(r->looker, pthread_self());
    if (!above) {
        wait_until_quiet(r);
        r->looking = true; /* a look that comes now leaves the end of the requests to this thread */
        r->looker = pthread_self();
    }
    finish_all(r, r->closed);
    on = r->break_on || r->break_set;
    armed = r->timer_at != 0;
    pthread_mutex_unlock(&r->lock);
    if (on)
        tty_break(r->fd, false);
    execute(r);
    if (armed && kr_clock_cancel(clock_of(r), &r->timer) == 0)
        device_release(r->dev);
    if (kroutine_cancel(&r->look))
        device_release(r->dev);
    if (above)
        return;
    pthread_mutex_lock(&r->lock);
    r->looking = false;
    pthread_cond_broadcast(&r->quiet);
    pthread_mutex_unlock(&r->lock);
}

void tty_requests_destroy(struct tty_requests_s *r)
{
    pthread_cond_destroy(&r->quiet);
    pthread_mutex_destroy(&r->lock);
}

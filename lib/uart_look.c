/* SPDX-License-Identifier: MIT */
/* One look at a port: what is asked, what follows for the requests, and when to look again. See
   uart_requests.h for who calls it. */
#include <errno.h>

#include "uart_requests.h"

#define BREAK_STEP KROUTINE_MSEC(100) /* is the port still there? */

/* --- the end of a request --- */

/* With the lock. */
static void finish(struct kr_uart_requests_s *r, struct dev_uart_rq_s *rq, error_t error)
{
    dev_rq_remove(&r->queue[rq->type], &rq->base);
    rq->error = (int16_t)error;
    rq->rq_state = DEV_RQ_IDLE;
    rq->next = NULL;
    *(r->ended ? &r->ended_last->next : &r->ended) = &rq->base;
    r->ended_last = &rq->base;
}

static void finish_type(struct kr_uart_requests_s *r, enum dev_uart_rq_type_e type, error_t error)
{
    while (kr_uart_head(r, type))
        finish(r, kr_uart_head(r, type), error);
}

void kr_uart_finish_all(struct kr_uart_requests_s *r, error_t error)
{
    for (unsigned type = 0; type < DEV_UART_TYPES; type++)
        finish_type(r, (enum dev_uart_rq_type_e)type, error);
}

/* The looker, without the lock. One by one from the list: a handler that closes the device executes
   the rest, and may free them all. */
void kr_uart_execute(struct kr_uart_requests_s *r)
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
    error_t counted; /* 0: the port counts edges */
    struct kr_uart_edges_s edges;
    error_t broke; /* of the call that began or ended the break */
    bool gone;
};

/* With the lock. Requests that come later are not marked: what is found says nothing about them. */
static bool plan(struct kr_uart_requests_s *r, struct found_s *f, uint64_t now)
{
    struct dev_uart_rq_s *first = kr_uart_head(r, DEV_UART_BREAK);
    bool on_line = first && first->rq_state == DEV_RQ_ACTIVE;

    *f = (struct found_s){.left = -EAGAIN};
    f->end_break = r->break_on && (!on_line || now >= r->break_until);
    f->begin_break = !r->break_on && first;
    f->drain = kr_uart_head(r, DEV_UART_DRAIN) || f->begin_break;
    f->lines = kr_uart_head(r, DEV_UART_WAIT_LINES);
    for (unsigned type = 0; type < DEV_UART_TYPES; type++)
        for (struct dev_request_s *rq = r->queue[type].head; rq; rq = rq->next)
            rq->rq_progress = 1;
    return f->drain || f->lines || f->end_break || r->break_on;
}

/* Without the lock. */
static void ask(const struct kr_uart_requests_s *r, struct found_s *f)
{
    const struct kr_uart_port_ops_s *ops = r->ops;

    f->gone = ops->gone(r->port);
    if (f->drain)
        f->left = ops->left(r->port);
    if (f->lines) {
        f->counted = ops->edges(r->port, &f->edges); /* first: a later edge is told later */
        f->lines_error = ops->levels(r->port, &f->levels);
    }
    if (f->end_break)
        f->broke = ops->set_break(r->port, false);
    else if (f->begin_break && f->left == 0)
        f->broke = ops->set_break(r->port, true);
    f->gone |= f->left == -ENODEV || f->lines_error == -ENODEV || f->broke == -ENODEV;
}

/* --- what follows from the answers; all with the lock --- */

static void settle_drains(struct kr_uart_requests_s *r, const struct found_s *f)
{
    struct dev_uart_rq_s *rq;

    if (f->left > 0)
        return;
    while ((rq = kr_uart_head(r, DEV_UART_DRAIN)) && rq->rq_progress)
        finish(r, rq, (error_t)f->left);
}

/* After the end: with the line at rest. */
static void settle_break_end(struct kr_uart_requests_s *r, const struct found_s *f)
{
    struct dev_uart_rq_s *rq = kr_uart_head(r, DEV_UART_BREAK);

    r->break_on = false;
    r->break_set = false;
    if (rq && rq->rq_state == DEV_RQ_ACTIVE)
        finish(r, rq, f->broke ? f->broke : rq->drvuint ? -ETIMEDOUT : 0);
}

static void settle_break_begin(struct kr_uart_requests_s *r, const struct found_s *f)
{
    struct dev_uart_rq_s *rq = kr_uart_head(r, DEV_UART_BREAK);
    uint64_t now = kr_clock_now(kr_uart_clock(r));

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

static uint32_t edges_since(const struct kr_uart_edges_s *now, const struct kr_uart_edges_s *before)
{
    return (now->cts != before->cts ? (uint32_t)DEV_UART_CTS : 0) |
           (now->dsr != before->dsr ? (uint32_t)DEV_UART_DSR : 0) |
           (now->dcd != before->dcd ? (uint32_t)DEV_UART_DCD : 0) |
           (now->ri != before->ri ? (uint32_t)DEV_UART_RI : 0);
}

static void settle_lines(struct kr_uart_requests_s *r, const struct found_s *f)
{
    struct dev_request_s *base, *next;
    uint32_t edges = r->known && !f->counted ? edges_since(&f->edges, &r->edges) : 0;
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
            r->edges = f->edges;
    }
    r->step = told                             ? KR_UART_STEP_MIN
              : r->step * 2 < KR_UART_STEP_MAX ? r->step * 2
                                               : KR_UART_STEP_MAX;
}

static void settle_late(struct kr_uart_requests_s *r)
{
    uint64_t now = kr_clock_now(kr_uart_clock(r));
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

static void settle(struct kr_uart_requests_s *r, const struct found_s *f)
{
    if (f->gone) {
        r->closed = r->closed ? r->closed : -ENODEV;
        kr_uart_finish_all(r, r->closed);
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
static uint64_t next_look(const struct kr_uart_requests_s *r, const struct found_s *f, uint64_t now)
{
    uint64_t at = UINT64_MAX;

    if (r->break_on)
        at = sooner(r->break_until, now + BREAK_STEP);
    if (kr_uart_head(r, DEV_UART_DRAIN) || (kr_uart_head(r, DEV_UART_BREAK) && !r->break_on))
        at = sooner(at, now + (f->left > 0 ? (uint64_t)f->left : KROUTINE_MSEC(1)));
    if (kr_uart_head(r, DEV_UART_WAIT_LINES) && !r->ops->tells)
        at = sooner(at, now + r->step);
    for (unsigned type = 0; type < DEV_UART_TYPES; type++)
        for (struct dev_request_s *rq = r->queue[type].head; rq; rq = rq->next)
            at = rq->expires ? sooner(at, rq->expires) : at;
    return at == UINT64_MAX ? 0 : at;
}

/* The looker, without the lock; `old`: timer_at before. */
static void set_timer(struct kr_uart_requests_s *r, uint64_t old, uint64_t at)
{
    error_t err;

    if (old && kr_clock_cancel(kr_uart_clock(r), &r->timer))
        return; /* it is firing, and will kick */
    if (!old)
        device_hold(r->dev);
    pthread_mutex_lock(&r->lock);
    r->timer_at = at;
    pthread_mutex_unlock(&r->lock);
    r->timer.delay = 0;
    r->timer.deadline = at;
    err = kr_clock_request(kr_uart_clock(r), &r->timer);
    if (!err)
        return;
    pthread_mutex_lock(&r->lock);
    r->timer_at = 0;
    r->again = err == -ETIMEDOUT; /* it is that late already */
    pthread_mutex_unlock(&r->lock);
    device_release(r->dev);
}

/* --- looking --- */

bool kr_uart_look_once(struct kr_uart_requests_s *r)
{
    struct found_s f;
    uint64_t at, old;
    bool any;

    r->again = false;
    any = !r->closed && plan(r, &f, kr_clock_now(kr_uart_clock(r)));
    pthread_mutex_unlock(&r->lock);
    if (any)
        ask(r, &f);
    pthread_mutex_lock(&r->lock);
    if (r->closed)
        kr_uart_finish_all(r, r->closed);
    else if (any)
        settle(r, &f);
    if (r->ended) {
        pthread_mutex_unlock(&r->lock);
        kr_uart_execute(r);
        pthread_mutex_lock(&r->lock);
        if (!r->closed) /* handlers may have submitted, and a break may have to begin */
            return true;
    }
    at = any && !r->closed ? next_look(r, &f, kr_clock_now(kr_uart_clock(r))) : 0;
    old = r->timer_at;
    if (at && (!old || at < old)) {
        pthread_mutex_unlock(&r->lock);
        set_timer(r, old, at);
        pthread_mutex_lock(&r->lock);
    }
    return r->again;
}

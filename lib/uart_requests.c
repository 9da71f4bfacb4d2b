/* SPDX-License-Identifier: MIT */
/* See uart_requests.h for who does what. */
#include <errno.h>
#include <time.h>

#include "uart_requests.h"

static KROUTINE_EXEC(look)
{
    struct kr_uart_requests_s *r = KROUTINE_CONTAINER(kr, struct kr_uart_requests_s, look);
    struct device_s *dev = r->dev;

    (void)flags;
    pthread_mutex_lock(&r->lock);
    r->kicked = false;
    r->again = true;
    if (!r->looking) {
        r->looking = true;
        r->looker = pthread_self();
        while (kr_uart_look_once(r))
            ;
        r->looking = false;
        pthread_cond_broadcast(&r->quiet);
    }
    pthread_mutex_unlock(&r->lock);
    device_release(dev);
}

/* With the lock. True: the caller executes the look once it has released it. */
static bool want_kick(struct kr_uart_requests_s *r)
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
    struct kr_uart_requests_s *r = KROUTINE_CONTAINER(kr, struct kr_uart_requests_s, timer.base.kr);
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

void kr_uart_requests_submit(struct kr_uart_requests_s *r, struct dev_uart_rq_s *rq)
{
    error_t closed;
    bool kick = false;

    pthread_mutex_lock(&r->lock);
    closed = r->closed;
    if (!closed) {
        rq->rq_state = DEV_RQ_QUEUED;
        dev_uart_rq_pushback(&r->queue[rq->type], rq);
        if (rq->type == DEV_UART_WAIT_LINES)
            r->step = KR_UART_STEP_MIN;
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

error_t kr_uart_requests_cancel(struct kr_uart_requests_s *r, struct dev_uart_rq_s *rq)
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

void kr_uart_requests_changed(struct kr_uart_requests_s *r)
{
    bool kick;

    pthread_mutex_lock(&r->lock);
    kick = (r->queue[DEV_UART_WAIT_LINES].head || r->queue[DEV_UART_DRAIN].head ||
            r->queue[DEV_UART_BREAK].head) &&
           want_kick(r);
    pthread_mutex_unlock(&r->lock);
    if (kick)
        kroutine_exec(&r->look);
}

error_t kr_uart_requests_get_lines(struct kr_uart_requests_s *r, uint32_t *lines)
{
    struct kr_uart_edges_s edges;
    error_t counted = r->ops->edges(r->port, &edges); /* first: a later edge is told later */
    error_t err = r->ops->levels(r->port, lines);

    if (err)
        return err;
    pthread_mutex_lock(&r->lock);
    r->known = true;
    if (!counted)
        r->edges = edges;
    pthread_mutex_unlock(&r->lock);
    return 0;
}

error_t kr_uart_requests_set_break(struct kr_uart_requests_s *r, bool on)
{
    error_t err = 0;

    pthread_mutex_lock(&r->lock);
    if (kr_uart_head(r, DEV_UART_BREAK) || r->break_on)
        err = -EBUSY;
    else
        r->break_set = on;
    pthread_mutex_unlock(&r->lock);
    if (!err && on && r->ops->left(r->port) > 0)
        err = -EAGAIN; /* the call might wait */
    return err ? err : r->ops->set_break(r->port, on);
}

/* --- life --- */

error_t kr_uart_requests_init(struct kr_uart_requests_s *r, struct device_s *dev,
                              const struct kr_uart_port_ops_s *ops, void *port)
{
    error_t err;

    r->rt = device_runtime(dev);
    r->ops = ops;
    r->port = port;
    err = kr_clock_open(kr_uart_clock(r));
    if (err)
        return err;
    r->dev = dev;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->quiet, NULL);
    for (unsigned type = 0; type < DEV_UART_TYPES; type++)
        dev_rq_queue_init(&r->queue[type]);
    r->step = KR_UART_STEP_MIN;
    kroutine_init_deferred(&r->look, look);
    kroutine_bind(&r->look, r->rt);
    r->look.mark = KR_INTERNAL;
    dev_timer_rq_init_immediate(&r->timer, timer_fired);
    r->timer.base.kr.runtime = r->rt;
    return 0;
}

/* With the lock: another thread looks. Should its call wait for bytes to leave (see tty_break),
   they are thrown away: the close has no use for them. */
static void wait_until_quiet(struct kr_uart_requests_s *r)
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
        r->ops->drop_output(r->port);
        pthread_mutex_lock(&r->lock);
    }
}

void kr_uart_requests_close(struct kr_uart_requests_s *r, error_t error)
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
    kr_uart_finish_all(r, r->closed);
    on = r->break_on || r->break_set;
    armed = r->timer_at != 0;
    pthread_mutex_unlock(&r->lock);
    if (on)
        r->ops->set_break(r->port, false);
    kr_uart_execute(r);
    if (armed && kr_clock_cancel(kr_uart_clock(r), &r->timer) == 0)
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

void kr_uart_requests_destroy(struct kr_uart_requests_s *r)
{
    pthread_cond_destroy(&r->quiet);
    pthread_mutex_destroy(&r->lock);
}

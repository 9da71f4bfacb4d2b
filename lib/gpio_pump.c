/* SPDX-License-Identifier: MIT */
/*
 * Lines: who serves a device, and when.
 *
 *     free ──seize──▶ pumped ──nothing left to do──▶ free
 *
 * `seize` is done under the lock by a submit, an event, the timer or a close, whoever comes first;
 * the others change what the pumper looks at (the queues, `ready`, `tick`, `closed`) and go: it
 * gives the device free under the same lock under which it found nothing left to do. Only the
 * pumper executes kroutines, so they come in order; only cancel takes requests out beside it,
 * without executing anything.
 *
 * A request is QUEUED (can be cancelled: 0), ACTIVE (the pumper is at it: -EBUSY), or over (IDLE:
 * -EBUSY). The descriptor of the driver tells edges: it may have some while `ready`; else it is
 * `armed` and will call, or nobody waits. It is disarmed when it calls and nobody waits, so that
 * edges that nobody wants wake nobody up; the driver keeps them meanwhile, and counts what it
 * cannot.
 */
#include "gpio_internal.h"

#define READ_MAX 32 /* edges a call of the driver */

/* --- endings --- */

void kr_lines_finish(struct kr_lines_s *l, struct dev_request_s *rq, error_t error)
{
    rq->error = (int16_t)error;
    rq->rq_state = DEV_RQ_IDLE;
    rq->next = NULL;
    *(l->ended.first ? &l->ended.last->next : &l->ended.first) = rq;
    l->ended.last = rq;
}

/* One by one from the list: a handler that closes the device executes the rest, and may free them
   all. */
void kr_lines_execute(struct kr_lines_s *l)
{
    struct dev_request_s *rq;

    while ((rq = l->ended.first)) {
        l->ended.first = rq->next;
        if (!rq->next)
            l->ended.last = NULL;
        dev_request_done(rq); /* may be freed in here */
    }
}

static bool finish_queue(struct kr_lines_s *l, struct dev_request_queue_root_s *q, error_t error)
{
    struct dev_request_s *rq;
    bool any = false;

    while ((rq = dev_rq_pop(q))) {
        kr_lines_finish(l, rq, error);
        any = true;
    }
    return any;
}

static bool finish_waiting(struct kr_lines_s *l, error_t error)
{
    bool any = finish_queue(l, &l->until, error);

    return finish_queue(l, &l->events, error) || any;
}

bool kr_lines_finish_all(struct kr_lines_s *l)
{
    bool any = finish_queue(l, &l->work, l->closed);

    return finish_waiting(l, l->closed) || any;
}

/* --- time-outs --- */

static void expire_queue(struct kr_lines_s *l, struct dev_request_queue_root_s *q, uint64_t now)
{
    struct dev_request_s *next;

    for (struct dev_request_s *rq = q->head; rq; rq = next) {
        next = rq->next;
        if (!rq->expires || rq->expires > now)
            continue;
        dev_rq_remove(q, rq);
        kr_lines_finish(l, rq, -ETIMEDOUT);
    }
}

static uint64_t earliest(const struct dev_request_queue_root_s *q, uint64_t at)
{
    for (const struct dev_request_s *rq = q->head; rq; rq = rq->next)
        at = rq->expires && rq->expires < at ? rq->expires : at;
    return at;
}

/* With the lock: when the device must be looked at without an event: ns, 0: never. */
static uint64_t next_tick(const struct kr_lines_s *l)
{
    uint64_t at, rest;

    if (l->closed || (!l->until.head && !l->events.head))
        return 0;
    at = earliest(&l->events, earliest(&l->until, UINT64_MAX));
    rest = kr_lines_rest_in(l);
    if (rest != UINT64_MAX) {
        rest += kr_clock_now(kr_lines_clock(l));
        at = rest < at ? rest : at;
    }
    return at == UINT64_MAX ? 0 : at;
}

/* The pumper, without the lock; `old`: timer_at before. An armed timer holds a reference. */
static void set_timer(struct kr_lines_s *l, uint64_t old, uint64_t at)
{
    error_t err;

    if (old && kr_clock_cancel(kr_lines_clock(l), &l->timer)) {
        /* It is firing, and will leave its note: nothing to arm. If it has not cleared timer_at
           yet, any small value keeps the pumper from coming here again before it does. */
        pthread_mutex_lock(&l->lock);
        if (l->timer_at == old)
            l->timer_at = 1;
        pthread_mutex_unlock(&l->lock);
        return;
    }
    if (!old)
        kr_lines_hold(l);
    pthread_mutex_lock(&l->lock);
    l->timer_at = at;
    pthread_mutex_unlock(&l->lock);
    l->timer.delay = 0;
    l->timer.deadline = at;
    err = kr_clock_request(kr_lines_clock(l), &l->timer);
    if (!err)
        return;
    pthread_mutex_lock(&l->lock);
    l->timer_at = 0;
    l->tick = err == -ETIMEDOUT; /* it is that late already */
    pthread_mutex_unlock(&l->lock);
    kr_lines_put(l);
}

/* --- the pump --- */

bool kr_lines_seize(struct kr_lines_s *l)
{
    if (l->pumping)
        return false;
    l->pumping = true;
    l->pumper = pthread_self();
    kr_lines_hold(l);
    return true;
}

static void work(struct kr_lines_s *l)
{
    struct dev_gpio_rq_s *rq = dev_gpio_rq_pop(&l->work);
    error_t err;

    rq->rq_state = DEV_RQ_ACTIVE;
    pthread_mutex_unlock(&l->lock);
    err = kr_lines_perform(l, rq);
    pthread_mutex_lock(&l->lock);
    kr_lines_finish(l, &rq->base, err);
}

/* Edges that nobody waits for are left to the driver. */
static bool wants_edges(const struct kr_lines_s *l)
{
    return l->until.head || l->events.head || (l->eager && l->streaming);
}

/* Can this request be, with the modes of now? */
static error_t admit(const struct kr_lines_s *l, const struct dev_gpio_rq_s *rq)
{
    uint64_t mask;

    if (rq->type == DEV_GPIO_EVENT)
        return rq->need & ~l->cap ? -ENOTSUP : l->inputs ? 0 : -EINVAL;
    mask = rq->until.mask << rq->io_first & kr_lines_mask(rq->io_first, rq->io_last);
    for (uint64_t left = mask; left; left &= left - 1) {
        uint32_t edges = l->mode[__builtin_ctzll(left)].flags & DEV_GPIO_BOTH;

        if (edges && edges != DEV_GPIO_BOTH)
            return -EINVAL;
    }
    return mask && !(mask & ~l->inputs) ? 0 : -EINVAL;
}

static void admit_queue(struct kr_lines_s *l, struct dev_request_queue_root_s *q)
{
    struct dev_request_s *next;

    for (struct dev_request_s *rq = q->head; rq; rq = next) {
        error_t err;

        next = rq->next;
        if (rq->rq_progress != KR_LINES_NEW)
            continue;
        err = admit(l, dev_gpio_rq_cast(rq));
        if (err) {
            dev_rq_remove(q, rq);
            kr_lines_finish(l, rq, err);
            continue;
        }
        rq->rq_progress = KR_LINES_ADMITTED;
        l->streaming |= rq->type == DEV_GPIO_EVENT;
        l->ready |= rq->type == DEV_GPIO_UNTIL; /* edges of before must not end it */
    }
}

/* With the lock, which it releases for the call. */
static void read_edges(struct kr_lines_s *l)
{
    struct dev_gpio_event_s edges[READ_MAX];
    int n;

    l->ready = false;
    pthread_mutex_unlock(&l->lock);
    n = l->ops->read(l, edges, READ_MAX);
    pthread_mutex_lock(&l->lock);
    for (int i = 0; i < n; i++)
        kr_lines_edge(l, &edges[i]);
    if (n == READ_MAX)
        l->ready = true;
    else if (n == -ENODEV && !l->closed)
        l->closed = -ENODEV;
    else if (n < 0)
        finish_waiting(l, n);
}

/* With the lock, which it releases for the call: no edge of before is left, so what the new UNTIL
   requests find now counts, and what comes later comes as an edge. */
static bool check_levels(struct kr_lines_s *l)
{
    uint64_t levels = 0;
    struct dev_request_s *at, *next;
    bool any = false;
    error_t err;

    for (at = l->until.head; at && at->rq_progress != KR_LINES_ADMITTED; at = at->next)
        ;
    if (!at)
        return false;
    pthread_mutex_unlock(&l->lock);
    err = l->ops->get(l, l->inputs, &levels);
    pthread_mutex_lock(&l->lock);
    levels = (levels & ~l->debounce) | (l->levels & l->debounce);
    for (at = l->until.head; at; at = next) {
        struct dev_gpio_rq_s *rq = dev_gpio_rq_cast(at);
        uint64_t data = (levels & kr_lines_mask(rq->io_first, rq->io_last)) >> rq->io_first;

        next = at->next;
        if (at->rq_progress != KR_LINES_ADMITTED)
            continue;
        at->rq_progress = KR_LINES_LEVEL;
        if (!err && !((data ^ rq->until.data) & rq->until.mask))
            continue;
        if (!err)
            rq->until.data = data;
        dev_rq_remove(&l->until, at);
        kr_lines_finish(l, at, err);
        any = true;
    }
    return any;
}

/* With the lock; may release it for a while. True: look again. */
static bool look_at_edges(struct kr_lines_s *l)
{
    bool any = l->fresh;
    error_t err;

    if (any) {
        l->fresh = false;
        admit_queue(l, &l->until);
        admit_queue(l, &l->events);
    }
    if (kr_lines_deliver(l) || any)
        return true;
    if (!wants_edges(l))
        return false;
    if (l->inputs & ~l->watched) {
        pthread_mutex_unlock(&l->lock);
        err = kr_lines_watch(l);
        pthread_mutex_lock(&l->lock);
        if (err)
            finish_waiting(l, err);
        return err == 0 || l->ended.first;
    }
    if (l->ready) {
        read_edges(l);
        return true;
    }
    if (!l->armed) {
        l->armed = true;
        pthread_mutex_unlock(&l->lock);
        l->ops->arm(l);
        pthread_mutex_lock(&l->lock);
        return true;
    }
    return kr_lines_settle(l) || check_levels(l);
}

/* With the lock; may release it for a while. True: look again. */
static bool look(struct kr_lines_s *l)
{
    if (l->closed)
        return kr_lines_finish_all(l);
    if (l->tick) {
        uint64_t now = kr_clock_now(kr_lines_clock(l));

        l->tick = false;
        expire_queue(l, &l->until, now);
        expire_queue(l, &l->events, now);
        return true;
    }
    if (l->work.head) {
        work(l);
        return true;
    }
    return look_at_edges(l);
}

void kr_lines_serve(struct kr_lines_s *l)
{
    for (;;) {
        bool more = look(l);
        uint64_t at, old;

        if (l->ended.first) {
            pthread_mutex_unlock(&l->lock);
            kr_lines_execute(l);
            pthread_mutex_lock(&l->lock);
        }
        if (more)
            continue;
        at = next_tick(l);
        old = l->timer_at;
        if (at && (!old || at < old)) {
            pthread_mutex_unlock(&l->lock);
            set_timer(l, old, at);
            pthread_mutex_lock(&l->lock);
            continue;
        }
        l->pumping = false;
        if (l->closing)
            pthread_cond_broadcast(&l->quiet);
        pthread_mutex_unlock(&l->lock);
        kr_lines_put(l);
        return;
    }
}

void kr_lines_pump(struct kr_lines_s *l)
{
    if (kr_lines_seize(l))
        kr_lines_serve(l);
    else
        pthread_mutex_unlock(&l->lock);
}

/* --- events --- */

void kr_lines_ready(struct kr_lines_s *l)
{
    pthread_mutex_lock(&l->lock);
    l->ready = true;
    if (l->armed && !l->pumping && !wants_edges(l)) {
        kr_lines_seize(l); /* with the pump: an arm must not be overtaken */
        l->armed = false;
        pthread_mutex_unlock(&l->lock);
        l->ops->disarm(l);
        pthread_mutex_lock(&l->lock);
        kr_lines_serve(l);
    } else {
        kr_lines_pump(l);
    }
}

void kr_lines_gone(struct kr_lines_s *l)
{
    pthread_mutex_lock(&l->lock);
    if (!l->closed)
        l->closed = -ENODEV;
    kr_lines_pump(l);
}

KROUTINE_EXEC(kr_lines_timer)
{
    struct kr_lines_s *l = KROUTINE_CONTAINER(kr, struct kr_lines_s, timer.base.kr);

    (void)flags;
    pthread_mutex_lock(&l->lock);
    l->timer_at = 0;
    l->tick = true;
    kr_lines_pump(l);
    kr_lines_put(l);
}

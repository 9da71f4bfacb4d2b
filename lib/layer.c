/* SPDX-License-Identifier: MIT */
/*
 * The frame of drivers on top of another device.
 *
 *     free ──seize──▶ pumped ──nothing left to do──▶ free
 *
 * The pumper is a submit, the kick, or a close. Who comes meanwhile changes what it looks at, under
 * the lock, and goes: it gives the layer free under the same lock under which it found nothing to
 * do. Only the pumper calls the step, submits below, and executes kroutines; so all of that comes
 * in order. Only cancel takes requests out beside it.
 *
 * Of the request that has its turn, `current`:
 *
 *     NONE ──▶ STEP ─┬──────────────▶ SUBMITTING ──▶ BUSY ──handler──▶ OVER ──▶ STEP
 *                    ├▶ PAUSE ──time──▶ │ └────────────handler──────────▶ OVER
 *                    └▶ NONE: finished
 *
 * BUSY and PAUSE can be taken back, under the lock: then the request is over at once. Otherwise
 * `stop` is set, and it ends after the next step. The handler of the request below is IMMEDIATE,
 * whatever thread that is, and only takes a note; the kick, on the reactor, goes on from there,
 * since a request of a class of nested completion may not be submitted from an IMMEDIATE handler.
 *
 * At a close the request below may be with a bus that is busy for seconds, and the thread that has
 * to end it may be the one that closes: it is left behind. It is in the private memory, which the
 * hold that it has keeps.
 */
#include <stdlib.h>

#include "alarm.h"
#include "device.h"
#include "kroutine/layer.h"

enum below_e { BELOW_NONE, BELOW_STEP, BELOW_SUBMITTING, BELOW_BUSY, BELOW_OVER, BELOW_PAUSE };

struct dev_layer_s {
    struct device_s *dev;
    dev_layer_step_t *step;
    struct device_accessor_s *acc;
    struct dev_request_s *request; /* below; holds the device while it is submitted */
    struct kroutine_s kick;        /* SCHED_SWITCH; holds the device while it is pending */
    uint64_t pause;                /* of the step: ns */
    pthread_mutex_t lock;          /* guards what follows */
    pthread_cond_t quiet;          /* pumping went false */
    struct kr_alarm_s alarm;
    struct dev_request_queue_root_s queue;
    struct dev_request_queue_root_s ended; /* handlers to execute */
    struct dev_request_s *current;
    enum below_e below;
    unsigned timed;  /* requests with a time-out, `current` included */
    uint64_t resume; /* PAUSE: ns on the monotonic clock */
    error_t stop;    /* `current` ends with it as soon as it can */
    error_t closed;
    bool sealed; /* the accessor below is about to go */
    bool left;   /* it is gone, and what may be under way there is left behind */
    bool kicked;
    bool pumping;
    pthread_t pumper;
};

static struct dev_layer_s *layer_of(const struct device_s *dev)
{
    return *(struct dev_layer_s **)device_pv(dev);
}

static uint64_t now(const struct dev_layer_s *l)
{
    return kr_clock_now(&device_runtime(l->dev)->clocks[KR_CLOCK_MONOTONIC]);
}

/* --- endings: with the lock --- */

static void forget(struct dev_layer_s *l, struct dev_request_s *rq)
{
    l->timed -= rq->expires != 0;
    rq->rq_state = DEV_RQ_IDLE;
}

static void finish(struct dev_layer_s *l, struct dev_request_s *rq, error_t err)
{
    forget(l, rq);
    rq->error = (int16_t)err;
    dev_rq_pushback(&l->ended, rq);
}

static void finish_current(struct dev_layer_s *l, error_t err)
{
    struct dev_request_s *rq = l->current;

    l->current = NULL;
    finish(l, rq, err);
}

/* One by one from the list: a handler that closes the device executes the rest. */
static void execute(struct dev_layer_s *l)
{
    struct dev_request_s *rq;

    while ((rq = dev_rq_pop(&l->ended))) {
        pthread_mutex_unlock(&l->lock);
        dev_request_done(rq);
        pthread_mutex_lock(&l->lock);
    }
}

/* What `current` waits for is taken back. */
static bool take_back(struct dev_layer_s *l)
{
    if (l->below == BELOW_BUSY && !l->sealed && kr_request_cancel(l->acc, l->request) == 0)
        device_release(l->dev); /* of the request below; there are others */
    else if (l->below != BELOW_PAUSE)
        return false;
    l->below = BELOW_NONE;
    return true;
}

/* False: it ends later. */
static bool stop_current(struct dev_layer_s *l, error_t err)
{
    if (take_back(l))
        return true;
    l->current->rq_state = DEV_RQ_ABORTED;
    if (!l->stop)
        l->stop = err;
    return false;
}

/* Requests whose time is up; all, when the device is closed. */
static void expire(struct dev_layer_s *l)
{
    uint64_t time = l->closed ? 0 : now(l);
    error_t err = l->closed ? l->closed : -ETIMEDOUT;
    struct dev_request_s *rq = l->current, *next;

    if (rq && !l->stop && rq->expires && rq->expires <= time && stop_current(l, err))
        finish_current(l, err);
    for (rq = l->queue.head; rq; rq = next) {
        next = rq->next;
        if (!l->closed && (!rq->expires || rq->expires > time))
            continue;
        dev_rq_remove(&l->queue, rq);
        finish(l, rq, err);
    }
}

/* --- the pumper --- */

/* With the lock. True: the caller executes l->kick, with the lock or without it. */
static bool want_kick(struct dev_layer_s *l)
{
    if (l->kicked)
        return false;
    l->kicked = true;
    device_hold(l->dev);
    return true;
}

static KROUTINE_EXEC(below_over)
{
    struct dev_request_s *rq = KROUTINE_CONTAINER(kr, struct dev_request_s, kr);
    struct dev_layer_s *l = rq->pvdata;
    struct device_s *dev = l->dev;
    bool kick;

    (void)flags;
    pthread_mutex_lock(&l->lock);
    kick = l->below == BELOW_BUSY && want_kick(l);
    l->below = BELOW_OVER;
    pthread_mutex_unlock(&l->lock);
    if (kick)
        kroutine_exec(&l->kick);
    device_release(dev);
}

/* With the lock, which it releases for the call. */
static void submit_below(struct dev_layer_s *l)
{
    error_t err;

    l->below = BELOW_SUBMITTING;
    kroutine_set_priority(&l->request->kr, l->current->kr.priority);
    device_hold(l->dev);
    pthread_mutex_unlock(&l->lock);
    err = kr_request_submit(l->acc, l->request);
    pthread_mutex_lock(&l->lock);
    if (err) { /* a class of nested submission has refused it */
        l->request->error = (int16_t)err;
        l->below = BELOW_OVER;
        device_release(l->dev);
    } else if (l->below == BELOW_SUBMITTING) {
        l->below = BELOW_BUSY;
    }
    if (l->current && (l->stop || l->closed) && take_back(l))
        finish_current(l, l->stop ? l->stop : l->closed);
}

/* With the lock, which it releases for the call. */
static void step(struct dev_layer_s *l, error_t err)
{
    error_t stop;
    int next;

    l->below = BELOW_STEP;
    pthread_mutex_unlock(&l->lock);
    next = l->step(l->dev, l->current, err);
    pthread_mutex_lock(&l->lock);
    l->below = BELOW_NONE;
    stop = l->stop ? l->stop : l->closed;
    if (next == -ECANCELED && stop) /* below too: by us */
        next = stop;
    if (next > 0 && stop)
        next = stop;
    if (next <= 0) {
        finish_current(l, next);
    } else if (next == DEV_LAYER_PAUSE) {
        l->below = BELOW_PAUSE;
        l->resume = now(l) + l->pause;
    } else {
        submit_below(l);
    }
}

static bool next_request(struct dev_layer_s *l)
{
    l->current = dev_rq_pop(&l->queue);
    if (!l->current)
        return false;
    l->current->rq_state = DEV_RQ_ACTIVE;
    l->stop = 0;
    step(l, 0);
    return true;
}

/* With the lock, which it may release for a while. True: look again. */
static bool look(struct dev_layer_s *l)
{
    if (l->closed || l->timed)
        expire(l);
    if (!l->current)
        return next_request(l);
    if (l->below == BELOW_OVER)
        step(l, l->request->error);
    else if (l->below == BELOW_PAUSE && !l->closed && now(l) >= l->resume)
        submit_below(l);
    else if (l->closed && (l->left || take_back(l)))
        finish_current(l, l->stop ? l->stop : l->closed);
    else
        return false;
    return true;
}

/* With the lock: when to look without being kicked. */
static uint64_t next_look(const struct dev_layer_s *l)
{
    uint64_t at = UINT64_MAX;

    if (l->closed)
        return at;
    if (l->current && l->below == BELOW_PAUSE)
        at = l->resume;
    if (!l->timed)
        return at;
    if (l->current && !l->stop && l->current->expires && l->current->expires < at)
        at = l->current->expires;
    for (const struct dev_request_s *rq = l->queue.head; rq; rq = rq->next)
        at = rq->expires && rq->expires < at ? rq->expires : at;
    return at;
}

/* With the lock, which it releases. True: look again. */
static bool set_alarm(struct dev_layer_s *l)
{
    uint64_t at = next_look(l);
    error_t err;

    if (at == UINT64_MAX || (l->alarm.at && l->alarm.at <= at))
        return false;
    pthread_mutex_unlock(&l->lock);
    err = kr_alarm_set(&l->alarm, at);
    pthread_mutex_lock(&l->lock);
    return !err || err == -ETIMEDOUT;
}

static void serve(struct dev_layer_s *l)
{
    bool more;

    do {
        more = look(l);
        execute(l);
    } while (more || l->ended.head || set_alarm(l));
}

/* With the lock. */
static void pump(struct dev_layer_s *l)
{
    if (l->pumping)
        return;
    l->pumping = true;
    l->pumper = pthread_self();
    serve(l);
    l->pumping = false;
    pthread_cond_broadcast(&l->quiet);
}

static KROUTINE_EXEC(kicked)
{
    struct dev_layer_s *l = KROUTINE_CONTAINER(kr, struct dev_layer_s, kick);
    struct device_s *dev = l->dev;

    (void)flags;
    pthread_mutex_lock(&l->lock);
    l->kicked = false;
    pump(l);
    pthread_mutex_unlock(&l->lock);
    device_release(dev);
}

static struct kroutine_s *alarm_rang(struct kr_alarm_s *alarm)
{
    struct dev_layer_s *l = KROUTINE_CONTAINER(alarm, struct dev_layer_s, alarm);

    return want_kick(l) ? &l->kick : NULL;
}

/* --- requests --- */

void dev_layer_request(struct device_s *dev, struct dev_request_s *rq)
{
    struct dev_layer_s *l = layer_of(dev);
    error_t err;

    pthread_mutex_lock(&l->lock);
    err = l->closed;
    if (!err) {
        l->timed += rq->expires != 0;
        rq->rq_state = DEV_RQ_QUEUED;
        dev_rq_pushback(&l->queue, rq);
        pump(l);
    }
    pthread_mutex_unlock(&l->lock);
    if (err) {
        rq->error = (int16_t)err;
        dev_request_done(rq);
    }
}

error_t dev_layer_cancel(struct device_s *dev, struct dev_request_s *rq)
{
    struct dev_layer_s *l = layer_of(dev);
    error_t err = -EBUSY;
    bool kick = false;

    pthread_mutex_lock(&l->lock);
    if (rq->rq_state == DEV_RQ_QUEUED) {
        dev_rq_remove(&l->queue, rq);
        forget(l, rq);
        err = 0;
    } else if (rq == l->current && !l->closed && stop_current(l, -ECANCELED)) {
        l->current = NULL;
        forget(l, rq);
        err = 0;
        kick = l->queue.head && want_kick(l); /* for the next one */
    }
    pthread_mutex_unlock(&l->lock);
    if (kick)
        kroutine_exec(&l->kick);
    return err;
}

int dev_layer_submit_after(struct device_s *dev, uint64_t ns)
{
    layer_of(dev)->pause = ns;
    return DEV_LAYER_PAUSE;
}

/* --- life --- */

static error_t open_below(struct device_s *dev, const struct device_spec_s *spec,
                          struct device_accessor_s *acc, enum driver_class_e cl)
{
    const char *address = device_spec_address(spec);

    if (!*address || *address == '?')
        return device_error(-EINVAL, "the device below is missing: %s:PATH, with class %s",
                            device_driver_name(dev), device_class_name(cl));
    return device_get_accessor_by_path(acc, kroutine_runtime_devices(device_runtime(dev)), address,
                                       cl);
}

error_t dev_layer_open(struct device_s *dev, const struct device_spec_s *spec,
                       dev_layer_step_t *layer_step, struct device_accessor_s *acc,
                       enum driver_class_e cl, struct dev_request_s *below)
{
    struct dev_layer_s *l = calloc(1, sizeof(*l));
    error_t err;

    if (!l)
        return device_error(-ENOMEM, "out of memory");
    err = open_below(dev, spec, acc, cl);
    if (!err) {
        err = kr_clock_open(&device_runtime(dev)->clocks[KR_CLOCK_MONOTONIC]);
        if (err)
            device_put_accessor(acc);
    }
    if (err) {
        free(l);
        return err;
    }
    l->dev = dev;
    l->step = layer_step;
    l->acc = acc;
    l->request = below;
    dev_request_init_immediate(below, below_over);
    below->pvdata = l;
    kroutine_init_sched_switch(&l->kick, kicked);
    kroutine_bind(&l->kick, device_runtime(dev));
    l->kick.mark = KR_INTERNAL;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->quiet, NULL);
    kr_alarm_init(&l->alarm, dev, &l->lock, alarm_rang);
    *(struct dev_layer_s **)device_pv(dev) = l;
    return 0;
}

void dev_layer_free(struct device_s *dev)
{
    struct dev_layer_s *l = layer_of(dev);

    pthread_cond_destroy(&l->quiet);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void dev_layer_discard(struct device_s *dev)
{
    device_put_accessor(layer_of(dev)->acc);
    dev_layer_free(dev);
}

/* The pumper that is further up on this stack is not waited for. */
static void wait_quiet(struct dev_layer_s *l)
{
    while (l->pumping && !pthread_equal(l->pumper, pthread_self()))
        pthread_cond_wait(&l->quiet, &l->lock);
}

void dev_layer_close(struct device_s *dev)
{
    struct dev_layer_s *l = layer_of(dev);
    bool nested;

    pthread_mutex_lock(&l->lock);
    l->closed = -ECANCELED;
    wait_quiet(l);
    if (l->below == BELOW_BUSY && l->current && take_back(l))
        finish_current(l, l->stop ? l->stop : l->closed);
    l->sealed = true;
    pthread_mutex_unlock(&l->lock);
    /* The last accessor: waits for what is under way, and step() will hear of it. */
    device_put_accessor(l->acc);
    pthread_mutex_lock(&l->lock);
    wait_quiet(l);
    l->left = true;
    nested = l->pumping;
    l->pumping = true;
    l->pumper = pthread_self();
    serve(l);
    l->pumping = nested;
    pthread_cond_broadcast(&l->quiet);
    pthread_mutex_unlock(&l->lock);
    kr_alarm_stop(&l->alarm);
}

/* SPDX-License-Identifier: MIT */
/*
 * Channels of a dma engine. Requests of a channel are worked off one after the other by its pump, a
 * kroutine; only the pump executes handlers, so they come in order. The others change what it looks
 * at, and kick it.
 *
 *     QUEUED ──turn──▶ ACTIVE ──OVER──▶ IDLE, handler
 *        │                │ cancel, time-out, close
 *        │                ├─ between two turns, the engine stops ──▶ IDLE
 *        │                └─ in a turn, or it cannot stop: `stop` is set ──turn──▶ IDLE, handler
 *        └─ cancel, time-out, close ──▶ IDLE
 *
 * `inside` says that the pump is in the driver or in the kroutine of a period, without the lock: a
 * cancel then leaves a note, unless it comes from that very kroutine, which is between two turns.
 * The pump looks at chan->current afterwards: who took the request out has cleared it.
 */
#include <stdlib.h>

#include "dma_engine.h"

static struct kr_clock_s *clock_of(const struct kr_dma_engine_s *engine)
{
    return &kr_device_runtime(engine->dev)->clocks[KR_CLOCK_MONOTONIC];
}

uint64_t kr_dma_engine_now(const struct kr_dma_engine_s *engine)
{
    return kr_clock_now(clock_of(engine));
}

/* --- with the lock --- */

/* True: the caller executes chan->pump without the lock. */
static bool want_pump(struct kr_dma_chan_s *chan)
{
    chan->again = true;
    if (chan->pumping)
        return false;
    chan->pumping = true;
    device_hold(chan->engine->dev);
    return true;
}

static bool busy(const struct kr_dma_chan_s *chan)
{
    return chan->inside && !pthread_equal(chan->thread, pthread_self());
}

static void take_queued(struct kr_dma_chan_s *chan, struct dev_dma_rq_s *rq)
{
    dev_dma_rq_remove(&chan->queue, rq);
    chan->waiting--;
    chan->timed -= rq->expires != 0;
    rq->rq_state = DEV_RQ_IDLE;
}

/* The engine has done with `current`. */
static struct dev_dma_rq_s *take_current(struct kr_dma_chan_s *chan)
{
    struct dev_dma_rq_s *rq = chan->current;

    chan->timed -= rq->expires != 0;
    rq->rq_state = DEV_RQ_IDLE;
    chan->current = NULL;
    chan->stop = 0;
    return rq;
}

/* False: it ends later, by a turn. */
static bool stop_current(struct kr_dma_chan_s *chan, error_t err, bool force)
{
    const struct kr_dma_ops_s *ops = chan->engine->ops;

    if (!busy(chan) && (!ops->stop || !ops->stop(chan, force)))
        return true;
    chan->current->rq_state = DEV_RQ_ABORTED;
    if (!chan->stop)
        chan->stop = err;
    return false;
}

static void end(struct kr_dma_chan_s *chan, struct dev_dma_rq_s *rq, error_t err)
{
    rq->error = (int16_t)err;
    dev_dma_rq_pushback(&chan->ended, rq);
}

static bool is_late(const struct dev_dma_rq_s *rq, uint64_t now)
{
    return rq->expires && rq->expires <= now;
}

/* Requests whose time is up, or all when the device is closed. */
static void expire(struct kr_dma_chan_s *chan, uint64_t now)
{
    error_t closed = chan->engine->closed, err = closed ? closed : -ETIMEDOUT;
    struct dev_request_s *next;

    if (chan->current && (closed || (!chan->stop && is_late(chan->current, now)))) {
        error_t stop = chan->stop ? chan->stop : err;

        if (stop_current(chan, stop, closed != 0))
            end(chan, take_current(chan), stop);
    }
    for (struct dev_request_s *at = chan->queue.head; at; at = next) {
        struct dev_dma_rq_s *rq = dev_dma_rq_cast(at);

        next = at->next;
        if (!closed && !is_late(rq, now))
            continue;
        take_queued(chan, rq);
        end(chan, rq, err);
    }
}

/* The first time-out. */
static uint64_t earliest(const struct kr_dma_chan_s *chan)
{
    uint64_t at = UINT64_MAX;

    if (!chan->timed)
        return at;
    if (chan->current && !chan->stop && chan->current->expires)
        at = chan->current->expires;
    for (const struct dev_request_s *rq = chan->queue.head; rq; rq = rq->next)
        at = rq->expires && rq->expires < at ? rq->expires : at;
    return at;
}

/* On another thread than this. */
static bool executes_elsewhere(const struct kr_dma_chan_s *chan)
{
    return chan->executing && !pthread_equal(chan->executor, pthread_self());
}

/* With the lock, which it releases around handlers. One by one from the list: a handler that closes
   the device executes the rest, and may free them all. One thread at a time, so that handlers come
   in order, and a close knows when the last has returned: the pump leaves the rest to a close that
   has begun with them. */
static void execute(struct kr_dma_chan_s *chan)
{
    struct kr_dma_engine_s *engine = chan->engine;
    struct dev_dma_rq_s *rq;

    if (executes_elsewhere(chan))
        return;
    while ((rq = dev_dma_rq_pop(&chan->ended))) {
        chan->executing++;
        chan->executor = pthread_self();
        pthread_mutex_unlock(&engine->lock);
        dev_dma_rq_done(rq);
        pthread_mutex_lock(&engine->lock);
        chan->executing--;
        pthread_cond_broadcast(&engine->quiet);
    }
}

/* For time-outs, and for drivers that wait. */
static struct kroutine_s *alarm_rang(struct kr_alarm_s *alarm)
{
    struct kr_dma_chan_s *chan = KROUTINE_CONTAINER(alarm, struct kr_dma_chan_s, alarm);

    return want_pump(chan) ? &chan->pump : NULL;
}

/* --- the pump --- */

/* With the lock, which it releases for the driver. When to look again. */
static uint64_t make_turn(struct kr_dma_chan_s *chan)
{
    struct kr_dma_engine_s *engine = chan->engine;
    struct kr_dma_turn_s turn = {.state = KR_DMA_MORE, .at = UINT64_MAX};
    struct dev_dma_rq_s *rq = chan->current;
    bool first = !rq;

    if (first) {
        rq = chan->current = dev_dma_rq_pop(&chan->queue);
        chan->waiting--;
        rq->rq_state = DEV_RQ_ACTIVE;
        chan->stop = 0;
        chan->pos = (struct dev_dma_walk_s){0};
    }
    chan->inside = true;
    chan->thread = pthread_self();
    pthread_mutex_unlock(&engine->lock);
    engine->ops->turn(chan, first, &turn);
    if (turn.periods) {
        kr_store_release(&rq->periods, rq->periods + turn.periods);
        if (rq->period)
            kroutine_exec(rq->period);
    }
    pthread_mutex_lock(&engine->lock);
    chan->inside = false;
    pthread_cond_broadcast(&engine->quiet);
    if (chan->current != rq) { /* taken out from the kroutine of its period */
        chan->again = true;
        return 0;
    }
    if (turn.state != KR_DMA_OVER && chan->stop &&
        (!engine->ops->stop || !engine->ops->stop(chan, engine->closed != 0))) {
        turn.state = KR_DMA_OVER;
        turn.error = chan->stop;
    }
    if (turn.state == KR_DMA_OVER) {
        end(chan, take_current(chan), turn.error);
        chan->again = true;
        return UINT64_MAX;
    }
    chan->again |= turn.state == KR_DMA_MORE;
    return turn.at;
}

/* One turn, so that others of the pool, or of the reactor, have theirs in between. */
static KROUTINE_EXEC(pump)
{
    struct kr_dma_chan_s *chan = KROUTINE_CONTAINER(kr, struct kr_dma_chan_s, pump);
    struct kr_dma_engine_s *engine = chan->engine;
    struct device_s *dev = engine->dev;
    uint64_t at = UINT64_MAX, late;
    bool again;

    pthread_mutex_lock(&engine->lock);
    chan->again = false;
    if (engine->closed || chan->timed)
        expire(chan, engine->closed ? 0 : kr_dma_engine_now(engine));
    if (chan->current || chan->queue.head)
        at = make_turn(chan);
    execute(chan);
    late = earliest(chan);
    at = late < at ? late : at;
    again = chan->again;
    pthread_mutex_unlock(&engine->lock);

    late = !again && at != UINT64_MAX ? kr_alarm_set(&chan->alarm, at) == -ETIMEDOUT : 0;
    pthread_mutex_lock(&engine->lock);
    again = chan->again || late;
    chan->pumping = again;
    pthread_mutex_unlock(&engine->lock);
    if (again)
        kroutine_exec(&chan->pump);
    else
        device_release(dev);
}

/* --- requests --- */

error_t kr_dma_engine_use(struct device_s *dev, enum device_use_e use)
{
    if (use == DEV_USE_GET_ACCESSOR)
        return kr_clock_open(&device_runtime(dev)->clocks[KR_CLOCK_MONOTONIC]);
    return 0;
}

/* The channel with the least before the request; the first of equals. */
static struct kr_dma_chan_s *choose(struct kr_dma_engine_s *engine, uint32_t mask)
{
    struct kr_dma_chan_s *best = NULL;
    unsigned least = UINT32_MAX;

    for (unsigned i = 0; i < engine->channels; i++) {
        struct kr_dma_chan_s *chan = &engine->chan[i];
        unsigned load = chan->waiting + (chan->current != NULL);

        if ((!mask || mask & 1u << i) && load < least) {
            best = chan;
            least = load;
        }
    }
    return best;
}

error_t kr_dma_engine_request(struct kr_dma_engine_s *engine, struct dev_dma_rq_s *rq)
{
    struct kr_dma_chan_s *chan;
    bool run = false;
    error_t err;

    pthread_mutex_lock(&engine->lock);
    err = engine->closed;
    if (!err) {
        chan = choose(engine, rq->chan_mask);
        rq->chan = chan->number;
        rq->drvdata = chan;
        rq->rq_state = DEV_RQ_QUEUED;
        dev_dma_rq_pushback(&chan->queue, rq);
        chan->waiting++;
        chan->timed += rq->expires != 0;
        run = want_pump(chan);
    }
    pthread_mutex_unlock(&engine->lock);
    if (run)
        kroutine_exec(&chan->pump); /* `rq` may be over by now */
    return err;
}

error_t kr_dma_engine_cancel(struct kr_dma_engine_s *engine, struct dev_dma_rq_s *rq)
{
    struct kr_dma_chan_s *chan;
    error_t err = -EBUSY;
    bool run = false;

    pthread_mutex_lock(&engine->lock);
    chan = rq->drvdata;
    if (rq->rq_state == DEV_RQ_QUEUED) {
        take_queued(chan, rq);
        err = 0;
    } else if (rq->rq_state == DEV_RQ_ACTIVE) {
        if (stop_current(chan, -ECANCELED, false)) {
            take_current(chan);
            err = 0;
        }
        run = want_pump(chan); /* the next one's turn, or this one's end */
    }
    pthread_mutex_unlock(&engine->lock);
    if (run)
        kroutine_exec(&chan->pump);
    return err;
}

void kr_dma_engine_kick(struct kr_dma_chan_s *chan)
{
    struct kr_dma_engine_s *engine = chan->engine;
    bool run;

    pthread_mutex_lock(&engine->lock);
    run = want_pump(chan);
    pthread_mutex_unlock(&engine->lock);
    if (run)
        kroutine_exec(&chan->pump);
}

/* --- life --- */

error_t kr_dma_engine_create(struct kr_dma_engine_s **ret, struct device_s *dev,
                             const struct kr_dma_ops_s *ops, unsigned channels)
{
    struct kr_dma_engine_s *engine =
        calloc(1, sizeof(*engine) + channels * sizeof(engine->chan[0]));

    if (!engine)
        return -ENOMEM;
    engine->ops = ops;
    engine->dev = dev;
    engine->channels = channels;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->quiet, NULL);
    for (unsigned i = 0; i < channels; i++) {
        struct kr_dma_chan_s *chan = &engine->chan[i];

        chan->engine = engine;
        chan->number = i;
        if (ops->policy == KROUTINE_DEFERRED)
            kroutine_init_deferred(&chan->pump, pump);
        else
            kroutine_init_sched_switch(&chan->pump, pump);
        kroutine_bind(&chan->pump, device_runtime(dev));
        chan->pump.mark = KR_INTERNAL;
        kr_alarm_init(&chan->alarm, dev, &engine->lock, alarm_rang);
    }
    *ret = engine;
    return 0;
}

/* A kroutine of a period that runs on this very thread, and has led to this call, is not waited
   for. What is in a turn is ended by its pump. */
static bool all_over(struct kr_dma_engine_s *engine)
{
    bool over = true;

    for (unsigned i = 0; i < engine->channels; i++) {
        expire(&engine->chan[i], 0);
        over = over && !engine->chan[i].current;
    }
    return over;
}

static void end_channel(struct kr_dma_chan_s *chan)
{
    struct kr_dma_engine_s *engine = chan->engine;

    while (executes_elsewhere(chan))
        pthread_cond_wait(&engine->quiet, &engine->lock);
    execute(chan);
    pthread_mutex_unlock(&engine->lock);
    kr_alarm_stop(&chan->alarm);
    pthread_mutex_lock(&engine->lock);
}

void kr_dma_engine_close(struct kr_dma_engine_s *engine, error_t err)
{
    pthread_mutex_lock(&engine->lock);
    engine->closed = err;
    while (!all_over(engine))
        pthread_cond_wait(&engine->quiet, &engine->lock);
    for (unsigned i = 0; i < engine->channels; i++)
        end_channel(&engine->chan[i]);
    pthread_mutex_unlock(&engine->lock);
}

void kr_dma_engine_free(struct kr_dma_engine_s *engine)
{
    pthread_cond_destroy(&engine->quiet);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

void kr_dma_engine_gone(struct kr_dma_engine_s *engine)
{
    pthread_mutex_lock(&engine->lock);
    if (!engine->closed)
        engine->closed = -ENODEV;
    pthread_mutex_unlock(&engine->lock);
    for (unsigned i = 0; i < engine->channels; i++)
        kr_dma_engine_kick(&engine->chan[i]);
}

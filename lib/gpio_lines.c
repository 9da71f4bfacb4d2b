/* SPDX-License-Identifier: MIT */
/* Lines as a device: the operations of the class, the beginning and the end. */
#include <stdlib.h>

#include "gpio_internal.h"

/* --- references --- */

void kr_lines_put(struct kr_lines_s *l)
{
    if (kr_sub(&l->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->quiet);
    free(l->unrest);
    free(l->ring);
    free(l);
}

void *kr_lines_pv(const struct kr_lines_s *l)
{
    return l->pv;
}

unsigned kr_lines_count(const struct kr_lines_s *l)
{
    return l->count;
}

/* --- the class --- */

static struct dev_request_queue_root_s *queue_of(struct kr_lines_s *l,
                                                 const struct dev_gpio_rq_s *rq)
{
    return rq->type == DEV_GPIO_UNTIL   ? &l->until
           : rq->type == DEV_GPIO_EVENT ? &l->events
                                        : &l->work;
}

void kr_lines_request(struct kr_lines_s *l, struct dev_gpio_rq_s *rq)
{
    error_t err = rq->io_last < l->count ? 0 : -EINVAL;

    pthread_mutex_lock(&l->lock);
    if (l->closed)
        err = l->closed;
    if (err) {
        pthread_mutex_unlock(&l->lock);
        rq->error = (int16_t)err;
        dev_request_done(&rq->base);
        return;
    }
    rq->rq_state = DEV_RQ_QUEUED;
    dev_gpio_rq_pushback(queue_of(l, rq), rq);
    l->fresh |= rq->type == DEV_GPIO_UNTIL || rq->type == DEV_GPIO_EVENT;
    kr_lines_pump(l);
}

error_t kr_lines_cancel(struct kr_lines_s *l, struct dev_gpio_rq_s *rq)
{
    error_t err = -EBUSY;

    pthread_mutex_lock(&l->lock);
    if (rq->rq_state == DEV_RQ_QUEUED) {
        dev_gpio_rq_remove(queue_of(l, rq), rq);
        rq->rq_state = DEV_RQ_IDLE;
        err = 0;
    } else if (rq->rq_state == DEV_RQ_ACTIVE) {
        rq->rq_state = DEV_RQ_ABORTED;
    }
    pthread_mutex_unlock(&l->lock);
    return err;
}

/* The pump for a call that is not a request; -EBUSY: another thread has it. *mine: to be served
   afterwards; false: a handler on this very stack was called by the pumper, which waits for it. */
static error_t borrow(struct kr_lines_s *l, bool *mine)
{
    error_t err;

    pthread_mutex_lock(&l->lock);
    err = l->closed;
    *mine = !err && kr_lines_seize(l);
    if (!err && !*mine && !pthread_equal(l->pumper, pthread_self()))
        err = device_error(-EBUSY, "another thread is at this device: use the request");
    pthread_mutex_unlock(&l->lock);
    return err;
}

static void give_back(struct kr_lines_s *l, bool mine)
{
    if (!mine)
        return;
    pthread_mutex_lock(&l->lock);
    kr_lines_serve(l);
}

error_t kr_lines_set_mode(struct kr_lines_s *l, unsigned first, unsigned last, uint64_t mask,
                          uint32_t mode, uint32_t debounce_us)
{
    bool mine;
    error_t err = borrow(l, &mine);

    if (!err)
        err = kr_lines_change_mode(l, first, last, mask, mode, debounce_us);
    give_back(l, mine);
    return err;
}

error_t kr_lines_start(struct kr_lines_s *l)
{
    bool mine;
    error_t err = borrow(l, &mine);

    if (!err)
        err = l->inputs ? kr_lines_watch(l) : -EINVAL;
    if (!err) {
        pthread_mutex_lock(&l->lock);
        l->streaming = true;
        pthread_mutex_unlock(&l->lock);
    }
    give_back(l, mine);
    return err;
}

/* --- life --- */

error_t kr_lines_create(struct kr_lines_s **ret, const struct kr_lines_config_s *config, void *pv)
{
    struct kroutine_runtime_s *rt = device_runtime(config->dev);
    struct kr_lines_s *l;
    error_t err = kr_clock_open(&rt->clocks[KR_CLOCK_MONOTONIC]); /* for time-outs and debounce */

    if (err)
        return err;
    l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->ring = calloc(config->buffer, sizeof(l->ring[0]));
    if (!l->ring) {
        free(l);
        return -ENOMEM;
    }
    l->ring_size = config->buffer;
    l->ops = config->ops;
    l->pv = pv;
    l->dev = config->dev;
    l->rt = rt;
    l->count = config->count;
    l->cap = config->cap;
    l->eager = config->eager;
    l->realtime = config->realtime;
    l->refs = 1;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->quiet, NULL);
    dev_rq_queue_init(&l->work);
    dev_rq_queue_init(&l->until);
    dev_rq_queue_init(&l->events);
    dev_timer_rq_init_immediate(&l->timer, kr_lines_timer);
    l->timer.base.kr.runtime = rt;
    *ret = l;
    return 0;
}

void kr_lines_close(struct kr_lines_s *l, error_t error)
{
    bool mine, armed;

    pthread_mutex_lock(&l->lock);
    if (!l->closed)
        l->closed = error;
    mine = kr_lines_seize(l);
    if (!mine && pthread_equal(l->pumper, pthread_self())) {
        /* A handler further up on this stack closes the device. What is over already, and waits
           there to be executed, comes first. */
        kr_lines_finish_all(l);
        pthread_mutex_unlock(&l->lock);
        kr_lines_execute(l);
    } else {
        if (mine) {
            kr_lines_serve(l);
            pthread_mutex_lock(&l->lock);
        }
        l->closing = true;
        while (l->pumping)
            pthread_cond_wait(&l->quiet, &l->lock);
        pthread_mutex_unlock(&l->lock);
    }
    pthread_mutex_lock(&l->lock);
    armed = l->timer_at != 0;
    pthread_mutex_unlock(&l->lock);
    if (armed && kr_clock_cancel(kr_lines_clock(l), &l->timer) == 0) {
        l->timer_at = 0;
        kr_lines_put(l);
    }
}

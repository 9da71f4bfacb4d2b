/* SPDX-License-Identifier: MIT */
/*
 * What requests of all classes share: initialisation, the queues of drivers, the end of a request,
 * and waiting for it.
 *
 * A request that is over leaves marks in this order, the next one always set before the previous is
 * cleared, so that a reader who looks at them in this order finds at least one until the end:
 *
 *     kr.mark ──▶ running on the completing thread ──▶ kr pending ──▶ running ──▶ nothing
 */
#include <errno.h>

#include "device.h"
#include "stream.h"

/* --- initialisation --- */

static void reset(struct dev_request_s *rq)
{
    struct kroutine_s kr = rq->kr;

    *rq = (struct dev_request_s){.kr = kr};
}

void dev_request_init(struct dev_request_s *rq, kroutine_exec_t *exec)
{
    KR_CHECK(kr_check_idle_slow(rq, "re-initialised"));
    kroutine_init_deferred(&rq->kr, exec);
    reset(rq);
}

void dev_request_init_immediate(struct dev_request_s *rq, kroutine_exec_t *exec)
{
    KR_CHECK(kr_check_idle_slow(rq, "re-initialised"));
    kroutine_init_immediate(&rq->kr, exec);
    reset(rq);
}

void dev_request_init_sched_switch(struct dev_request_s *rq, kroutine_exec_t *exec)
{
    KR_CHECK(kr_check_idle_slow(rq, "re-initialised"));
    kroutine_init_sched_switch(&rq->kr, exec);
    reset(rq);
}

void dev_request_init_seq(struct dev_request_s *rq, kroutine_exec_t *exec,
                          struct kroutine_sequence_s *seq)
{
    KR_CHECK(kr_check_idle_slow(rq, "re-initialised"));
    kroutine_init_deferred_seq(&rq->kr, exec, seq);
    reset(rq);
}

void dev_request_init_queue(struct dev_request_s *rq, kroutine_exec_t *exec,
                            struct kroutine_queue_s *queue)
{
    KR_CHECK(kr_check_idle_slow(rq, "re-initialised"));
    kroutine_init_queue(&rq->kr, exec, queue);
    reset(rq);
}

void dev_request_set_timeout(struct dev_request_s *rq, uint64_t timeout_ns)
{
    rq->timeout = timeout_ns;
}

void dev_request_destroy(struct dev_request_s *rq)
{
    KR_CHECK(kr_check_idle_slow(rq, "destroyed"));
}

/* --- queues --- */

void dev_rq_pushback(struct dev_request_queue_root_s *q, struct dev_request_s *rq)
{
    rq->next = NULL;
    rq->prev = q->tail;
    *(q->tail ? &q->tail->next : &q->head) = rq;
    q->tail = rq;
}

void dev_rq_remove(struct dev_request_queue_root_s *q, struct dev_request_s *rq)
{
    *(rq->prev ? &rq->prev->next : &q->head) = rq->next;
    *(rq->next ? &rq->next->prev : &q->tail) = rq->prev;
    rq->next = rq->prev = NULL;
}

struct dev_request_s *dev_rq_pop(struct dev_request_queue_root_s *q)
{
    struct dev_request_s *rq = q->head;

    if (rq)
        dev_rq_remove(q, rq);
    return rq;
}

/* --- the end --- */

static void exec_immediate(struct dev_request_s *rq)
{
    kr_self.nointr++;
    if (kr_unlikely(kr_check_enabled)) {
        struct kr_check_frame_s frame = {.outer = kr_self.immediate};

        kr_check_end_slow(rq, &frame);
        kr_self.immediate = &frame;
        kr_store_release(&rq->kr.mark, 0);
        kroutine_exec(&rq->kr);
        kr_self.immediate = frame.outer;
    } else {
        kr_store_release(&rq->kr.mark, 0);
        kroutine_exec(&rq->kr);
    }
    kr_self.nointr--;
}

void dev_request_done(struct dev_request_s *rq)
{
    if (rq->rq_state != DEV_RQ_IDLE) /* most drivers have done it, with their lock */
        rq->rq_state = DEV_RQ_IDLE;
    kr_thread_enter(&rq->kr);
    if (rq->kr.policy == KROUTINE_IMMEDIATE) {
        exec_immediate(rq);
    } else {
        KR_CHECK(kr_check_end_slow(rq, NULL));
        kr_store_release(&rq->kr.mark, 0);
        kroutine_exec(&rq->kr);
    }
    kr_thread_leave();
}

void kr_request_below(const struct device_char_s *acc, struct dev_char_rq_s *rq)
{
    const struct kr_check_frame_s *outer = kr_self.immediate;

    kr_self.immediate = NULL;
    DEVICE_OP(acc, request, rq);
    kr_self.immediate = outer;
}

/* --- by the class of the accessor --- */

static enum driver_class_e class_of(const struct device_accessor_s *acc)
{
    const struct driver_class_table_s *front = acc->api;

    return front ? front->cl : DRIVER_CLASS_NONE;
}

#define CANCEL(cl) DEVICE_OP((const struct device_##cl##_s *)acc, cancel, dev_##cl##_rq_cast(rq))

error_t kr_request_cancel(const struct device_accessor_s *acc, struct dev_request_s *rq)
{
    switch (class_of(acc)) {
    case DRIVER_CLASS_CHAR:
        return CANCEL(char);
    case DRIVER_CLASS_TIMER:
        return CANCEL(timer);
    case DRIVER_CLASS_DMA:
        return CANCEL(dma);
    case DRIVER_CLASS_UART:
        return CANCEL(uart);
    case DRIVER_CLASS_GPIO:
        return CANCEL(gpio);
    case DRIVER_CLASS_I2C:
        return CANCEL(i2c);
    case DRIVER_CLASS_SPI:
        return CANCEL(spi);
    case DRIVER_CLASS_PWM:
        return CANCEL(pwm);
    case DRIVER_CLASS_MEM:
        return CANCEL(mem);
    case DRIVER_CLASS_VALIO:
        return CANCEL(valio);
    default:
        return -ENOTSUP;
    }
}

#define SUBMIT(cl) DEVICE_OP((const struct device_##cl##_s *)acc, request, dev_##cl##_rq_cast(rq))

error_t kr_request_submit(const struct device_accessor_s *acc, struct dev_request_s *rq)
{
    switch (class_of(acc)) {
    case DRIVER_CLASS_TIMER:
        return SUBMIT(timer);
    case DRIVER_CLASS_DMA:
        return SUBMIT(dma);
    case DRIVER_CLASS_CHAR:
        SUBMIT(char);
        return 0;
    case DRIVER_CLASS_UART:
        SUBMIT(uart);
        return 0;
    case DRIVER_CLASS_GPIO:
        SUBMIT(gpio);
        return 0;
    case DRIVER_CLASS_I2C:
        SUBMIT(i2c);
        return 0;
    case DRIVER_CLASS_SPI:
        SUBMIT(spi);
        return 0;
    case DRIVER_CLASS_PWM:
        SUBMIT(pwm);
        return 0;
    case DRIVER_CLASS_MEM:
        SUBMIT(mem);
        return 0;
    case DRIVER_CLASS_VALIO:
        SUBMIT(valio);
        return 0;
    default:
        return -ENOTSUP;
    }
}

/* --- waiting --- */

/* Is the calling thread the one that waiting would stop? */
static bool on_reactor(const struct device_accessor_s *acc)
{
    struct kroutine_runtime_s *rt;

    if (!acc->dev || !kr_tree_usable(acc->dev->tree))
        return false;
    rt = device_runtime(acc->dev);
    return rt && kr_on_reactor(rt);
}

/* Where a request is, see the top of this file. */
static bool is_in_flight(const struct dev_request_s *rq)
{
    return kr_load_acquire(&rq->kr.mark);
}

static bool is_over(const struct dev_request_s *rq)
{
    return !is_in_flight(rq) && !kr_thread_runs(&rq->kr) && !kroutine_is_pending(&rq->kr) &&
           !kr_thread_runs(&rq->kr);
}

struct cancel_wait_s {
    const struct dev_request_s *rq;
    unsigned looks;
};

/* Over, or worth another cancel: the handler may have submitted the request again. */
static bool over_or_again(void *arg)
{
    struct cancel_wait_s *wait = arg;

    return is_over(wait->rq) || (wait->looks++ && is_in_flight(wait->rq));
}

/* In an IMMEDIATE handler: what completed that request, this thread, may have others to complete
   after it, and the one that is waited for be among them. */
static bool completes_others(void)
{
    return kr_self.depth && kr_self.nointr;
}

error_t dev_request_cancel_wait(const struct device_accessor_s *acc, struct dev_request_s *rq)
{
    struct cancel_wait_s wait = {.rq = rq};

    if (acc->dev && !kr_tree_usable(acc->dev->tree))
        return -EPERM;
    if (on_reactor(acc) || kr_thread_runs_here(&rq->kr))
        return -EDEADLK;
    while (kr_request_cancel(acc, rq)) {
        if (completes_others())
            return is_over(rq) ? -EBUSY : -EDEADLK;
        wait.looks = 0;
        kr_thread_wait(over_or_again, &wait);
        if (is_over(rq))
            return -EBUSY;
    }
    return 0;
}

struct done_wait_s {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static KROUTINE_EXEC(wake_waiter)
{
    struct done_wait_s *wait = (struct done_wait_s *)kr->target.cpu;

    pthread_mutex_lock(&wait->lock);
    wait->done = true;
    pthread_cond_signal(&wait->cond);
    pthread_mutex_unlock(&wait->lock);
}

void kr_request_done_waited(struct dev_request_s *rq)
{
    KR_CHECK(kr_check_end_slow(rq, NULL));
    kr_store_release(&rq->kr.mark, 0);
    kr_self.waiting = NULL;
}

error_t dev_request_wait(const struct device_accessor_s *acc, struct dev_request_s *rq)
{
    struct done_wait_s wait = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct dev_request_s *outer = kr_self.waiting;
    bool over;
    error_t err;

    if (on_reactor(acc)) {
        rq->error = -EDEADLK;
        return -EDEADLK;
    }
    KR_CHECK(kr_check_idle_slow(rq, "re-initialised"));
    kroutine_init_immediate(&rq->kr, wake_waiter);
    rq->kr.target.cpu = (uintptr_t)&wait; /* unused by this policy; pvdata is the caller's */
    kr_self.waiting = rq;
    err = kr_request_submit(acc, rq);
    over = kr_self.waiting != rq;
    kr_self.waiting = outer;
    if (err) {
        rq->error = (int16_t)err;
        return err;
    }
    if (over)
        return rq->error;
    pthread_mutex_lock(&wait.lock);
    while (!wait.done)
        pthread_cond_wait(&wait.cond, &wait.lock);
    pthread_mutex_unlock(&wait.lock);
    pthread_cond_destroy(&wait.cond);
    pthread_mutex_destroy(&wait.lock);
    return rq->error;
}

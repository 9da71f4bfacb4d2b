/* SPDX-License-Identifier: MIT */
/* What programs call on an interrupt: irq.h. A call looks the line up, enters the device, and asks
   the driver. */
#include <errno.h>

#include "irq_internal.h"

/* For the time of a call: its line, and the device entered. */
struct call_s {
    struct kr_irq_line_s *line;
    struct device_mmio_s acc;
};

static error_t begin(struct call_s *call, const struct dev_irq_s *irq)
{
    struct device_s *dev;
    error_t err;

    if (kr_load(&irq->line) && irq->forks != kr_load_relaxed(&kr_forks))
        return -EPERM;
    call->line = kr_irq_get(irq);
    if (!call->line)
        return -ECANCELED;
    dev = call->line->config.dev;
    call->acc = (struct device_mmio_s)DEVICE_ACCESSOR_INIT;
    call->acc.dev = dev;
    call->acc.api = &kr_mmio_front;
    call->acc.drv = kr_device_table(dev, DRIVER_CLASS_MMIO);
    err = kr_class_enter(dev);
    if (err) {
        kr_device_leave(dev);
        kr_irq_put(call->line);
    }
    return err;
}

static error_t end(struct call_s *call, error_t err)
{
    kr_device_leave(call->line->config.dev);
    kr_irq_put(call->line);
    return err;
}

error_t kr_irq_request(const struct device_mmio_s *acc, struct dev_irq_s *irq)
{
    enum dev_irq_kind_e wanted = irq->kind;
    error_t err;

    if ((unsigned)irq->kind >= DEV_IRQ_KINDS)
        return device_error(-EINVAL, "there is no interrupt of kind %u", (unsigned)irq->kind);
    if (!acc->drv->f_irq_request)
        return device_error(-ENOTSUP, "the driver %s has no interrupts",
                            device_driver_name(acc->dev));
    if (kr_load(&irq->line))
        return device_error(-EBUSY, "this interrupt is requested already");
    err = kroutine_bind(&irq->kr, kr_device_runtime(acc->dev));
    if (err)
        return device_error(err, "the kroutine of this interrupt is pending");
    irq->forks = kr_load_relaxed(&kr_forks);
    irq->error = 0;
    irq->last = (struct dev_irq_counts_s){0};
    err = acc->drv->f_irq_request(acc, irq);
    if (err)
        irq->kind = wanted;
    return err;
}

static bool is_detached(void *arg)
{
    const struct dev_irq_s *irq = arg;

    return !kr_load(&irq->line) && kr_irq_is_quiet(arg);
}

/* Another thread, or nobody, has the line. */
static error_t wait_for_release(struct dev_irq_s *irq)
{
    if (!kr_load(&irq->line))
        return kr_irq_quiet(irq);
    if (!kr_irq_may_wait(irq))
        return -EBUSY;
    kr_thread_wait(is_detached, irq);
    return 0;
}

error_t dev_irq_release(struct dev_irq_s *irq)
{
    struct kr_irq_line_s *line;
    struct call_s call;
    bool mine = false;
    error_t err;

    if (kr_load(&irq->line) && irq->forks != kr_load_relaxed(&kr_forks))
        return -EPERM;
    pthread_mutex_lock(&kr_irq_lock);
    line = irq->line;
    if (line) {
        mine = kr_irq_claim_locked(line);
        if (mine)
            kr_add(&line->refs, 1);
    }
    pthread_mutex_unlock(&kr_irq_lock);
    if (!mine)
        return wait_for_release(irq);
    err = begin(&call, irq);
    if (!err) {
        call.acc.drv->f_irq_release(&call.acc, irq);
        end(&call, 0);
    } /* else: the thread that closes the device tells the driver's part */
    err = kr_irq_detach(line);
    kr_irq_put(line);
    return err;
}

error_t dev_irq_mask(struct dev_irq_s *irq)
{
    struct call_s call;
    error_t err = begin(&call, irq);

    if (err)
        return err;
    if (call.acc.drv->f_irq_mask)
        err = call.acc.drv->f_irq_mask(&call.acc, irq);
    if (!err || err == -ENOTSUP) {
        pthread_mutex_lock(&kr_irq_lock);
        err = call.line->error;
        call.line->masked = true;
        pthread_mutex_unlock(&kr_irq_lock);
    }
    return end(&call, err);
}

error_t dev_irq_unmask(struct dev_irq_s *irq)
{
    struct call_s call;
    error_t err = begin(&call, irq);
    bool skipped;

    if (err)
        return err;
    pthread_mutex_lock(&kr_irq_lock);
    call.line->masked = false;
    skipped = call.line->skipped;
    call.line->skipped = false;
    err = call.line->error;
    pthread_mutex_unlock(&kr_irq_lock);
    if (skipped)
        kr_irq_look(call.line);
    if (!err && call.acc.drv->f_irq_unmask)
        err = call.acc.drv->f_irq_unmask(&call.acc, irq);
    return end(&call, err == -ENOTSUP ? 0 : err);
}

void dev_irq_counts(const struct dev_irq_s *irq, struct dev_irq_counts_s *counts)
{
    pthread_mutex_lock(&kr_irq_lock);
    *counts = irq->line ? irq->line->counts : irq->last;
    pthread_mutex_unlock(&kr_irq_lock);
}

error_t dev_irq_number(struct dev_irq_s *irq, unsigned *number)
{
    struct call_s call;
    error_t err = begin(&call, irq);

    if (err)
        return err;
    err =
        call.acc.drv->f_irq_number ? call.acc.drv->f_irq_number(&call.acc, irq, number) : -ENOTSUP;
    return end(&call, err);
}

error_t dev_irq_set_affinity(struct dev_irq_s *irq, unsigned cpu)
{
    unsigned number;
    error_t err = dev_irq_number(irq, &number);

    return err ? err : kr_platform_irq_affinity(number, cpu);
}

/* --- waiting --- */

struct wait_s {
    struct dev_timer_rq_s timer;
    struct kr_irq_line_s *line;
    bool over; /* lock */
};

static KROUTINE_EXEC(wait_over)
{
    struct wait_s *wait = KROUTINE_CONTAINER(kr, struct wait_s, timer.base.kr);

    (void)flags;
    pthread_mutex_lock(&kr_irq_lock);
    wait->over = true;
    pthread_cond_broadcast(&wait->line->told);
    pthread_mutex_unlock(&kr_irq_lock);
}

/* True: armed, and to be taken back. */
static error_t arm(struct wait_s *wait, struct kroutine_runtime_s *rt, uint64_t timeout_ns)
{
    dev_timer_rq_init_immediate(&wait->timer, wait_over);
    wait->timer.base.kr.runtime = rt;
    wait->timer.deadline = 0;
    wait->timer.delay = timeout_ns;
    return kr_clock_request(&rt->clocks[KR_CLOCK_MONOTONIC], &wait->timer);
}

static error_t wait_for(struct kr_irq_line_s *line, struct wait_s *wait)
{
    error_t err;

    pthread_mutex_lock(&kr_irq_lock);
    while (!line->unseen && !line->closing && !line->error && !wait->over)
        pthread_cond_wait(&line->told, &kr_irq_lock);
    if (line->closing)
        err = -ECANCELED;
    else if (line->error)
        err = line->error;
    else
        err = line->unseen ? 0 : -ETIMEDOUT;
    if (!err)
        line->unseen = false;
    pthread_mutex_unlock(&kr_irq_lock);
    return err;
}

static void disarm(struct wait_s *wait, struct kroutine_runtime_s *rt)
{
    if (!kr_clock_cancel(&rt->clocks[KR_CLOCK_MONOTONIC], &wait->timer))
        return;
    pthread_mutex_lock(&kr_irq_lock);
    while (!wait->over)
        pthread_cond_wait(&wait->line->told, &kr_irq_lock);
    pthread_mutex_unlock(&kr_irq_lock);
}

error_t dev_irq_wait(struct dev_irq_s *irq, uint64_t timeout_ns)
{
    struct kroutine_runtime_s *rt;
    struct wait_s wait = {.over = false};
    struct call_s call;
    error_t err = begin(&call, irq);

    if (err)
        return err;
    rt = kr_device_runtime(call.line->config.dev);
    wait.line = call.line;
    if (kr_on_reactor(rt))
        err = -EDEADLK;
    else if (timeout_ns)
        err = arm(&wait, rt, timeout_ns);
    if (err)
        return end(&call, err);
    err = wait_for(call.line, &wait);
    if (timeout_ns)
        disarm(&wait, rt);
    return end(&call, err);
}

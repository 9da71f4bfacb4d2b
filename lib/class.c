/* SPDX-License-Identifier: MIT */
/*
 * What DEVICE_OP calls: one table a class, which checks, binds the request to the runtime, and
 * calls the driver. Around the driver the device is entered and left, so that the end of a runtime
 * can wait for calls that are under way.
 *
 * A class of nested completion reports everything through the handler, refusals included; a class
 * of nested submission returns them.
 */
#include "device.h"

/* --- refusals --- */

/* The runtime that would run this handler is gone: the calling thread is the only context left. A
   handler that submits again, and is refused again, waits for its turn here: no recursion. */
static void run_here(struct dev_request_s *rq)
{
    struct kr_thread_s *t = &kr_self;

    rq->next = NULL;
    *(t->refused ? &t->refused_last->next : &t->refused) = rq;
    t->refused_last = rq;
    if (t->refusing)
        return;
    t->refusing = true;
    while ((rq = t->refused)) {
        t->refused = rq->next;
        kr_thread_enter(&rq->kr);
        t->nointr++;
        if (rq->kr.policy != KROUTINE_NONE)
            rq->kr.exec(&rq->kr, (enum kroutine_exec_flags_e)0);
        t->nointr--;
        kr_thread_leave();
    }
    t->refusing = false;
}

/* Inside `dev`, which keeps the runtime there meanwhile; dev NULL: the accessor is not open. */
void kr_class_refuse(struct device_s *dev, struct dev_request_s *rq, error_t err)
{
    struct kroutine_runtime_s *rt = dev ? kr_device_runtime(dev) : NULL;
    bool here = !rt && rq->kr.policy != KROUTINE_IMMEDIATE && rq->kr.policy != KROUTINE_QUEUE;

    rq->error = (int16_t)err;
    rq->kr.runtime = rt;
    if (here || (dev && !kr_tree_usable(dev->tree))) {
        KR_CHECK(kr_check_end_slow(rq, NULL));
        run_here(rq);
    } else {
        dev_request_done(rq);
    }
}

/* --- the parts that classes share --- */

void kr_class_take_back(struct dev_request_s *rq)
{
    KR_CHECK(kr_check_end_slow(rq, NULL));
    kr_store_release(&rq->kr.mark, 0);
}

error_t kr_class_lacks(const struct device_s *dev)
{
    return device_error(-ENOTSUP, "the driver %s cannot do this", dev->driver->name);
}

uint64_t kr_class_expiry(struct device_s *dev, uint64_t timeout)
{
    uint64_t now = kr_clock_now(&kr_device_runtime(dev)->clocks[KR_CLOCK_MONOTONIC]);
    uint64_t expires;

    /* Later than a clock can tell is never. */
    return __builtin_add_overflow(now, timeout, &expires) || expires > INT64_MAX ? 0 : expires;
}

/* --- char: nested completion --- */

static bool may_be_empty(enum dev_char_rq_type_e type)
{
    return type == DEV_CHAR_READ_POLL || type == DEV_CHAR_WRITE_POLL ||
           type == DEV_CHAR_WRITE_FLUSH;
}

static error_t char_validate(const struct driver_char_s *drv, struct dev_char_rq_s *rq)
{
    if (kr_unlikely(!drv->f_request))
        return -ENOTSUP;
    if (kr_unlikely(rq->type >= DEV_CHAR_TYPES))
        return -EINVAL;
    if (rq->type == DEV_CHAR_READ_TIMED) {
        size_t min = dev_char_timed_rq_cast(rq)->min;

        return min == 0 || min > rq->size ? -EINVAL : 0;
    }
    if (kr_unlikely(rq->size == 0))
        return may_be_empty((enum dev_char_rq_type_e)rq->type) ? 0 : -EINVAL;
    return 0;
}

static DEV_CHAR_REQUEST(char_request)
{
    KR_CLASS_REQUEST(acc, rq, DRIVER_CLASS_CHAR, char_validate);
}

static DEV_CHAR_CANCEL(char_cancel)
{
    return KR_CLASS_CANCEL(acc, rq);
}

static const struct driver_char_s char_front = DRIVER_CHAR_METHODS(char);

/* --- timer: nested submission --- */

static error_t timer_hand_over(struct device_s *dev, const struct device_timer_s *acc,
                               struct dev_timer_rq_s *rq)
{
    rq->error = 0;
    kr_class_hand_over(dev, &rq->base);
    return acc->drv->f_request(acc, rq);
}

static DEV_TIMER_REQUEST(timer_request)
{
    return KR_CLASS_SUBMIT(acc, rq, DRIVER_CLASS_TIMER, acc->drv->f_request, timer_hand_over);
}

static DEV_TIMER_CANCEL(timer_cancel)
{
    return KR_CLASS_CANCEL(acc, rq);
}

static DEV_TIMER_GET_VALUE(timer_get_value)
{
    return KR_CLASS_CALL(acc, f_get_value, value, rev);
}

static DEV_TIMER_CONFIG(timer_config)
{
    return KR_CLASS_CALL(acc, f_config, cfg, res);
}

static const struct driver_timer_s timer_front = DRIVER_TIMER_METHODS(timer);

/* --- classes --- */

static const struct {
    const char *name;
    const void *front;
    bool nested_completion;
} classes[DRIVER_CLASS_COUNT] = {
    [DRIVER_CLASS_NONE] = {"none", NULL, false},
    [DRIVER_CLASS_CHAR] = {"char", &char_front, true},
    [DRIVER_CLASS_UART] = {"uart", &kr_uart_front, true},
    [DRIVER_CLASS_TIMER] = {"timer", &timer_front, false},
    [DRIVER_CLASS_DMA] = {"dma", &kr_dma_front, false},
    [DRIVER_CLASS_GPIO] = {"gpio", &kr_gpio_front, true},
    [DRIVER_CLASS_I2C] = {"i2c", &kr_i2c_front, true},
    [DRIVER_CLASS_SPI] = {"spi", &kr_spi_front, true},
    [DRIVER_CLASS_PWM] = {"pwm", &kr_pwm_front, true},
    [DRIVER_CLASS_MEM] = {"mem", &kr_mem_front, true},
    [DRIVER_CLASS_MMIO] = {"mmio", &kr_mmio_front, false},
    [DRIVER_CLASS_VALIO] = {"valio", &kr_valio_front, true},
};

const char *device_class_name(enum driver_class_e cl)
{
    return (unsigned)cl < DRIVER_CLASS_COUNT ? classes[cl].name : "unknown";
}

const void *kr_class_front(enum driver_class_e cl)
{
    return classes[cl].front;
}

bool kr_class_nested_completion(enum driver_class_e cl)
{
    return classes[cl].nested_completion;
}

error_t kr_class_check(enum driver_class_e cl)
{
    if ((unsigned)cl >= DRIVER_CLASS_COUNT)
        return device_error(-EINVAL, "there is no class %u", (unsigned)cl);
    return 0;
}

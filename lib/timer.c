/* SPDX-License-Identifier: MIT */
/* The timer driver, which makes a clock of the runtime a device; and the helpers of the class. */
#include <errno.h>

#include "internal.h"

/* --- driver: timer0, timer1, timer2 --- */

struct timer_pv_s {
    struct kr_clock_s *clock;
};

static struct kr_clock_s *clock_of(const struct device_timer_s *acc)
{
    const struct timer_pv_s *pv = device_pv(acc->dev);

    return pv->clock;
}

static DEV_TIMER_REQUEST(clock_request)
{
    return kr_clock_request_units(clock_of(acc), rq);
}

static DEV_TIMER_CANCEL(clock_cancel)
{
    return kr_clock_cancel(clock_of(acc), rq);
}

static DEV_TIMER_GET_VALUE(clock_get_value)
{
    return kr_clock_value(clock_of(acc), value, rev);
}

static DEV_TIMER_CONFIG(clock_config)
{
    return kr_clock_config(clock_of(acc), cfg, res);
}

/* The address is the index of the clock. */
static error_t clock_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct timer_pv_s *pv = device_pv(dev);
    const char *address = device_spec_address(spec);

    if (address[0] < '0' || address[0] >= '0' + KR_CLOCKS || address[1])
        return device_error(-EINVAL, "timer:%s: the clocks are 0, 1 and 2", address);

    struct kr_clock_s *clock = &device_runtime(dev)->clocks[address[0] - '0'];
    error_t err = kr_clock_attach(clock);

    if (err)
        return device_error(err, "timer:%s: the clock has a device, timer%s", address, address);
    pv->clock = clock;
    return 0;
}

static void clock_close(struct device_s *dev)
{
    struct timer_pv_s *pv = device_pv(dev);

    kr_clock_detach(pv->clock);
}

/* A clock cannot be stopped: starting it only pins the resolution. The first accessor makes the
   alarm, so that a process out of descriptors hears of it there and not at some request. */
static error_t clock_use(struct device_s *dev, enum device_use_e use)
{
    struct timer_pv_s *pv = device_pv(dev);

    switch (use) {
    case DEV_USE_GET_ACCESSOR:
        return kr_clock_open(pv->clock);
    case DEV_USE_START:
        kr_clock_use(pv->clock, true);
        return 0;
    case DEV_USE_STOP:
        kr_clock_use(pv->clock, false);
        return 0;
    }
    return -ENOTSUP;
}

static const struct driver_timer_s clock_methods = DRIVER_TIMER_METHODS(clock);

const struct driver_s kr_driver_timer = {
    .name = "timer",
    .desc = "clocks of the system: 0 monotonic, 1 realtime, 2 boottime",
    .pv_size = sizeof(struct timer_pv_s),
    .f_open = clock_open,
    .f_close = clock_close,
    .f_use = clock_use,
    .classes = {(const struct driver_class_table_s *)&clock_methods},
};

/* --- helpers --- */

enum rounding_e { ROUND_DOWN, ROUND_NEAREST, ROUND_UP };

/* (r + n) modulo d, for r and n below d, where the sum may pass 64 bits. */
static uint64_t add_mod(uint64_t r, uint64_t n, uint64_t d, uint64_t *carry)
{
    *carry = r >= d - n;
    return *carry ? r - (d - n) : r + n;
}

/* a * b / d, by long division: the product can have 128 bits, which not every machine has a type
   for. False: the quotient does not fit. */
static bool mul_div(uint64_t a, uint64_t b, uint64_t d, enum rounding_e rounding, uint64_t *ret)
{
    uint64_t quotient = 0, rest = 0, carry;

    for (int bit = 63; bit >= 0; bit--) {
        if (quotient >> 63)
            return false;
        rest = add_mod(rest, rest, d, &carry);
        quotient = quotient * 2 + carry;
        if (a >> bit & 1) {
            if (__builtin_add_overflow(quotient, b / d, &quotient))
                return false;
            rest = add_mod(rest, b % d, d, &carry);
            if (__builtin_add_overflow(quotient, carry, &quotient))
                return false;
        }
    }
    carry = (rounding == ROUND_UP && rest) || (rounding == ROUND_NEAREST && rest >= d - rest);
    return !__builtin_add_overflow(quotient, carry, ret);
}

static error_t from_sec(const struct device_timer_s *acc, uint64_t *ret, uint32_t *rev,
                        uint64_t delay, uint32_t s_unit, enum rounding_e rounding)
{
    struct dev_timer_config_s cfg;
    uint64_t value;

    if (!s_unit)
        return -EINVAL;

    error_t err = DEVICE_OP(acc, config, &cfg, 0);

    if (err)
        return err;
    if (!mul_div(delay, cfg.freq, (uint64_t)cfg.res * s_unit, rounding, &value) || value > cfg.max)
        return -ERANGE;
    *ret = value;
    if (rev)
        *rev = cfg.rev;
    return 0;
}

/* A delay of 0 units would make a request an absolute one. */
static error_t delay_from_sec(const struct device_timer_s *acc, uint64_t *ret, uint32_t *rev,
                              uint64_t delay, uint32_t s_unit, enum rounding_e rounding)
{
    error_t err = from_sec(acc, ret, rev, delay, s_unit, rounding);

    if (!err && delay && !*ret)
        *ret = 1;
    return err;
}

error_t dev_timer_init_sec(const struct device_timer_s *acc, uint64_t *ret, uint32_t *rev,
                           uint64_t delay, uint32_t s_unit)
{
    return delay_from_sec(acc, ret, rev, delay, s_unit, ROUND_DOWN);
}

error_t dev_timer_init_sec_round(const struct device_timer_s *acc, uint64_t *ret, uint32_t *rev,
                                 uint64_t delay, uint32_t s_unit)
{
    return delay_from_sec(acc, ret, rev, delay, s_unit, ROUND_NEAREST);
}

error_t dev_timer_init_sec_ceil(const struct device_timer_s *acc, uint64_t *ret, uint32_t *rev,
                                uint64_t delay, uint32_t s_unit)
{
    return delay_from_sec(acc, ret, rev, delay, s_unit, ROUND_UP);
}

error_t dev_timer_get_sec(const struct device_timer_s *acc, uint64_t *ret, uint32_t rev,
                          dev_timer_value_t value, uint32_t s_unit)
{
    struct dev_timer_config_s cfg;
    uint64_t result;
    error_t err = DEVICE_OP(acc, config, &cfg, 0);

    if (err)
        return err;
    if (rev && rev != cfg.rev)
        return -EAGAIN;
    if (!mul_div(value, (uint64_t)cfg.res * s_unit, cfg.freq, ROUND_DOWN, &result))
        return -ERANGE;
    *ret = result;
    return 0;
}

error_t dev_timer_shift_sec(const struct device_timer_s *acc, unsigned *shift, uint32_t *rev,
                            uint64_t delay, uint32_t s_unit)
{
    uint64_t units;
    uint32_t current;
    error_t err = from_sec(acc, &units, &current, delay, s_unit, ROUND_DOWN);

    if (err)
        return err;
    if (!units)
        return -ERANGE;
    *shift = 63u - (unsigned)__builtin_clzll(units);
    if (rev)
        *rev = current;
    return 0;
}

int dev_timer_check_timeout(const struct device_timer_s *acc, uint64_t delay,
                            dev_timer_value_t start)
{
    dev_timer_value_t value;
    error_t err = DEVICE_OP(acc, get_value, &value, 0);

    if (err)
        return err;
    return value >= start && value - start >= delay;
}

static error_t wait_until(const struct device_timer_s *acc, uint64_t deadline, uint64_t delay,
                          uint32_t rev)
{
    struct dev_timer_rq_s rq = {.deadline = deadline, .delay = delay, .rev = rev};

    dev_timer_rq_init(&rq, NULL);
    return dev_timer_wait_rq(acc, &rq);
}

error_t dev_timer_wait_deadline(const struct device_timer_s *acc, dev_timer_value_t deadline,
                                uint32_t rev)
{
    return wait_until(acc, deadline, 0, rev);
}

error_t dev_timer_wait_delay(const struct device_timer_s *acc, uint64_t delay, uint32_t rev)
{
    return delay ? wait_until(acc, 0, delay, rev) : 0;
}

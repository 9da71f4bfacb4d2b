/* SPDX-License-Identifier: MIT */
/* The fronts of the classes of chips and buses: i2c, spi, pwm, mem, valio. Nested completion. */
#include "device.h"

/* All of them pass these on; what a request must be, each says itself. */
#define CANCEL_AND_INFO(cl, CL)                                                                    \
    static DEV_##CL##_CANCEL(cl##_cancel)                                                          \
    {                                                                                              \
        return KR_CLASS_CANCEL(acc, rq);                                                           \
    }                                                                                              \
                                                                                                   \
    static DEV_##CL##_INFO(cl##_info)                                                              \
    {                                                                                              \
        return KR_CLASS_CALL(acc, f_info, info);                                                   \
    }                                                                                              \
    struct device_##cl##_s

/* --- i2c --- */

static error_t i2c_list(const struct dev_i2c_rq_s *rq)
{
    unsigned before = DEV_I2C_STOP;

    if (!rq->list || !rq->count)
        return device_error(-EINVAL, "i2c: the list has no transfers");
    for (unsigned i = 0; i < rq->count; i++) {
        const struct dev_i2c_transfer_s *at = &rq->list[i];

        if (at->op & ~(uint32_t)(DEV_I2C_READ | DEV_I2C_STOP | DEV_I2C_CONTINUE))
            return device_error(-EINVAL, "i2c: transfer %u: unknown bits in op", i);
        if (at->size && !at->data)
            return device_error(-EINVAL, "i2c: transfer %u: no buffer", i);
        if (at->op & DEV_I2C_CONTINUE &&
            (before & DEV_I2C_STOP || (before ^ at->op) & DEV_I2C_READ))
            return device_error(-EINVAL, "i2c: transfer %u: nothing of that direction to go on", i);
        before = at->op;
    }
    return 0;
}

static error_t i2c_validate(const struct driver_i2c_s *drv, const struct dev_i2c_rq_s *rq)
{
    bool ten = rq->flags & DEV_I2C_TEN_BIT;

    if (!drv->f_request)
        return -ENOTSUP;
    if (rq->type >= DEV_I2C_TYPES)
        return device_error(-EINVAL, "i2c: there is no request of type %u", rq->type);
    if (rq->type == DEV_I2C_SCAN) {
        if (rq->scan.first > rq->scan.last || rq->scan.last > 0x7f ||
            rq->scan.how > DEV_I2C_SCAN_READ)
            return device_error(-EINVAL, "i2c: a scan is from an address to a higher one, 0x7f");
        return 0;
    }
    if (rq->addr > (ten ? 0x3ff : 0x7f))
        return device_error(-EINVAL, "i2c: address 0x%02x has more than %u bits", rq->addr,
                            ten ? 10 : 7);
    return i2c_list(rq);
}

static DEV_I2C_REQUEST(i2c_request)
{
    if (rq->type == DEV_I2C_TRANSFER)
        rq->done = 0;
    KR_CLASS_REQUEST(acc, rq, DRIVER_CLASS_I2C, i2c_validate);
}

CANCEL_AND_INFO(i2c, I2C);

const struct driver_i2c_s kr_i2c_front = DRIVER_I2C_METHODS(i2c);

/* --- spi --- */

static error_t spi_validate(const struct driver_spi_s *drv, const struct dev_spi_rq_s *rq)
{
    if (!drv->f_request)
        return -ENOTSUP;
    if (rq->type >= DEV_SPI_TYPES)
        return device_error(-EINVAL, "spi: there is no request of type %u", rq->type);
    if (!rq->list || !rq->count)
        return device_error(-EINVAL, "spi: the list has no transfers");
    for (unsigned i = 0; i < rq->count; i++) {
        const struct dev_spi_transfer_s *at = &rq->list[i];

        if (at->bits > 32)
            return device_error(-EINVAL, "spi: transfer %u: a word has 1 to 32 bits, not %u", i,
                                at->bits);
        if (at->size && !at->out && !at->in)
            return device_error(-EINVAL, "spi: transfer %u: no buffer", i);
    }
    return 0;
}

static DEV_SPI_REQUEST(spi_request)
{
    rq->done = 0;
    rq->begun = 0;
    KR_CLASS_REQUEST(acc, rq, DRIVER_CLASS_SPI, spi_validate);
}

static DEV_SPI_CONFIG(spi_config)
{
    return KR_CLASS_CALL(acc, f_config, cfg);
}

CANCEL_AND_INFO(spi, SPI);

const struct driver_spi_s kr_spi_front = DRIVER_SPI_METHODS(spi);

/* --- pwm --- */

static error_t pwm_validate(const struct driver_pwm_s *drv, const struct dev_pwm_rq_s *rq)
{
    const uint32_t both = DEV_PWM_PERIOD | DEV_PWM_DUTY;

    if (!drv->f_request)
        return -ENOTSUP;
    if (rq->type >= DEV_PWM_TYPES)
        return device_error(-EINVAL, "pwm: there is no request of type %u", rq->type);
    if (!rq->chan_mask)
        return device_error(-EINVAL, "pwm: no channel in chan_mask");
    if (rq->type == DEV_PWM_GET)
        return 0;
    if (rq->param_mask & DEV_PWM_PERIOD && !rq->state.period_ns)
        return device_error(-EINVAL, "pwm: a period of 0");
    if ((rq->param_mask & both) == both && rq->state.duty_ns > rq->state.period_ns)
        return device_error(-EINVAL, "pwm: active for %llu ns of a period of %llu ns",
                            (unsigned long long)rq->state.duty_ns,
                            (unsigned long long)rq->state.period_ns);
    return 0;
}

static DEV_PWM_REQUEST(pwm_request)
{
    rq->done = 0;
    KR_CLASS_REQUEST(acc, rq, DRIVER_CLASS_PWM, pwm_validate);
}

CANCEL_AND_INFO(pwm, PWM);

const struct driver_pwm_s kr_pwm_front = DRIVER_PWM_METHODS(pwm);

/* --- mem --- */

static error_t mem_validate(const struct driver_mem_s *drv, const struct dev_mem_rq_s *rq)
{
    if (!drv->f_request)
        return -ENOTSUP;
    if (rq->type >= DEV_MEM_TYPES)
        return device_error(-EINVAL, "mem: there is no request of type %u", rq->type);
    if (!rq->size || rq->addr > UINT64_MAX - rq->size)
        return device_error(-EINVAL, "mem: %zu bytes at %llu", rq->size,
                            (unsigned long long)rq->addr);
    return 0;
}

static DEV_MEM_REQUEST(mem_request)
{
    KR_CLASS_REQUEST(acc, rq, DRIVER_CLASS_MEM, mem_validate);
}

CANCEL_AND_INFO(mem, MEM);

const struct driver_mem_s kr_mem_front = DRIVER_MEM_METHODS(mem);

/* --- valio --- */

static error_t valio_validate(const struct driver_valio_s *drv, const struct dev_valio_rq_s *rq)
{
    if (!drv->f_request)
        return -ENOTSUP;
    if (rq->type >= DEV_VALIO_TYPES || rq->attribute >= DEV_VALIO_ATTRIBUTES)
        return device_error(-EINVAL, "valio: there is no request of type %u, attribute %u",
                            rq->type, rq->attribute);
    return 0;
}

static DEV_VALIO_REQUEST(valio_request)
{
    KR_CLASS_REQUEST(acc, rq, DRIVER_CLASS_VALIO, valio_validate);
}

CANCEL_AND_INFO(valio, VALIO);

const struct driver_valio_s kr_valio_front = DRIVER_VALIO_METHODS(valio);

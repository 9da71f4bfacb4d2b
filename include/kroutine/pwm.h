/* SPDX-License-Identifier: MIT */
/*
 * The pwm class: outputs that are high for a part of each period. Nested completion
 * (kroutine-nesting(7)). kroutine-pwm(3).
 *
 * A device is a list of channels, numbered from 0 in the order of its spec. When it closes, they
 * are as they were before it was opened.
 */
#ifndef KROUTINE_PWM_H
#define KROUTINE_PWM_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DEV_PWM_CHANNELS_MAX 32 /* of a device */

DEVICE_ACCESSOR_DECLARE(pwm);

enum dev_pwm_rq_type_e {
    DEV_PWM_CONFIG = 0, /* changes what param_mask says of the channels in chan_mask */
    DEV_PWM_GET,        /* reads all of the first channel in chan_mask */
    DEV_PWM_TYPES,
};

/* Or-ed. */
enum dev_pwm_param_e {
    DEV_PWM_PERIOD = 1, /* without DEV_PWM_DUTY the part of it that is high stays the same */
    DEV_PWM_DUTY = 2,
    DEV_PWM_POLARITY = 4, /* the kernel changes it while the channel is off: done with a gap */
    DEV_PWM_ENABLE = 8,
};

struct dev_pwm_state_s {
    uint64_t period_ns;
    uint64_t duty_ns; /* active time, at most the period */
    bool inverted;    /* active is low */
    bool enabled;
};

/* Of a hertz in a thousand parts: dev_pwm_period(25000000) is 25 kHz, 40000 ns. 0 for 0. */
static inline uint64_t dev_pwm_period(uint64_t mhz)
{
    return mhz ? (UINT64_C(1000000000000) + mhz / 2) / mhz : 0;
}

/* The part `duty` of 65536 of a period. */
static inline uint64_t dev_pwm_part(uint64_t period_ns, uint32_t duty)
{
    return (period_ns >> 16) * duty + (((period_ns & 0xffff) * duty) >> 16);
}

/* error: 0; -EINVAL no such channel, a duty longer than the period, a period of 0, or what the
   hardware refuses; -ENOTSUP the chip has no polarity, or shares a parameter with other channels;
   -EBUSY; -ETIMEDOUT; -ECANCELED; -ENODEV; -EACCES. On an error, what was changed before stays:
   `done` tells it. */
struct dev_pwm_rq_s {
    DEV_REQUEST_INHERIT;
    uint32_t chan_mask;
    uint32_t param_mask;          /* enum dev_pwm_param_e, or-ed */
    struct dev_pwm_state_s state; /* DEV_PWM_GET: out */
    uint32_t done;                /* out: channels that were changed wholly */
};

DEV_REQUEST_DECLARE(pwm);

struct dev_pwm_info_s {
    char chip[32];     /* "pwmchip0" */
    char name[64];     /* of the hardware, "3f20c000.pwm" */
    uint32_t channels; /* of the device */
    uint32_t of_chip;  /* that the chip has */
    bool simulated;
};

/* Operations of the class, by DEVICE_OP. The same table is what a driver fills in (driver.h). */
struct driver_pwm_s {
    enum driver_class_e cl;
    void (*f_request)(const struct device_pwm_s *acc, struct dev_pwm_rq_s *rq);
    error_t (*f_cancel)(const struct device_pwm_s *acc, struct dev_pwm_rq_s *rq);
    error_t (*f_info)(const struct device_pwm_s *acc, struct dev_pwm_info_s *info);
};

/* Blocking, for threads: one channel. -EDEADLK in the reactor; errors as of the request. */
KROUTINE_API error_t dev_pwm_wait_config(const struct device_pwm_s *acc, unsigned channel,
                                         uint32_t param_mask, const struct dev_pwm_state_s *state);
KROUTINE_API error_t dev_pwm_wait_get(const struct device_pwm_s *acc, unsigned channel,
                                      struct dev_pwm_state_s *state);

#ifdef __cplusplus
}
#endif
#endif

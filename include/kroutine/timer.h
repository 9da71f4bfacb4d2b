/* SPDX-License-Identifier: MIT */
/*
 * The timer class. Nested submission (kroutine-nesting(7)). dev_timer_rq_init(3),
 * dev_timer_request(3), dev_timer_get_value(3), dev_timer_init_sec(3), dev_timer_wait(3).
 */
#ifndef KROUTINE_TIMER_H
#define KROUTINE_TIMER_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t dev_timer_value_t;

DEVICE_ACCESSOR_DECLARE(timer);

/* delay != 0: relative, the driver stores deadline = now + delay. delay == 0: `deadline` is
   absolute. Both in timer units: 1 ns unless configured.
   rev: 0, or the revision of the configuration that the deadline was computed for.
   error in the handler: 0; -EAGAIN the clock was stepped and `rev` was not 0; -ENODEV;
   -ECANCELED the device closed; -ETIMEDOUT dev_request_set_timeout came first. */
struct dev_timer_rq_s {
    DEV_REQUEST_INHERIT;
    uint64_t deadline;
    uint64_t delay;
    uint32_t rev;
    uint32_t spare;
    uint64_t limit; /* private: the instant of the time-out */
};

DEV_REQUEST_DECLARE(timer);

enum dev_timer_capability_e {
    DEV_TIMER_CAP_REQUEST = 1,   /* has requests, not just a value */
    DEV_TIMER_CAP_STOPPABLE = 2, /* the value stands still while stopped */
    DEV_TIMER_CAP_VARFREQ = 4,   /* the resolution can be configured */
    DEV_TIMER_CAP_CLKSKEW = 8,   /* the clock can be stepped: realtime */
    DEV_TIMER_CAP_SUSPEND = 16,  /* counts while the machine is suspended */
    DEV_TIMER_CAP_VIRTUAL = 32,  /* simulated time */
};

struct dev_timer_config_s {
    uint64_t freq; /* ticks a second of the base clock: 1000000000 */
    uint64_t max;  /* largest value */
    uint32_t res;  /* ticks of the base clock a timer unit */
    uint32_t rev;  /* odd; grows by two with each change of `res` and each step of the clock */
    uint32_t cap;  /* enum dev_timer_capability_e, or-ed */
};

struct driver_timer_s {
    enum driver_class_e cl;
    /* 0: accepted, the handler will run, never before this returns. Otherwise rejected, the
       handler never runs: -ETIMEDOUT the deadline is past; -EAGAIN `rev` is stale; -ERANGE
       the deadline does not fit 2^63 ns; -EBUSY already submitted; -ENODEV, -ECANCELED device gone
       or closed; -EPERM forked child. */
    error_t (*f_request)(const struct device_timer_s *acc, struct dev_timer_rq_s *rq);
    /* 0: cancelled. -EBUSY: over, or about to be. */
    error_t (*f_cancel)(const struct device_timer_s *acc, struct dev_timer_rq_s *rq);
    /* Current value in timer units. -EAGAIN: `rev` is neither 0 nor current. */
    error_t (*f_get_value)(const struct device_timer_s *acc, dev_timer_value_t *value,
                           uint32_t rev);
    /* Fills `cfg` (may be NULL). res != 0 changes the resolution first: -EBUSY while the timer is
       started or has requests; -ENOTSUP the driver has a fixed one. */
    error_t (*f_config)(const struct device_timer_s *acc, struct dev_timer_config_s *cfg,
                        uint32_t res);
};

/* --- helpers: delays in seconds to timer units and back. `s_unit`: fractions of a second in one
   second of `delay`: 1 s, 1000 ms, 1000000 us … --- */

/* *ret = delay / s_unit seconds in timer units, rounded down, not less than 1 for a delay that is
   not 0; *rev gets the revision it is valid for; NULL: not wanted. -ERANGE: does not fit;
   -EINVAL: s_unit is 0. */
KROUTINE_API error_t dev_timer_init_sec(const struct device_timer_s *acc, uint64_t *ret,
                                        uint32_t *rev, uint64_t delay, uint32_t s_unit);
KROUTINE_API error_t dev_timer_init_sec_round(const struct device_timer_s *acc, uint64_t *ret,
                                              uint32_t *rev, uint64_t delay, uint32_t s_unit);
KROUTINE_API error_t dev_timer_init_sec_ceil(const struct device_timer_s *acc, uint64_t *ret,
                                             uint32_t *rev, uint64_t delay, uint32_t s_unit);

/* *ret = value timer units in s_unit-ths of a second, rounded down. -EAGAIN: `rev` is stale. */
KROUTINE_API error_t dev_timer_get_sec(const struct device_timer_s *acc, uint64_t *ret,
                                       uint32_t rev, dev_timer_value_t value, uint32_t s_unit);

/* Largest n such that 2^n timer units are at most delay / s_unit seconds: *shift. -ERANGE: not even
   one unit is. */
KROUTINE_API error_t dev_timer_shift_sec(const struct device_timer_s *acc, unsigned *shift,
                                         uint32_t *rev, uint64_t delay, uint32_t s_unit);

/* Has `delay` passed since `start`? 1 yes, 0 no, negative errno as f_get_value. */
KROUTINE_API int dev_timer_check_timeout(const struct device_timer_s *acc, uint64_t delay,
                                         dev_timer_value_t start);

/* Blocking, for threads: 0, -ETIMEDOUT when already past, -EDEADLK in the reactor. */
KROUTINE_API error_t dev_timer_wait_deadline(const struct device_timer_s *acc,
                                             dev_timer_value_t deadline, uint32_t rev);
KROUTINE_API error_t dev_timer_wait_delay(const struct device_timer_s *acc, uint64_t delay,
                                          uint32_t rev);

#ifdef __cplusplus
}
#endif
#endif

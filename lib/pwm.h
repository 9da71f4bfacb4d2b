/* SPDX-License-Identifier: MIT */
/* What drivers of the pwm class share: specs, the order in which a channel's values are written,
   and requests, which are done on the thread of the chip. */
#ifndef KR_PWM_H
#define KR_PWM_H

#include "bus.h"

/* --- specs --- */

#define KR_PWM_PARAMS                                                                              \
    {"hz", "periods a second; as it is", NULL, 1, 1000000000, DRIVER_PARAM_UINT},                  \
        {"period", "ns, or with us, ms; as it is", NULL, 0, 0, DRIVER_PARAM_STRING},               \
        {"duty", "active part: per cent, 12.5, or a time with ns, us, ms; as it is",               \
         NULL,   0,                                                                                \
         0,      DRIVER_PARAM_STRING},                                                             \
        {"polarity",       "inversed: active is low; as it is", "normal|inversed", 0, 0,           \
         DRIVER_PARAM_ENUM},                                                                       \
    {                                                                                              \
        "enable", "as it is", NULL, 0, 0, DRIVER_PARAM_BOOL                                        \
    }

struct kr_pwm_keys_s {
    uint32_t param_mask; /* enum dev_pwm_param_e, of what the spec says */
    struct dev_pwm_state_s state;
    bool by_part; /* duty_ns is to be `part` of KR_PWM_WHOLE of the period */
    uint64_t part;
};
#define KR_PWM_WHOLE UINT64_C(100000000)

error_t kr_pwm_keys(struct kr_pwm_keys_s *keys, const struct device_spec_s *spec);
/* "CHIP/0,2-3", or "CHIP" alone: no channels. `driver` is for the text of -EINVAL. */
error_t kr_pwm_address(char *chip, size_t size, uint32_t *channels, unsigned *count,
                       const char *driver, const char *address);

/* --- values --- */

enum kr_pwm_what_e { KR_PWM_PERIOD, KR_PWM_DUTY, KR_PWM_POLARITY, KR_PWM_ENABLE };

struct kr_pwm_step_s {
    enum kr_pwm_what_e what;
    uint64_t value; /* POLARITY: 1 is inverted */
};
#define KR_PWM_STEPS 5

/* `part` of `of` parts of `to`, rounded; part <= of, of not 0. */
uint64_t kr_pwm_scale(uint64_t part, uint64_t of, uint64_t to);
/* What becomes of `now`: -EINVAL. */
error_t kr_pwm_target(struct dev_pwm_state_s *to, const struct dev_pwm_state_s *now,
                      uint32_t param_mask, const struct dev_pwm_state_s *state);
/* One value at a time, none of which the kernel refuses, nor makes the active part of a period
   larger than it is before and after. Their number. */
unsigned kr_pwm_steps(struct kr_pwm_step_s steps[KR_PWM_STEPS], const struct dev_pwm_state_s *now,
                      const struct dev_pwm_state_s *to);

/* --- devices --- */

struct kr_pwm_s;

struct kr_pwm_ops_s {
    error_t (*write)(struct kr_pwm_s *pwm, unsigned channel, const struct kr_pwm_step_s *step);
    error_t (*read)(struct kr_pwm_s *pwm, unsigned channel, struct dev_pwm_state_s *state);
};

/* Of a driver: `port` is first, so that a port of the bus leads here. */
struct kr_pwm_s {
    struct kr_bus_port_s port;
    const struct kr_pwm_ops_s *ops;
    unsigned count;
    uint32_t number[DEV_PWM_CHANNELS_MAX];               /* in the chip */
    struct dev_pwm_state_s before[DEV_PWM_CHANNELS_MAX]; /* when it was opened */
    struct dev_pwm_state_s now[DEV_PWM_CHANNELS_MAX];    /* of whoever performs */
};

/* Opening: reads what the channels are, and makes them what the keys say. On an error they are as
   they were, with a text. */
error_t kr_pwm_begin(struct kr_pwm_s *pwm, const struct kr_pwm_keys_s *keys);
/* Closing, when no request is performed any more. */
void kr_pwm_restore(struct kr_pwm_s *pwm);

/* Of struct kr_bus_ops_s. */
error_t kr_pwm_perform(struct kr_bus_port_s *port, struct dev_request_s *rq);
/* f_request. */
void kr_pwm_request(struct kr_pwm_s *pwm, struct dev_pwm_rq_s *rq);

#endif

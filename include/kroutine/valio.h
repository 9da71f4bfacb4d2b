/* SPDX-License-Identifier: MIT */
/*
 * The valio class: small values, each with its unit: a temperature, a voltage, the time of a clock.
 * Nested completion (kroutine-nesting(7)). kroutine-valio(3).
 */
#ifndef KROUTINE_VALIO_H
#define KROUTINE_VALIO_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

DEVICE_ACCESSOR_DECLARE(valio);

enum dev_valio_rq_type_e {
    DEV_VALIO_READ = 0,
    DEV_VALIO_WRITE,
    DEV_VALIO_TYPES,
};

/* What a value is, and the member of the request that has it. */
enum dev_valio_attribute_e {
    DEV_VALIO_TEMPERATURE = 0,   /* temperature_mc */
    DEV_VALIO_TEMPERATURE_LIMIT, /* temperature_mc: where a thermostat switches on,
                                    channel 0, and off again, channel 1 */
    DEV_VALIO_ADC,               /* adc */
    DEV_VALIO_CLOCK,             /* clock_s */
    DEV_VALIO_ATTRIBUTES,
};

/* error: 0; -ENOTSUP the device has no such attribute, or it cannot be written; -EINVAL no such
   channel; -ERANGE a value that it cannot keep; -EBADMSG what it keeps is not valid: a clock that
   had no power; -EIO nobody answers; -ETIMEDOUT; -ECANCELED; -ENODEV; others of the device below.
 */
struct dev_valio_rq_s {
    DEV_REQUEST_INHERIT;
    uint16_t attribute; /* enum dev_valio_attribute_e */
    uint16_t channel;
    union {
        int32_t temperature_mc; /* thousandths of a degree Celsius */
        struct {
            uint32_t value; /* of 0 to range - 1 */
            uint32_t range;
        } adc;
        int64_t clock_s; /* seconds since 1970-01-01 00:00 UTC, without leap seconds */
    };
};

DEV_REQUEST_DECLARE(valio);

struct dev_valio_info_s {
    char name[32];
    uint32_t readable; /* bit n: attribute n */
    uint32_t writable;
    uint32_t channels; /* of the attribute that has most */
};

/* Operations of the class, by DEVICE_OP. The same table is what a driver fills in (driver.h). */
struct driver_valio_s {
    enum driver_class_e cl;
    void (*f_request)(const struct device_valio_s *acc, struct dev_valio_rq_s *rq);
    error_t (*f_cancel)(const struct device_valio_s *acc, struct dev_valio_rq_s *rq);
    error_t (*f_info)(const struct device_valio_s *acc, struct dev_valio_info_s *info);
};

#ifdef __cplusplus
}
#endif
#endif

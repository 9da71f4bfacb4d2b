/* SPDX-License-Identifier: MIT */
/*
 * The fan: a channel of the pwm class. `wanted` may change at any time; one request at a time
 * brings the channel there. Closing the device makes the channel what it was before.
 */
#include "sensord.h"

#define PERIOD_DEFAULT 40000 /* ns: 25 kHz, which fans of PCs are made for */

static struct device_pwm_s acc = DEVICE_ACCESSOR_INIT;
static struct dev_pwm_rq_s rq;
static bool busy, asked;
static bool stale;      /* `rq` is of a device that was closed since */
static uint64_t period; /* ns; 0: not known yet */
static unsigned wanted = 100;
static int set = -1;

static void go_on(void)
{
    if (busy || !acc.dev || (unsigned)set == wanted)
        return;
    busy = true;
    asked = period == 0;
    rq.chan_mask = 1;
    if (asked) {
        rq.type = DEV_PWM_GET; /* the period that the spec, or who was here before, has set */
    } else {
        rq.type = DEV_PWM_CONFIG;
        rq.pvuint = wanted;
        rq.param_mask = DEV_PWM_PERIOD | DEV_PWM_DUTY | DEV_PWM_ENABLE;
        rq.state.period_ns = period;
        rq.state.duty_ns = dev_pwm_part(period, wanted * 65536 / 100);
        rq.state.enabled = true;
    }
    DEVICE_OP(&acc, request, &rq);
}

static KROUTINE_EXEC(on_done)
{
    (void)kr, (void)flags;
    busy = false;
    if (sensord.stopping)
        return;
    if (stale) {
        stale = false;
    } else if (rq.error == 0) {
        part_works(&fan);
        if (asked)
            period = rq.state.period_ns ? rq.state.period_ns : PERIOD_DEFAULT;
        else
            set = (int)rq.pvuint;
    } else {
        part_failed(&fan, rq.error, true);
    }
    go_on();
}

void fan_set(unsigned percent)
{
    wanted = percent;
    go_on();
}

int fan_percent(void)
{
    return set;
}

static error_t fan_open(void)
{
    error_t error =
        device_get_accessor_by_path(&acc.base, sensord.tree, fan.spec, DRIVER_CLASS_PWM);

    if (error != 0)
        return error;
    if (!busy)
        dev_pwm_rq_init(&rq, on_done);
    go_on();
    return 0;
}

static void fan_close(void)
{
    device_put_accessor(&acc.base);
    stale = busy;
    period = 0;
    set = -1;
}

struct part_s fan = {
    .name = "fan", .spec = sensord.config.fan, .open = fan_open, .close = fan_close};

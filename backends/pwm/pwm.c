/* SPDX-License-Identifier: MIT */
/*
 * Driver `pwm`: channels of PWM chips of the kernel, "pwm:pwmchip0/0?hz=25k&duty=40&enable=yes".
 * A write to sysfs may sleep, for a chip behind I2C: requests are done on a thread of the chip.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chip.h"

struct pwm_s {
    struct kr_pwm_s pwm;
    struct chip_s chip;
    struct channel_s channel[DEV_PWM_CHANNELS_MAX];
};

static const struct driver_param_s params[] = {
    KR_PWM_PARAMS,
    {"exported", "take channels that are exported already, and leave them so; no", NULL, 0, 0,
     DRIVER_PARAM_BOOL},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static struct pwm_s *of(const struct device_s *dev)
{
    return dev->pv;
}

/* --- operations --- */

static error_t note_gone(struct kr_pwm_s *pwm, error_t err)
{
    if (err == -ENODEV) /* what the files of a chip that was removed say */
        kr_bus_gone(&pwm->port);
    return err;
}

static error_t pwm_write(struct kr_pwm_s *pwm, unsigned channel, const struct kr_pwm_step_s *step)
{
    const struct pwm_s *p = KROUTINE_CONTAINER(pwm, struct pwm_s, pwm);

    return note_gone(pwm, channel_write(&p->channel[channel], step));
}

static error_t pwm_read(struct kr_pwm_s *pwm, unsigned channel, struct dev_pwm_state_s *state)
{
    const struct pwm_s *p = KROUTINE_CONTAINER(pwm, struct pwm_s, pwm);

    return note_gone(pwm, channel_read(&p->channel[channel], state));
}

static const struct kr_pwm_ops_s pwm_ops = {.write = pwm_write, .read = pwm_read};
static const struct kr_bus_ops_s bus_ops = {.perform = kr_pwm_perform};

static DEV_PWM_REQUEST(pwm_request)
{
    kr_pwm_request(&of(acc->dev)->pwm, rq);
}

static DEV_PWM_CANCEL(pwm_cancel)
{
    return kr_bus_cancel(&of(acc->dev)->pwm.port, &rq->base);
}

static DEV_PWM_INFO(pwm_info)
{
    const struct pwm_s *p = of(acc->dev);

    memset(info, 0, sizeof(*info));
    memcpy(info->chip, p->chip.name, sizeof(info->chip));
    memcpy(info->name, p->chip.hardware, sizeof(info->name));
    info->channels = p->pwm.count;
    info->of_chip = p->chip.channels;
    return 0;
}

/* --- opening and closing --- */

static void close_channels(struct pwm_s *p)
{
    for (unsigned i = 0; i < p->pwm.count; i++)
        channel_close(&p->channel[i], &p->chip);
}

static error_t open_channels(struct pwm_s *p, const struct device_spec_s *spec)
{
    bool adopt = device_spec_uint(spec, "exported", 0);
    struct kr_pwm_keys_s keys;
    error_t err = kr_pwm_keys(&keys, spec);

    for (unsigned i = 0; i < p->pwm.count && !err; i++)
        err = channel_open(&p->channel[i], &p->chip, p->pwm.number[i], adopt);
    return err ? err : kr_pwm_begin(&p->pwm, &keys);
}

static error_t pwm_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct pwm_s *p = of(dev);
    char name[64];
    error_t err;

    if (device_runtime(dev)->backend == &kr_backend_sim)
        return device_error(-ENOTSUP, "a simulated runtime has simulated devices only: sim-pwm");
    err = kr_pwm_address(name, sizeof(name), p->pwm.number, &p->pwm.count, "pwm",
                         device_spec_address(spec));
    if (!err)
        err = chip_find(&p->chip, name);
    if (err)
        return err;
    p->pwm.ops = &pwm_ops;
    err = kr_bus_open(&p->pwm.port, dev, &bus_ops, p->chip.name);
    if (err)
        return err;
    err = open_channels(p, spec);
    if (err) {
        close_channels(p);
        kr_bus_close(&p->pwm.port, err);
        kr_bus_free(&p->pwm.port);
    }
    return err;
}

static void pwm_close(struct device_s *dev)
{
    struct pwm_s *p = of(dev);

    kr_bus_close(&p->pwm.port, -ECANCELED);
    kr_pwm_restore(&p->pwm);
    close_channels(p);
}

static void pwm_free(struct device_s *dev)
{
    kr_bus_free(&of(dev)->pwm.port);
}

static const struct driver_pwm_s pwm_methods = DRIVER_PWM_METHODS(pwm);

const struct driver_s kr_driver_pwm = {
    .name = "pwm",
    .desc = "channels of PWM chips, through sysfs",
    .params = params,
    .pv_size = sizeof(struct pwm_s),
    .f_open = pwm_open,
    .f_close = pwm_close,
    .f_free = pwm_free,
    .classes = {(const struct driver_class_table_s *)&pwm_methods},
};

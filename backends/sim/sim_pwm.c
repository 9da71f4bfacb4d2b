/* SPDX-License-Identifier: MIT */
/*
 * The driver sim-pwm: channels of simulated chips, which are as strict as the kernel's. A chip is
 * there while a device of it is open, so that one without channels keeps what others have left.
 * kroutine/sim.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pwm.h"
#include "sim_bus.h"

struct sim_chip_s {
    struct sim_chip_s *next;
    struct kroutine_runtime_s *rt;
    unsigned open;
    char name[32];
    uint32_t held; /* channels */
    struct dev_pwm_state_s state[DEV_PWM_CHANNELS_MAX];
};

struct sim_pwm_s {
    struct kr_pwm_s pwm;
    struct sim_chip_s *chip;
    uint64_t time;
    uint64_t longest;
    bool inverts;

    pthread_mutex_t lock;
    struct kr_sim_bus_faults_s faults;
};

/* Guards all chips: their values are looked at for moments. */
static struct {
    pthread_mutex_t lock;
    struct sim_chip_s *list;
} chips = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const struct driver_param_s params[] = {
    KR_PWM_PARAMS,
    {"time", "ns that each request takes; 0", NULL, 0, UINT64_C(1) << 62, DRIVER_PARAM_UINT},
    {"period-max", "ns, of the longest period that it can do; no limit", NULL, 1, UINT64_MAX,
     DRIVER_PARAM_UINT},
    {"inverts", "it can do polarity=inversed; yes", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static struct sim_pwm_s *of(const struct device_s *dev)
{
    return device_pv(dev);
}

/* --- chips --- */

static struct sim_chip_s *find_locked(struct kroutine_runtime_s *rt, const char *name)
{
    struct sim_chip_s *chip = chips.list;

    while (chip && (chip->rt != rt || strcmp(chip->name, name) != 0))
        chip = chip->next;
    if (chip)
        return chip;
    chip = calloc(1, sizeof(*chip));
    if (!chip)
        return NULL;
    chip->rt = rt;
    snprintf(chip->name, sizeof(chip->name), "%s", name);
    chip->next = chips.list;
    chips.list = chip;
    return chip;
}

static void leave_locked(struct sim_chip_s *chip)
{
    struct sim_chip_s **at = &chips.list;

    if (chip->open)
        return;
    while (*at != chip)
        at = &(*at)->next;
    *at = chip->next;
    free(chip);
}

static uint32_t channels_of(const struct sim_pwm_s *sim)
{
    uint32_t mask = 0;

    for (unsigned i = 0; i < sim->pwm.count; i++)
        mask |= UINT32_C(1) << sim->pwm.number[i];
    return mask;
}

static error_t hold_locked(struct sim_pwm_s *sim, struct sim_chip_s *chip)
{
    uint32_t mask = channels_of(sim);

    if (chip->held & mask)
        return device_error(-EBUSY, "channel %d of %s is held by another device",
                            __builtin_ctz(chip->held & mask), chip->name);
    chip->held |= mask;
    chip->open++;
    sim->chip = chip;
    return 0;
}

static error_t join(struct sim_pwm_s *sim, struct kroutine_runtime_s *rt, const char *name)
{
    struct sim_chip_s *chip;
    error_t err;

    pthread_mutex_lock(&chips.lock);
    chip = find_locked(rt, name);
    err = chip ? hold_locked(sim, chip) : -ENOMEM;
    pthread_mutex_unlock(&chips.lock);
    return err;
}

static void leave(struct sim_pwm_s *sim)
{
    pthread_mutex_lock(&chips.lock);
    sim->chip->held &= ~channels_of(sim);
    sim->chip->open--;
    leave_locked(sim->chip);
    pthread_mutex_unlock(&chips.lock);
}

/* --- values --- */

/* As __pwm_apply() of Linux 6.1, which is the stricter one. */
static error_t apply_locked(const struct sim_pwm_s *sim, struct dev_pwm_state_s *state,
                            const struct kr_pwm_step_s *step)
{
    struct dev_pwm_state_s to = *state;

    switch (step->what) {
    case KR_PWM_PERIOD:
        to.period_ns = step->value;
        break;
    case KR_PWM_DUTY:
        to.duty_ns = step->value;
        break;
    case KR_PWM_POLARITY:
        if (state->enabled)
            return -EBUSY;
        to.inverted = step->value;
        break;
    case KR_PWM_ENABLE:
        to.enabled = step->value;
        break;
    }
    if (!to.period_ns || to.duty_ns > to.period_ns || to.period_ns > sim->longest ||
        (to.inverted && !sim->inverts))
        return -EINVAL;
    *state = to;
    return 0;
}

static error_t sim_pwm_write(struct kr_pwm_s *pwm, unsigned channel,
                             const struct kr_pwm_step_s *step)
{
    struct sim_pwm_s *sim = KROUTINE_CONTAINER(pwm, struct sim_pwm_s, pwm);
    error_t err;

    pthread_mutex_lock(&sim->lock);
    err = kr_sim_bus_fault_take(&sim->faults);
    pthread_mutex_unlock(&sim->lock);
    if (err)
        return err;
    pthread_mutex_lock(&chips.lock);
    err = apply_locked(sim, &sim->chip->state[pwm->number[channel]], step);
    pthread_mutex_unlock(&chips.lock);
    return err;
}

static error_t sim_pwm_read(struct kr_pwm_s *pwm, unsigned channel, struct dev_pwm_state_s *state)
{
    struct sim_pwm_s *sim = KROUTINE_CONTAINER(pwm, struct sim_pwm_s, pwm);

    pthread_mutex_lock(&chips.lock);
    *state = sim->chip->state[pwm->number[channel]];
    pthread_mutex_unlock(&chips.lock);
    return 0;
}

static uint64_t sim_pwm_duration(struct kr_bus_port_s *port, const struct dev_request_s *rq)
{
    struct sim_pwm_s *sim = KROUTINE_CONTAINER(port, struct sim_pwm_s, pwm.port);
    uint64_t ns;

    (void)rq;
    pthread_mutex_lock(&sim->lock);
    ns = sim->time + kr_sim_bus_stall_take(&sim->faults);
    pthread_mutex_unlock(&sim->lock);
    return ns;
}

static const struct kr_pwm_ops_s sim_ops = {.write = sim_pwm_write, .read = sim_pwm_read};
static const struct kr_bus_ops_s bus_ops = {
    .perform = kr_pwm_perform,
    .duration = sim_pwm_duration,
};

/* --- class --- */

static DEV_PWM_REQUEST(sim_pwm_request)
{
    kr_pwm_request(&of(acc->dev)->pwm, rq);
}

static DEV_PWM_CANCEL(sim_pwm_cancel)
{
    return kr_bus_cancel(&of(acc->dev)->pwm.port, &rq->base);
}

static DEV_PWM_INFO(sim_pwm_info)
{
    const struct sim_pwm_s *sim = of(acc->dev);

    memset(info, 0, sizeof(*info));
    snprintf(info->chip, sizeof(info->chip), "%s", sim->chip->name);
    snprintf(info->name, sizeof(info->name), "sim-pwm");
    info->channels = sim->pwm.count;
    info->of_chip = DEV_PWM_CHANNELS_MAX;
    info->simulated = true;
    return 0;
}

/* --- opening and closing --- */

static error_t begin(struct sim_pwm_s *sim, struct device_s *dev, const struct kr_pwm_keys_s *keys)
{
    char bus[48];
    error_t err;

    snprintf(bus, sizeof(bus), "sim-pwm:%.23s", sim->chip->name);
    err = kr_bus_open(&sim->pwm.port, dev, &bus_ops, bus);
    if (err)
        return err;
    err = kr_pwm_begin(&sim->pwm, keys);
    if (err) {
        kr_bus_close(&sim->pwm.port, err);
        kr_bus_free(&sim->pwm.port);
    }
    return err;
}

static error_t sim_pwm_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct sim_pwm_s *sim = of(dev);
    struct kr_pwm_keys_s keys;
    char name[24];
    error_t err;

    err = kr_pwm_address(name, sizeof(name), sim->pwm.number, &sim->pwm.count, "sim-pwm",
                         device_spec_address(spec));
    for (unsigned i = 0; i < sim->pwm.count && !err; i++) {
        if (sim->pwm.number[i] >= DEV_PWM_CHANNELS_MAX)
            err = device_error(-EINVAL, "%s has 32 channels, and no channel %u", name,
                               sim->pwm.number[i]);
    }
    if (!err)
        err = kr_pwm_keys(&keys, spec);
    if (!err)
        err = join(sim, device_runtime(dev), name);
    if (err)
        return err;
    sim->pwm.ops = &sim_ops;
    sim->time = device_spec_uint(spec, "time", 0);
    sim->longest = device_spec_uint(spec, "period-max", UINT64_MAX);
    sim->inverts = device_spec_uint(spec, "inverts", 1);
    pthread_mutex_init(&sim->lock, NULL);
    err = begin(sim, dev, &keys);
    if (err) {
        leave(sim);
        pthread_mutex_destroy(&sim->lock);
    }
    return err;
}

static void sim_pwm_close(struct device_s *dev)
{
    struct sim_pwm_s *sim = of(dev);

    kr_bus_close(&sim->pwm.port, -ECANCELED);
    pthread_mutex_lock(&sim->lock);
    sim->faults.eio = 0; /* what was before comes back in any case */
    pthread_mutex_unlock(&sim->lock);
    kr_pwm_restore(&sim->pwm);
    leave(sim);
}

static void sim_pwm_free(struct device_s *dev)
{
    kr_bus_free(&of(dev)->pwm.port);
    pthread_mutex_destroy(&of(dev)->lock);
}

static const struct driver_pwm_s sim_pwm_methods = DRIVER_PWM_METHODS(sim_pwm);

const struct driver_s kr_driver_sim_pwm = {
    .name = "sim-pwm",
    .desc = "simulated PWM chip of 32 channels",
    .params = params,
    .pv_size = sizeof(struct sim_pwm_s),
    .f_open = sim_pwm_open,
    .f_close = sim_pwm_close,
    .f_free = sim_pwm_free,
    .classes = {(const struct driver_class_table_s *)&sim_pwm_methods},
};

/* --- from outside --- */

error_t kroutine_sim_pwm_fault(const struct device_accessor_s *acc,
                               enum kroutine_sim_bus_fault_e fault, unsigned count)
{
    struct sim_pwm_s *sim;

    if (!acc->dev || acc->dev->driver != &kr_driver_sim_pwm)
        return -ENOTSUP;
    sim = of(acc->dev);
    return kr_sim_bus_fault(&sim->pwm.port, &sim->lock, &sim->faults, fault, count);
}

/* SPDX-License-Identifier: MIT */
/*
 * Channels of PWM chips. The kernel takes one value at a time, and after each one the active time
 * has to be at most the period (__pwm_apply in drivers/pwm/core.c): a duty that shrinks goes before
 * the period, one that grows after it. So, on the way, the output is active for no larger a part of
 * its period than before or afterwards. The polarity changes while the channel is off
 * (Documentation/ABI/testing/sysfs-class-pwm).
 */
#include "pwm.h"

#include <stdlib.h>
#include <string.h>

#include "stream.h"

/* --- specs --- */

/* "12", "12.5": parts of KR_PWM_WHOLE. */
static bool parse_percent(uint64_t *ret, const char *text)
{
    uint64_t value = 0, unit = KR_PWM_WHOLE / 100;
    bool point = false;
    const char *p = text;

    for (; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++) {
        if (*p == '.') {
            point = true;
        } else if (point) {
            unit /= 10;
            value += (uint64_t)(*p - '0') * unit;
        } else {
            value = value * 10 + (uint64_t)(*p - '0') * unit;
        }
        if (value > KR_PWM_WHOLE)
            return false;
    }
    *ret = value;
    return !*p && p > text + point;
}

static error_t parse_period(struct kr_pwm_keys_s *keys, const struct device_spec_s *spec)
{
    const char *text = device_spec_string(spec, "period", NULL);

    if (device_spec_has(spec, "hz")) {
        if (text)
            return device_error(-EINVAL, "hz= and period=: one of them");
        keys->state.period_ns = dev_pwm_period(device_spec_uint(spec, "hz", 1) * 1000);
    } else if (!text) {
        return 0;
    } else if (!kr_parse_gap(&keys->state.period_ns, text)) {
        return device_error(-EINVAL, "period=%s: not a time, 1ns to 3600000ms: period=20ms", text);
    }
    keys->param_mask |= DEV_PWM_PERIOD;
    return 0;
}

static error_t parse_duty(struct kr_pwm_keys_s *keys, const struct device_spec_s *spec)
{
    const char *text = device_spec_string(spec, "duty", NULL);

    if (!text)
        return 0;
    keys->by_part = parse_percent(&keys->part, text);
    if (!keys->by_part && (!strchr(text, 's') || !kr_parse_gap(&keys->state.duty_ns, text)))
        return device_error(-EINVAL,
                            "duty=%s: not 0 to 100 per cent, nor a time: duty=12.5, "
                            "duty=1500us",
                            text);
    keys->param_mask |= DEV_PWM_DUTY;
    return 0;
}

error_t kr_pwm_keys(struct kr_pwm_keys_s *keys, const struct device_spec_s *spec)
{
    error_t err;

    *keys = (struct kr_pwm_keys_s){.param_mask = 0};
    if (device_spec_has(spec, "polarity"))
        keys->param_mask |= DEV_PWM_POLARITY;
    if (device_spec_has(spec, "enable"))
        keys->param_mask |= DEV_PWM_ENABLE;
    keys->state.inverted = device_spec_uint(spec, "polarity", 0);
    keys->state.enabled = device_spec_uint(spec, "enable", 0);
    err = parse_period(keys, spec);
    return err ? err : parse_duty(keys, spec);
}

/* "2" or "2-5". */
static const char *parse_range(const char *text, unsigned long *first, unsigned long *last)
{
    char *end;

    if (*text < '0' || *text > '9')
        return NULL;
    *first = *last = strtoul(text, &end, 10);
    if (*end == '-') {
        if (end[1] < '0' || end[1] > '9')
            return NULL;
        *last = strtoul(end + 1, &end, 10);
    }
    return (*end == ',' || !*end) && *first <= *last && *last <= INT32_MAX ? end : NULL;
}

static error_t parse_channels(uint32_t *channels, unsigned *count, const char *text)
{
    unsigned long first, last;
    const char *at = text;

    *count = 0;
    do {
        at = parse_range(at, &first, &last);
        if (!at)
            return device_error(-EINVAL, "'%s': not a list of channels, as in 0,2-3", text);
        for (; first <= last; first++) {
            for (unsigned i = 0; i < *count; i++) {
                if (channels[i] == first)
                    return device_error(-EINVAL, "'%s': channel %lu is there twice", text, first);
            }
            if (*count == DEV_PWM_CHANNELS_MAX)
                return device_error(-EINVAL, "'%s': more than %u channels", text,
                                    DEV_PWM_CHANNELS_MAX);
            channels[(*count)++] = (uint32_t)first;
        }
    } while (*at++ == ',');
    return 0;
}

error_t kr_pwm_address(char *chip, size_t size, uint32_t *channels, unsigned *count,
                       const char *driver, const char *address)
{
    size_t length = strcspn(address, "/");

    *count = 0;
    if (!length || (address[length] && !address[length + 1]))
        return device_error(-EINVAL, "'%s': use %s:CHIP/CHANNELS, as in %s:pwmchip0/0,2", address,
                            driver, driver);
    if (length >= size)
        return device_error(-EINVAL, "'%s': the name of the chip is too long", address);
    memcpy(chip, address, length);
    chip[length] = 0;
    return address[length] ? parse_channels(channels, count, address + length + 1) : 0;
}

/* --- values --- */

uint64_t kr_pwm_scale(uint64_t part, uint64_t of, uint64_t to)
{
    while (of >> 32) { /* 32 bits of the ratio are enough: a clock is not as good */
        of >>= 1;
        part >>= 1;
    }
    return to / of * part + (to % of * part + of / 2) / of;
}

error_t kr_pwm_target(struct dev_pwm_state_s *to, const struct dev_pwm_state_s *now,
                      uint32_t param_mask, const struct dev_pwm_state_s *state)
{
    *to = *now;
    if (param_mask & DEV_PWM_PERIOD) {
        to->period_ns = state->period_ns;
        to->duty_ns =
            now->period_ns ? kr_pwm_scale(now->duty_ns, now->period_ns, to->period_ns) : 0;
    }
    if (param_mask & DEV_PWM_DUTY)
        to->duty_ns = state->duty_ns;
    if (param_mask & DEV_PWM_POLARITY)
        to->inverted = state->inverted;
    if (param_mask & DEV_PWM_ENABLE)
        to->enabled = state->enabled;
    if (to->duty_ns > to->period_ns)
        return device_error(-EINVAL, "pwm: active for %llu ns of a period of %llu ns",
                            (unsigned long long)to->duty_ns, (unsigned long long)to->period_ns);
    if (to->enabled && !to->period_ns)
        return device_error(-EINVAL, "pwm: on, and without a period");
    return 0;
}

unsigned kr_pwm_steps(struct kr_pwm_step_s steps[KR_PWM_STEPS], const struct dev_pwm_state_s *now,
                      const struct dev_pwm_state_s *to)
{
    bool turn = now->inverted != to->inverted, shrink = to->duty_ns < now->duty_ns;
    unsigned n = 0;

    if (now->enabled && (turn || !to->enabled))
        steps[n++] = (struct kr_pwm_step_s){KR_PWM_ENABLE, 0};
    if (shrink)
        steps[n++] = (struct kr_pwm_step_s){KR_PWM_DUTY, to->duty_ns};
    if (to->period_ns != now->period_ns)
        steps[n++] = (struct kr_pwm_step_s){KR_PWM_PERIOD, to->period_ns};
    if (!shrink && to->duty_ns != now->duty_ns)
        steps[n++] = (struct kr_pwm_step_s){KR_PWM_DUTY, to->duty_ns};
    if (turn)
        steps[n++] = (struct kr_pwm_step_s){KR_PWM_POLARITY, to->inverted};
    if (to->enabled && (turn || !now->enabled))
        steps[n++] = (struct kr_pwm_step_s){KR_PWM_ENABLE, 1};
    return n;
}

/* --- devices --- */

static void note(struct dev_pwm_state_s *state, const struct kr_pwm_step_s *step)
{
    switch (step->what) {
    case KR_PWM_PERIOD:
        state->period_ns = step->value;
        break;
    case KR_PWM_DUTY:
        state->duty_ns = step->value;
        break;
    case KR_PWM_POLARITY:
        state->inverted = step->value;
        break;
    case KR_PWM_ENABLE:
        state->enabled = step->value;
        break;
    }
}

static error_t write_step(struct kr_pwm_s *pwm, unsigned channel, const struct kr_pwm_step_s *step)
{
    error_t err = pwm->ops->write(pwm, channel, step);

    if (!err)
        note(&pwm->now[channel], step);
    return err;
}

/* A channel that was only turned off to change its polarity does not stay off. */
static error_t become(struct kr_pwm_s *pwm, unsigned channel, const struct dev_pwm_state_s *to)
{
    static const struct kr_pwm_step_s on = {KR_PWM_ENABLE, 1};
    struct kr_pwm_step_s steps[KR_PWM_STEPS];
    bool enabled = pwm->now[channel].enabled;
    unsigned count = kr_pwm_steps(steps, &pwm->now[channel], to);
    error_t err = 0;

    for (unsigned i = 0; i < count && !err; i++) {
        err = write_step(pwm, channel, &steps[i]);
        if (err == -EINVAL && steps[i].what == KR_PWM_POLARITY)
            err = -ENOTSUP;
    }
    if (err && enabled && to->enabled && !pwm->now[channel].enabled)
        write_step(pwm, channel, &on);
    return err;
}

static error_t begin_channel(struct kr_pwm_s *pwm, unsigned channel,
                             const struct kr_pwm_keys_s *keys)
{
    struct dev_pwm_state_s want = keys->state, to;
    error_t err;

    if (keys->by_part) {
        uint64_t period =
            keys->param_mask & DEV_PWM_PERIOD ? want.period_ns : pwm->now[channel].period_ns;

        if (!period)
            return device_error(-EINVAL,
                                "duty=: the channel has no period yet: add period= or hz=");
        want.duty_ns = kr_pwm_scale(keys->part, KR_PWM_WHOLE, period);
    }
    err = kr_pwm_target(&to, &pwm->now[channel], keys->param_mask, &want);
    if (err)
        return err;
    err = become(pwm, channel, &to);
    if (!err)
        return 0;
    return device_error(err,
                        "channel %u: the chip refuses a period of %llu ns, %llu ns of it active, "
                        "polarity %s: %s",
                        pwm->number[channel], (unsigned long long)to.period_ns,
                        (unsigned long long)to.duty_ns, to.inverted ? "inversed" : "normal",
                        strerror(-err));
}

error_t kr_pwm_begin(struct kr_pwm_s *pwm, const struct kr_pwm_keys_s *keys)
{
    error_t err = 0;

    for (unsigned i = 0; i < pwm->count && !err; i++) {
        err = pwm->ops->read(pwm, i, &pwm->now[i]);
        if (err)
            return device_error(err, "channel %u: %s", pwm->number[i], strerror(-err));
        pwm->before[i] = pwm->now[i];
    }
    for (unsigned i = 0; i < pwm->count && !err; i++)
        err = begin_channel(pwm, i, keys);
    if (err)
        kr_pwm_restore(pwm);
    return err;
}

/* A period of 0, which a channel has that was never used, can be put back in Linux 6.12, while the
   channel is off; Linux 6.1 refuses it always, and the period stays. */
void kr_pwm_restore(struct kr_pwm_s *pwm)
{
    static const struct kr_pwm_step_s none = {KR_PWM_PERIOD, 0};

    for (unsigned i = 0; i < pwm->count; i++) {
        struct dev_pwm_state_s to = pwm->before[i];

        if (!to.period_ns)
            to.period_ns = pwm->now[i].period_ns;
        become(pwm, i, &to);
        if (!pwm->before[i].period_ns && pwm->now[i].period_ns)
            write_step(pwm, i, &none);
    }
}

static error_t perform_channel(struct kr_pwm_s *pwm, unsigned channel,
                               const struct dev_pwm_rq_s *rq)
{
    struct dev_pwm_state_s to;
    error_t err = kr_pwm_target(&to, &pwm->now[channel], rq->param_mask, &rq->state);

    return err ? err : become(pwm, channel, &to);
}

error_t kr_pwm_perform(struct kr_bus_port_s *port, struct dev_request_s *base)
{
    struct kr_pwm_s *pwm = KROUTINE_CONTAINER(port, struct kr_pwm_s, port);
    struct dev_pwm_rq_s *rq = dev_pwm_rq_cast(base);
    error_t err = 0;

    if (rq->type == DEV_PWM_GET) {
        unsigned channel = (unsigned)__builtin_ctz(rq->chan_mask);

        err = pwm->ops->read(pwm, channel, &pwm->now[channel]);
        if (!err)
            rq->state = pwm->now[channel];
        return err;
    }
    for (uint32_t left = rq->chan_mask; left && !err; left &= left - 1) {
        unsigned channel = (unsigned)__builtin_ctz(left);

        err = kr_bus_stopped(port, base);
        if (!err)
            err = perform_channel(pwm, channel, rq);
        if (!err)
            rq->done |= UINT32_C(1) << channel;
    }
    return err;
}

void kr_pwm_request(struct kr_pwm_s *pwm, struct dev_pwm_rq_s *rq)
{
    error_t err = 0;

    if (pwm->count < DEV_PWM_CHANNELS_MAX && rq->chan_mask >> pwm->count)
        err = device_error(-EINVAL, "pwm: chan_mask 0x%x, the device has %u channels",
                           rq->chan_mask, pwm->count);
    kr_bus_request(&pwm->port, &rq->base, err);
}

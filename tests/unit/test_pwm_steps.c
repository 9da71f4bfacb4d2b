/* SPDX-License-Identifier: MIT */
/* Values of PWM channels: the order in which they are written, parts of periods, specs. */
#include "kt.h"

#include "../../lib/pwm.h"

/* --- order --- */

static const uint64_t times[] = {0, 1, 10, 500, 1000, 1001, 5000, 1000000000000};
#define TIMES (sizeof times / sizeof *times)

/* The rules of __pwm_apply() of Linux 6.1, the stricter one, and of the ABI's text. */
static void apply(struct dev_pwm_state_s *state, const struct kr_pwm_step_s *step)
{
    switch (step->what) {
    case KR_PWM_PERIOD:
        state->period_ns = step->value;
        break;
    case KR_PWM_DUTY:
        state->duty_ns = step->value;
        break;
    case KR_PWM_POLARITY:
        ck_assert_msg(!state->enabled, "polarity of a channel that is on");
        state->inverted = step->value;
        break;
    case KR_PWM_ENABLE:
        state->enabled = step->value;
        break;
    }
    ck_assert_msg(state->period_ns && state->duty_ns <= state->period_ns, "%llu of %llu",
                  (unsigned long long)state->duty_ns, (unsigned long long)state->period_ns);
}

static double part(const struct dev_pwm_state_s *state)
{
    return state->period_ns ? (double)state->duty_ns / (double)state->period_ns : 0;
}

static void expect_reached(struct dev_pwm_state_s now, const struct dev_pwm_state_s *to)
{
    double before = part(&now), after = part(to), most = before > after ? before : after;
    struct kr_pwm_step_s steps[KR_PWM_STEPS];
    unsigned count = kr_pwm_steps(steps, &now, to);

    ck_assert_uint_le(count, KR_PWM_STEPS);
    for (unsigned i = 0; i < count; i++) {
        apply(&now, &steps[i]);
        ck_assert_double_le(part(&now), most);
    }
    ck_assert_uint_eq(now.period_ns, to->period_ns);
    ck_assert_uint_eq(now.duty_ns, to->duty_ns);
    ck_assert_int_eq(now.inverted, to->inverted);
    ck_assert_int_eq(now.enabled, to->enabled);
}

START_TEST(no_step_is_refused)
{
    unsigned tried = 0;

    for (unsigned i = 0; i < TIMES * TIMES * TIMES * TIMES * 16; i++) {
        unsigned n = i / 16;
        struct dev_pwm_state_s now = {times[n % TIMES], times[n / TIMES % TIMES], i & 1, i & 2};
        struct dev_pwm_state_s to = {times[n / TIMES / TIMES % TIMES],
                                     times[n / TIMES / TIMES / TIMES], i & 4, i & 8};

        /* What can be: a channel that was never used is off, and has neither. */
        if (now.duty_ns > now.period_ns || to.duty_ns > to.period_ns || !to.period_ns ||
            (!now.period_ns && now.enabled))
            continue;
        expect_reached(now, &to);
        tried++;
    }
    ck_assert_uint_gt(tried, 10000);
}
END_TEST

START_TEST(one_change_is_one_step)
{
    struct dev_pwm_state_s now = {1000, 500, false, true}, to = now;
    struct kr_pwm_step_s steps[KR_PWM_STEPS];

    ck_assert_uint_eq(kr_pwm_steps(steps, &now, &to), 0);
    to.duty_ns = 600;
    ck_assert_uint_eq(kr_pwm_steps(steps, &now, &to), 1);
    ck_assert_int_eq(steps[0].what, KR_PWM_DUTY);
    ck_assert_uint_eq(steps[0].value, 600);
}
END_TEST

/* --- parts --- */

START_TEST(parts)
{
    const uint64_t day = UINT64_C(86400) * 1000000000;

    ck_assert_uint_eq(kr_pwm_scale(1, 2, 1000), 500);
    ck_assert_uint_eq(kr_pwm_scale(0, 7, 1000), 0);
    ck_assert_uint_eq(kr_pwm_scale(7, 7, day), day);
    ck_assert_uint_eq(kr_pwm_scale(1, 3, 100), 33);
    ck_assert_uint_eq(kr_pwm_scale(2, 3, 100), 67); /* rounded */
    ck_assert_uint_eq(kr_pwm_scale(day / 2, day, 1000), 500);
    ck_assert_uint_eq(kr_pwm_scale(day, day, UINT64_MAX), UINT64_MAX);
    ck_assert_uint_eq(kr_pwm_scale(UINT32_MAX - 1, UINT32_MAX, UINT32_MAX), UINT32_MAX - 1);
    for (uint64_t to = 1; to < 100000; to = to * 3 + 1) {
        for (uint64_t of = 1; of < 3000; of = of * 2 + 1)
            ck_assert_uint_eq(kr_pwm_scale(of / 2, of, to), (of / 2 * to + of / 2) / of);
    }
    ck_assert_uint_eq(dev_pwm_period(25000000), 40000);
    ck_assert_uint_eq(dev_pwm_period(0), 0);
    ck_assert_uint_eq(dev_pwm_part(40000, 32768), 20000);
    ck_assert_uint_eq(dev_pwm_part(40000, 65536), 40000);
}
END_TEST

START_TEST(targets)
{
    struct dev_pwm_state_s now = {1000, 250, false, true}, to = {0};
    struct dev_pwm_state_s want = {.period_ns = 2000, .duty_ns = 1};

    ck_assert_int_eq(kr_pwm_target(&to, &now, DEV_PWM_PERIOD, &want), 0);
    ck_assert_uint_eq(to.duty_ns, 500);
    ck_assert(to.enabled);
    want.duty_ns = 1001;
    ck_assert_int_eq(kr_pwm_target(&to, &now, DEV_PWM_DUTY, &want), -EINVAL);
    now = (struct dev_pwm_state_s){0};
    want = (struct dev_pwm_state_s){.enabled = true};
    ck_assert_int_eq(kr_pwm_target(&to, &now, DEV_PWM_ENABLE, &want), -EINVAL);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "without a period"));
}
END_TEST

/* --- addresses --- */

START_TEST(addresses)
{
    uint32_t channels[DEV_PWM_CHANNELS_MAX];
    unsigned count;
    char chip[16];

    ck_assert_int_eq(kr_pwm_address(chip, sizeof chip, channels, &count, "pwm", "pwmchip0"), 0);
    ck_assert_str_eq(chip, "pwmchip0");
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(kr_pwm_address(chip, sizeof chip, channels, &count, "pwm", "a.pwm/3,0-2"), 0);
    ck_assert_str_eq(chip, "a.pwm");
    ck_assert_uint_eq(count, 4);
    ck_assert_mem_eq(channels, ((uint32_t[]){3, 0, 1, 2}), 16);
    ck_assert_int_eq(kr_pwm_address(chip, sizeof chip, channels, &count, "pwm", "a/0-32"), -EINVAL);
    ck_assert_int_eq(kr_pwm_address(chip, sizeof chip, channels, &count, "pwm", "a/0,"), -EINVAL);
    ck_assert_int_eq(kr_pwm_address(chip, sizeof chip, channels, &count, "pwm", "a/0x"), -EINVAL);
    ck_assert_int_eq(kr_pwm_address(chip, sizeof chip, channels, &count, "pwm", "a/99999999999"),
                     -EINVAL);
    ck_assert_int_eq(
        kr_pwm_address(chip, sizeof chip, channels, &count, "pwm", "sixteen-and-more/0"), -EINVAL);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("pwm_steps");

    kt_add(s, no_step_is_refused, 20);
    kt_add(s, one_change_is_one_step, 10);
    kt_add(s, parts, 10);
    kt_add(s, targets, 10);
    kt_add(s, addresses, 10);
    return s;
}

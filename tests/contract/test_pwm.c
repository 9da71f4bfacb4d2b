/* SPDX-License-Identifier: MIT */
/*
 * Channels of PWM chips. Simulated ones, and one of the kernel with two channels when the
 * environment names its folder in sysfs (tests/vm/raspi does):
 *
 *     KT_PWM_OWN
 */
#include <stdio.h>

#include "kt.h"

#define OPS 4
#define MS  KROUTINE_MSEC(1)

struct op_s {
    struct dev_pwm_rq_s rq;
    unsigned done; /* atomic */
};

static struct kt_env_s env;
static struct device_pwm_s keeper, pwm; /* the first keeps a simulated chip */
static struct op_s ops[OPS];
static bool kernel;

static KROUTINE_EXEC(over)
{
    kt_inc(&KROUTINE_CONTAINER(kr, struct op_s, rq.base.kr)->done);
}

static const char *label(int round)
{
    return kt_real_label(round, "sysfs");
}

static const char *timed_label(int round)
{
    return label(kt_timed_round(round));
}

static error_t lookup(struct device_pwm_s *acc, const char *rest)
{
    const char *folder = kernel ? getenv("KT_PWM_OWN") : "";
    char spec[256];

    if (kernel)
        snprintf(spec, sizeof spec, "pwm:%s%s", strrchr(folder, '/') + 1, rest);
    else
        snprintf(spec, sizeof spec, "sim-pwm:kt%s", rest);
    *acc = (struct device_pwm_s)DEVICE_ACCESSOR_INIT;
    return device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_PWM);
}

static void open_channels(const char *rest)
{
    if (lookup(&pwm, rest))
        ck_abort_msg("%s: %s", rest, kroutine_error_text());
}

/* Of a case that failed. */
static void forget_exports(void)
{
    char path[128];

    for (int i = 0; i < 2; i++) {
        FILE *file;

        snprintf(path, sizeof path, "%s/unexport", getenv("KT_PWM_OWN"));
        file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        fprintf(file, "%d", i);
        fclose(file);
    }
}

static void open_all(int round, const char *rest)
{
    kernel = round >= KT_MODES;
    kt_env_open(&env, (enum kt_mode_e)(round % KT_MODES));
    memset(ops, 0, sizeof ops);
    for (unsigned i = 0; i < OPS; i++)
        dev_pwm_rq_init(&ops[i].rq, over);
    if (kernel)
        forget_exports();
    ck_assert_int_eq(lookup(&keeper, ""), 0);
    open_channels(rest);
}

static void close_all(void)
{
    device_put_accessor(&pwm.base);
    device_put_accessor(&keeper.base);
    kt_env_close(&env);
}

static void submit(struct op_s *op)
{
    kt_set(&op->done, 0);
    DEVICE_OP(&pwm, request, &op->rq);
}

static void expect(struct op_s *op, int error)
{
    kt_await(&env, kt_get(&op->done));
    ck_assert_msg(op->rq.error == error, "error %d, not %d", op->rq.error, error);
    ck_assert_uint_eq(kt_get(&op->done), 1);
}

static error_t set(uint32_t channels, uint32_t params, uint64_t period, uint64_t duty,
                   bool inverted, bool enabled)
{
    struct op_s *op = &ops[0];

    op->rq.type = DEV_PWM_CONFIG;
    op->rq.chan_mask = channels;
    op->rq.param_mask = params;
    op->rq.state = (struct dev_pwm_state_s){period, duty, inverted, enabled};
    submit(op);
    kt_await(&env, kt_get(&op->done));
    return op->rq.error;
}

static void expect_state(unsigned channel, uint64_t period, uint64_t duty, bool inverted,
                         bool enabled)
{
    struct op_s *op = &ops[1];

    op->rq.type = DEV_PWM_GET;
    op->rq.chan_mask = 1u << channel;
    submit(op);
    expect(op, 0);
    ck_assert_uint_eq(op->rq.state.period_ns, period);
    ck_assert_uint_eq(op->rq.state.duty_ns, duty);
    ck_assert_int_eq(op->rq.state.inverted, inverted);
    ck_assert_int_eq(op->rq.state.enabled, enabled);
}

#define ALL (DEV_PWM_PERIOD | DEV_PWM_DUTY | DEV_PWM_POLARITY | DEV_PWM_ENABLE)

/* --- values --- */

START_TEST(values)
{
    open_all(_i, "/0?period=20ms&duty=1500us&enable=yes");
    expect_state(0, 20 * MS, 1500000, false, true);
    ck_assert_int_eq(set(1, DEV_PWM_DUTY, 0, 2 * MS, false, false), 0);
    ck_assert_uint_eq(ops[0].rq.done, 1);
    expect_state(0, 20 * MS, 2 * MS, false, true);
    ck_assert_int_eq(set(1, DEV_PWM_PERIOD, 5 * MS, 0, false, false), 0); /* a tenth stays one */
    expect_state(0, 5 * MS, MS / 2, false, true);
    ck_assert_int_eq(set(1, DEV_PWM_PERIOD, 50 * MS, 0, false, false), 0);
    expect_state(0, 50 * MS, 5 * MS, false, true);
    ck_assert_int_eq(set(1, DEV_PWM_POLARITY, 0, 0, true, false), 0); /* while it is on */
    expect_state(0, 50 * MS, 5 * MS, true, true);
    ck_assert_int_eq(set(1, ALL, MS, MS, false, true), 0);
    expect_state(0, MS, MS, false, true);
    ck_assert_int_eq(set(1, ALL, 2 * MS, 0, false, false), 0);
    expect_state(0, 2 * MS, 0, false, false);
    close_all();
}
END_TEST

START_TEST(what_cannot_be)
{
    open_all(_i, "/0-1?hz=1k&duty=50");
    ck_assert_int_eq(set(0, ALL, MS, 0, false, false), -EINVAL); /* no channel */
    ck_assert_int_eq(set(4, ALL, MS, 0, false, false), -EINVAL); /* the device has two */
    ck_assert_int_eq(set(1, ALL, 0, 0, false, false), -EINVAL);
    ck_assert_int_eq(set(1, ALL, MS, MS + 1, false, false), -EINVAL);
    ck_assert_int_eq(set(1, DEV_PWM_DUTY, 0, MS + 1, false, false), -EINVAL);
    ops[0].rq.type = DEV_PWM_TYPES;
    submit(&ops[0]);
    expect(&ops[0], -EINVAL);
    expect_state(0, MS, MS / 2, false, false);
    close_all();
}
END_TEST

START_TEST(several_channels)
{
    struct dev_pwm_info_s info;

    open_all(_i, "/1,0?period=1000000&duty=12.5");
    ck_assert_int_eq(DEVICE_OP(&pwm, info, &info), 0);
    ck_assert_uint_eq(info.channels, 2);
    ck_assert_uint_ge(info.of_chip, 2);
    ck_assert_int_eq(info.simulated, !kernel);
    expect_state(0, MS, 125000, false, false);
    expect_state(1, MS, 125000, false, false);
    ck_assert_int_eq(set(3, DEV_PWM_PERIOD | DEV_PWM_ENABLE, 2 * MS, 0, false, true), 0);
    ck_assert_uint_eq(ops[0].rq.done, 3);
    ck_assert_int_eq(set(1, DEV_PWM_DUTY, 0, MS, false, false), 0); /* channel 1 of the chip */
    expect_state(0, 2 * MS, MS, false, true);
    expect_state(1, 2 * MS, 250000, false, true);
    close_all();
}
END_TEST

/* --- who has what, and what is left --- */

START_TEST(held_by_another)
{
    struct device_pwm_s other;

    open_all(_i, "/0?hz=1k");
    ck_assert_int_eq(lookup(&other, "/0-1?hz=1k"), -EBUSY);
    ck_assert_msg(strstr(kroutine_error_text(), "channel 0"), "%s", kroutine_error_text());
    ck_assert_int_eq(lookup(&other, "/1?hz=1k"), 0);
    device_put_accessor(&other.base);
    ck_assert_int_eq(lookup(&other, "/1?hz=1k"), 0); /* and the failed one has left nothing */
    device_put_accessor(&other.base);
    close_all();
}
END_TEST

/* What was before is here what the first device has made of a fresh channel. */
START_TEST(closing_puts_back)
{
    open_all(_i, "/0?period=2ms&duty=25&polarity=inversed&enable=yes");
    device_put_accessor(&pwm.base);
    open_channels("/0");
    ops[1].rq.type = DEV_PWM_GET;
    ops[1].rq.chan_mask = 1;
    submit(&ops[1]);
    expect(&ops[1], 0);
    ck_assert_uint_eq(ops[1].rq.state.duty_ns, 0);
    ck_assert(!ops[1].rq.state.inverted);
    ck_assert(!ops[1].rq.state.enabled);
    close_all();
}
END_TEST

START_TEST(opening_errors)
{
    static const struct {
        const char *rest;
        error_t err;
        const char *says;
    } bad[] = {
        {"/", -EINVAL, "pwm:CHIP/CHANNELS"},
        {"/x", -EINVAL, "not a list"},
        {"/0,0", -EINVAL, "twice"},
        {"/3-1", -EINVAL, "not a list"},
        {"/99", -EINVAL, "no channel 99"},
        {"/0?hz=1k&period=1ms", -EINVAL, "one of them"},
        {"/0?period=x", -EINVAL, "period=x"},
        {"/0?hz=1k&duty=101", -EINVAL, "not 0 to 100 per cent"},
        {"/0?duty=1.2.3", -EINVAL, "duty=1.2.3"},
        {"/0?period=1ms&duty=2ms", -EINVAL, "2000000 ns of a period of 1000000 ns"},
    };
    struct device_pwm_s acc;

    open_all(_i, "/1?hz=1k");
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        error_t err = lookup(&acc, bad[i].rest);

        ck_assert_msg(err == bad[i].err && strstr(kroutine_error_text(), bad[i].says), "%s: %d, %s",
                      bad[i].rest, err, kroutine_error_text());
    }
    ck_assert_int_eq(lookup(&acc, "/0?hz=1k"), 0); /* nothing is left of them */
    device_put_accessor(&acc.base);
    close_all();
}
END_TEST

static void *wait_for_one(void *arg)
{
    struct dev_pwm_state_s state = {.duty_ns = 250000};

    ck_assert_int_eq(dev_pwm_wait_config(&pwm, 0, DEV_PWM_DUTY, &state), 0);
    ck_assert_int_eq(dev_pwm_wait_config(&pwm, 32, DEV_PWM_DUTY, &state), -EINVAL);
    ck_assert_int_eq(dev_pwm_wait_get(&pwm, 0, &state), 0);
    ck_assert_uint_eq(state.period_ns, MS);
    ck_assert_uint_eq(state.duty_ns, 250000);
    kt_set((unsigned *)arg, 1);
    return NULL;
}

START_TEST(waiting)
{
    unsigned done = 0;
    pthread_t thread;

    open_all(_i, "/0?hz=1k");
    thread = kt_thread(wait_for_one, &done);
    kt_await(&env, kt_get(&done));
    kt_join(thread);
    close_all();
}
END_TEST

/* --- simulated --- */

START_TEST(faults)
{
    open_all(_i, "/0-1?hz=1k&duty=50&enable=yes");
    ck_assert_int_eq(kroutine_sim_pwm_fault(&pwm.base, KROUTINE_SIM_BUS_EIO, 1), 0);
    ck_assert_int_eq(set(3, DEV_PWM_DUTY, 0, 1000, false, false), -EIO);
    ck_assert_uint_eq(ops[0].rq.done, 0);
    ck_assert_int_eq(set(3, DEV_PWM_DUTY, 0, 1000, false, false), 0);
    ck_assert_uint_eq(ops[0].rq.done, 3);
    ck_assert_int_eq(kroutine_sim_pwm_fault(&pwm.base, KROUTINE_SIM_BUS_GONE, 0), 0);
    ck_assert_int_eq(set(1, DEV_PWM_DUTY, 0, 2000, false, false), -ENODEV);
    close_all();
}
END_TEST

/* A channel that was turned off to invert it, in vain, is on again. */
START_TEST(no_polarity)
{
    open_all(_i, "/0?hz=1k&duty=50&enable=yes&inverts=no&period-max=2000000");
    ck_assert_int_eq(set(1, DEV_PWM_POLARITY, 0, 0, true, false), -ENOTSUP);
    expect_state(0, MS, MS / 2, false, true);
    ck_assert_int_eq(set(1, DEV_PWM_PERIOD, 3 * MS, 0, false, false), -EINVAL);
    expect_state(0, MS, MS / 2, false, true);
    close_all();
}
END_TEST

START_TEST(cancels_and_time_outs)
{
    open_all(kt_timed_round(_i), "/0?hz=1k&time=200000000");
    for (unsigned i = 0; i < 3; i++) {
        ops[i].rq.type = DEV_PWM_CONFIG;
        ops[i].rq.chan_mask = 1;
        ops[i].rq.param_mask = DEV_PWM_DUTY;
        ops[i].rq.state.duty_ns = 1000 * (i + 1);
        if (i == 2)
            dev_request_set_timeout(&ops[i].rq.base, KROUTINE_MSEC(10));
        submit(&ops[i]);
    }
    ck_assert_int_eq(DEVICE_OP(&pwm, cancel, &ops[1].rq), 0);
    expect(&ops[2], -ETIMEDOUT);
    expect(&ops[0], 0);
    ck_assert_uint_eq(kt_get(&ops[1].done), 0);
    dev_request_set_timeout(&ops[2].rq.base, 0);
    expect_state(0, MS, 1000, false, false);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("pwm");
    int rounds = kt_real_rounds("KT_PWM_OWN");

    kt_add_loop(s, values, rounds, label, 30);
    kt_add_loop(s, what_cannot_be, rounds, label, 30);
    kt_add_loop(s, several_channels, rounds, label, 30);
    kt_add_loop(s, held_by_another, rounds, label, 30);
    kt_add_loop(s, closing_puts_back, rounds, label, 30);
    kt_add_loop(s, opening_errors, rounds, label, 30);
    kt_add_loop(s, waiting, rounds, label, 30);
    kt_add_loop(s, faults, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, no_polarity, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, cancels_and_time_outs, kt_timed_rounds(KT_MODES), timed_label, 30);
    return s;
}

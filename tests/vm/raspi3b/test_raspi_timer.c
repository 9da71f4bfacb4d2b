/* SPDX-License-Identifier: MIT */
/* The driver bcm2835-timer on the system timer of QEMU's Raspberry Pi 3. */
#include "kt.h"

#include <stdio.h>

static struct kt_env_s env;
static struct device_timer_s timer;

static void open_all(int mode)
{
    const char *path = getenv("KT_UIO_TIMER");
    char spec[128];

    ck_assert_msg(path != NULL, "KT_UIO_TIMER is not set: to be started by tests/vm/raspi");
    kt_env_open(&env, (enum kt_mode_e)mode);
    memset(&timer, 0, sizeof timer);
    snprintf(spec, sizeof spec, "bcm2835-timer:uio:%s", path + strlen("/dev/"));
    ck_assert_msg(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt), spec,
                                              DRIVER_CLASS_TIMER) == 0,
                  "%s: %s", spec, kroutine_error_text());
}

static void close_all(void)
{
    device_put_accessor(&timer.base);
    kt_env_close(&env);
}

struct shot_s {
    struct dev_timer_rq_s rq;
    unsigned done; /* atomic */
    int error;
    uint64_t at;
};

static KROUTINE_EXEC(over)
{
    struct shot_s *shot = KROUTINE_CONTAINER(dev_timer_rq_from_kr(kr), struct shot_s, rq);

    (void)flags;
    shot->error = shot->rq.error;
    DEVICE_OP(&timer, get_value, &shot->at, 0);
    kt_inc(&shot->done);
}

static error_t submit(struct shot_s *shot, uint64_t delay)
{
    memset(shot, 0, sizeof *shot);
    dev_timer_rq_init_immediate(&shot->rq, over);
    shot->rq.delay = delay;
    return DEVICE_OP(&timer, request, &shot->rq);
}

/* The counter is one of microseconds: the processor's own clock says so, too. */
START_TEST(what_it_counts)
{
    struct dev_timer_config_s cfg;
    uint64_t begin, ns, units;

    open_all(_i);
    ck_assert_int_eq(DEVICE_OP(&timer, config, &cfg, 0), 0);
    ck_assert_uint_eq(cfg.freq, 1000000);
    ck_assert_uint_eq(cfg.res, 1);
    ns = kt_now();
    begin = kt_timer_value(&timer);
    kt_sleep_ms(300);
    units = kt_timer_value(&timer) - begin;
    ns = kt_now() - ns;
    ck_assert_uint_ge(units, 300000);
    ck_assert_uint_le(units, ns / 1000 + 1);
    close_all();
}
END_TEST

START_TEST(deadlines)
{
    struct shot_s shot;
    error_t err;

    open_all(_i);
    for (unsigned i = 0; i < 500; i++) {
        err = submit(&shot, i % 5 ? 1 + i * 7 : 1);
        ck_assert_int_eq(err, 0);
        kt_await(&env, kt_get(&shot.done) == 1);
        ck_assert_int_eq(shot.error, 0);
        ck_assert_uint_ge(shot.at, shot.rq.deadline);
    }
    close_all();
}
END_TEST

START_TEST(many_at_once)
{
    static struct shot_s shot[500];
    unsigned cancelled = 0, done = 0;

    open_all(_i);
    for (unsigned i = 0; i < 500; i++)
        ck_assert_int_eq(submit(&shot[i], 50000 + i * 7919 % 500 * 100), 0);
    for (unsigned i = 0; i < 500; i += 3)
        cancelled += DEVICE_OP(&timer, cancel, &shot[i].rq) == 0;
    ck_assert_uint_gt(cancelled, 0);
    for (unsigned i = 1; i < 500; i++) {
        if (i % 3)
            kt_await(&env, kt_get(&shot[i].done) == 1);
    }
    kt_idle(&env, 110);
    for (unsigned i = 0; i < 500; i++) {
        done += kt_get(&shot[i].done);
        if (kt_get(&shot[i].done))
            ck_assert_uint_ge(shot[i].at, shot[i].rq.deadline);
    }
    ck_assert_uint_eq(done + cancelled, 500);
    close_all();
}
END_TEST

START_TEST(closed_and_opened_again)
{
    struct shot_s shot;

    for (unsigned round = 0; round < 20; round++) {
        open_all(_i);
        ck_assert_int_eq(submit(&shot, round % 2 ? 1000 : 10000000), 0);
        if (round % 2)
            kt_await(&env, kt_get(&shot.done) == 1);
        close_all();
        ck_assert_uint_eq(kt_get(&shot.done), 1);
        ck_assert_int_eq(shot.error, round % 2 ? 0 : -ECANCELED);
    }
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("raspi-timer");

    kt_add_loop(s, what_it_counts, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, deadlines, KT_MODES, kt_mode_label, 30);
    kt_add_loop(s, many_at_once, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, closed_and_opened_again, KT_MODES, kt_mode_label, 20);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* The driver bcm2835-timer over a model of the system timer (kt_bcm.h). */
#include "kt_bcm.h"

#include <stdio.h>

#define SPEC "bcm2835-timer:" KT_SYSTEM_TIMER_SPEC

static struct kt_env_s env;
static struct kt_system_timer_s m;
static struct device_timer_s timer;

static error_t open_spec(const char *spec)
{
    memset(&timer, 0, sizeof timer);
    return device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt), spec,
                                       DRIVER_CLASS_TIMER);
}

static void open_all(int round, uint64_t base)
{
    kt_env_open(&env, (enum kt_mode_e)round);
    kt_system_timer_start(&m, &env, base);
    ck_assert_msg(open_spec(SPEC) == 0, "%s", kroutine_error_text());
}

static void close_all(void)
{
    device_put_accessor(&timer.base);
    kt_system_timer_stop(&m);
    kt_env_close(&env);
}

struct shot_s {
    struct dev_timer_rq_s rq;
    unsigned done; /* atomic */
    int error;
    unsigned stamp;
    uint64_t early; /* units */
};

static KROUTINE_EXEC(over)
{
    struct shot_s *shot = KROUTINE_CONTAINER(dev_timer_rq_from_kr(kr), struct shot_s, rq);
    dev_timer_value_t now;

    (void)flags;
    shot->error = shot->rq.error;
    shot->stamp = kt_stamp();
    if (!shot->error && !DEVICE_OP(&timer, get_value, &now, 0) && now < shot->rq.deadline)
        shot->early = shot->rq.deadline - now;
    kt_inc(&shot->done);
}

static void init(struct shot_s *shot, uint64_t deadline, uint64_t delay)
{
    memset(shot, 0, sizeof *shot);
    dev_timer_rq_init_immediate(&shot->rq, over);
    shot->rq.deadline = deadline;
    shot->rq.delay = delay;
}

static error_t submit(struct shot_s *shot)
{
    return DEVICE_OP(&timer, request, &shot->rq);
}

static void expect(struct shot_s *shot, int error)
{
    kt_await(&env, kt_get(&shot->done) >= 1);
    ck_assert_uint_eq(kt_get(&shot->done), 1);
    ck_assert_int_eq(shot->error, error);
    ck_assert_uint_eq(shot->early, 0);
}

START_TEST(what_it_is)
{
    struct dev_timer_config_s cfg;
    uint64_t units, begin;

    open_all(_i, 5000000);
    ck_assert_int_eq(DEVICE_OP(&timer, config, &cfg, 0), 0);
    ck_assert_uint_eq(cfg.freq, 1000000);
    ck_assert_uint_eq(cfg.res, 1);
    ck_assert_uint_eq(cfg.rev & 1, 1);
    ck_assert_uint_eq(cfg.cap, DEV_TIMER_CAP_REQUEST | DEV_TIMER_CAP_VARFREQ);
    ck_assert_int_eq(dev_timer_init_sec(&timer, &units, NULL, 3, 1000), 0);
    ck_assert_uint_eq(units, 3000);
    begin = kt_timer_value(&timer);
    ck_assert_uint_ge(begin, 5000000);
    kt_await(&env, kt_timer_value(&timer) > begin + 20000);
    ck_assert_int_eq(DEVICE_OP(&timer, config, &cfg, 1000), 0);
    ck_assert_uint_eq(cfg.res, 1000);
    ck_assert_int_eq(dev_timer_init_sec(&timer, &units, NULL, 3, 1), 0);
    ck_assert_uint_eq(units, 3000);
    ck_assert_uint_ge(kt_timer_value(&timer), begin / 1000 + 20);
    ck_assert_uint_lt(kt_timer_value(&timer), begin / 100);
    close_all();
}
END_TEST

START_TEST(opening_says_what_is_wrong)
{
    kt_env_open(&env, KT_THREADS);
    ck_assert_int_eq(open_spec("bcm2835-timer:sim-mmio:x?msi=0"), -ENODEV);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "stands still"));
    ck_assert_int_eq(open_spec("bcm2835-timer:sim-mmio:y?msi=0&size=16"), -ENODEV);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "16 bytes"));
    ck_assert_int_eq(open_spec("bcm2835-timer:sim-mmio:z?compare=4"), -ERANGE);
    kt_env_close(&env);
}
END_TEST

/* 500 deadlines, from none at all to 2 ms away: many are passed while they are armed. */
START_TEST(none_is_early_and_none_is_missed)
{
    unsigned count = kt_count(500);
    struct shot_s shot;

    open_all(_i, 77);
    for (unsigned i = 0; i < count; i++) {
        error_t err;

        init(&shot, 0, i % 4 ? 1 + i % 5 : 1 + i * 4);
        err = submit(&shot);
        ck_assert_int_eq(err, 0);
        expect(&shot, 0);
    }
    init(&shot, kt_timer_value(&timer), 0);
    ck_assert_int_eq(submit(&shot), -ETIMEDOUT);
    init(&shot, UINT64_MAX / 2, 0);
    ck_assert_int_eq(submit(&shot), -ERANGE);
    close_all();
}
END_TEST

START_TEST(in_order)
{
    struct shot_s shot[50];
    uint64_t begin;

    open_all(_i, 0);
    begin = kt_timer_value(&timer) + 50000;
    for (unsigned i = 0; i < 50; i++) {
        init(&shot[i], begin + i * 37 % 50 * 100, 0);
        ck_assert_int_eq(submit(&shot[i]), 0);
    }
    for (unsigned i = 0; i < 50; i++)
        expect(&shot[i], 0);
    for (unsigned i = 0; i < 50; i++) {
        for (unsigned k = 0; k < 50; k++) {
            if (shot[i].rq.deadline < shot[k].rq.deadline)
                ck_assert_uint_lt(shot[i].stamp, shot[k].stamp);
        }
    }
    close_all();
}
END_TEST

START_TEST(cancel)
{
    struct shot_s a, b;

    open_all(_i, 0);
    init(&a, 0, 100000);
    init(&b, 0, 150000);
    ck_assert_int_eq(submit(&a), 0);
    ck_assert_int_eq(submit(&b), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &a.rq), 0);
    expect(&b, 0);
    ck_assert_uint_eq(kt_get(&a.done), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &b.rq), -EBUSY);
    close_all();
}
END_TEST

/* By hand: the lower half wraps, and deadlines are further away than it counts. */
START_TEST(beyond_the_lower_half)
{
    const uint64_t wrap = UINT64_C(1) << 32;
    struct shot_s near, far;

    open_all(_i, wrap - 1000000);
    kt_system_timer_set(&m, wrap - 10000);
    init(&near, wrap + 5, 0);
    init(&far, 3 * wrap + 700, 0);
    ck_assert_int_eq(submit(&far), 0);
    ck_assert_int_eq(submit(&near), 0);
    kt_system_timer_set(&m, wrap - 1);
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_get(&near.done), 0);
    kt_system_timer_set(&m, wrap + 5);
    expect(&near, 0);
    ck_assert_uint_eq(kt_timer_value(&timer), wrap + 5);
    for (uint64_t at = wrap + wrap / 2; at <= 3 * wrap; at += wrap / 2) {
        unsigned before = kt_get(&m.matches);

        kt_system_timer_set(&m, at + 600);
        kt_await(&env, at < wrap * 2 || kt_get(&m.matches) > before);
        kt_idle(&env, 20);
        ck_assert_uint_eq(kt_get(&far.done), 0);
    }
    kt_system_timer_set(&m, 3 * wrap + 701);
    expect(&far, 0);
    close_all();
}
END_TEST

START_TEST(time_out_and_resolution)
{
    struct dev_timer_config_s cfg;
    struct shot_s shot;

    open_all(_i, 1u << 20);
    init(&shot, 0, 10000000);
    dev_request_set_timeout(&shot.rq.base, KROUTINE_MSEC(20));
    ck_assert_int_eq(submit(&shot), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, config, &cfg, 10), -EBUSY);
    expect(&shot, -ETIMEDOUT);
    ck_assert_int_eq(DEVICE_OP(&timer, config, &cfg, 1000), 0);
    init(&shot, 0, 20); /* ms */
    ck_assert_int_eq(submit(&shot), 0);
    expect(&shot, 0);
    ck_assert_int_eq(DEVICE_OP(&timer, config, NULL, 0), 0);
    close_all();
}
END_TEST

START_TEST(closing_ends_all)
{
    struct shot_s shot[3];

    open_all(_i, 0);
    for (int i = 0; i < 3; i++) {
        init(&shot[i], 0, 100000000);
        ck_assert_int_eq(submit(&shot[i]), 0);
    }
    device_put_accessor(&timer.base);
    for (int i = 0; i < 3; i++)
        expect(&shot[i], -ECANCELED);
    ck_assert_int_eq(open_spec(SPEC), 0);
    init(&shot[0], 0, 1000);
    ck_assert_int_eq(submit(&shot[0]), 0);
    expect(&shot[0], 0);
    close_all();
}
END_TEST

START_TEST(gone)
{
    struct shot_s shot[2];

    open_all(_i, 0);
    for (int i = 0; i < 2; i++) {
        init(&shot[i], 0, 100000000);
        ck_assert_int_eq(submit(&shot[i]), 0);
    }
    ck_assert_int_eq(kroutine_sim_mmio_unplug(&m.below.base), 0);
    for (int i = 0; i < 2; i++)
        expect(&shot[i], -ENODEV);
    init(&shot[0], 0, 1000);
    ck_assert_int_eq(submit(&shot[0]), -ENODEV);
    close_all();
}
END_TEST

/* --- many threads --- */

static void *waits(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < kt_count(100); i++)
        ck_assert_int_eq(dev_timer_wait_delay(&timer, 1 + i % 300, 0), 0);
    return NULL;
}

START_TEST(many_threads)
{
    pthread_t thread[4];

    open_all(KT_THREADS, 0);
    for (int i = 0; i < 4; i++)
        thread[i] = kt_thread(waits, NULL);
    for (int i = 0; i < 4; i++)
        kt_join(thread[i]);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("bcm2835-timer");

    kt_add_loop(s, what_it_is, KT_MODES, kt_mode_label, 60);
    kt_add(s, opening_says_what_is_wrong, 60);
    kt_add_loop(s, none_is_early_and_none_is_missed, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, in_order, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, cancel, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, beyond_the_lower_half, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, time_out_and_resolution, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, closing_ends_all, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, gone, KT_MODES, kt_mode_label, 60);
    kt_add(s, many_threads, 60);
    return s;
}

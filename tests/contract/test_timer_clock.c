/* SPDX-License-Identifier: MIT */
/* The clocks: what they count, resolution, revisions, steps of realtime, and the helpers. */
#include "kt.h"

#include <stdio.h>
#include <sys/file.h>
#include <sys/time.h>
#include <time.h>

static struct kt_env_s env;
static struct device_timer_s timer;

static const char *const clocks[] = {"timer0", "timer1", "timer2"};

static const char *clock_label(int round)
{
    return clocks[round];
}

static void open_clock(int clock)
{
    if (!env.rt)
        kt_env_open(&env, kt_backend == KROUTINE_BACKEND_SIM ? KT_EMBEDDED : KT_THREADS);
    memset(&timer, 0, sizeof timer);
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 clocks[clock], DRIVER_CLASS_TIMER),
                     0);
}

static void close_all(void)
{
    device_put_accessor(&timer.base);
    kt_env_close(&env);
}

static struct dev_timer_config_s config(void)
{
    struct dev_timer_config_s cfg;

    memset(&cfg, 0xee, sizeof cfg);
    ck_assert_int_eq(DEVICE_OP(&timer, config, &cfg, 0), 0);
    return cfg;
}

static struct dev_timer_rq_s rq;
static unsigned done;
static int error;

static KROUTINE_EXEC(over)
{
    struct dev_timer_rq_s *r = dev_timer_rq_from_kr(kr);

    (void)flags;
    error = r->error;
    kt_inc(&done);
}

static error_t submit(uint64_t deadline, uint64_t delay, uint32_t rev)
{
    memset(&rq, 0, sizeof rq);
    kt_set(&done, 0);
    dev_timer_rq_init_immediate(&rq, over);
    rq.deadline = deadline;
    rq.delay = delay;
    rq.rev = rev;
    return DEVICE_OP(&timer, request, &rq);
}

/* --- values --- */

START_TEST(value_is_that_of_the_clock)
{
    static const clockid_t ids[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
    static const uint64_t virtual[] = {UINT64_C(1000000000), UINT64_C(1577836800000000000),
                                       UINT64_C(1000000000)};
    struct timespec ts;
    uint64_t before, after, v;

    open_clock(_i);
    clock_gettime(ids[_i], &ts);
    before = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    v = kt_timer_value(&timer);
    clock_gettime(ids[_i], &ts);
    after = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    if (kt_backend == KROUTINE_BACKEND_SIM) {
        before = virtual[_i];
        after = before + KROUTINE_SEC(1);
    }
    ck_assert_uint_ge(v, before);
    ck_assert_uint_le(v, after);
    kt_idle(&env, 2);
    ck_assert_uint_ge(kt_timer_value(&timer), v + KROUTINE_MSEC(2));
    close_all();
}
END_TEST

START_TEST(config_tells)
{
    struct dev_timer_config_s cfg;

    open_clock(_i);
    cfg = config();
    ck_assert_uint_eq(cfg.freq, 1000000000);
    ck_assert_uint_eq(cfg.res, 1);
    ck_assert_uint_eq(cfg.rev % 2, 1);
    ck_assert_uint_ge(cfg.max, INT64_MAX);
    ck_assert(cfg.cap & DEV_TIMER_CAP_REQUEST);
    ck_assert(!!(cfg.cap & DEV_TIMER_CAP_CLKSKEW) == (_i == 1));
    ck_assert(!!(cfg.cap & DEV_TIMER_CAP_SUSPEND) == (_i == 2));
    ck_assert(!!(cfg.cap & DEV_TIMER_CAP_VIRTUAL) == (kt_backend == KROUTINE_BACKEND_SIM));
    ck_assert_int_eq(DEVICE_OP(&timer, config, NULL, 0), 0);
    close_all();
}
END_TEST

START_TEST(stale_revisions_are_refused)
{
    dev_timer_value_t v = 4711;
    uint32_t rev, wrong;

    open_clock(_i);
    rev = config().rev;
    wrong = rev + 2;
    ck_assert_int_eq(DEVICE_OP(&timer, get_value, &v, wrong), -EAGAIN);
    ck_assert_uint_eq(v, 4711); /* untouched */
    ck_assert_int_eq(DEVICE_OP(&timer, get_value, &v, rev), 0);
    ck_assert_int_eq(submit(0, 1000, wrong), -EAGAIN);
    kt_idle(&env, 2);
    ck_assert_uint_eq(kt_get(&done), 0);
    ck_assert_int_eq(submit(0, 1000, rev), 0);
    kt_await(&env, kt_get(&done) == 1);
    ck_assert_int_eq(error, 0);
    close_all();
}
END_TEST

/* --- resolution --- */

START_TEST(resolution_can_be_changed_when_idle)
{
    struct dev_timer_config_s cfg;
    uint64_t ns, us;
    uint32_t rev;

    open_clock(_i);
    cfg = config();
    if (!(cfg.cap & DEV_TIMER_CAP_VARFREQ)) {
        ck_assert_int_eq(DEVICE_OP(&timer, config, &cfg, 1000), -ENOTSUP);
        close_all();
        return;
    }
    rev = cfg.rev;
    ns = kt_timer_value(&timer);
    ck_assert_int_eq(DEVICE_OP(&timer, config, &cfg, 1000), 0);
    ck_assert_uint_eq(cfg.res, 1000);
    ck_assert_uint_eq(cfg.rev, rev + 2);
    us = kt_timer_value(&timer);
    ck_assert_uint_ge(us, ns / 1000);
    ck_assert_uint_lt(us, ns / 1000 + 5000000);
    ck_assert_int_eq(submit(0, 1000000000, cfg.rev), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, config, NULL, 1), -EBUSY); /* it has a request */
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &rq), 0);
    ns = kt_clock(&env);
    ck_assert_int_eq(submit(0, 2000, cfg.rev), 0); /* 2000 us */
    kt_await(&env, kt_get(&done) == 1);
    /* Less a millisecond by which another test may step the real clock meanwhile. */
    ck_assert_uint_ge(kt_clock(&env) - ns, KROUTINE_USEC(800));
    ck_assert_int_eq(device_start(&timer.base), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, config, NULL, 1), -EBUSY); /* it is started */
    ck_assert_uint_eq(config().res, 1000);
    ck_assert_int_eq(device_stop(&timer.base), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, config, &cfg, 1), 0);
    ck_assert_uint_eq(cfg.rev, rev + 4);
    close_all();
}
END_TEST

START_TEST(start_and_stop_are_counted)
{
    open_clock(_i);
    ck_assert_int_eq(device_stop(&timer.base), -EINVAL);
    ck_assert_int_eq(device_start(&timer.base), 0);
    ck_assert_int_eq(device_start(&timer.base), 0);
    ck_assert_int_eq(device_stop(&timer.base), 0);
    ck_assert_int_eq(device_stop(&timer.base), 0);
    ck_assert_int_eq(device_stop(&timer.base), -EINVAL);
    close_all();
}
END_TEST

/* --- helpers --- */

START_TEST(seconds_to_units)
{
    uint64_t u = 0, rest = 99;
    uint32_t rev = 0;

    open_clock(_i);
    ck_assert_int_eq(dev_timer_init_sec(&timer, &u, &rev, 3, 1), 0);
    ck_assert_uint_eq(u, UINT64_C(3000000000));
    ck_assert_uint_eq(rev, config().rev);
    ck_assert_int_eq(dev_timer_init_sec(&timer, &u, NULL, 1500, 1000), 0);
    ck_assert_uint_eq(u, 1500000000);
    ck_assert_int_eq(dev_timer_init_sec(&timer, &u, NULL, 1, 3), 0);
    ck_assert_uint_eq(u, 333333333);
    ck_assert_int_eq(dev_timer_init_sec_round(&timer, &u, NULL, 2, 3), 0);
    ck_assert_uint_eq(u, 666666667);
    ck_assert_int_eq(dev_timer_init_sec_ceil(&timer, &u, NULL, 1, 3), 0);
    ck_assert_uint_eq(u, 333333334);
    ck_assert_int_eq(dev_timer_init_sec_ceil(&timer, &u, NULL, 2, 1), 0);
    ck_assert_uint_eq(u, 2000000000);
    ck_assert_int_eq(dev_timer_init_sec(&timer, &u, NULL, 1, 4000000000u), 0);
    ck_assert_uint_eq(u, 1); /* not less than 1 */
    ck_assert_int_eq(dev_timer_init_sec(&timer, &u, NULL, 0, 1), 0);
    ck_assert_uint_eq(u, 0);
    ck_assert_int_eq(dev_timer_init_sec(&timer, &rest, NULL, UINT64_MAX, 1), -ERANGE);
    ck_assert_int_eq(dev_timer_init_sec(&timer, &rest, NULL, UINT64_C(1) << 35, 1), -ERANGE);
    ck_assert_uint_eq(rest, 99); /* untouched */
    ck_assert_int_eq(dev_timer_init_sec(&timer, &u, NULL, UINT64_C(9000000000), 1), 0);
    ck_assert_uint_eq(u, UINT64_C(9000000000000000000));
    close_all();
}
END_TEST

START_TEST(units_to_seconds)
{
    uint64_t s = 7;
    unsigned shift = 99;
    uint32_t rev;

    open_clock(_i);
    rev = config().rev;
    ck_assert_int_eq(dev_timer_get_sec(&timer, &s, 0, UINT64_C(2999999999), 1), 0);
    ck_assert_uint_eq(s, 2);
    ck_assert_int_eq(dev_timer_get_sec(&timer, &s, rev, 2500000, 1000), 0);
    ck_assert_uint_eq(s, 2);
    ck_assert_int_eq(dev_timer_get_sec(&timer, &s, rev, INT64_MAX, 1000000000), 0);
    ck_assert_uint_eq(s, INT64_MAX);
    ck_assert_int_eq(dev_timer_get_sec(&timer, &s, rev + 2, 1, 1), -EAGAIN);
    ck_assert_int_eq(dev_timer_shift_sec(&timer, &shift, NULL, 1, 1), 0);
    ck_assert_uint_eq(shift, 29); /* 2^29 ns <= 1 s < 2^30 ns */
    ck_assert_int_eq(dev_timer_shift_sec(&timer, &shift, NULL, 1024, 1000000000), 0);
    ck_assert_uint_eq(shift, 10);
    close_all();
}
END_TEST

START_TEST(check_timeout_tells)
{
    uint64_t start;

    open_clock(_i);
    start = kt_timer_value(&timer);
    ck_assert_int_eq(dev_timer_check_timeout(&timer, KROUTINE_SEC(100), start), 0);
    ck_assert_int_eq(dev_timer_check_timeout(&timer, 0, start), 1);
    kt_idle(&env, 3);
    ck_assert_int_eq(dev_timer_check_timeout(&timer, KROUTINE_MSEC(2), start), 1);
    close_all();
}
END_TEST

static void *wait_for_it(void *arg)
{
    error_t *result = arg;

    result[0] = dev_timer_wait_delay(&timer, KROUTINE_MSEC(5), 0);
    result[1] =
        dev_timer_wait_deadline(&timer, kt_timer_value(&timer) + KROUTINE_MSEC(5) * kt_slow(), 0);
    result[2] = dev_timer_wait_deadline(&timer, 1, 0);
    result[3] = dev_timer_wait_delay(&timer, 1000, config().rev + 2);
    kt_set(&done, 1);
    return NULL;
}

START_TEST(blocking_waits)
{
    error_t result[4] = {1, 1, 1, 1};
    uint64_t start;
    pthread_t thread;

    open_clock(_i);
    if (env.embedded)
        kroutine_runtime_process(env.rt);
    start = kt_clock(&env);
    thread = kt_thread(wait_for_it, result);
    kt_await(&env, kt_get(&done) == 1);
    kt_join(thread);
    ck_assert_uint_ge(kt_clock(&env) - start, KROUTINE_MSEC(5));
    ck_assert_int_eq(result[0], 0);
    if (kt_backend == KROUTINE_BACKEND_SIM) /* whose time goes on between the two calls */
        ck_assert(result[1] == 0 || result[1] == -ETIMEDOUT);
    else
        ck_assert_int_eq(result[1], 0);
    ck_assert_int_eq(result[2], -ETIMEDOUT);
    ck_assert_int_eq(result[3], -EAGAIN);
    if (env.embedded)
        ck_assert_int_eq(dev_timer_wait_delay(&timer, 1000, 0), -EDEADLK);
    close_all();
}
END_TEST

/* --- steps of realtime --- */

static bool step_clock(int64_t ns)
{
    struct timespec ts;

    if (kt_backend == KROUTINE_BACKEND_SIM) {
        ck_assert_int_eq(kroutine_sim_step_clock(env.rt, ns), 0);
        return true;
    }
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += (long)ns;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_nsec -= 1000000000;
        ts.tv_sec++;
    } else if (ts.tv_nsec < 0) {
        ts.tv_nsec += 1000000000;
        ts.tv_sec--;
    }
    return clock_settime(CLOCK_REALTIME, &ts) == 0;
}

#define STEP 1000000 /* forth and back: what runs on this machine should not notice */

/* A request that counts on the revision hears of it; one with a relative delay, or rev 0, is not
   disturbed; monotonic requests do not notice. */
START_TEST(step_is_reported_on_realtime)
{
    uint32_t rev;

    open_clock(1);
    rev = config().rev;
    ck_assert_int_eq(submit(kt_timer_value(&timer) + KROUTINE_SEC(1000), 0, rev), 0);
    if (!step_clock(_i ? -STEP : STEP)) {
        ck_assert_int_eq(errno, EPERM);
        ck_assert_int_eq(DEVICE_OP(&timer, cancel, &rq), 0);
        kt_skip("the clock cannot be set here (CAP_SYS_TIME)");
    }
    kt_await(&env, kt_get(&done) == 1);
    ck_assert_int_eq(error, -EAGAIN);
    step_clock(_i ? STEP : -STEP);
    kt_await(&env, config().rev >= rev + 4); /* more: something else has set the clock */
    ck_assert_int_eq(submit(kt_timer_value(&timer) + KROUTINE_SEC(1000), 0, rev), -EAGAIN);
    close_all();
}
END_TEST

START_TEST(step_leaves_rev_0_alone)
{
    open_clock(1);
    ck_assert_int_eq(submit(kt_timer_value(&timer) + KROUTINE_SEC(1000), 0, 0), 0);
    if (!step_clock(STEP)) {
        ck_assert_int_eq(errno, EPERM);
        ck_assert_int_eq(DEVICE_OP(&timer, cancel, &rq), 0);
        kt_skip("the clock cannot be set here (CAP_SYS_TIME)");
    }
    kt_idle(&env, 20);
    step_clock(-STEP);
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_get(&done), 0);
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &rq), 0);
    close_all();
}
END_TEST

START_TEST(step_leaves_monotonic_alone)
{
    uint32_t rev;

    open_clock(_i ? 2 : 0);
    rev = config().rev;
    ck_assert_int_eq(submit(0, KROUTINE_SEC(1000), rev), 0);
    if (!step_clock(STEP)) {
        ck_assert_int_eq(errno, EPERM);
        kt_skip("the clock cannot be set here (CAP_SYS_TIME)");
    }
    kt_idle(&env, 20);
    step_clock(-STEP);
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_get(&done), 0);
    ck_assert_uint_eq(config().rev, rev);
    ck_assert_int_eq(DEVICE_OP(&timer, cancel, &rq), 0);
    close_all();
}
END_TEST

/* In the simulator the steps can be large: an absolute deadline comes with them, one that was
   relative was made absolute at submit, as the header says. */
START_TEST(absolute_deadline_comes_with_the_step)
{
    uint64_t deadline;

    open_clock(1);
    deadline = kt_timer_value(&timer) + KROUTINE_SEC(3600);
    ck_assert_int_eq(submit(deadline, 0, 0), 0);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&done), 0);
    ck_assert_int_eq(kroutine_sim_step_clock(env.rt, (int64_t)KROUTINE_SEC(3601)), 0);
    kt_await(&env, kt_get(&done) == 1);
    ck_assert_int_eq(error, 0);
    ck_assert_uint_ge(kt_timer_value(&timer), deadline);
    /* And back: a later deadline waits that much longer. */
    ck_assert_int_eq(submit(kt_timer_value(&timer) + KROUTINE_MSEC(10), 0, 0), 0);
    ck_assert_int_eq(kroutine_sim_step_clock(env.rt, -(int64_t)KROUTINE_MSEC(500)), 0);
    kt_idle(&env, 400);
    ck_assert_uint_eq(kt_get(&done), 0);
    kt_idle(&env, 200);
    ck_assert_uint_eq(kt_get(&done), 1);
    close_all();
}
END_TEST

static const char *step_label(int round)
{
    return round ? "back" : "forth";
}

static const char *steady_label(int round)
{
    return round ? "boottime" : "monotonic";
}

/* This program sets the clock of the machine: until it ends, its runs over the other backends,
   which look at that clock, wait here. */
static void only_one_at_a_time(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || flock(fd, LOCK_EX)) {
        perror("flock");
        exit(EXIT_FAILURE);
    }
}

Suite *kt_suite(void)
{
    Suite *s = suite_create("timer clock");
    const TTest *tests[] = {
        value_is_that_of_the_clock,
        config_tells,
        stale_revisions_are_refused,
        resolution_can_be_changed_when_idle,
        start_and_stop_are_counted,
        seconds_to_units,
        units_to_seconds,
        check_timeout_tells,
        blocking_waits,
    };

    if (kt_backend != KROUTINE_BACKEND_SIM)
        only_one_at_a_time();
    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        kt_add_loop(s, tests[i], 3, clock_label, 20);
    kt_add_loop(s, step_is_reported_on_realtime, 2, step_label, 20);
    kt_add(s, step_leaves_rev_0_alone, 20);
    kt_add_loop(s, step_leaves_monotonic_alone, 2, steady_label, 20);
    if (kt_backend == KROUTINE_BACKEND_SIM)
        kt_add(s, absolute_deadline_comes_with_the_step, 20);
    return s;
}

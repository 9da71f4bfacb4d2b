/* SPDX-License-Identifier: MIT */
/* Virtual time, and with it the timer class: order, refusals, units, steps, time-outs, ends. */
#include "sim_common.h"

#include <poll.h>

/* --- time --- */

START_TEST(years_pass_at_once)
{
    static struct timed_s t;
    uint64_t year = KROUTINE_SEC(365ull * 86400), start;
    struct dev_timer_config_s cfg;

    open_runtime(KT_EMBEDDED, 1);
    ck_assert_int_eq(DEVICE_OP(&timer[0], config, &cfg, 0), 0);
    ck_assert_uint_ne(cfg.cap & DEV_TIMER_CAP_VIRTUAL, 0);
    start = kroutine_sim_now(env.rt);
    ck_assert_int_eq(timed_start(&t, 0, 10 * year, 0), 0);
    ck_assert_int_gt(kroutine_runtime_wait(env.rt, -1), 0);
    ck_assert_uint_eq(t.runs, 1);
    ck_assert_uint_eq(t.at, start + 10 * year);
    ck_assert_uint_eq(t.rq.deadline, t.at);
    close_runtime();
}
END_TEST

START_TEST(a_wait_is_as_long_as_asked)
{
    static struct timed_s t;
    uint64_t start;

    open_runtime(KT_EMBEDDED, 1);
    start = kroutine_sim_now(env.rt);
    ck_assert_int_eq(timed_start(&t, 0, 1000, 0), 0);
    ck_assert_int_eq(kroutine_runtime_wait(env.rt, 999), 0);
    ck_assert_uint_eq(kroutine_sim_now(env.rt), start + 999);
    ck_assert_uint_eq(t.runs, 0);
    ck_assert_int_eq(kroutine_runtime_wait(env.rt, 50), 1);
    ck_assert_uint_eq(t.at, start + 1000);
    ck_assert_uint_eq(kroutine_sim_now(env.rt), start + 1000);
    ck_assert_int_eq(kroutine_runtime_wait(env.rt, 50), 0);
    ck_assert_uint_eq(kroutine_sim_now(env.rt), start + 1050);
    close_runtime();
}
END_TEST

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

START_TEST(foreign_loop_is_told)
{
    static struct timed_s t;
    int fd;

    open_runtime(KT_EMBEDDED, 1);
    fd = kroutine_runtime_fd(env.rt);
    while (kroutine_runtime_process(env.rt) > 0)
        ;
    ck_assert(!readable(fd));
    ck_assert_int_eq(timed_start(&t, 0, KROUTINE_SEC(3600), 0), 0);
    for (unsigned calls = 0; !t.runs; calls++) {
        ck_assert(readable(fd));
        ck_assert_int_ge(kroutine_runtime_process(env.rt), 0);
        ck_assert_uint_lt(calls, 3);
    }
    ck_assert_int_eq(kroutine_runtime_process(env.rt), 0);
    ck_assert(!readable(fd));
    close_runtime();
}
END_TEST

START_TEST(order_of_deadlines)
{
    static struct timed_s t[50];

    open_runtime(KT_EMBEDDED, 1);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(timed_start(&t[i], i % 3, (uint64_t)(i / 10 + 1) * 100, 0), 0);
    run_for(1000);
    for (int i = 0; i < 50; i++) {
        ck_assert_uint_eq(t[i].runs, 1);
        /* Equal deadlines of a clock in order of submission. */
        if (i >= 3)
            ck_assert_uint_lt(t[i - 3].stamp, t[i].stamp);
        if (i >= 10)
            ck_assert_uint_lt(t[i - 10].at, t[i].at);
    }
    close_runtime();
}
END_TEST

static struct timed_s pair[2];

static KROUTINE_EXEC(cancels_neighbour)
{
    (void)flags;
    pair[0].runs++;
    ck_assert_int_eq(DEVICE_OP(&timer[0], cancel, &pair[1].rq), 0);
    ck_assert_int_eq(DEVICE_OP(&timer[0], cancel, &pair[1].rq), -EBUSY);
    (void)kr;
}

START_TEST(handler_cancels_one_that_is_due_too)
{
    open_runtime(KT_EMBEDDED, 1);
    dev_timer_rq_init_immediate(&pair[0].rq, cancels_neighbour);
    pair[0].rq.delay = 100;
    ck_assert_int_eq(DEVICE_OP(&timer[0], request, &pair[0].rq), 0);
    ck_assert_int_eq(timed_start(&pair[1], 0, 100, 0), 0);
    run_for(200);
    ck_assert_uint_eq(pair[0].runs, 1);
    ck_assert_uint_eq(pair[1].runs, 0);
    close_runtime();
}
END_TEST

START_TEST(tiny_periods_do_not_starve)
{
    static struct timed_s fast, slow;

    open_runtime(KT_EMBEDDED, 1);
    fast.period = 1;
    ck_assert_int_eq(timed_start(&fast, 0, 1, 0), 0);
    ck_assert_int_eq(timed_start(&slow, 0, 500, 0), 0);
    run_for(1000);
    ck_assert_uint_eq(slow.runs, 1);
    ck_assert_uint_ge(fast.runs, 1000);
    fast.period = 0;
    close_runtime();
}
END_TEST

START_TEST(what_a_timer_refuses)
{
    static struct timed_s t;
    struct dev_timer_config_s cfg;
    uint64_t now;

    open_runtime(KT_EMBEDDED, 1);
    ck_assert_int_eq(DEVICE_OP(&timer[0], get_value, &now, 0), 0);
    ck_assert_int_eq(timed_start(&t, 0, 0, now), -ETIMEDOUT);
    ck_assert_int_eq(timed_start(&t, 0, 0, 0), -ETIMEDOUT);
    ck_assert_int_eq(timed_start(&t, 0, INT64_MAX, 0), -ERANGE);
    ck_assert_int_eq(timed_start(&t, 0, UINT64_MAX, 0), -ERANGE);
    ck_assert_int_eq(timed_start(&t, 0, 0, (uint64_t)INT64_MAX + 1), -ERANGE);
    ck_assert_int_eq(DEVICE_OP(&timer[0], config, &cfg, 0), 0);
    t.rq.rev = cfg.rev + 2;
    ck_assert_int_eq(timed_start(&t, 0, 5, 0), -EAGAIN);
    ck_assert_int_eq(DEVICE_OP(&timer[0], get_value, &now, cfg.rev + 2), -EAGAIN);
    ck_assert_int_eq(DEVICE_OP(&timer[0], cancel, &t.rq), -EBUSY);
    t.rq.rev = cfg.rev;
    ck_assert_int_eq(timed_start(&t, 0, 0, INT64_MAX), 0);
    ck_assert_int_eq(DEVICE_OP(&timer[0], config, NULL, 7), -EBUSY);
    ck_assert_int_eq(DEVICE_OP(&timer[0], cancel, &t.rq), 0);
    ck_assert_uint_eq(t.runs, 0);
    ck_assert_int_eq(device_start(&timer[0].base), 0);
    ck_assert_int_eq(DEVICE_OP(&timer[0], config, NULL, 7), -EBUSY);
    ck_assert_int_eq(device_stop(&timer[0].base), 0);
    ck_assert_int_eq(DEVICE_OP(&timer[0], config, NULL, 7), 0);
    ck_assert_int_eq(timed_start(&t, 0, 5, 0), -EAGAIN); /* the revision is another */
    close_runtime();
}
END_TEST

START_TEST(resolution)
{
    static struct timed_s t;
    struct dev_timer_config_s cfg;
    uint64_t start, units;
    uint32_t rev;

    open_runtime(KT_EMBEDDED, 1);
    run_for(300);
    ck_assert_int_eq(DEVICE_OP(&timer[0], config, &cfg, 1000), 0);
    ck_assert_uint_eq(cfg.res, 1000);
    ck_assert_uint_eq(cfg.rev % 2, 1);
    ck_assert_uint_eq(cfg.max, INT64_MAX / 1000);
    start = kroutine_sim_now(env.rt);
    ck_assert_int_eq(DEVICE_OP(&timer[0], get_value, &units, cfg.rev), 0);
    ck_assert_uint_eq(units, start / 1000);
    ck_assert_int_eq(timed_start(&t, 0, 3, 0), 0);
    run_for(10000);
    ck_assert_uint_ge(t.at, start + 3000); /* never early */
    ck_assert_uint_le(t.at, start + 4000);
    ck_assert_uint_eq(t.at, t.rq.deadline * 1000);
    ck_assert_int_eq(dev_timer_init_sec(&timer[0], &units, &rev, 1500, 1000000), 0);
    ck_assert_uint_eq(units, 1500);
    ck_assert_uint_eq(rev, cfg.rev);
    close_runtime();
}
END_TEST

START_TEST(seconds_to_units)
{
    const struct device_timer_s *t = &timer[0];
    uint64_t v = 77;
    unsigned shift = 77;

    open_runtime(KT_EMBEDDED, 1);
    ck_assert_int_eq(DEVICE_OP(t, config, NULL, 1000), 0); /* microseconds */
    ck_assert_int_eq(dev_timer_init_sec(t, &v, NULL, 1999, 1000000000), 0);
    ck_assert_uint_eq(v, 1);
    ck_assert_int_eq(dev_timer_init_sec_round(t, &v, NULL, 1500, 1000000000), 0);
    ck_assert_uint_eq(v, 2);
    ck_assert_int_eq(dev_timer_init_sec_round(t, &v, NULL, 1499, 1000000000), 0);
    ck_assert_uint_eq(v, 1);
    ck_assert_int_eq(dev_timer_init_sec_ceil(t, &v, NULL, 1001, 1000000000), 0);
    ck_assert_uint_eq(v, 2);
    ck_assert_int_eq(dev_timer_init_sec_ceil(t, &v, NULL, 2000, 1000000000), 0);
    ck_assert_uint_eq(v, 2);
    /* A delay stays a delay, and no delay none. */
    ck_assert_int_eq(dev_timer_init_sec(t, &v, NULL, 1, 1000000000), 0);
    ck_assert_uint_eq(v, 1);
    ck_assert_int_eq(dev_timer_init_sec(t, &v, NULL, 0, 1), 0);
    ck_assert_uint_eq(v, 0);
    /* The end of the range: products of more than 64 bits. */
    ck_assert_int_eq(dev_timer_init_sec(t, &v, NULL, 9223372036854775ull, 1000000), 0);
    ck_assert_uint_eq(v, 9223372036854775ull);
    v = 77;
    ck_assert_int_eq(dev_timer_init_sec(t, &v, NULL, 9223372036854776ull, 1000000), -ERANGE);
    ck_assert_int_eq(dev_timer_init_sec(t, &v, NULL, UINT64_MAX, 1), -ERANGE);
    ck_assert_int_eq(dev_timer_init_sec(t, &v, NULL, 1, 0), -EINVAL);
    ck_assert_uint_eq(v, 77);

    ck_assert_int_eq(dev_timer_get_sec(t, &v, 0, 1999999, 1), 0);
    ck_assert_uint_eq(v, 1);
    ck_assert_int_eq(dev_timer_get_sec(t, &v, 0, 18446744073709ull, 1000000), 0);
    ck_assert_uint_eq(v, 18446744073709ull);
    ck_assert_int_eq(dev_timer_get_sec(t, &v, 0, UINT64_MAX, 4000000000u), -ERANGE);
    ck_assert_int_eq(dev_timer_get_sec(t, &v, 1, 5, 1), -EAGAIN); /* it was 1 before config */

    ck_assert_int_eq(dev_timer_shift_sec(t, &shift, NULL, 1, 1000), 0);
    ck_assert_uint_eq(shift, 9);
    ck_assert_int_eq(dev_timer_shift_sec(t, &shift, NULL, 1024, 1000000), 0);
    ck_assert_uint_eq(shift, 10);
    ck_assert_int_eq(dev_timer_shift_sec(t, &shift, NULL, 1, 1000000000), -ERANGE);
    close_runtime();
}
END_TEST

START_TEST(check_timeout)
{
    uint64_t start;

    open_runtime(KT_EMBEDDED, 1);
    ck_assert_int_eq(DEVICE_OP(&timer[0], get_value, &start, 0), 0);
    ck_assert_int_eq(dev_timer_check_timeout(&timer[0], 10, start), 0);
    run_for(9);
    ck_assert_int_eq(dev_timer_check_timeout(&timer[0], 10, start), 0);
    run_for(1);
    ck_assert_int_eq(dev_timer_check_timeout(&timer[0], 10, start), 1);
    ck_assert_int_eq(dev_timer_check_timeout(&timer[0], 0, start), 1);
    close_runtime();
}
END_TEST

/* --- steps of the clock --- */

START_TEST(step_forth_and_back)
{
    static struct timed_s fixed, told, other;
    struct dev_timer_config_s cfg;
    uint64_t now, start;

    open_runtime(KT_EMBEDDED, 1);
    ck_assert_int_eq(DEVICE_OP(&timer[1], config, &cfg, 0), 0);
    ck_assert_uint_ne(cfg.cap & DEV_TIMER_CAP_CLKSKEW, 0);
    ck_assert_int_eq(DEVICE_OP(&timer[1], get_value, &now, cfg.rev), 0);
    ck_assert_uint_gt(now, KROUTINE_SEC(1577836800));
    start = kroutine_sim_now(env.rt);
    ck_assert_int_eq(timed_start(&fixed, 1, 0, now + KROUTINE_SEC(100)), 0);
    told.rq.rev = 0;
    dev_timer_rq_init_immediate(&told.rq, timed_end);
    told.rq.delay = KROUTINE_SEC(200);
    told.rq.rev = cfg.rev;
    ck_assert_int_eq(DEVICE_OP(&timer[1], request, &told.rq), 0);
    ck_assert_int_eq(timed_start(&other, 0, KROUTINE_SEC(100), 0), 0);

    ck_assert_int_eq(kroutine_sim_step_clock(env.rt, -(int64_t)KROUTINE_SEC(50)), 0);
    ck_assert_int_gt(kroutine_runtime_process(env.rt), 0);
    ck_assert_uint_eq(told.runs, 1); /* at once, and only who asked to be told */
    ck_assert_int_eq(told.rq.error, -EAGAIN);
    ck_assert_uint_eq(fixed.runs + other.runs, 0);
    ck_assert_int_eq(DEVICE_OP(&timer[1], get_value, &now, cfg.rev), -EAGAIN);
    run_for(KROUTINE_SEC(120));
    ck_assert_uint_eq(other.at, start + KROUTINE_SEC(100));
    ck_assert_uint_eq(fixed.runs, 0);
    ck_assert_int_eq(kroutine_sim_step_clock(env.rt, KROUTINE_SEC(60)), 0);
    ck_assert_int_gt(kroutine_runtime_process(env.rt), 0);
    ck_assert_uint_eq(fixed.runs, 1);
    ck_assert_int_eq(fixed.rq.error, 0);
    ck_assert_uint_eq(fixed.at, start + KROUTINE_SEC(120));
    ck_assert_int_eq(kroutine_sim_step_clock(env.rt, INT64_MAX), -ERANGE);
    close_runtime();
}
END_TEST

START_TEST(step_of_many_keeps_order)
{
    static struct timed_s t[200];
    uint64_t now;

    open_runtime(KT_EMBEDDED, 1);
    ck_assert_int_eq(DEVICE_OP(&timer[1], get_value, &now, 0), 0);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(timed_start(&t[i], 1, 0, now + KROUTINE_SEC(1000 + (uint64_t)i / 20)), 0);
    ck_assert_int_eq(kroutine_sim_step_clock(env.rt, -(int64_t)KROUTINE_SEC(500)), 0);
    run_for(KROUTINE_SEC(600));
    ck_assert_uint_eq(t[0].runs, 0);
    ck_assert_int_eq(kroutine_sim_step_clock(env.rt, KROUTINE_SEC(5000)), 0);
    run_for(1);
    for (int i = 0; i < 200; i++) {
        ck_assert_uint_eq(t[i].runs, 1);
        if (i)
            ck_assert_uint_lt(t[i - 1].stamp, t[i].stamp);
    }
    close_runtime();
}
END_TEST

START_TEST(time_out_comes_before_deadline)
{
    static struct timed_s t[2];
    uint64_t now, start;

    open_runtime(KT_EMBEDDED, 1);
    start = kroutine_sim_now(env.rt);
    dev_timer_rq_init_immediate(&t[0].rq, timed_end);
    dev_request_set_timeout(&t[0].rq.base, 500);
    t[0].rq.delay = 1000;
    ck_assert_int_eq(DEVICE_OP(&timer[0], request, &t[0].rq), 0);
    /* On realtime it lasts as long whatever is done to the clock. */
    ck_assert_int_eq(DEVICE_OP(&timer[1], get_value, &now, 0), 0);
    dev_timer_rq_init_immediate(&t[1].rq, timed_end);
    dev_request_set_timeout(&t[1].rq.base, KROUTINE_SEC(10));
    t[1].rq.delay = 0;
    t[1].rq.deadline = now + KROUTINE_SEC(5);
    ck_assert_int_eq(DEVICE_OP(&timer[1], request, &t[1].rq), 0);
    ck_assert_int_eq(kroutine_sim_step_clock(env.rt, -(int64_t)KROUTINE_SEC(3600)), 0);
    run_for(KROUTINE_SEC(20));
    ck_assert_uint_eq(t[0].at, start + 500);
    ck_assert_int_eq(t[0].rq.error, -ETIMEDOUT);
    ck_assert_uint_eq(t[1].at, start + KROUTINE_SEC(10));
    ck_assert_int_eq(t[1].rq.error, -ETIMEDOUT);
    /* The same request once more, with the deadline first. */
    ck_assert_int_eq(timed_start(&t[0], 0, 400, 0), 0);
    run_for(1000);
    ck_assert_int_eq(t[0].rq.error, 0);
    close_runtime();
}
END_TEST

/* --- ends of a runtime --- */

START_TEST(closing_ends_what_is_pending)
{
    static struct timed_s t[3];
    static struct byte_rq_s b;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&acc, "sim-char:x");
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(timed_start(&t[i], i, KROUTINE_SEC(5), 0), 0);
    byte_start(&b, &acc, DEV_CHAR_READ, NULL, 10);
    close_runtime();
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(t[i].runs, 1);
        ck_assert_int_eq(t[i].rq.error, -ECANCELED);
    }
    ck_assert_uint_eq(b.runs, 1);
    ck_assert_int_eq(b.rq.error, -ECANCELED);
    device_put_accessor(&acc.base);
}
END_TEST

START_TEST(threads_share_virtual_time)
{
    uint64_t start;
    uint8_t c = 'x';
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_THREADS, 1);
    start = kroutine_sim_now(env.rt);
    ck_assert_int_eq(dev_timer_wait_delay(&timer[0], KROUTINE_SEC(86400), 0), 0);
    ck_assert_uint_ge(kroutine_sim_now(env.rt), start + KROUTINE_SEC(86400));
    ck_assert_int_eq(dev_timer_wait_delay(&timer[0], 0, 0), 0);
    ck_assert_int_eq(dev_timer_wait_deadline(&timer[0], start, 0), -ETIMEDOUT);
    open_char(&acc, "sim-char:x?latency=1000000000");
    ck_assert_int_eq(dev_char_wait_op(&acc, DEV_CHAR_WRITE_FLUSH, &c, 1), 1);
    ck_assert_int_eq(dev_char_wait_op(&acc, DEV_CHAR_READ, &c, 1), 1);
    ck_assert_int_eq(dev_char_timedwait_op(&acc, DEV_CHAR_READ, &c, 1, KROUTINE_SEC(100)),
                     -ETIMEDOUT);
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

static KROUTINE_EXEC(blocks_in_a_worker)
{
    (void)flags;
    ck_assert_int_eq(dev_timer_wait_delay(&timer[0], KROUTINE_SEC(60), 0), 0);
    kt_inc(&((struct kt_probe_s *)kr)->runs);
}

START_TEST(workers_may_wait_for_time)
{
    static struct kt_probe_s p[5];

    open_runtime(KT_THREADS, 1); /* two workers */
    for (int i = 0; i < 5; i++) {
        kroutine_init_deferred(&p[i].kr, blocks_in_a_worker);
        ck_assert_int_eq(kroutine_bind(&p[i].kr, env.rt), 0);
        kroutine_exec(&p[i].kr);
    }
    for (int i = 0; i < 5; i++)
        kt_await(NULL, kt_get(&p[i].runs) == 1);
    close_runtime();
}
END_TEST

START_TEST(descriptors_are_refused)
{
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    ck_assert_int_eq(device_get_accessor_by_path(&acc.base, kroutine_runtime_devices(env.rt),
                                                 "file:/dev/null", DRIVER_CLASS_CHAR),
                     -ENOTSUP);
    ck_assert_int_eq(device_get_accessor_by_path(&acc.base, kroutine_runtime_devices(env.rt),
                                                 "fd:0", DRIVER_CLASS_CHAR),
                     -ENOTSUP);
    close_runtime();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("sim_time");

    kt_add(s, years_pass_at_once, 5);
    kt_add(s, a_wait_is_as_long_as_asked, 5);
    kt_add(s, foreign_loop_is_told, 5);
    kt_add(s, order_of_deadlines, 5);
    kt_add(s, handler_cancels_one_that_is_due_too, 5);
    kt_add(s, tiny_periods_do_not_starve, 5);
    kt_add(s, what_a_timer_refuses, 5);
    kt_add(s, resolution, 5);
    kt_add(s, seconds_to_units, 5);
    kt_add(s, check_timeout, 5);
    kt_add(s, step_forth_and_back, 5);
    kt_add(s, step_of_many_keeps_order, 5);
    kt_add(s, time_out_comes_before_deadline, 5);
    kt_add(s, closing_ends_what_is_pending, 5);
    kt_add(s, threads_share_virtual_time, 10);
    kt_add(s, workers_may_wait_for_time, 10);
    kt_add(s, descriptors_are_refused, 5);
    return s;
}

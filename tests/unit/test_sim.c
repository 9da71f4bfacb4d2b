/* SPDX-License-Identifier: MIT */
/* Simulated runtimes: virtual time, lines with faults, and the same run for the same seed. */
#include "kt.h"

#include <kroutine/sim.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

static struct kt_env_s env;
static struct device_timer_s timer[3];

static void open_runtime(enum kt_mode_e mode, uint64_t seed)
{
    static const char *const names[] = {"timer0", "timer1", "timer2"};
    struct kroutine_runtime_config_s config;

    kt_env_config(&config, mode);
    config.backend = KROUTINE_BACKEND_SIM;
    config.sim_seed = seed;
    kt_env_make(&env, &config);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(device_get_accessor_by_path(&timer[i].base,
                                                     kroutine_runtime_devices(env.rt), names[i],
                                                     DRIVER_CLASS_TIMER),
                         0);
}

static void close_runtime(void)
{
    for (int i = 0; i < 3; i++)
        device_put_accessor(&timer[i].base);
    kt_env_close(&env);
}

static void open_char(struct device_char_s *acc, const char *spec)
{
    error_t err = device_get_accessor_by_path(&acc->base, kroutine_runtime_devices(env.rt), spec,
                                              DRIVER_CLASS_CHAR);

    ck_assert_msg(err == 0, "%s: %s", spec, kroutine_error_text());
}

/* Lets everything happen that happens by `ns` from now, in virtual time. */
static void run_for(uint64_t ns)
{
    uint64_t end = kroutine_sim_now(env.rt) + ns;

    while (kroutine_sim_now(env.rt) < end)
        ck_assert_int_ge(kroutine_runtime_wait(env.rt, (int64_t)(end - kroutine_sim_now(env.rt))),
                         0);
    while (kroutine_runtime_process(env.rt) > 0)
        ;
}

/* --- requests that tell when they ended --- */

struct timed_s {
    struct dev_timer_rq_s rq;
    unsigned runs;
    unsigned stamp;
    uint64_t at;
    uint64_t period; /* not 0: submits again */
};

static KROUTINE_EXEC(timed_end)
{
    struct timed_s *t = KROUTINE_CONTAINER(dev_timer_rq_from_kr(kr), struct timed_s, rq);

    (void)flags;
    t->at = kroutine_sim_now(env.rt);
    t->stamp = kt_stamp();
    t->runs++;
    if (t->period) {
        t->rq.delay = t->period;
        ck_assert_int_eq(DEVICE_OP(&timer[0], request, &t->rq), 0);
    }
}

static error_t timed_start(struct timed_s *t, int clock, uint64_t delay, uint64_t deadline)
{
    if (!t->runs)
        dev_timer_rq_init_immediate(&t->rq, timed_end);
    t->rq.delay = delay;
    t->rq.deadline = deadline;
    return DEVICE_OP(&timer[clock], request, &t->rq);
}

struct byte_rq_s {
    struct dev_char_rq_s rq;
    uint8_t data[64];
    unsigned runs;
    uint64_t at;
};

static KROUTINE_EXEC(byte_end)
{
    struct byte_rq_s *b = KROUTINE_CONTAINER(dev_char_rq_from_kr(kr), struct byte_rq_s, rq);

    (void)flags;
    b->runs++;
    b->at = kroutine_sim_now(env.rt);
}

static void byte_start(struct byte_rq_s *b, struct device_char_s *acc, enum dev_char_rq_type_e type,
                       const void *data, size_t size)
{
    uint64_t timeout = b->runs ? b->rq.timeout : 0;

    ck_assert_uint_le(size, sizeof(b->data));
    dev_char_rq_init(&b->rq, byte_end);
    dev_request_set_timeout(&b->rq.base, timeout);
    b->rq.type = type;
    b->rq.data = b->data;
    b->rq.size = size;
    if (data)
        memcpy(b->data, data, size);
    DEVICE_OP(acc, request, &b->rq);
}

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

/* --- lines --- */

START_TEST(loop_back)
{
    static struct byte_rq_s w, r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&acc, "sim-char:x");
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 5);
    byte_start(&w, &acc, DEV_CHAR_WRITE, "hello", 5);
    run_for(1);
    ck_assert_uint_eq(w.runs, 1);
    ck_assert_int_eq(w.rq.error, 0);
    ck_assert_uint_eq(r.runs, 1);
    ck_assert_int_eq(r.rq.error, 0);
    ck_assert_mem_eq(r.data, "hello", 5);
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

START_TEST(null_modem)
{
    static struct byte_rq_s w, r;
    struct device_char_s a = DEVICE_ACCESSOR_INIT, b = DEVICE_ACCESSOR_INIT,
                         c = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&a, "sim-char:x?side=a&latency=1000");
    byte_start(&w, &a, DEV_CHAR_WRITE, "early", 5); /* nobody is there yet */
    run_for(5000);
    open_char(&b, "sim-char:x?side=b");
    ck_assert_int_eq(device_get_accessor_by_path(&c.base, kroutine_runtime_devices(env.rt),
                                                 "sim-char:x?side=b&rate=1", DRIVER_CLASS_CHAR),
                     -EBUSY);
    ck_assert_int_eq(device_get_accessor_by_path(&c.base, kroutine_runtime_devices(env.rt),
                                                 "sim-char:x", DRIVER_CLASS_CHAR),
                     -EBUSY);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 5);
    run_for(1);
    ck_assert_uint_eq(r.runs, 1);
    ck_assert_mem_eq(r.data, "early", 5);

    byte_start(&r, &b, DEV_CHAR_READ, NULL, 8);
    byte_start(&w, &a, DEV_CHAR_WRITE, "last", 4);
    run_for(1);
    device_put_accessor(&a.base);
    run_for(2000);
    ck_assert_uint_eq(r.runs, 2);
    ck_assert_int_eq(r.rq.error, -ENODATA);
    ck_assert_uint_eq(r.rq.size, 4);
    ck_assert_mem_eq(r.data, "last", 4);
    byte_start(&w, &b, DEV_CHAR_WRITE, "nobody", 6);
    run_for(1);
    ck_assert_int_eq(w.rq.error, -EPIPE);
    /* A new one may come. */
    open_char(&a, "sim-char:x?side=a&buffer=1");
    byte_start(&w, &b, DEV_CHAR_WRITE, "again", 5);
    byte_start(&r, &a, DEV_CHAR_READ, NULL, 5);
    run_for(1);
    ck_assert_int_eq(r.rq.error, 0);
    ck_assert_mem_eq(r.data, "again", 5);
    device_put_accessor(&b.base);
    device_put_accessor(&a.base);
    close_runtime();
}
END_TEST

START_TEST(rate_and_flush)
{
    static struct byte_rq_s w, r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    uint64_t start;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&acc, "sim-char:x?rate=1000&latency=500000");
    start = kroutine_sim_now(env.rt);
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 20);
    byte_start(&w, &acc, DEV_CHAR_WRITE_FLUSH, "12345678901234567890", 20);
    run_for(KROUTINE_SEC(1));
    ck_assert_int_eq(w.rq.error, 0);
    ck_assert_uint_eq(w.at, start + KROUTINE_MSEC(20) + 500000);
    ck_assert_uint_eq(r.at, w.at);
    /* As a uart would, byte by byte. */
    start = kroutine_sim_now(env.rt);
    byte_start(&r, &acc, DEV_CHAR_READ_PARTIAL, NULL, 20);
    byte_start(&w, &acc, DEV_CHAR_WRITE, "abc", 3);
    run_for(KROUTINE_SEC(1));
    ck_assert_uint_eq(r.rq.size, 19);
    ck_assert_uint_eq(r.at, start + KROUTINE_MSEC(1) + 500000);
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

START_TEST(writer_waits_for_room)
{
    static struct byte_rq_s w, r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    uint64_t start;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&acc, "sim-char:x?buffer=8");
    byte_start(&w, &acc, DEV_CHAR_WRITE, "0123456789abcdef", 16);
    run_for(1000);
    ck_assert_uint_eq(w.runs, 0);
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 16);
    run_for(1);
    ck_assert_uint_eq(w.runs, 1);
    ck_assert_uint_eq(r.runs, 1);
    ck_assert_mem_eq(r.data, "0123456789abcdef", 16);
    device_put_accessor(&acc.base);
    /* A sink takes bytes at the rate of the line. */
    open_char(&acc, "sim-char:y?buffer=10&rate=1000&peer=null");
    start = kroutine_sim_now(env.rt);
    byte_start(&w, &acc, DEV_CHAR_WRITE, "12345678901234567890", 20);
    run_for(KROUTINE_SEC(1));
    ck_assert_uint_eq(w.runs, 2);
    ck_assert_uint_ge(w.at, start + KROUTINE_MSEC(10));
    ck_assert_uint_lt(w.at, start + KROUTINE_MSEC(20));
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

START_TEST(pattern)
{
    static struct byte_rq_s r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    uint64_t start;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&acc, "sim-char:x?peer=pattern&rate=100");
    start = kroutine_sim_now(env.rt);
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 50);
    run_for(KROUTINE_SEC(1));
    ck_assert_uint_eq(r.at, start + KROUTINE_MSEC(500));
    for (unsigned i = 0; i < 50; i++)
        ck_assert_uint_eq(r.data[i], i);
    /* A year later no more than a buffer is there, and nothing is left out. */
    run_for(KROUTINE_SEC(365 * 86400));
    for (unsigned round = 0; round < 64; round++) {
        byte_start(&r, &acc, DEV_CHAR_READ_NONBLOCK, NULL, 64);
        run_for(1);
        ck_assert_uint_eq(r.rq.size, 0);
        for (unsigned i = 0; i < 64; i++)
            ck_assert_uint_eq(r.data[i], (uint8_t)(50 + round * 64 + i));
    }
    byte_start(&r, &acc, DEV_CHAR_READ_NONBLOCK, NULL, 64);
    run_for(1);
    ck_assert_uint_ge(r.rq.size, 63);
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

START_TEST(records)
{
    static struct byte_rq_s w[3], r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&acc, "sim-char:x?record=yes&buffer=20&latency=100");
    byte_start(&w[0], &acc, DEV_CHAR_WRITE_FRAME, "first", 5);
    byte_start(&w[1], &acc, DEV_CHAR_WRITE_FRAME, "much too long", 13);
    byte_start(&w[2], &acc, DEV_CHAR_WRITE_FRAME, "third", 5); /* has to wait */
    run_for(1000);
    ck_assert_uint_eq(w[0].runs + w[1].runs + w[2].runs, 2);
    byte_start(&r, &acc, DEV_CHAR_READ_FRAME, NULL, 10);
    run_for(1);
    ck_assert_int_eq(r.rq.error, 0);
    ck_assert_uint_eq(r.rq.size, 5);
    ck_assert_mem_eq(r.data, "first", 5);
    byte_start(&r, &acc, DEV_CHAR_READ_FRAME, NULL, 10);
    run_for(1);
    ck_assert_int_eq(r.rq.error, -ENOSPC); /* dropped */
    byte_start(&r, &acc, DEV_CHAR_READ_FRAME, NULL, 10);
    run_for(1000);
    ck_assert_mem_eq(r.data, "third", 5);
    byte_start(&w[0], &acc, DEV_CHAR_WRITE_FRAME, "longer than the line has room for", 33);
    run_for(1);
    ck_assert_int_eq(w[0].rq.error, -ENOSPC);
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 10);
    run_for(1);
    ck_assert_int_eq(r.rq.error, -ENOTSUP);
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

START_TEST(framed_bytes)
{
    static struct byte_rq_s w, r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 7);
    open_char(&acc, "sim-char:x?frame=length:2be&short=50&eagain=30&chunk=3&jitter=1000");
    for (unsigned i = 0; i < 20; i++) {
        byte_start(&w, &acc, DEV_CHAR_WRITE_FRAME, "frames in pieces", 16);
        byte_start(&r, &acc, DEV_CHAR_READ_FRAME, NULL, 20);
        run_for(KROUTINE_SEC(1));
        ck_assert_int_eq(r.rq.error, 0);
        ck_assert_uint_eq(r.rq.size, 4);
        ck_assert_mem_eq(r.data, "frames in pieces", 16);
    }
    device_put_accessor(&acc.base);
    close_runtime();
}
END_TEST

/* --- faults on demand --- */

static error_t fault(struct device_char_s *acc, unsigned dirs, enum kroutine_sim_fault_e what,
                     unsigned count)
{
    return kroutine_sim_char_fault(&acc->base, dirs, what, count);
}

START_TEST(faults)
{
    static struct byte_rq_s w, r;
    struct device_char_s a = DEVICE_ACCESSOR_INIT, b = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&a, "sim-char:x?side=a");
    open_char(&b, "sim-char:x?side=b");
    ck_assert_int_eq(fault(&a, 0, KROUTINE_SIM_EIO, 1), -EINVAL);
    ck_assert_int_eq(fault(&a, KROUTINE_SIM_WRITE, KROUTINE_SIM_PARITY, 1), -EINVAL);
    ck_assert_int_eq(kroutine_sim_char_fault(&timer[0].base, 1, KROUTINE_SIM_EIO, 1), -ENOTSUP);

    /* A waiting read is told. */
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 3);
    run_for(10);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_PARITY, 1), 0);
    run_for(10);
    ck_assert_int_eq(r.rq.error, -EBADMSG);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_EIO, 1), 0);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 3);
    run_for(10);
    ck_assert_int_eq(r.rq.error, -EIO);

    /* What was there is lost, once. */
    byte_start(&w, &a, DEV_CHAR_WRITE, "lost", 4);
    run_for(10);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_OVERRUN, 1), 0);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 4);
    run_for(10);
    ck_assert_int_eq(r.rq.error, -EPIPE);
    byte_start(&w, &a, DEV_CHAR_WRITE, "kept", 4);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_AGAIN, 3), 0);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_SHORT, 2), 0);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 4);
    run_for(10);
    ck_assert_int_eq(r.rq.error, 0);
    ck_assert_mem_eq(r.data, "kept", 4);
    byte_start(&w, &a, DEV_CHAR_WRITE, "part", 4);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ, KROUTINE_SIM_SHORT, 1), 0);
    byte_start(&r, &b, DEV_CHAR_READ_PARTIAL, NULL, 4);
    run_for(10);
    ck_assert_uint_eq(r.rq.size, 3);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 3);
    run_for(10);
    ck_assert_mem_eq(r.data, "art", 3);

    /* Stalled: nothing arrives. */
    ck_assert_int_eq(fault(&a, KROUTINE_SIM_WRITE, KROUTINE_SIM_STALL, 1), 0);
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 4);
    byte_start(&w, &a, DEV_CHAR_WRITE, "late", 4);
    unsigned before = r.runs;

    run_for(KROUTINE_SEC(10));
    ck_assert_uint_eq(r.runs, before);
    ck_assert_int_eq(fault(&a, KROUTINE_SIM_WRITE, KROUTINE_SIM_STALL, 0), 0);
    run_for(10);
    ck_assert_mem_eq(r.data, "late", 4);

    /* The end of the stream, and back. */
    byte_start(&r, &b, DEV_CHAR_READ, NULL, 4);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ | KROUTINE_SIM_WRITE, KROUTINE_SIM_END, 1), 0);
    run_for(10);
    ck_assert_int_eq(r.rq.error, -ENODATA);
    byte_start(&w, &b, DEV_CHAR_WRITE, "none", 4);
    run_for(10);
    ck_assert_int_eq(w.rq.error, -EPIPE);
    ck_assert_int_eq(fault(&b, KROUTINE_SIM_READ | KROUTINE_SIM_WRITE, KROUTINE_SIM_END, 0), 0);
    byte_start(&w, &b, DEV_CHAR_WRITE, "some", 4);
    run_for(10);
    ck_assert_int_eq(w.rq.error, 0);
    device_put_accessor(&a.base);
    device_put_accessor(&b.base);
    close_runtime();
}
END_TEST

START_TEST(unplugged)
{
    static struct byte_rq_s r[3], w, peer;
    struct device_char_s a = DEVICE_ACCESSOR_INIT, b = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    open_char(&a, "sim-char:x?side=a&buffer=4");
    open_char(&b, "sim-char:x?side=b");
    for (int i = 0; i < 3; i++)
        byte_start(&r[i], &a, DEV_CHAR_READ, NULL, 4);
    byte_start(&w, &a, DEV_CHAR_WRITE, "too much", 8);
    byte_start(&peer, &b, DEV_CHAR_READ, NULL, 8);
    run_for(10);
    ck_assert_int_eq(fault(&a, KROUTINE_SIM_READ, KROUTINE_SIM_GONE, 1), 0);
    run_for(10);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(r[i].rq.error, -ENODEV);
    ck_assert_int_eq(peer.rq.error, 0); /* the first bytes made room for the last */
    byte_start(&w, &a, DEV_CHAR_WRITE, "x", 1);
    byte_start(&peer, &b, DEV_CHAR_READ, NULL, 1);
    run_for(10);
    ck_assert_int_eq(w.rq.error, -ENODEV);
    ck_assert_int_eq(peer.rq.error, -ENODATA);
    device_put_accessor(&a.base);
    device_put_accessor(&b.base);
    close_runtime();
}
END_TEST

START_TEST(refused_specs)
{
    static const struct {
        const char *spec;
        error_t err;
    } specs[] = {
        {"sim-char:x?side=c", -EINVAL},
        {"sim-char:x?side=a&peer=null", -EINVAL},
        {"sim-char:x?record=yes&frame=line", -EINVAL},
        {"sim-char:x?buffer=0", -ERANGE},
        {"sim-char:x?eagain=91", -ERANGE},
        {"sim-char:x?colour=red", -EINVAL},
    };
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;

    open_runtime(KT_EMBEDDED, 1);
    for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++) {
        error_t err = device_get_accessor_by_path(&acc.base, kroutine_runtime_devices(env.rt),
                                                  specs[i].spec, DRIVER_CLASS_CHAR);

        ck_assert_msg(err == specs[i].err, "%s: %s (%s)", specs[i].spec, strerror(-err),
                      kroutine_error_text());
    }
    close_runtime();
}
END_TEST

/* --- same seed, same run --- */

static uint64_t trace;

static void note(uint64_t value)
{
    trace = (trace ^ value) * 0x100000001b3ull;
    trace ^= trace >> 29;
}

struct talker_s {
    struct device_char_s acc;
    struct dev_char_rq_s read, write;
    struct dev_timer_rq_s pause;
    uint8_t in[32], out[32];
    unsigned rounds;
};

static struct talker_s talker[4];

static KROUTINE_EXEC(talker_paused)
{
    struct talker_s *t = KROUTINE_CONTAINER(dev_timer_rq_from_kr(kr), struct talker_s, pause);

    (void)flags;
    note(kroutine_sim_now(env.rt));
    if (t->pause.error || !t->rounds--)
        return;
    t->write.data = t->out;
    t->write.size = 1 + t->rounds % sizeof(t->out);
    DEVICE_OP(&t->acc, request, &t->write);
}

static KROUTINE_EXEC(talker_wrote)
{
    struct talker_s *t = KROUTINE_CONTAINER(dev_char_rq_from_kr(kr), struct talker_s, write);

    (void)flags;
    note((uint64_t)t->write.error);
    t->pause.delay = 1000 + t->rounds * 13;
    DEVICE_OP(&timer[0], request, &t->pause);
}

static KROUTINE_EXEC(talker_read)
{
    struct talker_s *t = KROUTINE_CONTAINER(dev_char_rq_from_kr(kr), struct talker_s, read);

    (void)flags;
    note(kroutine_sim_now(env.rt));
    note((uint64_t)(t - talker) << 8 | t->read.size);
    if (t->read.error)
        return;
    t->read.data = t->in;
    t->read.size = sizeof(t->in);
    DEVICE_OP(&t->acc, request, &t->read);
}

/* Four devices that write and read with every random fault there is. */
static uint64_t trace_of(uint64_t seed)
{
    static const char *const specs[] = {
        "sim-char:p?side=a&short=20&eagain=20&jitter=5000&chunk=5",
        "sim-char:p?side=b&short=50&eagain=10&jitter=90&rate=2000000",
        "sim-char:q?short=10&jitter=1000",
        "sim-char:r?eagain=50&chunk=9&latency=10&jitter=1000&buffer=40",
    };

    trace = 0;
    open_runtime(KT_EMBEDDED, seed);
    for (int i = 0; i < 4; i++) {
        struct talker_s *t = &talker[i];

        open_char(&t->acc, specs[i]);
        t->rounds = 200;
        dev_timer_rq_init_immediate(&t->pause, talker_paused);
        dev_char_rq_init(&t->write, talker_wrote);
        t->write.type = DEV_CHAR_WRITE;
        dev_char_rq_init(&t->read, talker_read);
        t->read.type = DEV_CHAR_READ_PARTIAL;
        t->read.data = t->in;
        t->read.size = sizeof(t->in);
        DEVICE_OP(&t->acc, request, &t->read);
        t->pause.delay = 1;
        ck_assert_int_eq(DEVICE_OP(&timer[0], request, &t->pause), 0);
    }
    /* The writes are from the immediate handler of a timer, which may not be nested in a submit:
       see kroutine-nesting(7). */
    run_for(KROUTINE_SEC(10));
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(talker[i].rounds, UINT32_MAX);
        device_put_accessor(&talker[i].acc.base);
    }
    close_runtime();
    return trace;
}

START_TEST(same_seed_same_run)
{
    uint64_t first = trace_of(42), other = trace_of(43);

    ck_assert_uint_eq(trace_of(42), first);
    ck_assert_uint_ne(other, first);
    ck_assert_uint_eq(trace_of(43), other);
}
END_TEST

/* The driver alone, on a runtime with real time. */
START_TEST(line_in_real_time)
{
    static struct byte_rq_s w, r;
    struct device_char_s acc = DEVICE_ACCESSOR_INIT;
    uint64_t start = kt_now();
    struct kroutine_runtime_config_s config;

    kt_env_config(&config, KT_EMBEDDED);
    config.backend = KROUTINE_BACKEND_EPOLL;
    kt_env_make(&env, &config);
    open_char(&acc, "sim-char:x?latency=20000000");
    byte_start(&r, &acc, DEV_CHAR_READ, NULL, 2);
    byte_start(&w, &acc, DEV_CHAR_WRITE, "hi", 2);
    kt_await(&env, r.runs == 1);
    ck_assert_uint_ge(kt_now() - start, KROUTINE_MSEC(20));
    ck_assert_mem_eq(r.data, "hi", 2);
    ck_assert_uint_eq(kroutine_sim_now(env.rt), 0);
    ck_assert_int_eq(kroutine_sim_step_clock(env.rt, 1), -ENOTSUP);
    device_put_accessor(&acc.base);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("sim");

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
    kt_add(s, loop_back, 5);
    kt_add(s, null_modem, 5);
    kt_add(s, rate_and_flush, 5);
    kt_add(s, writer_waits_for_room, 5);
    kt_add(s, pattern, 5);
    kt_add(s, records, 5);
    kt_add(s, framed_bytes, 5);
    kt_add(s, faults, 5);
    kt_add(s, unplugged, 5);
    kt_add(s, refused_specs, 5);
    kt_add(s, same_seed_same_run, 20);
    kt_add(s, line_in_real_time, 10);
    return s;
}

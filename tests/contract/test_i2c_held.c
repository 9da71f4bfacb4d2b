/* SPDX-License-Identifier: MIT */
/* The i2c class while the bus is held: cancel, time-outs, priorities, the end. */
#include "i2c.h"

/* --- the bus is held --- */

#define HELD "sim-i2c:a?latency=200000000" /* 200 ms a transfer */

/* What is done on the reactor is done at one time, which is virtual on a simulated runtime: `begin`
   at once, and `middle`, unless it is NULL, 100 ms later: in the middle of the first transfer. */
static struct {
    struct kroutine_s kr;
    struct device_timer_s timer;
    struct dev_timer_rq_s rq;
    void (*begin)(void);
    void (*middle)(void);
    unsigned done; /* atomic */
} reactor;

static KROUTINE_EXEC(at_the_middle)
{
    reactor.middle();
    kt_inc(&reactor.done);
}

static KROUTINE_EXEC(at_the_beginning)
{
    reactor.begin();
    if (reactor.middle)
        ck_assert_int_eq(DEVICE_OP(&reactor.timer, request, &reactor.rq), 0);
    else
        kt_inc(&reactor.done);
}

static void on_reactor(void (*begin)(void), void (*middle)(void))
{
    ck_assert_int_eq(device_get_accessor_by_path(&reactor.timer.base,
                                                 kroutine_runtime_devices(env.rt), "timer0",
                                                 DRIVER_CLASS_TIMER),
                     0);
    reactor.begin = begin;
    reactor.middle = middle;
    dev_timer_rq_init_sched_switch(&reactor.rq, at_the_middle);
    reactor.rq.delay = KROUTINE_MSEC(100);
    kroutine_init_sched_switch(&reactor.kr, at_the_beginning);
    kroutine_bind(&reactor.kr, env.rt);
    kroutine_exec(&reactor.kr);
    kt_await(&env, kt_get(&reactor.done));
    device_put_accessor(&reactor.timer.base);
}

static void submit_pointer(unsigned i)
{
    static const uint8_t data[4];

    add(&ops[i], data, 1, DEV_I2C_WRITE);
    submit(&ops[i], 0x48);
}

static void submit_first(void)
{
    submit_pointer(0);
}

static void cancel_second(void)
{
    submit_pointer(0);
    submit_pointer(1);
    submit_pointer(2);
    ck_assert_int_eq(DEVICE_OP(&bus, cancel, &ops[1].rq), 0);
}

START_TEST(cancel)
{
    open_bus(_i, HELD);
    on_reactor(cancel_second, NULL);
    expect(&ops[0], 0, 1);
    expect(&ops[2], 0, 1);
    ck_assert_int_eq(DEVICE_OP(&bus, cancel, &ops[2].rq), -EBUSY);
    ck_assert_uint_eq(kt_get(&ops[1].done), 0);
    ck_assert_uint_eq(ops[1].rq.done, 0);
    close_bus();
}
END_TEST

static void submit_parts(void)
{
    static const uint8_t data[4];

    for (unsigned i = 0; i < 8; i++)
        add(&ops[0], data, 1, DEV_I2C_WRITE | DEV_I2C_STOP);
    submit(&ops[0], 0x48);
}

static void cancel_first(void)
{
    ck_assert_int_eq(DEVICE_OP(&bus, cancel, &ops[0].rq), -EBUSY);
}

/* What the kernel has is ended by the kernel; the parts that follow are not begun. */
START_TEST(cancel_between_parts)
{
    open_bus(_i, HELD);
    on_reactor(submit_parts, cancel_first);
    kt_await(&env, kt_get(&ops[0].done));
    ck_assert_int_eq(ops[0].rq.error, -ECANCELED);
    ck_assert_uint_ge(ops[0].rq.done, 1);
    ck_assert_uint_lt(ops[0].rq.done, 8);
    if (kt_backend == KROUTINE_BACKEND_SIM)
        ck_assert_uint_eq(ops[0].rq.done, 1);
    close_bus();
}
END_TEST

static void submit_with_time_outs(void)
{
    submit_pointer(0);
    dev_request_set_timeout(&ops[3].rq.base, KROUTINE_SEC(100));
    submit_pointer(3);
    dev_request_set_timeout(&ops[1].rq.base, KROUTINE_MSEC(10));
    submit_pointer(1);
    dev_request_set_timeout(&ops[2].rq.base, KROUTINE_MSEC(5));
    submit_pointer(2);
}

START_TEST(a_time_out_while_the_bus_is_held)
{
    open_bus(_i, "sim-i2c:a?latency=1000000000");
    on_reactor(submit_with_time_outs, NULL);
    expect(&ops[1], -ETIMEDOUT, 0);
    expect(&ops[2], -ETIMEDOUT, 0);
    expect(&ops[0], 0, 1);
    expect(&ops[3], 0, 1);
    ck_assert_uint_lt(kt_get(&ops[1].stamp), kt_get(&ops[0].stamp));
    ck_assert_uint_lt(kt_get(&ops[2].stamp), kt_get(&ops[0].stamp));
    close_bus();
}
END_TEST

static void submit_five(void)
{
    for (unsigned i = 1; i < 6; i++)
        submit_pointer(i);
}

START_TEST(higher_priority_first)
{
    static const unsigned order[] = {0, 5, 3, 4, 1, 2};

    open_bus(_i, HELD);
    for (unsigned i = 0; i < 6; i++) {
        dev_i2c_rq_init_sched_switch(&ops[i].rq, over); /* one after the other */
        ops[i].rq.list = ops[i].list;
        ops[i].rq.count = 0;
        kroutine_set_priority(&ops[i].rq.kr, (const unsigned[]){0, 0, 0, 3, 3, 7}[i]);
    }
    on_reactor(submit_first, submit_five);
    for (unsigned i = 0; i < 6; i++)
        expect(&ops[i], 0, 1);
    for (unsigned i = 1; i < 6; i++)
        ck_assert_uint_lt(kt_get(&ops[order[i - 1]].stamp), kt_get(&ops[order[i]].stamp));
    close_bus();
}
END_TEST

/* Virtual time may have passed before: some may have been sent. */
START_TEST(closing)
{
    error_t before = 0;

    open_bus(_i, HELD);
    for (unsigned i = 0; i < OPS; i++) {
        dev_i2c_rq_init_immediate(&ops[i].rq, over);
        ops[i].rq.list = ops[i].list;
        ops[i].rq.count = 0;
        submit_pointer(i);
    }
    device_put_accessor(&bus.base);
    for (unsigned i = 0; i < OPS; i++) {
        error_t err = ops[i].rq.error;

        ck_assert_uint_eq(kt_get(&ops[i].done), 1);
        ck_assert_msg(err == -ECANCELED || (!err && !before), "%u: %d", i, err);
        before = err;
    }
    if (kt_backend != KROUTINE_BACKEND_SIM || env.embedded)
        ck_assert_int_eq(before, -ECANCELED);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("i2c_held");

    kt_add_loop(s, cancel, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, cancel_between_parts, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, a_time_out_while_the_bus_is_held, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, higher_priority_first, KT_MODES, kt_mode_label, 10);
    kt_add_loop(s, closing, KT_MODES, kt_mode_label, 10);
    return s;
}

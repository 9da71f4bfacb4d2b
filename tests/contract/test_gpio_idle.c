/* SPDX-License-Identifier: MIT */
/* A monitor of 32 lines costs nothing while they are quiet: nothing of the runtime wakes up. */
#include "kt_gpio.h"

#include <poll.h>

static struct kt_env_s env;
static struct kt_gpio_s g;
static struct dev_gpio_event_s list[64];

static struct kroutine_runtime_info_s info_now(void)
{
    struct kroutine_runtime_info_s info;

    ck_assert_int_eq(kroutine_runtime_info(env.rt, &info), 0);
    return info;
}

static void submit_event(struct kt_gop_s *op)
{
    kt_gop_init(op, DEV_GPIO_EVENT, 0, 0);
    op->rq.event.list = list;
    op->rq.event.size = 64;
    kt_gop_submit(op, &g.dev);
}

/* Of a program that lives in its own loop: nothing calls it. */
static void expect_no_call(void)
{
    struct pollfd p = {.fd = kroutine_runtime_fd(env.rt), .events = POLLIN};

    ck_assert_int_eq(poll(&p, 1, 2000), 0);
}

static void expect_no_wake_up(void)
{
    uint64_t switches = kt_voluntary_switches(), cpu = kt_cpu_time();
    struct kroutine_runtime_info_s before = info_now(), after;

    kt_sleep_ms(2000);
    after = info_now();
    ck_assert_uint_eq(after.batches - before.batches, 0);
    ck_assert_uint_eq(after.syscalls - before.syscalls, 0);
    if (kt_slow() != 1) /* sanitizers have a thread that wakes */
        return;
    ck_assert_uint_le(kt_voluntary_switches() - switches, 3); /* this thread's sleep */
    ck_assert_uint_lt(kt_cpu_time() - cpu, 10000000);
}

/* After an edge, with EVENT and UNTIL waiting for the next. */
START_TEST(quiet_lines_wake_nobody)
{
    struct kt_gop_s event, until;

    if (kt_backend == KROUTINE_BACKEND_SIM)
        kt_skip("simulated time stands still when nothing happens");
    kt_gpio_open(&g, &env, _i, "0-31", "mode=input&events=both");
    submit_event(&event);
    kt_gpio_pull(&g, 5, true);
    kt_gop_expect(&event, &env, 0);
    ck_assert_uint_eq(event.rq.event.count, 1);
    submit_event(&event);
    kt_gop_init(&until, DEV_GPIO_UNTIL, 0, 31);
    until.rq.until.mask = UINT32_MAX;
    until.rq.until.data = 1 << 5;
    kt_gop_submit(&until, &g.dev);
    kt_idle(&env, 200);
    if (_i % KT_MODES == KT_EMBEDDED)
        expect_no_call();
    else
        expect_no_wake_up();
    ck_assert_uint_eq(kt_get(&event.done), 0);
    ck_assert_uint_eq(kt_get(&until.done), 0);
    kt_gpio_pull(&g, 7, true);
    kt_gop_expect(&event, &env, 0);
    kt_gop_expect(&until, &env, 0);
    ck_assert_uint_eq(event.rq.event.count, 1);
    ck_assert_uint_eq(list[0].line, 7);
    kt_gpio_close(&g);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("gpio_idle");

    kt_add_loop(s, quiet_lines_wake_nobody, kt_gpio_rounds(), kt_gpio_label, 20);
    return s;
}

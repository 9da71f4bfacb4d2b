/* SPDX-License-Identifier: MIT */
/*
 * Outputs that are set while the driver is at work with older values: whatever the order, the lines
 * are in the end as they were set last. A driver of ours lets the other thread come at the worst
 * moment.
 */
#include "kt.h"

#include "../../lib/gpio_lines.h"

#define INPUT  0
#define OUTPUT 1
#define COUNT  2

static struct kt_env_s env;
static struct device_gpio_s host = DEVICE_ACCESSOR_INIT;
static struct kr_lines_s *lines;
static uint64_t levels;
static unsigned intrusions, calls;
static bool wanted; /* set last */

/* The other thread, between the moment when the driver got its values and the one when they are at
   the lines. */
static void intrude(void)
{
    if (!intrusions)
        return;
    intrusions--;
    wanted = !wanted;
    ck_assert_int_eq(kr_lines_set_output(lines, OUTPUT, OUTPUT, wanted, wanted), 0);
}

static error_t configure(struct kr_lines_s *l, struct kr_line_mode_s *modes, uint64_t values)
{
    (void)l;
    intrude();
    for (unsigned i = 0; i < COUNT; i++) {
        if (modes[i].flags & DEV_GPIO_OUTPUT)
            levels = (levels & ~(1ull << i)) | (values & 1ull << i);
    }
    return 0;
}

static error_t set(struct kr_lines_s *l, uint64_t mask, uint64_t values)
{
    (void)l;
    calls++;
    intrude();
    levels = (levels & ~mask) | (values & mask);
    return 0;
}

static error_t get(struct kr_lines_s *l, uint64_t mask, uint64_t *values)
{
    (void)l;
    *values = levels & mask;
    return 0;
}

static int no_edges(struct kr_lines_s *l, struct dev_gpio_event_s *events, unsigned size)
{
    (void)l, (void)events, (void)size;
    return 0;
}

static void nothing(struct kr_lines_s *l)
{
    (void)l;
}

static const struct kr_lines_ops_s ops = {configure, set, get, no_edges, nothing, nothing};

static void open_lines(void)
{
    const struct kr_line_mode_s modes[COUNT] = {{.flags = DEV_GPIO_INPUT},
                                                {.flags = DEV_GPIO_OUTPUT}};
    struct kr_lines_config_s config = {
        .ops = &ops, .count = COUNT, .cap = DEV_GPIO_CAP_EACH, .buffer = 4};

    kt_env_open(&env, KT_THREADS);
    ck_assert_int_eq(device_get_accessor_by_path(&host.base, kroutine_runtime_devices(env.rt),
                                                 "sim-gpio:host/0", DRIVER_CLASS_GPIO),
                     0);
    config.dev = host.dev;
    levels = 0;
    intrusions = 0;
    wanted = false;
    ck_assert_int_eq(kr_lines_create(&lines, &config, NULL), 0);
    ck_assert_int_eq(kr_lines_begin(lines, modes, 0), 0);
}

static void close_lines(void)
{
    kr_lines_close(lines, -ECANCELED);
    kr_lines_put(lines);
    device_put_accessor(&host.base);
    kt_env_close(&env);
}

START_TEST(set_during_set)
{
    open_lines();
    intrusions = 1; /* it sets 1, then the first call's 0 arrives at the line */
    calls = 0;
    ck_assert_int_eq(kr_lines_set_output(lines, OUTPUT, OUTPUT, 0, 0), 0);
    ck_assert_uint_eq(levels >> OUTPUT & 1, wanted);
    ck_assert_uint_eq(calls, 3);
    close_lines();
}
END_TEST

/* To the other value and back: the latch is as the first call left it, the line is not. */
START_TEST(set_to_and_fro_during_set)
{
    open_lines();
    intrusions = 2;
    ck_assert_int_eq(kr_lines_set_output(lines, OUTPUT, OUTPUT, 0, 0), 0);
    ck_assert_uint_eq(intrusions, 0);
    ck_assert_uint_eq(levels >> OUTPUT & 1, wanted);
    close_lines();
}
END_TEST

START_TEST(set_during_mode)
{
    open_lines();
    intrusions = 1;
    ck_assert_int_eq(
        kr_lines_set_mode(lines, INPUT, INPUT, 1, DEV_GPIO_INPUT | DEV_GPIO_PULL_UP, 0), 0);
    ck_assert_uint_eq(levels >> OUTPUT & 1, wanted);
    close_lines();
}
END_TEST

/* Watching inputs gives the driver the values of all outputs again. */
START_TEST(set_during_watch)
{
    open_lines();
    intrusions = 1;
    ck_assert_int_eq(kr_lines_start(lines), 0);
    ck_assert_uint_eq(intrusions, 0);
    ck_assert_uint_eq(levels >> OUTPUT & 1, wanted);
    close_lines();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("gpio_work");

    kt_add(s, set_during_set, 15);
    kt_add(s, set_to_and_fro_during_set, 15);
    kt_add(s, set_during_mode, 15);
    kt_add(s, set_during_watch, 15);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* Waiting for levels, and debounce by the library. */
#include "kt_gpio.h"

#include <stdio.h>

static struct kt_env_s env;
static struct kt_gpio_s g;

static void init_until(struct kt_gop_s *op, unsigned first, unsigned last, uint64_t mask,
                       uint64_t data)
{
    kt_gop_init(op, DEV_GPIO_UNTIL, first, last);
    op->rq.until.mask = mask;
    op->rq.until.data = data;
}

START_TEST(at_once_when_it_differs)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0-3", "mode=input");
    kt_gpio_pull(&g, 2, true);
    init_until(&op, 1, 3, 7, 0);
    kt_gop_run(&op, &g, 0);
    ck_assert_uint_eq(op.rq.until.data, 2); /* bit 0 is line 1 */
    kt_gpio_close(&g);
}
END_TEST

START_TEST(when_a_line_changes)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0-3", "mode=input");
    kt_gpio_pull(&g, 3, true);
    init_until(&op, 0, 3, 0xe, 8);
    kt_gop_submit(&op, &g.dev);
    kt_gpio_pull(&g, 0, true); /* not in the mask */
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_gpio_pull(&g, 3, false);
    kt_gop_expect(&op, &env, 0);
    ck_assert_uint_eq(op.rq.until.data & 0xe, 0);
    /* Submitted again as it is: until the next change. */
    kt_gop_submit(&op, &g.dev);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_gpio_pull(&g, 1, true);
    kt_gop_expect(&op, &env, 0);
    ck_assert_uint_eq(op.rq.until.data & 0xe, 2);
    kt_gpio_close(&g);
}
END_TEST

/* What happened before it came does not end it: the level counts. */
START_TEST(not_by_edges_of_before)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0", "mode=input&events=both");
    kt_gpio_pull(&g, 0, true);
    kt_gpio_pull(&g, 0, false);
    init_until(&op, 0, 0, 1, 0);
    kt_gop_submit(&op, &g.dev);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_gpio_pull(&g, 0, true);
    kt_gop_expect(&op, &env, 0);
    kt_gpio_close(&g);
}
END_TEST

/* A pulse that is over before anybody has looked. */
START_TEST(by_a_pulse)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    init_until(&op, 0, 0, 1, 0);
    kt_gop_submit(&op, &g.dev);
    kt_idle(&env, 5);
    kt_gpio_pull(&g, 0, true);
    kt_gpio_pull(&g, 0, false);
    kt_gop_expect(&op, &env, 0);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(many_at_a_time)
{
    struct kt_gop_s op[KT_GPIO_LINES];

    kt_gpio_open(&g, &env, _i, "0-7", "mode=input");
    for (unsigned i = 0; i < KT_GPIO_LINES; i++) {
        init_until(&op[i], i, i, 1, 0);
        kt_gop_submit(&op[i], &g.dev);
    }
    kt_idle(&env, 2);
    ck_assert_int_eq(kt_gop_cancel(&op[3], &g.dev), 0);
    for (unsigned i = KT_GPIO_LINES; i-- > 0;) {
        kt_gpio_pull(&g, i, true);
        if (i != 3)
            kt_gop_expect(&op[i], &env, 0);
        ck_assert(i == 0 || kt_get(&op[0].done) == 0);
    }
    ck_assert_uint_eq(kt_get(&op[3].done), 0);
    kt_gpio_close(&g);
}
END_TEST

/* Both get the edge. */
START_TEST(beside_an_event_request)
{
    struct dev_gpio_event_s list[2];
    struct kt_gop_s until, event;

    kt_gpio_open(&g, &env, _i, "0-1", "mode=input");
    init_until(&until, 1, 1, 1, 0);
    kt_gop_init(&event, DEV_GPIO_EVENT, 0, 1);
    event.rq.event.list = list;
    event.rq.event.size = 2;
    kt_gop_submit(&until, &g.dev);
    kt_gop_submit(&event, &g.dev);
    kt_gpio_pull(&g, 1, true);
    kt_gop_expect(&until, &env, 0);
    kt_gop_expect(&event, &env, 0);
    ck_assert_uint_eq(event.rq.event.count, 1);
    ck_assert_uint_eq(list[0].line, 1);
    /* Edges that only UNTIL was there for are kept for the next EVENT. */
    init_until(&until, 0, 0, 1, 0);
    kt_gop_submit(&until, &g.dev);
    kt_gpio_pull(&g, 0, true);
    kt_gop_expect(&until, &env, 0);
    kt_gop_run(&event, &g, 0);
    ck_assert_uint_eq(event.rq.event.count, 1);
    ck_assert_uint_eq(list[0].line, 0);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(what_cannot_be)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0-1", "mode=input&events=rising");
    init_until(&op, 0, 1, 1, 0);
    kt_gop_run(&op, &g, -EINVAL); /* one edge tells no level */
    init_until(&op, 0, 1, 0, 0);
    kt_gop_run(&op, &g, -EINVAL); /* no line */
    kt_gpio_close(&g);
}
END_TEST

START_TEST(timeout)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    init_until(&op, 0, 0, 1, 0);
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(20));
    kt_gop_run(&op, &g, -ETIMEDOUT);
    ck_assert_uint_eq(op.rq.until.data, 0);
    kt_gpio_close(&g);
}
END_TEST

static void *wait_thread(void *arg)
{
    error_t *err = arg;

    *err = dev_gpio_wait_until(&g.dev, 0, true, 0);
    return NULL;
}

START_TEST(blocking)
{
    pthread_t thread;
    error_t err = 1;

    if (_i % KT_MODES == KT_EMBEDDED)
        return; /* this thread is the reactor: it would wait for itself */
    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    ck_assert_int_eq(dev_gpio_wait_until(&g.dev, 0, false, 0), 0);
    ck_assert_int_eq(dev_gpio_wait_until(&g.dev, 0, true, KROUTINE_MSEC(10)), -ETIMEDOUT);
    thread = kt_thread(wait_thread, &err);
    kt_gpio_pull(&g, 0, true);
    kt_join(thread);
    ck_assert_int_eq(err, 0);
    kt_gpio_close(&g);
}
END_TEST

/* --- debounce --- */

static struct dev_gpio_event_s edges[16];

static void init_event(struct kt_gop_s *op)
{
    kt_gop_init(op, DEV_GPIO_EVENT, 0, 0);
    op->rq.event.list = edges;
    op->rq.event.size = 16;
}

/* How long a line has to be quiet. A few edges have to come in less, whatever else the machine
   does. */
static unsigned quiet_ms(void)
{
    return kt_slow() > 1 ? 2000 : 300;
}

static const char *debounce_option(void)
{
    static char text[64];

    snprintf(text, sizeof text, "mode=input&debounce=%u", quiet_ms() * 1000);
    return text;
}

/* A contact that bounces is one edge, stamped when it began. */
START_TEST(debounce_keeps_the_time_of_the_edge)
{
    uint64_t period = KROUTINE_MSEC(quiet_ms());
    struct kt_gop_s op;
    uint64_t begin, began;

    if (kt_backend == KROUTINE_BACKEND_SIM && _i % KT_MODES != KT_EMBEDDED)
        return; /* time jumps there between two pulls */
    kt_gpio_open(&g, &env, _i, "0", debounce_option());
    init_event(&op);
    kt_gop_submit(&op, &g.dev);
    kt_idle(&env, 2);
    begin = kt_clock(&env);
    kt_gpio_pull(&g, 0, true);
    began = kt_clock(&env);
    kt_gpio_pull(&g, 0, false);
    kt_gpio_pull(&g, 0, true);
    kt_gpio_pull(&g, 0, false);
    kt_gpio_pull(&g, 0, true);
    kt_gop_expect(&op, &env, 0);
    ck_assert_uint_ge(kt_clock(&env) - begin, period);
    ck_assert_uint_eq(op.rq.event.count, 1);
    ck_assert(dev_gpio_rose(&edges[0]));
    ck_assert_uint_ge(edges[0].timestamp, begin);
    ck_assert_uint_le(edges[0].timestamp, began);
    ck_assert_uint_eq(op.rq.event.lost, 0);
    kt_gpio_close(&g);
}
END_TEST

/* A disturbance that ends where it began is none; UNTIL does not see it either. */
START_TEST(debounce_drops_a_glitch)
{
    struct kt_gop_s event, until;

    if (kt_backend == KROUTINE_BACKEND_SIM && _i % KT_MODES != KT_EMBEDDED)
        return;
    kt_gpio_open(&g, &env, _i, "0", debounce_option());
    init_event(&event);
    kt_gop_submit(&event, &g.dev);
    init_until(&until, 0, 0, 1, 0);
    kt_gop_submit(&until, &g.dev);
    kt_idle(&env, 2);
    kt_gpio_pull(&g, 0, true);
    kt_gpio_pull(&g, 0, false);
    kt_idle(&env, quiet_ms() + 100);
    ck_assert_uint_eq(kt_get(&event.done), 0);
    ck_assert_uint_eq(kt_get(&until.done), 0);
    kt_gpio_pull(&g, 0, true);
    kt_gop_expect(&event, &env, 0);
    kt_gop_expect(&until, &env, 0);
    ck_assert_uint_eq(event.rq.event.count, 1);
    ck_assert_uint_eq(until.rq.until.data, 1);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(debounce_of_the_kernel)
{
    struct kt_gop_s op;
    struct dev_gpio_line_info_s info;
    uint32_t period = quiet_ms() * 1000;

    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    if (g.cap & DEV_GPIO_CAP_DEBOUNCE) {
        ck_assert_int_eq(dev_gpio_mode(&g.dev, 0,
                                       DEV_GPIO_INPUT | DEV_GPIO_BOTH | DEV_GPIO_DEBOUNCE_KERNEL,
                                       period),
                         0);
        ck_assert_int_eq(DEVICE_OP(&g.dev, line_info, 0, &info), 0);
        ck_assert_uint_eq(info.debounce_us, period);
        init_event(&op);
        kt_gop_submit(&op, &g.dev);
        kt_gpio_pull(&g, 0, true);
        kt_gpio_pull(&g, 0, false);
        kt_gpio_pull(&g, 0, true);
        kt_gop_expect(&op, &env, 0);
        ck_assert_uint_eq(op.rq.event.count, 1);
    }
    kt_gpio_close(&g);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("gpio_until");
    int n = kt_gpio_rounds();

    kt_add_loop(s, at_once_when_it_differs, n, kt_gpio_label, 30);
    kt_add_loop(s, when_a_line_changes, n, kt_gpio_label, 30);
    kt_add_loop(s, not_by_edges_of_before, n, kt_gpio_label, 30);
    kt_add_loop(s, by_a_pulse, n, kt_gpio_label, 30);
    kt_add_loop(s, many_at_a_time, n, kt_gpio_label, 30);
    kt_add_loop(s, beside_an_event_request, n, kt_gpio_label, 30);
    kt_add_loop(s, what_cannot_be, n, kt_gpio_label, 30);
    kt_add_loop(s, timeout, n, kt_gpio_label, 30);
    kt_add_loop(s, blocking, n, kt_gpio_label, 30);
    kt_add_loop(s, debounce_keeps_the_time_of_the_edge, n, kt_gpio_label, 30);
    kt_add_loop(s, debounce_drops_a_glitch, n, kt_gpio_label, 30);
    kt_add_loop(s, debounce_of_the_kernel, n, kt_gpio_label, 30);
    return s;
}

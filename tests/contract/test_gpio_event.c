/* SPDX-License-Identifier: MIT */
/* Edges: none is missed between two requests, and what was lost is told. */
#include "kt_gpio.h"

#include <fcntl.h>
#include <time.h>

static struct kt_env_s env;
static struct kt_gpio_s g;
static struct dev_gpio_event_s list[256];

static void init_event(struct kt_gop_s *op, unsigned size)
{
    kt_gop_init(op, DEV_GPIO_EVENT, 0, 0);
    op->rq.event.list = list;
    op->rq.event.size = (uint16_t)size;
}

/* One more edge of line `offset`. */
static void toggle(unsigned offset)
{
    static bool level[KT_GPIO_LINES];

    level[offset] = !level[offset];
    kt_gpio_pull(&g, offset, level[offset]);
}

static uint64_t clock_of(bool realtime)
{
    struct timespec ts;

    if (g.kind != KT_CHIP_GPIOD || !realtime) {
        struct device_timer_s timer = DEVICE_ACCESSOR_INIT;
        uint64_t now;

        ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                     realtime ? "timer1" : "timer0",
                                                     DRIVER_CLASS_TIMER),
                         0);
        ck_assert_int_eq(DEVICE_OP(&timer, get_value, &now, 0), 0);
        device_put_accessor(&timer.base);
        return now;
    }
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

START_TEST(an_edge_arrives)
{
    struct kt_gop_s op;
    uint64_t start;

    kt_gpio_open(&g, &env, _i, "2,4", "mode=input");
    init_event(&op, 4);
    kt_gop_submit(&op, &g.dev);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    start = clock_of(false);
    toggle(4);
    kt_gop_expect(&op, &env, 0);
    ck_assert_uint_eq(op.rq.event.count, 1);
    ck_assert_uint_eq(op.rq.event.lost, 0);
    ck_assert_uint_eq(list[0].line, 1);
    ck_assert(dev_gpio_rose(&list[0]));
    ck_assert_uint_ge(list[0].timestamp, start);
    ck_assert_uint_le(list[0].timestamp, clock_of(false));
    ck_assert_uint_eq(list[0].seqno, g.cap & DEV_GPIO_CAP_SEQNO ? 1 : 0);
    toggle(4);
    kt_gop_run(&op, &g, 0);
    ck_assert(!dev_gpio_rose(&list[0]));
    ck_assert_uint_eq(list[0].line_seqno, g.cap & DEV_GPIO_CAP_SEQNO ? 2 : 0);
    kt_gpio_close(&g);
}
END_TEST

/* Each batch takes what there is, up to its size; nothing falls between two requests. */
START_TEST(nothing_between_two_requests)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0-1", "mode=input");
    init_event(&op, 3);
    kt_gop_submit(&op, &g.dev);
    toggle(0);
    kt_gop_expect(&op, &env, 0);
    for (int round = 0; round < 20; round++) {
        unsigned got = 0, edges = (unsigned)round % 7 + 1;
        bool rises = false;

        for (unsigned i = 0; i < edges; i++)
            toggle(1); /* while no request is there */
        for (unsigned i = 0; i < edges && round % 2; i++)
            kt_pause(&env);
        while (got < edges) {
            init_event(&op, 3);
            kt_gop_run(&op, &g, 0);
            ck_assert_uint_ge(op.rq.event.count, 1);
            ck_assert_uint_le(op.rq.event.count, 3);
            ck_assert_uint_eq(op.rq.event.lost, 0);
            for (unsigned i = 0; i < op.rq.event.count; i++) {
                ck_assert(got + i == 0 || dev_gpio_rose(&list[i]) != rises);
                rises = dev_gpio_rose(&list[i]);
            }
            got += op.rq.event.count;
        }
        ck_assert_uint_eq(got, edges);
    }
    kt_gpio_close(&g);
}
END_TEST

/* With events=… from the open on. */
START_TEST(from_the_open_on)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0", "mode=input&events=falling");
    toggle(0);
    toggle(0);
    toggle(0);
    toggle(0);
    init_event(&op, 9);
    kt_gop_submit(&op, &g.dev);
    kt_gop_expect(&op, &env, 0);
    for (unsigned i = 0; i < op.rq.event.count; i++)
        ck_assert(!dev_gpio_rose(&list[i]));
    if (op.rq.event.count == 1)
        kt_gop_run(&op, &g, 0);
    else
        ck_assert_uint_eq(op.rq.event.count, 2);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(device_start_keeps_edges)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    ck_assert_int_eq(device_start(&g.dev.base), 0);
    toggle(0);
    init_event(&op, 9);
    kt_gop_run(&op, &g, 0);
    ck_assert_uint_eq(op.rq.event.count, 1);
    ck_assert_int_eq(device_stop(&g.dev.base), 0);
    kt_gpio_close(&g);
}
END_TEST

/* More than fit: the oldest are gone, and counted. */
START_TEST(what_was_lost_is_counted)
{
    unsigned got = 0, lost = 0, last = 0;
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0", "mode=input&events=both&buffer=16");
    if (!(g.cap & DEV_GPIO_CAP_LOST)) {
        init_event(&op, 1);
        op.rq.need = DEV_GPIO_CAP_LOST;
        kt_gop_run(&op, &g, -ENOTSUP);
        kt_gpio_close(&g);
        return;
    }
    for (int i = 0; i < 100; i++)
        toggle(0);
    while (got + lost < 100) {
        init_event(&op, 10);
        op.rq.need = DEV_GPIO_CAP_LOST | DEV_GPIO_CAP_SEQNO;
        kt_gop_run(&op, &g, 0);
        got += op.rq.event.count;
        lost += op.rq.event.lost;
        last = list[op.rq.event.count - 1].seqno;
    }
    ck_assert_uint_eq(got + lost, 100);
    ck_assert_uint_eq(last, 100);
    ck_assert_uint_ge(got, 16);
    ck_assert_uint_ge(lost, 1);
    kt_gpio_close(&g);
}
END_TEST

/* Without numbers: that some were lost is told, or none was. */
START_TEST(what_may_be_lost_is_told)
{
    bool lost = false, finished = false;
    struct kt_gop_s op;
    unsigned got = 0;

    kt_gpio_open(&g, &env, _i, "0", "mode=input&events=both");
    if (g.cap & DEV_GPIO_CAP_LOST) {
        kt_gpio_close(&g);
        return;
    }
    for (int i = 0; i < 100; i++)
        toggle(0);
    while (!finished) {
        init_event(&op, 200);
        dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(200));
        kt_gop_submit(&op, &g.dev);
        kt_await(&env, kt_get(&op.done));
        ck_assert(op.error == 0 || op.error == -ETIMEDOUT);
        finished = op.error;
        got += finished ? 0 : op.rq.event.count;
        lost |= op.rq.event.lost == DEV_GPIO_LOST_SOME;
        ck_assert(op.rq.event.lost == 0 || op.rq.event.lost == DEV_GPIO_LOST_SOME);
    }
    ck_assert(got == 100 || lost);
    kt_gpio_close(&g);
}
END_TEST

/* Of two requests the first gets the edges. */
START_TEST(in_the_order_of_submission)
{
    struct dev_gpio_event_s other[2];
    struct kt_gop_s a, b;

    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    init_event(&a, 2);
    init_event(&b, 2);
    b.rq.event.list = other;
    kt_gop_submit(&a, &g.dev);
    kt_gop_submit(&b, &g.dev);
    toggle(0);
    kt_gop_expect(&a, &env, 0);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&b.done), 0);
    toggle(0);
    kt_gop_expect(&b, &env, 0);
    ck_assert_uint_eq(a.rq.event.count, 1);
    ck_assert_uint_eq(b.rq.event.count, 1);
    kt_gpio_close(&g);
}
END_TEST

/* A cancelled request takes nothing with it. */
START_TEST(cancel)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    init_event(&op, 2);
    kt_gop_submit(&op, &g.dev);
    kt_idle(&env, 2);
    ck_assert_int_eq(kt_gop_cancel(&op, &g.dev), 0);
    toggle(0);
    toggle(0);
    kt_idle(&env, 5);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    kt_gop_submit(&op, &g.dev);
    kt_gop_expect(&op, &env, 0);
    ck_assert_uint_ge(op.rq.event.count, 1);
    ck_assert_int_eq(kt_gop_cancel(&op, &g.dev), -EBUSY);
    kt_gpio_close(&g);
}
END_TEST

START_TEST(timeout)
{
    struct kt_gop_s op;

    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    init_event(&op, 2);
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(20));
    kt_gop_run(&op, &g, -ETIMEDOUT);
    ck_assert_uint_eq(op.rq.event.count, 0);
    if (kt_backend != KROUTINE_BACKEND_SIM || env.embedded) { /* or else time jumps there */
        dev_request_set_timeout(&op.rq.base, KROUTINE_SEC(1000));
        kt_gop_submit(&op, &g.dev);
        toggle(0);
        kt_gop_expect(&op, &env, 0);
    }
    kt_gpio_close(&g);
}
END_TEST

START_TEST(the_close_ends_it)
{
    struct kt_gop_s event, until;

    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    init_event(&event, 2);
    kt_gop_submit(&event, &g.dev);
    kt_gop_init(&until, DEV_GPIO_UNTIL, 0, 0);
    until.rq.until.mask = 1;
    kt_gop_submit(&until, &g.dev);
    device_put_accessor(&g.dev.base);
    kt_gop_expect(&event, &env, -ECANCELED);
    kt_gop_expect(&until, &env, -ECANCELED);
    kt_gpio_close(&g);
}
END_TEST

static void close_it(struct kt_gop_s *op)
{
    (void)op;
    device_put_accessor(&g.dev.base);
}

START_TEST(the_handler_closes)
{
    struct kt_gop_s event, other;

    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    init_event(&event, 2);
    dev_gpio_rq_init_immediate(&event.rq, event.rq.kr.exec);
    event.rq.type = DEV_GPIO_EVENT;
    event.then = close_it;
    init_event(&other, 2);
    kt_gop_submit(&event, &g.dev);
    kt_gop_submit(&other, &g.dev);
    toggle(0);
    kt_gop_expect(&event, &env, 0);
    kt_gop_expect(&other, &env, -ECANCELED);
    kt_gpio_close(&g);
}
END_TEST

static void answer(struct kt_gop_s *op)
{
    ck_assert(dev_gpio_out(&g.dev, 1, true) == 0);
    kt_inc((unsigned *)op->arg);
}

/* The shortest way from an edge to an output. */
START_TEST(an_immediate_handler_sets_an_output)
{
    struct kt_gop_s op;
    unsigned answers = 0;

    kt_gpio_open(&g, &env, _i, "0-1", "mode=input");
    if (!(g.cap & DEV_GPIO_CAP_EACH)) {
        kt_gpio_close(&g);
        return;
    }
    ck_assert_int_eq(dev_gpio_mode(&g.dev, 1, DEV_GPIO_OUTPUT, 0), 0);
    init_event(&op, 2);
    dev_gpio_rq_init_immediate(&op.rq, op.rq.kr.exec);
    op.rq.type = DEV_GPIO_EVENT;
    op.then = answer;
    op.arg = &answers;
    kt_gop_submit(&op, &g.dev);
    toggle(0);
    kt_gop_expect(&op, &env, 0);
    ck_assert_uint_eq(kt_get(&answers), 1);
    ck_assert(kt_gpio_level(&g, 1));
    kt_gpio_close(&g);
}
END_TEST

START_TEST(gone)
{
    struct kt_gop_s event, until;
    int live = -1;

    kt_gpio_open(&g, &env, _i, "0", "mode=input");
    init_event(&event, 2);
    kt_gop_submit(&event, &g.dev);
    kt_gop_init(&until, DEV_GPIO_UNTIL, 0, 0);
    until.rq.until.mask = 1;
    kt_gop_submit(&until, &g.dev);
    kt_idle(&env, 2);
    if (g.kind == KT_CHIP_GPIOD) {
        live = open(getenv("KT_GPIO_LIVE"), O_WRONLY | O_CLOEXEC);
        ck_assert_int_ge(live, 0);
        ck_assert_int_eq(write(live, "0", 1), 1);
    } else {
        ck_assert_int_eq(kroutine_sim_gpio_unplug(&g.dev.base), 0);
    }
    kt_gop_expect(&event, &env, -ENODEV);
    kt_gop_expect(&until, &env, -ENODEV);
    /* Once each. */
    kt_idle(&env, 20);
    ck_assert_uint_eq(kt_get(&event.done), 1);
    ck_assert_uint_eq(kt_get(&until.done), 1);
    kt_gop_run(&event, &g, -ENODEV);
    ck_assert_int_eq(dev_gpio_input(&g.dev, 0), -ENODEV);
    if (live >= 0) {
        device_put_accessor(&g.dev.base);
        ck_assert_int_eq(write(live, "1", 1), 1);
        close(live);
    }
    kt_gpio_close(&g);
}
END_TEST

START_TEST(realtime)
{
    struct kt_gop_s op;
    uint64_t start;
    struct device_gpio_s dev = DEVICE_ACCESSOR_INIT;

    kt_gpio_open(&g, &env, _i, "7", "mode=input");
    if (!(g.cap & DEV_GPIO_CAP_REALTIME)) {
        ck_assert_int_eq(kt_gpio_lookup(&g, &dev, "0", "mode=input&clock=realtime"), -ENOTSUP);
        kt_gpio_close(&g);
        return;
    }
    ck_assert_int_eq(kt_gpio_lookup(&g, &dev, "0", "mode=input&clock=realtime"), 0);
    init_event(&op, 1);
    kt_gop_submit(&op, &dev);
    start = clock_of(true);
    toggle(0);
    kt_gop_expect(&op, &env, 0);
    ck_assert_uint_ge(list[0].timestamp, start);
    ck_assert_uint_le(list[0].timestamp, clock_of(true));
    device_put_accessor(&dev.base);
    kt_gpio_close(&g);
}
END_TEST

static void *wait_thread(void *arg)
{
    uint32_t lost = 99;
    int *n = arg;

    *n = dev_gpio_wait_event(&g.dev, list, 5, &lost, 0);
    ck_assert(lost == 0);
    return NULL;
}

START_TEST(blocking)
{
    pthread_t thread;
    int n = -1;

    if (_i % KT_MODES == KT_EMBEDDED)
        return; /* this thread is the reactor: it would wait for itself */
    kt_gpio_open(&g, &env, _i, "0", "mode=input&events=both");
    thread = kt_thread(wait_thread, &n);
    toggle(0);
    kt_join(thread);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(dev_gpio_wait_event(&g.dev, list, 5, NULL, KROUTINE_MSEC(10)), -ETIMEDOUT);
    kt_gpio_close(&g);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("gpio_event");
    int n = kt_gpio_rounds();

    kt_add_loop(s, an_edge_arrives, n, kt_gpio_label, 30);
    kt_add_loop(s, nothing_between_two_requests, n, kt_gpio_label, 30);
    kt_add_loop(s, from_the_open_on, n, kt_gpio_label, 30);
    kt_add_loop(s, device_start_keeps_edges, n, kt_gpio_label, 30);
    kt_add_loop(s, what_was_lost_is_counted, n, kt_gpio_label, 30);
    kt_add_loop(s, what_may_be_lost_is_told, n, kt_gpio_label, 30);
    kt_add_loop(s, in_the_order_of_submission, n, kt_gpio_label, 30);
    kt_add_loop(s, cancel, n, kt_gpio_label, 30);
    kt_add_loop(s, timeout, n, kt_gpio_label, 30);
    kt_add_loop(s, the_close_ends_it, n, kt_gpio_label, 30);
    kt_add_loop(s, the_handler_closes, n, kt_gpio_label, 30);
    kt_add_loop(s, an_immediate_handler_sets_an_output, n, kt_gpio_label, 30);
    kt_add_loop(s, gone, n, kt_gpio_label, 30);
    kt_add_loop(s, realtime, n, kt_gpio_label, 30);
    kt_add_loop(s, blocking, n, kt_gpio_label, 30);
    return s;
}

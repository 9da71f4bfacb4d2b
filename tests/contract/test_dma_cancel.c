/* SPDX-License-Identifier: MIT */
/* How requests of the dma class end: cancel, time-out, close; their order; periods; channels. */
#include "kt_dma.h"

#define SIZE (1u << 20)

static struct kt_env_s env;
static struct kt_dma_s d;

/* Slow enough to be in the middle of it when the test looks: a second of the simulated engine. */
#define SLOW "rate=1000000&channels=4"

static void run_for_ever(struct kt_dop_s *op)
{
    op->rq.loops = DEV_DMA_CONTINUOUS;
    ck_assert_int_eq(kt_dop_submit(op, &d), 0);
}

/* 0, or the end that comes by itself. The request is over when this returns. */
static error_t cancelled(struct kt_dop_s *op)
{
    error_t err = kt_dop_cancel(op, &d);

    if (err) {
        ck_assert_int_eq(err, -EBUSY);
        kt_dop_expect(op, &env, -ECANCELED);
    } else {
        op->moved = op->rq.done;
        kt_idle(&env, 3);
        ck_assert_uint_eq(kt_get(&op->done), 0);
    }
    return err;
}

START_TEST(before_it_begins)
{
    struct kt_dop_s first, second;

    kt_dma_open(&d, &env, _i, SIZE, SLOW);
    kt_dop_init(&first, &d, KROUTINE_DEFERRED, 4096);
    kt_dop_init(&second, &d, KROUTINE_DEFERRED, SIZE);
    first.rq.chan_mask = second.rq.chan_mask = 1;
    run_for_ever(&first);
    second.desc[0].dst = d.dst + 4096;
    second.desc[0].size = 4096;
    ck_assert_int_eq(kt_dop_submit(&second, &d), 0);
    ck_assert_int_eq(kt_dop_cancel(&second, &d), 0);
    ck_assert_uint_eq(second.rq.done, 0);
    ck_assert_int_eq(kt_dop_cancel(&second, &d), -EBUSY);
    cancelled(&first);
    ck_assert_uint_eq(d.dst[4096], 0xee);
    ck_assert_int_eq(kt_dop_cancel(&first, &d), -EBUSY); /* over */
    kt_dma_close(&d);
}
END_TEST

/* rq->done is exact: the bytes of before are there, those beyond untouched. */
START_TEST(in_the_middle)
{
    struct kt_dop_s op;

    kt_dma_open(&d, &env, _i, 32 * SIZE, SLOW);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 32 * SIZE);
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    kt_await(&env, dev_dma_progress(&op.rq) > 0 || kt_get(&op.done));
    if (kt_dop_cancel(&op, &d)) {
        kt_await(&env, kt_get(&op.done));
        ck_assert(op.error == -ECANCELED || op.error == 0);
    } else {
        op.moved = op.rq.done;
    }
    ck_assert_uint_gt(op.moved, 0);
    ck_assert(op.error || op.moved == 32 * SIZE || !kt_get(&op.done));
    kt_dma_expect_copied(&d, op.moved);
    kt_idle(&env, 3);
    kt_dma_expect_copied(&d, op.moved);
    kt_dma_close(&d);
}
END_TEST

START_TEST(waits_for_the_end)
{
    struct kt_dop_s op;
    error_t err;

    kt_dma_open(&d, &env, _i, 4096, SLOW);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 4096);
    run_for_ever(&op);
    err = dev_request_cancel_wait(&d.dev.base, &op.rq.base);
    if (env.embedded) {
        ck_assert_int_eq(err, -EDEADLK);
        cancelled(&op);
    } else if (err) {
        ck_assert_int_eq(err, -EBUSY);
        ck_assert_uint_eq(kt_get(&op.done), 1);
        ck_assert_int_eq(op.error, -ECANCELED);
    } else {
        ck_assert_uint_eq(kt_get(&op.done), 0);
    }
    kt_dma_close(&d);
}
END_TEST

/* --- time-outs --- */

START_TEST(time_outs)
{
    struct kt_dop_s busy, late;
    uint64_t begin, enough;

    kt_dma_open(&d, &env, _i, 4096, SLOW);
    kt_dop_init(&busy, &d, KROUTINE_DEFERRED, 2048);
    kt_dop_init(&late, &d, KROUTINE_DEFERRED, 2048);
    late.desc[0].dst = d.dst + 2048;
    busy.rq.chan_mask = late.rq.chan_mask = 1;
    dev_request_set_timeout(&late.rq.base, KROUTINE_MSEC(20));
    run_for_ever(&busy);
    begin = kt_clock(&env);
    ck_assert_int_eq(kt_dop_submit(&late, &d), 0);
    kt_dop_expect(&late, &env, -ETIMEDOUT); /* where it waited */
    ck_assert_uint_ge(kt_clock(&env) - begin, KROUTINE_MSEC(20));
    ck_assert_uint_eq(late.moved, 0);
    ck_assert_uint_eq(d.dst[2048], 0xee);
    cancelled(&busy);
    enough = KROUTINE_MSEC(30) + 3 * kt_dma_pace(&d);
    dev_request_set_timeout(&busy.rq.base, enough);
    begin = kt_clock(&env);
    run_for_ever(&busy);
    kt_dop_expect(&busy, &env, -ETIMEDOUT); /* under way */
    ck_assert_uint_ge(kt_clock(&env) - begin, enough);
    ck_assert_uint_gt(busy.moved, 0);
    /* In time: the time-out is forgotten. */
    dev_request_set_timeout(&late.rq.base, KROUTINE_SEC(1000));
    kt_dop_run(&late, &d);
    kt_dma_close(&d);
}
END_TEST

/* --- close --- */

START_TEST(closed_with_requests)
{
    struct kt_dop_s op[6];

    kt_dma_open(&d, &env, _i, 4096, SLOW);
    for (int i = 0; i < 6; i++) {
        kt_dop_init(&op[i], &d, i % 2 ? KROUTINE_IMMEDIATE : KROUTINE_DEFERRED, 512);
        op[i].desc[0].dst = d.dst + i * 512; /* side by side: each has its own */
        op[i].rq.chan_mask = i < 3;
        run_for_ever(&op[i]);
    }
    if (d.kind == KT_ENGINE_MEMDMA) { /* closes with the runtime only */
        for (int i = 0; i < 6; i++)
            cancelled(&op[i]);
        kt_dma_close(&d);
        return;
    }
    device_put_accessor(&d.dev.base);
    for (int i = 0; i < 6; i++) {
        if (i % 2)
            ck_assert_uint_eq(kt_get(&op[i].done), 1);
        kt_dop_expect(&op[i], &env, -ECANCELED);
    }
    kt_dma_close(&d);
}
END_TEST

START_TEST(runtime_ends_with_requests)
{
    struct kt_dop_s op[6];

    kt_dma_open(&d, &env, _i, 4096, SLOW);
    for (int i = 0; i < 6; i++) {
        kt_dop_init(&op[i], &d, i % 2 ? KROUTINE_IMMEDIATE : KROUTINE_DEFERRED, 512);
        op[i].desc[0].dst = d.dst + i * 512; /* side by side: each has its own */
        op[i].rq.chan_mask = i < 3;
        run_for_ever(&op[i]);
    }
    kt_env_close(&env);
    for (int i = 0; i < 6; i++) {
        ck_assert_uint_eq(kt_get(&op[i].done), 1);
        ck_assert_int_eq(op[i].error, -ECANCELED);
        ck_assert_int_eq(kt_dop_submit(&op[i], &d), -ECANCELED);
        ck_assert_int_eq(kt_dop_cancel(&op[i], &d), -EBUSY);
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(dev_dma_unmap(&d.mem[i]), 0);
    device_put_accessor(&d.dev.base);
}
END_TEST

static unsigned inside; /* atomic */

static void take_time(struct kt_dop_s *op)
{
    kt_set(&inside, 1);
    kt_sleep_ms(20);
    op->stamp = kt_stamp();
}

/* Two that end together, as in software they can, and a close between their handlers: the second
   does not come before the first has returned, and the close not before both have. */
START_TEST(closed_between_handlers)
{
    struct kt_dop_s op[2];

    inside = 0;
    kt_dma_open(&d, &env, _i, 4096, SLOW);
    for (int i = 0; i < 2; i++) {
        kt_dop_init(&op[i], &d, KROUTINE_IMMEDIATE, 512);
        op[i].desc[0].dst = d.dst + i * 512;
        op[i].rq.chan_mask = 1;
        dev_request_set_timeout(&op[i].rq.base, KROUTINE_MSEC(20));
    }
    op[0].then = take_time;
    for (int i = 0; i < 2; i++)
        run_for_ever(&op[i]);
    kt_await(&env, kt_get(&inside));
    kt_env_close(&env);
    for (int i = 0; i < 2; i++)
        ck_assert_uint_eq(kt_get(&op[i].done), 1);
    ck_assert_uint_lt(op[0].stamp, op[1].stamp);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(dev_dma_unmap(&d.mem[i]), 0);
    device_put_accessor(&d.dev.base);
}
END_TEST

static void put_here(struct kt_dop_s *op)
{
    device_put_accessor(op->arg);
}

/* The handler of the first closes the device, which has the others. */
START_TEST(closed_by_a_handler)
{
    struct kt_dop_s op[5];
    char spec[32] = "memdma:own";

    kt_dma_open(&d, &env, _i, 0, SLOW);
    device_put_accessor(&d.dev.base);
    if (d.kind == KT_ENGINE_SIM)
        strcpy(spec, "sim-dma:own");
    ck_assert_int_eq(device_get_accessor_by_path(&d.dev.base, kroutine_runtime_devices(env.rt),
                                                 spec, DRIVER_CLASS_DMA),
                     0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(dev_dma_alloc(&d.dev, &d.mem[i], 4096, 0), 0);
    d.src = d.mem[0].base;
    d.dst = d.mem[1].base;
    for (int i = 0; i < 5; i++) {
        kt_dop_init(&op[i], &d, KROUTINE_IMMEDIATE, 64);
        op[i].desc[0].dst = d.dst + i * 64;
        op[i].rq.loops = i ? DEV_DMA_CONTINUOUS : 1;
        op[i].rq.chan_mask = i ? 2 : 1;
    }
    op[0].then = put_here;
    op[0].arg = &d.dev.base;
    for (int i = 4; i >= 0; i--)
        ck_assert_int_eq(kt_dop_submit(&op[i], &d), 0);
    kt_dop_expect(&op[0], &env, 0);
    for (int i = 1; i < 5; i++)
        kt_dop_expect(&op[i], &env, -ECANCELED);
    kt_dma_close(&d);
}
END_TEST

/* --- nesting --- */

static unsigned again, times;
static unsigned submitting; /* the thread of the test is in a submit */
static pthread_t self;

static void once_more(struct kt_dop_s *op)
{
    if (pthread_equal(self, pthread_self()) && kt_get(&submitting))
        kt_set(&again, 1000); /* on the submitter's stack */
    if (kt_inc(&again) < times)
        ck_assert_int_eq(DEVICE_OP(&((struct kt_dma_s *)op->arg)->dev, request, &op->rq), 0);
}

START_TEST(resubmitted_from_an_immediate_handler)
{
    struct kt_dop_s op;

    setenv("KROUTINE_CHECK", "1", 1); /* the checker agrees */
    again = 0;
    self = pthread_self();
    kt_dma_open(&d, &env, _i, 4096, "latency=0&rate=0");
    times = kt_dma_count(&d, 100);
    kt_dop_init(&op, &d, KROUTINE_IMMEDIATE, 64);
    op.then = once_more;
    op.arg = &d;
    kt_set(&submitting, 1);
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    kt_set(&submitting, 0);
    kt_await(&env, kt_get(&op.done) == times);
    ck_assert_uint_eq(kt_get(&again), times);
    kt_dma_close(&d);
}
END_TEST

/* --- order, channels --- */

START_TEST(in_order_on_a_channel)
{
    static struct kt_dop_s op[64];
    int count;

    kt_dma_open(&d, &env, _i, 4096, "latency=10&channels=4");
    count = (int)kt_dma_count(&d, 64);
    for (int i = 0; i < count; i++) {
        kt_dop_init(&op[i], &d, KROUTINE_IMMEDIATE, 1 + (unsigned)(i * 37 % 64));
        op[i].desc[0].dst = d.dst + i * 64;
        op[i].rq.chan_mask = 1u << i % (d.info.channels < 2 ? 1 : 2);
        ck_assert_int_eq(kt_dop_submit(&op[i], &d), 0);
    }
    for (int i = 0; i < count; i++) {
        kt_dop_expect(&op[i], &env, 0);
        ck_assert_uint_eq(op[i].rq.chan_mask, 1u << op[i].rq.chan);
        if (i >= 2)
            ck_assert_uint_lt(op[i - 2].stamp, op[i].stamp);
    }
    kt_dma_close(&d);
}
END_TEST

START_TEST(channels_side_by_side)
{
    struct kt_dop_s endless, op;

    kt_dma_open(&d, &env, _i, 4096, "channels=4");
    if (d.info.channels < 2) {
        kt_dma_close(&d);
        kt_skip("this engine has one channel");
    }
    kt_dop_init(&endless, &d, KROUTINE_DEFERRED, 1024);
    run_for_ever(&endless);
    ck_assert_uint_eq(endless.rq.chan, 0);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 1024);
    op.desc[0].dst = d.dst + 2048;
    kt_dop_run(&op, &d); /* goes where nothing waits */
    ck_assert_uint_eq(op.rq.chan, 1);
    op.rq.chan_mask = 1u << (d.info.channels - 1) | 1u << 31;
    kt_dop_run(&op, &d);
    ck_assert_uint_eq(op.rq.chan, d.info.channels - 1);
    cancelled(&endless);
    kt_dma_close(&d);
}
END_TEST

/* --- periods --- */

struct counter_s {
    struct kroutine_s kr;
    unsigned runs; /* atomic */
};

static KROUTINE_EXEC(period_over)
{
    kt_inc(&KROUTINE_CONTAINER(kr, struct counter_s, kr)->runs);
}

START_TEST(periods)
{
    struct counter_s counter = {.runs = 0};
    struct kt_dop_s op;
    unsigned seen, loops, enough;

    kt_dma_open(&d, &env, _i, 4096, "rate=100000000");
    kroutine_init_deferred(&counter.kr, period_over);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 512);
    op.rq.count = 2; /* two halves of a ring, a period each */
    op.rq.period_count = 1;
    op.rq.period = &counter.kr;
    op.desc[1] = op.desc[0];
    op.desc[1].dst = d.dst + 512;
    enough = kt_dma_count(&d, 20);
    run_for_ever(&op);
    kt_await(&env, kt_get(&counter.runs) >= enough);
    if (cancelled(&op) == 0)
        ck_assert_uint_eq(op.rq.done, op.moved);
    kroutine_cancel(&counter.kr);
    kt_idle(&env, 2);
    seen = kt_get(&counter.runs);
    ck_assert_uint_ge(dev_dma_periods(&op.rq), seen); /* the rest was merged */
    ck_assert_uint_eq(dev_dma_periods(&op.rq), op.moved / 512);
    kt_idle(&env, 3);
    ck_assert_uint_eq(kt_get(&counter.runs), seen);

    /* None merged where none can wait. */
    counter.runs = 0;
    kroutine_init_immediate(&counter.kr, period_over);
    loops = kt_dma_count(&d, 50);
    op.rq.loops = loops;
    kt_dop_run(&op, &d);
    ck_assert_uint_eq(counter.runs, loops * 2);
    ck_assert_uint_eq(dev_dma_periods(&op.rq), loops * 2);
    kt_dma_close(&d);
}
END_TEST

struct stopper_s {
    struct kroutine_s kr;
    struct kt_dop_s op;
    unsigned runs;
    int result;
};

static KROUTINE_EXEC(stop_it)
{
    struct stopper_s *s = KROUTINE_CONTAINER(kr, struct stopper_s, kr);

    if (kt_get(&s->runs) == 4)
        s->result = DEVICE_OP(&d.dev, cancel, &s->op.rq);
    kt_inc(&s->runs);
}

/* While the kroutine of a period runs, software stands still; what takes time goes on. */
START_TEST(cancelled_by_its_period)
{
    static struct stopper_s s;

    memset(&s, 0, sizeof s);
    s.result = 1;
    kt_dma_open(&d, &env, _i, 4096, NULL);
    if (d.kind == KT_ENGINE_OTHER) {
        kt_dma_close(&d);
        kt_skip("hardware goes on meanwhile");
    }
    kroutine_init_immediate(&s.kr, stop_it);
    kt_dop_init(&s.op, &d, KROUTINE_IMMEDIATE, 16);
    s.op.rq.period = &s.kr;
    run_for_ever(&s.op);
    kt_await(&env, kt_get(&s.runs) >= 5);
    kt_idle(&env, 3);
    ck_assert_uint_eq(kt_get(&s.runs), 5);
    ck_assert_int_eq(s.result, 0);
    ck_assert_uint_ge(s.op.rq.done, 80);
    ck_assert_uint_lt(s.op.rq.done, d.kind == KT_ENGINE_MEMDMA ? 81 : 96);
    ck_assert_uint_eq(kt_get(&s.op.done), 0);
    kt_dma_close(&d);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("dma_cancel");
    int rounds = kt_dma_rounds();

    kt_add_loop(s, before_it_begins, rounds, kt_dma_label, 20);
    kt_add_loop(s, in_the_middle, rounds, kt_dma_label, 60);
    kt_add_loop(s, waits_for_the_end, rounds, kt_dma_label, 20);
    kt_add_loop(s, time_outs, rounds, kt_dma_label, 20);
    kt_add_loop(s, closed_with_requests, rounds, kt_dma_label, 20);
    kt_add_loop(s, runtime_ends_with_requests, rounds, kt_dma_label, 20);
    kt_add_loop(s, closed_between_handlers, KT_ENGINE_OTHER * KT_MODES, kt_dma_label, 20);
    kt_add_loop(s, closed_by_a_handler, KT_ENGINE_OTHER * KT_MODES, kt_dma_label, 20);
    kt_add_loop(s, resubmitted_from_an_immediate_handler, rounds, kt_dma_label, 20);
    kt_add_loop(s, in_order_on_a_channel, rounds, kt_dma_label, 20);
    kt_add_loop(s, channels_side_by_side, rounds, kt_dma_label, 20);
    kt_add_loop(s, periods, rounds, kt_dma_label, 20);
    kt_add_loop(s, cancelled_by_its_period, rounds, kt_dma_label, 20);
    return s;
}

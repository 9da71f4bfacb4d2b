/* SPDX-License-Identifier: MIT */
/* The driver bcm2835-dma over a model of a channel: what goes on for ever, what is ended, faults.
 */
#include "bcm_dma.h"

/* --- continuous --- */

static struct kt_probe_s period;

static void init_continuous(struct kt_dop_s *op, uint32_t descs)
{
    kt_probe_init(&period, KROUTINE_DEFERRED, &(struct kt_target_s){.rt = env.rt});
    kt_dop_init(op, &d, KROUTINE_DEFERRED, 64);
    for (uint32_t i = 0; i < 3; i++)
        op->desc[i] = (struct dev_dma_desc_s){{d.src + i * 64}, {d.dst + i * 64}, .size = 64};
    op->rq.count = descs;
    op->rq.loops = DEV_DMA_CONTINUOUS;
    op->rq.period = &period.kr;
}

static void take_period_back(void)
{
    kroutine_cancel(&period.kr);
    kt_await(&env, !kroutine_is_pending(&period.kr));
}

/* It is looked at each millisecond, and may be in a turn just now: then it ends after that. */
static void cancel_active(struct kt_dop_s *op)
{
    if (kt_dop_cancel(op, &d))
        kt_dop_expect(op, &env, -ECANCELED);
}

/* The model moves `bytes`, and waits. */
static void let(uint64_t bytes)
{
    kt_set(&m.limit, bytes);
    kt_await(&env, kt_get(&m.limit) == 0);
}

/* 128 blocks are 42 runs through a list of three, and one that counts laps. */
START_TEST(a_ring)
{
    struct kt_dop_s op;

    open_all(_i, SPEC, 4096, false);
    kt_set(&m.limit, 0);
    init_continuous(&op, 3);
    op.rq.period_count = 2; /* two and one: two periods a run */
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    let(64);
    let(64 + 64 + 20);
    kt_await(&env, dev_dma_periods(&op.rq) == 2);
    kt_await(&env, kt_get(&period.runs) >= 1);
    ck_assert_uint_eq(dev_dma_progress(&op.rq), 3 * 64);
    let(44 + 100 * 3 * 64);
    kt_await(&env, dev_dma_periods(&op.rq) == 2 + 2 * 100);
    kt_dma_expect_copied(&d, 3 * 64);
    ck_assert_uint_eq(kt_get(&m.starts), 1);

    let(24);
    cancel_active(&op);
    ck_assert_uint_eq(op.rq.done, 101 * 3 * 64 + 64 + 24);
    ck_assert_uint_eq(op.rq.periods, 202);
    ck_assert_uint_eq(kt_get(&m.active), 0);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    take_period_back();

    kt_set(&m.limit, UINT64_MAX);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 4096);
    kt_dop_run(&op, &d);
    kt_dma_expect_copied(&d, 4096);
    close_all();
}
END_TEST

/* Interrupts that do not come, or merge, lose no period. */
START_TEST(lost_interrupts_of_a_ring)
{
    struct kt_dop_s op;

    open_all(_i, SPEC, 4096, false);
    kt_set(&m.limit, 0);
    init_continuous(&op, 1);
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    kt_await(&env, kt_get(&m.starts) == 1);
    kt_set(&m.silent, 1);
    let(100 * 64);
    kt_set(&m.silent, 0);
    kt_await(&env, dev_dma_periods(&op.rq) == 100);
    kt_set(&m.silent, 1);
    let(10027 * 64); /* 127 blocks a lap */
    kt_set(&m.silent, 0);
    kt_await(&env, dev_dma_periods(&op.rq) == 10127);
    let(32);
    cancel_active(&op);
    ck_assert_uint_eq(op.rq.done, 10127 * 64 + 32);
    take_period_back();
    close_all();
}
END_TEST

/* Where it is not plain whether the lap has been counted. */
static void cancel_at_lap(int round, unsigned stay)
{
    struct kt_dop_s op;

    open_all(round, SPEC "&blocks=4", 4096, false);
    kt_set(&m.limit, 0);
    init_continuous(&op, 3);
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    let(3 * 64);
    kt_await(&env, dev_dma_periods(&op.rq) == 1);
    kt_set(&m.stay, stay);
    let(3 * 64);
    kt_await(&env, kt_get(&m.halted));
    cancel_active(&op);
    ck_assert_uint_eq(op.rq.done, 2 * 3 * 64);
    ck_assert_uint_eq(op.rq.periods, 2);
    take_period_back();
    close_all();
}

START_TEST(cancel_where_laps_are_counted)
{
    cancel_at_lap(_i, KT_BCM_BEFORE);
    cancel_at_lap(_i, KT_BCM_BEHIND);
}
END_TEST

START_TEST(a_list_that_is_too_long_for_a_ring)
{
    struct kt_dop_s op;

    open_all(_i, SPEC "&blocks=2", 4096, false);
    init_continuous(&op, 3);
    ck_assert_int_eq(kt_dop_submit(&op, &d), -E2BIG);
    init_continuous(&op, 1);
    op.desc[0].rows = 3;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -E2BIG);
    close_all();
}
END_TEST

/* ring=no: the processor starts each batch. */
START_TEST(continuous_without_a_ring)
{
    struct kt_dop_s op;

    open_all(_i, SPEC "&ring=no&blocks=2", 4096, false);
    kt_set(&m.limit, 0);
    init_continuous(&op, 3);
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    let(50 * 3 * 64);
    kt_await(&env, dev_dma_periods(&op.rq) == 50);
    kt_await(&env, kt_get(&m.starts) == 76);
    let(64 + 8);
    cancel_active(&op);
    ck_assert_uint_eq(op.rq.done, 50 * 3 * 64 + 64 + 8);
    take_period_back();
    close_all();
}
END_TEST

/* --- cancel, time-out, close --- */

START_TEST(cancel_tells_how_far_it_got)
{
    struct kt_dop_s op, next;

    open_all(_i, SPEC, 4096, false);
    kt_set(&m.limit, 0);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 4096);
    kt_dop_init(&next, &d, KROUTINE_DEFERRED, 64);
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    ck_assert_int_eq(kt_dop_submit(&next, &d), 0);
    let(1000);
    ck_assert_int_eq(kt_dop_cancel(&op, &d), 0);
    ck_assert_uint_eq(op.rq.done, 1000);
    kt_await(&env, kt_get(&m.starts) == 2); /* the next one */
    ck_assert_int_eq(kt_dop_cancel(&next, &d), 0);
    ck_assert_uint_eq(next.rq.done, 0);
    kt_dma_expect_copied(&d, 1000);
    ck_assert_int_eq(kt_dop_cancel(&next, &d), -EBUSY);

    /* To a register, whose address stands still. */
    op.rq.type = DEV_DMA_MEM_REG;
    op.rq.reg_fixed = true;
    op.desc[0].dst_reg = KT_BCM_FIFO;
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    let(400);
    ck_assert_int_eq(kt_dop_cancel(&op, &d), 0);
    ck_assert_uint_eq(op.rq.done, 400);
    ck_assert_uint_eq(kt_get(&m.noted), 100);
    ck_assert_uint_eq(kt_get(&op.done) + kt_get(&next.done), 0);
    close_all();
}
END_TEST

START_TEST(time_out)
{
    struct kt_dop_s op;

    open_all(_i, SPEC, 4096, false);
    kt_set(&m.limit, 500);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 4096);
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(300));
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    kt_dop_expect(&op, &env, -ETIMEDOUT);
    ck_assert_uint_le(op.moved, 500);
    ck_assert_uint_eq(op.moved + kt_get(&m.limit), 500);
    ck_assert_uint_eq(kt_get(&m.active), 0);
    close_all();
}
END_TEST

START_TEST(closing_ends_all)
{
    struct kt_dop_s op[3];

    open_all(_i, SPEC, 4096, false);
    kt_set(&m.limit, 0);
    for (int i = 0; i < 3; i++) {
        kt_dop_init(&op[i], &d, KROUTINE_DEFERRED, 4096);
        ck_assert_int_eq(kt_dop_submit(&op[i], &d), 0);
    }
    let(128);
    device_put_accessor(&d.dev.base);
    ck_assert_uint_eq(kt_get(&m.active), 0);
    for (int i = 0; i < 3; i++)
        kt_dop_expect(&op[i], &env, -ECANCELED);
    ck_assert_uint_eq(op[0].moved, 128);
    ck_assert_uint_lt(op[0].stamp, op[2].stamp + 3);
    kt_set(&m.limit, UINT64_MAX);
    kt_idle(&env, 20);
    kt_dma_expect_copied(&d, 128); /* nothing goes on */
    close_all();
}
END_TEST

static struct kt_dop_s *in_period;
static error_t cancelled;

static void cancel_now(struct kt_probe_s *probe)
{
    (void)probe;
    if (kt_get(&period.runs) == 0)
        cancelled = kt_dop_cancel(in_period, &d);
}

static void close_now(struct kt_probe_s *probe)
{
    (void)probe;
    device_put_accessor(&d.dev.base);
}

/* The kroutine of a period ends its own ring: by a cancel, or by closing the device. */
START_TEST(a_ring_that_ends_itself)
{
    struct kt_dop_s op;

    open_all(_i, SPEC, 4096, false);
    kt_set(&m.limit, 0);
    init_continuous(&op, 3);
    kt_probe_init(&period, KROUTINE_IMMEDIATE, &(struct kt_target_s){.rt = env.rt});
    period.then = cancel_now;
    in_period = &op;
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    let(3 * 64);
    kt_await(&env, kt_get(&period.runs) == 1);
    ck_assert_int_eq(cancelled, 0);
    ck_assert_uint_eq(op.rq.done, 3 * 64);
    ck_assert_uint_eq(kt_get(&m.active), 0);
    period.then = close_now;
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    let(3 * 64);
    kt_dop_expect(&op, &env, -ECANCELED);
    ck_assert_uint_eq(kt_get(&m.active), 0);
    kt_await(&env, kt_get(&period.runs) == 2);
    close_all();
}
END_TEST

/* With a ring at work, something that waits, and memory of it. */
START_TEST(the_runtime_ends)
{
    struct kt_dop_s op, next;

    open_all(_i, SPEC, 4096, false);
    kt_set(&m.limit, 0);
    init_continuous(&op, 3);
    kt_dop_init(&next, &d, KROUTINE_DEFERRED, 4096);
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    ck_assert_int_eq(kt_dop_submit(&next, &d), 0);
    let(3 * 64 + 20);
    kt_await(&env, dev_dma_periods(&op.rq) == 1);
    kt_env_close(&env);
    ck_assert_uint_eq(kt_get(&m.active), 0);
    ck_assert_uint_eq(kt_get(&op.done), 1);
    ck_assert_int_eq(op.error, -ECANCELED);
    ck_assert_uint_eq(op.moved, 3 * 64 + 20);
    ck_assert_uint_eq(kt_get(&next.done), 1);
    ck_assert_int_eq(next.error, -ECANCELED);
    close_engine();
    kt_bcm_stop(&m);
}
END_TEST

/* --- faults --- */

static void note_text(struct kt_dop_s *op)
{
    snprintf(op->arg, 200, "%s", kroutine_error_text());
}

START_TEST(errors_of_the_engine)
{
    static const struct {
        uint32_t bits;
        const char *text;
    } kinds[] = {{4, "cannot be read"}, {2, "FIFO"}, {1, "AXI"}, {7, "FIFO"}};
    struct kt_dop_s op;
    char text[200];

    open_all(_i, SPEC, 4096, false);
    for (unsigned i = 0; i < 4; i++) {
        text[0] = 0;
        kt_set(&m.fault, (uint32_t)d.mem[0].bus + 64);
        kt_set(&m.errors, kinds[i].bits);
        kt_dop_init(&op, &d, KROUTINE_IMMEDIATE, 4096);
        op.then = note_text;
        op.arg = text;
        ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
        kt_dop_expect(&op, &env, -EIO);
        ck_assert_msg(strstr(text, kinds[i].text), "%s", text);
        kt_set(&m.fault, 0);
        op.then = NULL;
        kt_dop_run(&op, &d);
        kt_dma_expect_copied(&d, 4096);
    }
    /* A register that nobody is behind. */
    op.rq.type = DEV_DMA_MEM_REG;
    op.desc[0].dst_reg = 0x7e555000;
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    kt_dop_expect(&op, &env, -EIO);
    close_all();
}
END_TEST

START_TEST(an_interrupt_that_does_not_come)
{
    struct kt_dop_s op;

    open_all(_i, SPEC, 4096, false);
    kt_set(&m.silent, 1);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 4096);
    kt_dop_run(&op, &d);
    kt_dma_expect_copied(&d, 4096);
    kt_set(&m.silent, 0);
    kroutine_sim_irq_raise(&m.below.base, DEV_IRQ_LINE, 0); /* one too many */
    kt_idle(&env, 5);
    kroutine_sim_irq_lower(&m.below.base, 0);
    kt_dop_run(&op, &d);
    close_all();
}
END_TEST

START_TEST(gone)
{
    struct kt_dop_s op, next;

    open_all(_i, SPEC, 4096, false);
    kt_set(&m.limit, 64);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 4096);
    kt_dop_init(&next, &d, KROUTINE_DEFERRED, 4096);
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    ck_assert_int_eq(kt_dop_submit(&next, &d), 0);
    ck_assert_int_eq(kroutine_sim_mmio_unplug(&m.below.base), 0);
    kt_dop_expect(&op, &env, -ENODEV);
    kt_dop_expect(&next, &env, -ENODEV);
    ck_assert_int_eq(kt_dop_submit(&op, &d), -ENODEV);
    close_all();
}
END_TEST

/* --- */

struct load_s {
    struct kt_dop_s op;
    unsigned left; /* atomic, as `failed` */
    int failed;
};

static void again(struct kt_dop_s *op)
{
    struct load_s *load = op->arg;

    if (op->error && op->error != -ECANCELED)
        kt_set(&load->failed, op->error);
    else if (kt_dec(&load->left) && DEVICE_OP(&d.dev, request, &op->rq))
        kt_set(&load->failed, -1);
}

/* Several requests that submit themselves again, some taken back. */
START_TEST(many)
{
    struct load_s load[4];
    unsigned count = kt_count(100);

    open_all(_i, SPEC, 4096, false);
    for (unsigned i = 0; i < 4; i++) {
        kt_dop_init(&load[i].op, &d, KROUTINE_IMMEDIATE, 256);
        load[i].op.desc[0].src = d.src + i * 256;
        load[i].op.desc[0].dst = d.dst + i * 256;
        load[i].op.then = again;
        load[i].op.arg = &load[i];
        load[i].left = count;
        load[i].failed = 0;
        ck_assert_int_eq(kt_dop_submit(&load[i].op, &d), 0);
    }
    for (unsigned i = 0; i < 200 && kt_get(&load[0].left); i++) {
        error_t err = kt_dop_cancel(&load[0].op, &d);

        if (!err)
            ck_assert_int_eq(DEVICE_OP(&d.dev, request, &load[0].op.rq), 0);
        kt_pause(&env);
    }
    for (unsigned i = 0; i < 4; i++)
        kt_await(&env, kt_get(&load[i].left) == 0 || kt_get(&load[i].failed));
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(kt_get(&load[i].failed), 0);
    kt_dma_expect_copied(&d, 1024);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("bcm2835-dma-end");

    kt_add_loop(s, a_ring, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, lost_interrupts_of_a_ring, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, cancel_where_laps_are_counted, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, a_list_that_is_too_long_for_a_ring, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, continuous_without_a_ring, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, cancel_tells_how_far_it_got, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, time_out, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, closing_ends_all, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, a_ring_that_ends_itself, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, the_runtime_ends, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, errors_of_the_engine, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, an_interrupt_that_does_not_come, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, gone, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, many, KT_MODES, kt_mode_label, 60);
    return s;
}

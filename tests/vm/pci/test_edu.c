/* SPDX-License-Identifier: MIT */
/* The driver edu on QEMU's device: what it moves, refuses, and how its requests end. */
#include "edu_engine.h"

#include <stdio.h>

static struct kt_env_s env;
static struct engine_s e;
static struct engine_rq_s op, next;

static void set_up(int round)
{
    kt_env_open(&env, KT_THREADS);
    engine_open(&e, &env, engine_way(round), 0, ENGINE_BYTES);
}

static void tear_down(void)
{
    engine_close(&e);
    kt_env_close(&env);
}

#define SOME 10000 /* three pieces */

/* --- moving --- */

START_TEST(memory_to_memory)
{
    set_up(_i);
    engine_rq_init(&op, &e, SOME);
    engine_run(&op, &e);
    ck_assert_uint_eq(op.rq.done, SOME);
    ck_assert_uint_eq(op.rq.periods, 1);
    engine_expect(&e, SOME);
    tear_down();
}
END_TEST

START_TEST(through_registers)
{
    set_up(_i);
    engine_rq_init(&op, &e, 1000);
    op.rq.type = DEV_DMA_MEM_REG;
    op.desc[0].dst_reg = EDU_BUFFER + 100;
    engine_run(&op, &e);

    engine_rq_init(&op, &e, 500);
    op.rq.type = DEV_DMA_REG_MEM;
    op.desc[0].src_reg = EDU_BUFFER + 100;
    engine_run(&op, &e);
    ck_assert_uint_eq(op.rq.done, 500);
    engine_expect(&e, 500);

    /* The last byte that it has. */
    op.desc[0].src_reg = EDU_BUFFER + PIECE - 500;
    engine_run(&op, &e);
    tear_down();
}
END_TEST

START_TEST(lists_rows_and_loops)
{
    set_up(_i);
    engine_rq_init(&op, &e, 10);
    op.desc[0].rows = 3; /* a table of 3 rows, 100 apart, packed */
    op.desc[0].src_stride = 100;
    op.desc[0].dst_stride = 10;
    op.desc[1].src = e.src + 50;
    op.desc[1].dst = e.dst + 30;
    op.desc[1].size = 20;
    op.rq.count = 2;
    op.rq.loops = 2;
    op.rq.src_loop_stride = 1000;
    op.rq.dst_loop_stride = 50;
    engine_run(&op, &e);
    ck_assert_uint_eq(op.rq.done, 100);
    ck_assert_uint_eq(op.rq.periods, 2);
    for (size_t loop = 0; loop < 2; loop++) {
        const uint8_t *dst = e.dst + 50 * loop;

        for (size_t i = 0; i < 30; i++)
            ck_assert_uint_eq(dst[i], engine_pattern(1000 * loop + i / 10 * 100 + i % 10));
        for (size_t i = 0; i < 20; i++)
            ck_assert_uint_eq(dst[30 + i], engine_pattern(1000 * loop + 50 + i));
    }
    ck_assert_uint_eq(e.dst[100], 0xee);
    tear_down();
}
END_TEST

START_TEST(overlapping)
{
    size_t shift = 100, size = SOME - shift;

    set_up(_i);
    engine_rq_init(&op, &e, size);
    op.desc[0].dst = e.src + shift;
    engine_run(&op, &e);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(e.src[shift + i], engine_pattern(i));
    tear_down();
}
END_TEST

struct count_s {
    struct kroutine_s kr;
    unsigned runs;
};

static KROUTINE_EXEC(count)
{
    (void)flags;
    kt_inc(&KROUTINE_CONTAINER(kr, struct count_s, kr)->runs);
}

START_TEST(continuous)
{
    struct count_s counter = {.runs = 0};

    set_up(_i);
    kroutine_init_deferred(&counter.kr, count);
    engine_rq_init(&op, &e, 64);
    op.rq.loops = DEV_DMA_CONTINUOUS;
    op.rq.period = &counter.kr;
    engine_submit(&op, &e);
    kt_await(&env, kt_get(&counter.runs) >= 3);
    ck_assert_uint_ge(dev_dma_periods(&op.rq), 3);
    ck_assert_int_eq(DEVICE_OP(&e.dma, cancel, &op.rq), -EBUSY);
    engine_await(&op, &e, -ECANCELED);
    ck_assert_uint_eq(op.rq.done, op.rq.periods * 64);
    engine_expect(&e, 64);
    tear_down();
}
END_TEST

/* --- refusing --- */

static void refused(error_t err)
{
    ck_assert_int_eq(DEVICE_OP(&e.dma, request, &op.rq), err);
    ck_assert_uint_eq(kt_get(&op.runs), 0);
}

START_TEST(addresses_outside)
{
    static uint8_t elsewhere[16];
    uint64_t before;

    set_up(_i);
    before = dev_mmio_read64_le(&e.bar, EDU_DMA_SRC);
    engine_rq_init(&op, &e, 16);
    op.desc[0].src = elsewhere;
    refused(-EFAULT);
    engine_rq_init(&op, &e, e.src_mem.size + 1);
    refused(-EFAULT);
    engine_rq_init(&op, &e, 16);
    op.desc[1] = op.desc[0];
    op.desc[1].dst = elsewhere;
    op.rq.count = 2; /* the first one is good, but nothing of it is done */
    refused(-EFAULT);

    engine_rq_init(&op, &e, 16);
    op.rq.type = DEV_DMA_MEM_REG;
    op.desc[0].dst_reg = EDU_BUFFER - 1;
    refused(-EFAULT);
    op.desc[0].dst_reg = EDU_BUFFER + PIECE - 15;
    refused(-EFAULT);
    op.desc[0].dst_reg = UINT64_MAX - 7;
    refused(-EFAULT);
    op.desc[0].dst_reg = EDU_BUFFER + PIECE - 16;
    op.rq.loops = 2;
    op.rq.dst_loop_stride = 1;
    refused(-EFAULT);
    kt_idle(&env, 20);
    ck_assert_uint_eq(dev_mmio_read64_le(&e.bar, EDU_DMA_SRC), before); /* nothing was written */
    engine_expect(&e, 0);
    tear_down();
}
END_TEST

START_TEST(what_it_cannot)
{
    struct dev_dma_info_s info;

    set_up(_i);
    ck_assert_int_eq(DEVICE_OP(&e.dma, info, &info), 0);
    ck_assert_str_eq(info.name, "edu");
    ck_assert_uint_eq(info.channels, 1);
    ck_assert_uint_eq(info.mask, e.way == ENGINE_UIO ? UINT64_C(0xffffffffff) : 0xfffffff);
    ck_assert_int_eq(!(info.cap & DEV_DMA_CAP_PROTECTED), e.way == ENGINE_UIO);
    ck_assert_uint_le(e.src_mem.bus + ENGINE_BYTES - 1, info.mask);
    engine_rq_init(&op, &e, 16);
    op.rq.chan_mask = 2;
    refused(-ENOENT);
    engine_rq_init(&op, &e, 16);
    op.rq.type = DEV_DMA_MEM_REG;
    op.desc[0].dst_reg = EDU_BUFFER;
    op.rq.width = 4;
    refused(-ENOTSUP);
    op.rq.width = 0;
    op.rq.reg_fixed = true;
    refused(-ENOTSUP);
    tear_down();
}
END_TEST

/* --- ending --- */

START_TEST(in_order)
{
    struct engine_rq_s ops[4];

    set_up(_i);
    for (size_t i = 0; i < 4; i++) {
        engine_rq_init(&ops[i], &e, 100);
        ops[i].desc[0].src = e.src + 100 * i;
        ops[i].desc[0].dst = e.dst + 100 * i;
        dev_dma_rq_init_immediate(&ops[i].rq, ops[i].rq.kr.exec);
        engine_submit(&ops[i], &e);
    }
    for (size_t i = 0; i < 4; i++)
        engine_await(&ops[i], &e, 0);
    for (size_t i = 1; i < 4; i++)
        ck_assert_uint_gt(ops[i].stamp, ops[i - 1].stamp);
    engine_expect(&e, 400);
    tear_down();
}
END_TEST

/* What is under way ends with its piece, and says how far it got. */
START_TEST(cancelled)
{
    set_up(_i);
    engine_rq_init(&op, &e, SOME);
    engine_rq_init(&next, &e, SOME);
    engine_submit(&op, &e);
    engine_submit(&next, &e);
    engine_await_start(&e);
    ck_assert_int_eq(DEVICE_OP(&e.dma, cancel, &next.rq), 0);
    ck_assert_int_eq(DEVICE_OP(&e.dma, cancel, &op.rq), -EBUSY);
    engine_await(&op, &e, -ECANCELED);
    ck_assert_uint_eq(op.rq.done % PIECE, 0);
    ck_assert_uint_lt(op.rq.done, SOME);
    engine_expect(&e, (size_t)op.rq.done);
    ck_assert_uint_eq(kt_get(&next.runs), 0);
    ck_assert_int_eq(DEVICE_OP(&e.dma, cancel, &op.rq), -EBUSY);

    engine_run(&op, &e);
    engine_expect(&e, SOME);
    tear_down();
}
END_TEST

START_TEST(too_late)
{
    set_up(_i);
    engine_rq_init(&op, &e, SOME);
    engine_rq_init(&next, &e, 16);
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(30));
    dev_request_set_timeout(&next.rq.base, KROUTINE_MSEC(40));
    op.rq.loops = 50;
    engine_submit(&op, &e);
    engine_submit(&next, &e);
    engine_await(&next, &e, -ETIMEDOUT);
    engine_await(&op, &e, -ETIMEDOUT);
    ck_assert_uint_eq(next.rq.done, 0);
    dev_request_set_timeout(&op.rq.base, 0);
    op.rq.loops = 1;
    engine_run(&op, &e);
    tear_down();
}
END_TEST

/* Closed in the middle of it: over at once, and memory is what it was from then on. */
START_TEST(closed)
{
    uint8_t *copy;

    set_up(_i);
    copy = malloc(e.dst_mem.size);
    engine_rq_init(&op, &e, SOME);
    engine_rq_init(&next, &e, 16);
    op.rq.type = DEV_DMA_REG_MEM;
    op.desc[0].src_reg = EDU_BUFFER;
    op.desc[0].size = PIECE;
    engine_submit(&op, &e);
    engine_submit(&next, &e);
    engine_await_start(&e);
    device_put_accessor(&e.dma.base);
    ck_assert_int_eq(op.rq.error, -ECANCELED);
    engine_await(&op, &e, -ECANCELED);
    engine_await(&next, &e, -ECANCELED);
    memcpy(copy, e.dst, e.dst_mem.size);
    kt_await(&env, !(dev_mmio_read32_le(&e.bar, EDU_DMA_COMMAND) & 1));
    ck_assert_mem_eq(copy, e.dst, e.dst_mem.size);
    free(copy);

    /* Memory of before stays with its owner, but the engine knows it no more. */
    engine_open_again(&e);
    engine_rq_init(&op, &e, 16);
    refused(-EFAULT);
    tear_down();
}
END_TEST

struct closer_s {
    struct engine_rq_s op;
    unsigned closed;
};

static KROUTINE_EXEC(close_it)
{
    struct closer_s *c = KROUTINE_CONTAINER(kr, struct closer_s, op.rq.kr);

    (void)flags;
    device_put_accessor(&e.dma.base);
    kt_set(&c->closed, 1);
}

START_TEST(closed_by_a_handler)
{
    struct closer_s closer = {.closed = 0};

    set_up(_i);
    engine_rq_init(&closer.op, &e, 16);
    dev_dma_rq_init_immediate(&closer.op.rq, close_it);
    engine_rq_init(&next, &e, 16);
    engine_submit(&closer.op, &e);
    engine_submit(&next, &e);
    engine_await(&next, &e, -ECANCELED);
    kt_await(&env, kt_get(&closer.closed));
    ck_assert_int_eq(closer.op.rq.error, 0);
    tear_down();
}
END_TEST

/* Descriptors are closed by the reactor, some time later; that of a timer stays. */
START_TEST(nothing_is_left)
{
    unsigned fds = 0;

    set_up(_i);
    for (int round = 0; round < 4; round++) {
        engine_rq_init(&op, &e, 16);
        engine_run(&op, &e);
        engine_close(&e);
        if (round == 0) {
            kt_idle(&env, 100);
            fds = kt_open_fds();
        }
        kt_await(&env, kt_open_fds() <= fds);
        engine_open(&e, &env, e.way, 0, 4096);
    }
    tear_down();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("edu");

    kt_add_loop(s, memory_to_memory, engine_rounds(), engine_label, 20);
    kt_add_loop(s, through_registers, engine_rounds(), engine_label, 20);
    kt_add_loop(s, lists_rows_and_loops, engine_rounds(), engine_label, 20);
    kt_add_loop(s, overlapping, engine_rounds(), engine_label, 20);
    kt_add_loop(s, continuous, engine_rounds(), engine_label, 20);
    kt_add_loop(s, addresses_outside, engine_rounds(), engine_label, 20);
    kt_add_loop(s, what_it_cannot, engine_rounds(), engine_label, 20);
    kt_add_loop(s, in_order, engine_rounds(), engine_label, 20);
    kt_add_loop(s, cancelled, engine_rounds(), engine_label, 20);
    kt_add_loop(s, too_late, engine_rounds(), engine_label, 20);
    kt_add_loop(s, closed, engine_rounds(), engine_label, 20);
    kt_add_loop(s, closed_by_a_handler, engine_rounds(), engine_label, 20);
    kt_add_loop(s, nothing_is_left, engine_rounds(), engine_label, 20);
    return s;
}

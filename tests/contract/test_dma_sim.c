/* SPDX-License-Identifier: MIT */
/* The simulated engine: its time, registers and bus, and what it does wrong on demand. */
#include "kt_dma.h"

#define SIM(mode) (KT_ENGINE_SIM * KT_MODES + (mode))

static struct kt_env_s env;
static struct kt_dma_s d;

static const char *mode_label(int round)
{
    return kt_mode_label(round);
}

/* In virtual time to the nanosecond; elsewhere not before. */
START_TEST(takes_its_time)
{
    struct kt_dop_s op;
    uint64_t begin, took;

    kt_dma_open(&d, &env, SIM(_i), 200000, "rate=10000000&latency=5000");
    kt_dop_init(&op, &d, KROUTINE_IMMEDIATE, 200000);
    begin = kt_clock(&env);
    kt_dop_run(&op, &d);
    took = kt_clock(&env) - begin;
    ck_assert_uint_ge(took, 5000 + KROUTINE_MSEC(20));
    if (kt_backend == KROUTINE_BACKEND_SIM && env.embedded)
        ck_assert_uint_eq(took, 5000 + KROUTINE_MSEC(20));
    kt_dma_close(&d);
}
END_TEST

struct stop_s {
    struct dev_timer_rq_s timer;
    struct kt_dop_s op;
    int result;
    unsigned rang;
};

static KROUTINE_EXEC(stop_now)
{
    struct stop_s *s = KROUTINE_CONTAINER(dev_timer_rq_from_kr(kr), struct stop_s, timer);

    s->result = kt_dop_cancel(&s->op, &d);
    kt_inc(&s->rang);
}

START_TEST(stopped_in_the_middle_of_a_step)
{
    struct device_timer_s timer;
    static struct stop_s s;

    memset(&s, 0, sizeof s);
    kt_dma_open(&d, &env, SIM(KT_EMBEDDED), 200000, "rate=1000000&latency=0");
    ck_assert_int_eq(device_get_accessor_by_path(&timer.base, kroutine_runtime_devices(env.rt),
                                                 "timer0", DRIVER_CLASS_TIMER),
                     0);
    kt_dop_init(&s.op, &d, KROUTINE_DEFERRED, 200000);
    dev_timer_rq_init_immediate(&s.timer, stop_now);
    s.timer.delay = KROUTINE_MSEC(100);
    ck_assert_int_eq(kt_dop_submit(&s.op, &d), 0);
    kroutine_runtime_process(env.rt); /* it begins */
    ck_assert_int_eq(DEVICE_OP(&timer, request, &s.timer), 0);
    kt_await(&env, kt_get(&s.rang));
    ck_assert_int_eq(s.result, 0);
    if (kt_backend == KROUTINE_BACKEND_SIM)
        ck_assert_uint_eq(s.op.rq.done, 100000);
    ck_assert_uint_ge(s.op.rq.done, 90000);
    kt_dma_expect_copied(&d, s.op.rq.done);
    device_put_accessor(&timer.base);
    kt_dma_close(&d);
}
END_TEST

/* --- registers --- */

START_TEST(registers)
{
    struct kt_dop_s op;

    kt_dma_open(&d, &env, SIM(_i), 4096, "regs=256");
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 64);
    op.rq.type = DEV_DMA_MEM_REG;
    op.rq.width = 4;
    op.desc[0].dst_reg = 192;
    kt_dop_run(&op, &d);
    op.rq.type = DEV_DMA_REG_MEM;
    op.rq.width = 8;
    op.desc[0].src_reg = 192;
    op.desc[0].dst = d.dst;
    kt_dop_run(&op, &d);
    kt_dma_expect_copied(&d, 64);

    /* A FIFO: the last word stays, and is read again and again. */
    op.rq.type = DEV_DMA_MEM_REG;
    op.rq.width = 2;
    op.rq.reg_fixed = true;
    op.desc[0].src = d.src;
    op.desc[0].dst_reg = 254;
    kt_dop_run(&op, &d);
    op.rq.type = DEV_DMA_REG_MEM;
    op.desc[0].src_reg = 254;
    op.desc[0].dst = d.dst;
    kt_dop_run(&op, &d);
    for (unsigned i = 0; i < 64; i += 2)
        ck_assert_mem_eq(d.dst + i, d.src + 62, 2);

    op.rq.reg_fixed = false;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EFAULT);
    op.desc[0].src_reg = 193;
    op.desc[0].size = 2;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EINVAL); /* not aligned to its width */
    op.desc[0].src_reg = 256;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EFAULT);
    op.desc[0].src_reg = UINT64_MAX - 1;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EFAULT);
    kt_dma_close(&d);
}
END_TEST

/* --- the bus --- */

START_TEST(out_of_addresses)
{
    struct dev_dma_mem_s mem[3];

    kt_dma_open(&d, &env, SIM(KT_THREADS), 0, "mask=0x102fff");
    ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem[0], 4096, 0), 0);
    ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem[1], 8192, 0), 0);
    ck_assert_uint_eq(mem[0].bus, 0x100000);
    ck_assert_uint_eq(mem[1].bus, 0x101000);
    mem[2].base = &env;
    ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem[2], 1, 0), -ENOSPC);
    ck_assert_ptr_eq(mem[2].base, &env);
    ck_assert(strstr(kroutine_error_text(), "mask=0x102fff"));
    ck_assert_int_eq(dev_dma_unmap(&mem[0]), 0);
    ck_assert_int_eq(dev_dma_unmap(&mem[1]), 0);
    ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem[0], 8192, 0), 0);
    ck_assert_int_eq(dev_dma_unmap(&mem[0]), 0);
    kt_dma_close(&d);
}
END_TEST

START_TEST(alignment)
{
    struct kt_dop_s op;

    kt_dma_open(&d, &env, SIM(KT_THREADS), 4096, "align=8");
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 64);
    kt_dop_run(&op, &d);
    op.desc[0].size = 60;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EINVAL);
    op.desc[0].size = 64;
    op.desc[0].src = d.src + 4;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EINVAL);
    op.desc[0].src = d.src;
    op.desc[0].rows = 2;
    op.desc[0].dst_stride = 12;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EINVAL);
    kt_dma_close(&d);
}
END_TEST

/* --- faults --- */

static void fault(enum kroutine_sim_dma_fault_e kind, uint64_t bytes)
{
    ck_assert_int_eq(kroutine_sim_dma_fault(&d.dev.base, kind, bytes), 0);
}

START_TEST(an_error_in_the_middle)
{
    struct kt_dop_s op, next;

    kt_dma_open(&d, &env, SIM(_i), 200000, NULL);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 200000);
    kt_dop_init(&next, &d, KROUTINE_DEFERRED, 200000);
    op.rq.chan_mask = next.rq.chan_mask = 1;
    fault(KROUTINE_SIM_DMA_ERROR, 100001);
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    kt_dop_expect(&op, &env, -EIO);
    ck_assert_uint_eq(op.moved, 100001);
    kt_dma_expect_copied(&d, 100001);
    kt_dop_run(&next, &d); /* the engine goes on */
    kt_dma_expect_copied(&d, 200000);
    kt_dma_close(&d);
}
END_TEST

START_TEST(a_completion_that_never_comes)
{
    struct kt_dop_s op, next;

    kt_dma_open(&d, &env, SIM(_i), 4096, NULL);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 4096);
    kt_dop_init(&next, &d, KROUTINE_DEFERRED, 4096);
    op.rq.chan_mask = next.rq.chan_mask = 1;
    fault(KROUTINE_SIM_DMA_STALL, 1000);
    dev_request_set_timeout(&op.rq.base, KROUTINE_MSEC(30));
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    ck_assert_int_eq(kt_dop_submit(&next, &d), 0);
    kt_dop_expect(&op, &env, -ETIMEDOUT);
    ck_assert_uint_eq(op.moved, 1000);
    kt_dop_expect(&next, &env, 0);

    fault(KROUTINE_SIM_DMA_STALL, 0);
    dev_request_set_timeout(&op.rq.base, 0);
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    kt_idle(&env, 10);
    ck_assert_uint_eq(kt_get(&op.done), 0);
    ck_assert_int_eq(kt_dop_cancel(&op, &d), 0);
    ck_assert_uint_eq(op.rq.done, 0);
    kt_dma_close(&d);
}
END_TEST

START_TEST(a_completion_of_nothing)
{
    struct kt_dop_s op;

    kt_dma_open(&d, &env, SIM(_i), 4096, "rate=200000");
    fault(KROUTINE_SIM_DMA_SPURIOUS, 0);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 4096);
    ck_assert_int_eq(kt_dop_submit(&op, &d), 0);
    for (int i = 0; i < 5; i++)
        fault(KROUTINE_SIM_DMA_SPURIOUS, 0);
    kt_dop_expect(&op, &env, 0);
    kt_dma_expect_copied(&d, 4096);
    fault(KROUTINE_SIM_DMA_SPURIOUS, 0);
    kt_idle(&env, 3);
    ck_assert_uint_eq(kt_get(&op.done), 1);
    kt_dma_close(&d);
}
END_TEST

START_TEST(gone)
{
    struct dev_dma_mem_s mem;
    struct kt_dop_s op[3];
    uint8_t own;

    kt_dma_open(&d, &env, SIM(_i), 4096, "rate=1000");
    for (int i = 0; i < 3; i++) {
        kt_dop_init(&op[i], &d, KROUTINE_DEFERRED, 4096);
        op[i].rq.loops = DEV_DMA_CONTINUOUS;
        ck_assert_int_eq(kt_dop_submit(&op[i], &d), 0);
    }
    fault(KROUTINE_SIM_DMA_GONE, 0);
    for (int i = 0; i < 3; i++) {
        kt_dop_expect(&op[i], &env, -ENODEV);
        ck_assert_int_eq(kt_dop_submit(&op[i], &d), -ENODEV);
    }
    ck_assert_int_eq(dev_dma_map(&d.dev, &mem, &own, 1, 0), -ENODEV);
    kt_dma_close(&d);
}
END_TEST

START_TEST(of_another_driver)
{
    kt_dma_open(&d, &env, KT_ENGINE_MEMDMA * KT_MODES, 0, NULL);
    ck_assert_int_eq(kroutine_sim_dma_fault(&d.dev.base, KROUTINE_SIM_DMA_GONE, 0), -ENOTSUP);
    kt_dma_close(&d);
    kt_dma_open(&d, &env, SIM(0), 0, NULL);
    ck_assert_int_eq(kroutine_sim_dma_fault(&d.dev.base, (enum kroutine_sim_dma_fault_e)77, 0),
                     -EINVAL);
    kt_dma_close(&d);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("dma_sim");

    kt_add_loop(s, takes_its_time, KT_MODES, mode_label, 20);
    kt_add(s, stopped_in_the_middle_of_a_step, 20);
    kt_add_loop(s, registers, KT_MODES, mode_label, 20);
    kt_add(s, out_of_addresses, 20);
    kt_add(s, alignment, 20);
    kt_add_loop(s, an_error_in_the_middle, KT_MODES, mode_label, 20);
    kt_add_loop(s, a_completion_that_never_comes, KT_MODES, mode_label, 20);
    kt_add_loop(s, a_completion_of_nothing, KT_MODES, mode_label, 20);
    kt_add_loop(s, gone, KT_MODES, mode_label, 20);
    kt_add(s, of_another_driver, 20);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* The driver bcm2835-dma over a model of a channel (kt_bcm.h): opening, memory, transfers. */
#include "bcm_dma.h"

/* --- opening --- */

static void refused(const char *spec, error_t want, const char *part)
{
    struct device_dma_s dev;
    error_t err = open_spec(&dev, spec);

    ck_assert_msg(err == want, "%s: %d, not %d: %s", spec, err, want, kroutine_error_text());
    ck_assert_msg(strstr(kroutine_error_text(), part), "%s: no '%s' in: %s", spec, part,
                  kroutine_error_text());
}

START_TEST(opening_says_what_is_wrong)
{
    kt_env_open(&env, KT_THREADS);
    refused("bcm2835-dma:sim-mmio:a?msi=0", -ENXIO, "region 1");
    refused("bcm2835-dma:sim-mmio:b?msi=0&size=16&memory=65536", -ENODEV, "16 bytes");
    refused("bcm2835-dma:sim-mmio:c?msi=0&memory=65536&memory-at=0x3fffff00", -ERANGE,
            "0x40000000");
    refused("bcm2835-dma:sim-mmio:d?msi=0&memory=65536&memory-at=0", -ENOTSUP, "physical");
    refused("bcm2835-dma:sim-mmio:e?msi=0&memory=4096", -ENOSPC, "blocks=");
    refused("bcm2835-dma:sim-mmio:4?msi=0&memory=65536&registers-at=0xfe007b00", -ENOTSUP,
            "channel 11 ");
    refused("bcm2835-dma:sim-mmio:5?msi=0&memory=65536&registers-at=0x47e007e00", -ENOTSUP,
            "channel 14 ");
    refused("bcm2835-dma:sim-mmio:6?msi=0&memory=65536&registers-at=0xfe007a00", -EIO, "stopped");
    refused("bcm2835-dma:sim-mmio:7?msi=0&memory=65536&registers-at=0x3f007b00", -EIO, "stopped");
    refused("bcm2835-dma:sim-mmio:f?blocks=1", -ERANGE, "blocks");
    refused("bcm2835-dma:sim-mmio:g?alias=0x1000", -EINVAL, "alias");
    refused("bcm2835-dma:sim-mmio:h?dreq=32", -ERANGE, "dreq");
    refused("bcm2835-dma:sim-mmio:i?msi=0&memory=65536", -EIO, "cannot be stopped"); /* no model */
    refused("bcm2835-dma:timer0", -ENOTSUP, "mmio");
    kt_bcm_start(&m, &env, false);
    open_engine(SPEC, 4096);
    ck_assert_str_eq(d.info.name, "bcm2835-dma");
    ck_assert_uint_eq(d.info.channels, 1);
    ck_assert_uint_eq(d.info.types, 7);
    ck_assert_uint_eq(d.info.widths, 4);
    ck_assert_uint_eq(d.info.align, 4);
    ck_assert(d.info.cap & DEV_DMA_CAP_CANCEL && d.info.cap & DEV_DMA_CAP_VIRTUAL);
    ck_assert(!(d.info.cap & (DEV_DMA_CAP_PROTECTED | DEV_DMA_CAP_OVERLAP)));
    refused(SPEC "&dreq=3", -EBUSY, "in use");
    close_all();
}
END_TEST

/* A program that was killed has left the channel at work. */
START_TEST(a_channel_that_is_at_work_is_stopped)
{
    uint32_t *block;

    kt_env_open(&env, (enum kt_mode_e)_i);
    kt_bcm_start(&m, &env, false);
    block = (uint32_t *)(m.pool + 0x20000);
    block[0] = 0x111;
    block[1] = KT_BCM_MEMORY + 0x21000;
    block[2] = KT_BCM_MEMORY + 0x22000;
    block[3] = 4096;
    block[5] = KT_BCM_MEMORY + 0x20000; /* for ever */
    kt_set(&m.regs[1], block[5]);
    kt_set(&m.regs[0], 1);
    kt_await(&env, kt_get(&m.blocks) > 3);
    open_engine(SPEC, 4096);
    ck_assert_uint_eq(kt_get(&m.active), 0);
    {
        struct kt_dop_s op;

        kt_dop_init(&op, &d, KROUTINE_DEFERRED, 4096);
        kt_dop_run(&op, &d);
        kt_dma_expect_copied(&d, 4096);
    }
    close_all();
}
END_TEST

/* --- memory --- */

START_TEST(memory_is_that_of_the_pool)
{
    static uint8_t own[8192], back[64];
    struct dev_dma_mem_s mem = {0}, more[80];
    struct dev_dma_rq_s rq;
    unsigned n = 0;

    open_all(_i, SPEC, 8192, false);
    ck_assert_uint_eq(d.mem[0].bus, KT_BCM_MEMORY + 8192); /* behind 128 blocks and a table */
    ck_assert_uint_eq(d.mem[1].bus, KT_BCM_MEMORY + 8192 + 8192);
    ck_assert_int_eq(dev_dma_map(&d.dev, &mem, own, sizeof own, 0), -EFAULT);
    ck_assert_ptr_nonnull(strstr(kroutine_error_text(), "dev_dma_alloc"));
    ck_assert_int_eq(dev_dma_map(&d.dev, &mem, d.dst + 8192, 4096, 0), -EFAULT); /* nobody's */
    memset(&rq, 0, sizeof rq);
    dev_dma_rq_init(&rq, NULL);
    rq.list = &(const struct dev_dma_desc_s){{d.src}, {own}, .size = 64};
    rq.count = rq.loops = 1;
    ck_assert_int_eq(DEVICE_OP(&d.dev, request, &rq), -EFAULT);
    ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem, 1u << 20, 0), -ENOMEM);
    ck_assert_int_eq(dev_dma_alloc(&d.dev, &mem, SIZE_MAX - 10, 0), -ENOMEM);

    while (dev_dma_alloc(&d.dev, &more[n], 4096, 0) == 0)
        n++;
    ck_assert_uint_eq(n, (KT_BCM_POOL - 8192 - 2 * 8192) / 4096);
    memset(more[7].base, 0x55, 4096);
    ck_assert_int_eq(dev_dma_unmap(&more[7]), 0);
    ck_assert_int_eq(dev_dma_alloc(&d.dev, &more[7], 100, 0), 0); /* the hole; cleared */
    for (unsigned i = 0; i < 4096; i++)
        ck_assert_uint_eq(((uint8_t *)more[7].base)[i], 0);
    ck_assert_int_eq(dev_dma_write(&more[7], 98, "abc", 3), -EINVAL);
    ck_assert_int_eq(dev_dma_write(&more[7], 3, "a text of some length", 22), 0);
    ck_assert_str_eq((char *)more[7].base + 3, "a text of some length");
    ck_assert_int_eq(dev_dma_read(&more[7], 5, back, 20), 0);
    ck_assert_str_eq((char *)back, "text of some length");
    ck_assert_int_eq(dev_dma_read(&more[7], 101, back, 0), -EINVAL);
    while (n)
        ck_assert_int_eq(dev_dma_unmap(&more[--n]), 0);
    ck_assert_int_eq(dev_dma_write(&more[7], 0, "", 1), -EINVAL);
    close_all();
}
END_TEST

/* It stays its owner's, and nobody else gets it. */
START_TEST(memory_outlives_the_device)
{
    open_all(_i, SPEC, 4096, false);
    device_put_accessor(&d.dev.base);
    kt_dma_expect_copied(&d, 0);
    d.src[5] = 5;
    refused(SPEC, -EBUSY, "dev_dma_unmap");
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(dev_dma_unmap(&d.mem[i]), 0);
    open_engine(SPEC, 4096);
    close_all();
}
END_TEST

START_TEST(memory_may_be_unmapped_after_the_runtime)
{
    open_all(_i, SPEC, 4096, false);
    device_put_accessor(&d.dev.base);
    kt_bcm_stop(&m);
    kt_env_close(&env);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(dev_dma_unmap(&d.mem[i]), 0);
}
END_TEST

/* --- transfers --- */

START_TEST(transfers_whose_data_differs)
{
    unsigned count = kt_count(300);
    struct kt_dop_s op;

    open_all(_i, SPEC, 4096, false);
    kt_dop_init(&op, &d, KROUTINE_IMMEDIATE, 4096);
    for (unsigned n = 0; n < count; n++) {
        for (unsigned i = 0; i < 1024; i++)
            ((uint32_t *)d.src)[i] = n * 77 + i;
        kt_dop_run(&op, &d);
        ck_assert_uint_eq(op.moved, 4096);
        ck_assert_mem_eq(d.dst, d.src, 4096);
    }
    ck_assert_uint_eq(kt_get(&m.starts), count);
    close_all();
}
END_TEST

/* A picture turned upside down, in loops; with less room for blocks than it takes. */
START_TEST(rows_and_loops)
{
    struct kt_dop_s op;

    open_all(_i, _i ? SPEC "&blocks=5" : SPEC, 8192, false);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 16);
    op.rq.count = 2;
    op.desc[0] = (struct dev_dma_desc_s){{d.src + 7 * 64}, {d.dst},           .size = 16,
                                         .rows = 8,        .src_stride = -64, .dst_stride = 16};
    op.desc[1] = (struct dev_dma_desc_s){{d.src + 4}, {d.dst + 128}, .size = 4};
    op.rq.loops = 3;
    op.rq.src_loop_stride = 512;
    op.rq.dst_loop_stride = 1024;
    kt_dop_run(&op, &d);
    ck_assert_uint_eq(op.moved, 3 * 132);
    ck_assert_uint_eq(dev_dma_periods(&op.rq), 3);
    ck_assert_uint_eq(kt_get(&m.blocks), 27);
    ck_assert_uint_eq(kt_get(&m.starts), _i ? 6 : 1);
    for (unsigned loop = 0; loop < 3; loop++) {
        for (unsigned row = 0; row < 8; row++)
            ck_assert_mem_eq(d.dst + loop * 1024 + row * 16, d.src + loop * 512 + (7 - row) * 64,
                             16);
        ck_assert_mem_eq(d.dst + loop * 1024 + 128, d.src + loop * 512 + 4, 4);
        ck_assert_uint_eq(d.dst[loop * 1024 + 132], 0xee);
    }
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 6);
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EINVAL); /* words */
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 64);
    op.desc[0].dst = d.src + 32;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -ENOTSUP); /* overlapping */
    close_all();
}
END_TEST

/* The length of a lite channel has 16 bits. */
START_TEST(a_lite_channel)
{
    struct kt_dop_s op;

    open_all(_i, SPEC, 100000, true);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 100000);
    kt_dop_run(&op, &d);
    kt_dma_expect_copied(&d, 100000);
    ck_assert_uint_eq(kt_get(&m.longest), 65532);
    ck_assert_uint_eq(kt_get(&m.blocks), 2);
    close_engine();
    kt_bcm_stop(&m);
    kt_bcm_start(&m, &env, false);
    open_engine(SPEC, 100000);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 100000);
    kt_dop_run(&op, &d);
    ck_assert_uint_eq(kt_get(&m.longest), 100000);
    close_all();
}
END_TEST

/* To lines of GPIO, to a FIFO and from it. */
START_TEST(registers)
{
    struct kt_dop_s op;

    open_all(_i, SPEC "&dreq=5", 4096, false);
    *(uint32_t *)d.src = 1u << 18 | 1;
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 4);
    op.rq.type = DEV_DMA_MEM_REG;
    op.desc[0].dst_reg = KT_BCM_GPSET0;
    kt_dop_run(&op, &d);
    ck_assert_uint_eq(kt_get(&m.level), 1u << 18 | 1);
    ck_assert_uint_eq(kt_get(&m.ti) & 0x1f0050, 5u << 16 | 0x50); /* PERMAP, DEST_DREQ, _INC */

    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 64);
    op.rq.type = DEV_DMA_MEM_REG;
    op.rq.reg_fixed = true;
    op.rq.width = 4;
    op.desc[0].dst_reg = KT_BCM_FIFO;
    kt_dop_run(&op, &d);
    ck_assert_uint_eq(kt_get(&m.noted), 16);
    ck_assert_mem_eq(m.notes, d.src, 64);

    op.rq.type = DEV_DMA_REG_MEM;
    op.desc[0].src_reg = KT_BCM_FIFO;
    op.desc[0].dst = d.dst;
    kt_dop_run(&op, &d);
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(((uint32_t *)d.dst)[i], 1000 + i);
    ck_assert_uint_eq(kt_get(&m.ti) & 0x1f0550, 5u << 16 | 0x410); /* SRC_DREQ, DEST_INC */

    op.desc[0].src_reg = KT_BCM_FIFO + 2;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EINVAL);
    op.rq.width = 0;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EINVAL);
    op.desc[0].src_reg = 0x3f200000;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -EFAULT);
    op.rq.width = 2;
    ck_assert_int_eq(kt_dop_submit(&op, &d), -ENOTSUP);
    close_all();
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("bcm2835-dma");

    kt_add(s, opening_says_what_is_wrong, 60);
    kt_add_loop(s, a_channel_that_is_at_work_is_stopped, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, memory_is_that_of_the_pool, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, memory_outlives_the_device, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, memory_may_be_unmapped_after_the_runtime, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, transfers_whose_data_differs, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, rows_and_loops, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, a_lite_channel, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, registers, KT_MODES, kt_mode_label, 60);
    return s;
}

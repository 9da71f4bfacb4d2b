/* SPDX-License-Identifier: MIT */
/*
 * The driver bcm2835-dma on channel 5 of QEMU's Raspberry Pi 3. QEMU's channel moves all that a
 * chain has within the write that starts it, knows neither DREQ nor the errors of DEBUG, and never
 * comes out of a ring: such things are in tests/unit/test_bcm2835_dma_end.c. What is real here is
 * the kernel's UIO, its interrupt, the memory that bears aligned accesses only, and the addresses.
 */
#include "kt_dma.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#define SIZE   4096
#define GPSET0 0x7e20001cu
#define GPCLR0 0x7e200028u
#define GPLEV0 0x7e200034u
#define LINE   18 /* of GPIO */

static struct kt_env_s env;
static struct device_dma_s dev;
static struct dev_dma_info_s info;
static struct dev_dma_mem_s src, dst;
static uint32_t pattern[SIZE / 4], back[SIZE / 4];

static const char *uio(const char *variable)
{
    const char *path = getenv(variable);

    ck_assert_msg(path != NULL, "%s is not set: to be started by tests/vm/raspi", variable);
    return path + strlen("/dev/");
}

static void open_all(int mode, const char *keys)
{
    char spec[128];

    kt_env_open(&env, (enum kt_mode_e)mode);
    memset(&dev, 0, sizeof dev);
    snprintf(spec, sizeof spec, "bcm2835-dma:uio:%s%s", uio("KT_UIO_DMA"), keys);
    ck_assert_msg(device_get_accessor_by_path(&dev.base, kroutine_runtime_devices(env.rt), spec,
                                              DRIVER_CLASS_DMA) == 0,
                  "%s: %s", spec, kroutine_error_text());
    ck_assert_int_eq(DEVICE_OP(&dev, info, &info), 0);
    ck_assert_int_eq(dev_dma_alloc(&dev, &src, SIZE, DEV_DMA_MEM_READ), 0);
    ck_assert_int_eq(dev_dma_alloc(&dev, &dst, SIZE, 0), 0);
}

static void close_all(void)
{
    ck_assert_int_eq(dev_dma_unmap(&src), 0);
    ck_assert_int_eq(dev_dma_unmap(&dst), 0);
    device_put_accessor(&dev.base);
    kt_env_close(&env);
}

/* Other data each time. */
static void fill(uint32_t seed)
{
    for (unsigned i = 0; i < SIZE / 4; i++)
        pattern[i] = (seed * 2654435761u) ^ (i * 77);
    ck_assert_int_eq(dev_dma_write(&src, 0, pattern, SIZE), 0);
}

static void expect(size_t at, const void *bytes, size_t size)
{
    ck_assert_int_eq(dev_dma_read(&dst, at, back, size), 0);
    ck_assert_mem_eq(back, bytes, size);
}

static void init(struct kt_dop_s *op, size_t size)
{
    const struct kt_dma_s d = {.src = src.base, .dst = dst.base};

    kt_dop_init(op, &d, KROUTINE_IMMEDIATE, size);
}

static error_t submit(struct kt_dop_s *op)
{
    kt_set(&op->done, 0);
    return DEVICE_OP(&dev, request, &op->rq);
}

static void run(struct kt_dop_s *op)
{
    ck_assert_int_eq(submit(op), 0);
    kt_dop_expect(op, &env, 0);
}

START_TEST(what_it_is)
{
    static uint8_t own[64];
    struct dev_dma_mem_s mem;
    struct kt_dop_s op;

    open_all(_i, "");
    ck_assert_str_eq(info.name, "bcm2835-dma");
    ck_assert_uint_eq(info.cap & DEV_DMA_CAP_VIRTUAL, 0);
    ck_assert_uint_eq(src.bus, 0xf0000000 + 8192); /* 0xc0000000 | 0x30000000, and the blocks */
    ck_assert_int_eq(dev_dma_map(&dev, &mem, own, sizeof own, 0), -EFAULT);
    init(&op, 64);
    op.desc[0].dst = own;
    ck_assert_int_eq(submit(&op), -EFAULT);
    init(&op, 64);
    op.desc[0].src = (uint8_t *)src.base + SIZE - 60;
    op.desc[0].dst = (uint8_t *)dst.base + 1024;
    ck_assert_int_eq(submit(&op), -EFAULT);
    init(&op, 64);
    op.desc[0].dst = src.base; /* which the engine may only read */
    op.desc[0].src = dst.base;
    ck_assert_int_eq(submit(&op), -EACCES);
    init(&op, 4);
    op.rq.type = DEV_DMA_MEM_REG;
    op.desc[0].dst_reg = 0x3f20001c; /* the processor's address */
    ck_assert_int_eq(submit(&op), -EFAULT);
    close_all();
}
END_TEST

START_TEST(transfers)
{
    struct kt_dop_s op;

    open_all(_i, "");
    init(&op, SIZE);
    for (uint32_t n = 0; n < 2000; n++) {
        fill(n + 1);
        run(&op);
        ck_assert_uint_eq(op.moved, SIZE);
        expect(0, pattern, SIZE);
    }
    close_all();
}
END_TEST

/* Four pieces, turned around; then rows in loops, in more batches than one. */
START_TEST(chains)
{
    struct kt_dop_s op;

    open_all(_i, "?blocks=4");
    fill(99);
    init(&op, 256);
    op.rq.count = 4;
    for (unsigned i = 0; i < 4; i++)
        op.desc[i] = (struct dev_dma_desc_s){
            {(char *)src.base + i * 256}, {(char *)dst.base + (3 - i) * 256}, .size = 256};
    run(&op);
    ck_assert_uint_eq(op.moved, 1024);
    for (unsigned i = 0; i < 4; i++)
        expect((3 - i) * 256, pattern + i * 64, 256);
    init(&op, 16);
    op.desc[0].src = (char *)src.base + 7 * 64;
    op.desc[0].rows = 8;
    op.desc[0].src_stride = -64;
    op.desc[0].dst_stride = 16;
    op.rq.loops = 5;
    op.rq.src_loop_stride = 512;
    op.rq.dst_loop_stride = 128;
    run(&op);
    ck_assert_uint_eq(op.moved, 5 * 128);
    ck_assert_uint_eq(dev_dma_periods(&op.rq), 5);
    for (unsigned loop = 0; loop < 5; loop++) {
        for (unsigned row = 0; row < 8; row++)
            expect(loop * 128 + row * 16, pattern + (loop * 512 + (7 - row) * 64) / 4, 16);
    }
    close_all();
}
END_TEST

/* The line is made an output, and its level is read, by the processor. */
START_TEST(registers)
{
    int fd = open(getenv("KT_UIO_GPIOMEM"), O_RDWR | O_CLOEXEC);
    volatile uint32_t *gpio = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    uint32_t word = 1u << LINE, level;
    struct kt_dop_s op;

    ck_assert_ptr_ne((void *)gpio, MAP_FAILED);
    gpio[LINE / 10] = (gpio[LINE / 10] & ~(7u << LINE % 10 * 3)) | 1u << LINE % 10 * 3;
    open_all(_i, "");
    ck_assert_int_eq(dev_dma_write(&src, 0, &word, 4), 0);
    for (unsigned n = 0; n < 100; n++) {
        init(&op, 4);
        op.rq.type = DEV_DMA_MEM_REG;
        op.desc[0].dst_reg = n % 2 ? GPCLR0 : GPSET0;
        run(&op);
        ck_assert_uint_eq(gpio[13] >> LINE & 1, !(n % 2));
        init(&op, 4);
        op.rq.type = DEV_DMA_REG_MEM;
        op.desc[0].src_reg = GPLEV0;
        op.desc[0].dst = dst.base;
        run(&op);
        ck_assert_int_eq(dev_dma_read(&dst, 0, &level, 4), 0);
        ck_assert_uint_eq(level >> LINE & 1, !(n % 2));
    }
    close_all();
    close(fd);
}
END_TEST

static struct kt_probe_s period;

START_TEST(continuous)
{
    struct kt_dop_s op;
    error_t err;

    open_all(_i, "?ring=no");
    fill(5);
    kt_probe_init(&period, KROUTINE_DEFERRED, &(struct kt_target_s){.rt = env.rt});
    init(&op, 256);
    op.rq.loops = DEV_DMA_CONTINUOUS;
    op.rq.period = &period.kr;
    ck_assert_int_eq(submit(&op), 0);
    kt_await(&env, dev_dma_periods(&op.rq) > 1000 && kt_get(&period.runs) > 2);
    err = DEVICE_OP(&dev, cancel, &op.rq);
    if (err)
        kt_dop_expect(&op, &env, -ECANCELED);
    ck_assert_uint_eq(op.rq.done, op.rq.periods * 256);
    ck_assert_uint_eq(kt_get(&op.done), err != 0);
    kroutine_cancel(&period.kr);
    expect(0, pattern, 256);
    init(&op, SIZE);
    run(&op);
    close_all();
}
END_TEST

START_TEST(queued_and_cancelled)
{
    static struct kt_dop_s op[64];
    bool cancelled[64] = {0};

    open_all(_i, "");
    for (unsigned round = 0; round < 20; round++) {
        fill(round);
        for (unsigned i = 0; i < 64; i++) {
            init(&op[i], 64);
            op[i].desc[0].src = (char *)src.base + i * 64;
            op[i].desc[0].dst = (char *)dst.base + i * 64;
            ck_assert_int_eq(submit(&op[i]), 0);
        }
        for (unsigned i = 63; i > 40; i -= 2)
            cancelled[i] = DEVICE_OP(&dev, cancel, &op[i].rq) == 0;
        for (unsigned i = 0; i < 64; i++) {
            if (!cancelled[i])
                kt_await(&env, kt_get(&op[i].done) == 1);
        }
        kt_idle(&env, 2);
        for (unsigned i = 0; i < 64; i++) {
            ck_assert_uint_eq(kt_get(&op[i].done), !cancelled[i]);
            if (!cancelled[i] && op[i].error == 0)
                expect(i * 64, pattern + i * 16, 64);
            ck_assert(cancelled[i] || op[i].error == 0 || (i > 40 && op[i].error == -ECANCELED));
        }
    }
    close_all();
}
END_TEST

/* Closed while requests wait, and opened again: what is left of an interrupt does no harm. */
START_TEST(opened_again_and_again)
{
    struct kt_dop_s op[3];

    for (unsigned round = 0; round < 20; round++) {
        open_all(_i, "");
        fill(round);
        for (unsigned i = 0; i < 3; i++) {
            init(&op[i], SIZE);
            ck_assert_int_eq(submit(&op[i]), 0);
        }
        device_put_accessor(&dev.base);
        for (unsigned i = 0; i < 3; i++) {
            kt_await(&env, kt_get(&op[i].done) == 1);
            ck_assert(op[i].error == 0 || op[i].error == -ECANCELED);
            ck_assert(op[i].moved == SIZE || (op[i].error && op[i].moved == 0));
        }
        close_all();
    }
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("raspi-dma");

    kt_add_loop(s, what_it_is, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, transfers, KT_MODES, kt_mode_label, 60);
    kt_add_loop(s, chains, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, registers, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, continuous, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, queued_and_cancelled, KT_MODES, kt_mode_label, 20);
    kt_add_loop(s, opened_again_and_again, KT_MODES, kt_mode_label, 20);
    return s;
}

/* SPDX-License-Identifier: MIT */
/* What requests of the dma class move, and what is refused with nothing moved. */
#include "kt_dma.h"

static struct kt_env_s env;
static struct kt_dma_s d;

START_TEST(a_copy)
{
    static const size_t sizes[] = {1, 7, 4096, 65537, 1000000, 3u << 20};
    struct kt_dop_s op;

    kt_dma_open(&d, &env, _i, 4u << 20, NULL);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = kt_dma_bytes(&d, sizes[i]);

        kt_dop_init(&op, &d, KROUTINE_DEFERRED, size);
        kt_dop_run(&op, &d);
        ck_assert_uint_eq(op.moved, size);
        kt_dma_expect_copied(&d, size);
        if (size < sizes[i])
            break;
    }
    kt_dma_close(&d);
}
END_TEST

START_TEST(a_list_in_its_order)
{
    struct kt_dop_s op;

    kt_dma_open(&d, &env, _i, 4096, NULL);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 0);
    op.rq.count = 3;
    op.desc[0] = (struct dev_dma_desc_s){{d.src}, {d.dst + 100}, .size = 50};
    op.desc[1] = (struct dev_dma_desc_s){{d.src + 1000}, {d.dst}, .size = 100};
    op.desc[2] = (struct dev_dma_desc_s){{d.src + 2000}, {d.dst + 140}, .size = 10}; /* over the
                                                                                         first */
    kt_dop_run(&op, &d);
    ck_assert_uint_eq(op.moved, 160);
    ck_assert_uint_eq(dev_dma_periods(&op.rq), 1);
    ck_assert_mem_eq(d.dst, d.src + 1000, 100);
    ck_assert_mem_eq(d.dst + 100, d.src, 40);
    ck_assert_mem_eq(d.dst + 140, d.src + 2000, 10);
    ck_assert_uint_eq(d.dst[150], 0xee);
    kt_dma_close(&d);
}
END_TEST

/* A picture of 16 by 8 out of one of 64 by 64, then turned upside down. */
START_TEST(rows_with_strides)
{
    struct kt_dop_s op;

    kt_dma_open(&d, &env, _i, 4096, NULL);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 16);
    op.desc[0].src = d.src + 10 * 64 + 5;
    op.desc[0].rows = 8;
    op.desc[0].src_stride = 64;
    op.desc[0].dst_stride = 16;
    kt_dop_run(&op, &d);
    ck_assert_uint_eq(op.moved, 128);
    for (unsigned row = 0; row < 8; row++)
        ck_assert_mem_eq(d.dst + row * 16, d.src + (10 + row) * 64 + 5, 16);
    ck_assert_uint_eq(d.dst[128], 0xee);
    op.desc[0].dst = d.dst + 1024 + 7 * 16;
    op.desc[0].dst_stride = -16;
    kt_dop_run(&op, &d);
    for (unsigned row = 0; row < 8; row++)
        ck_assert_mem_eq(d.dst + 1024 + (7 - row) * 16, d.src + (10 + row) * 64 + 5, 16);
    ck_assert_uint_eq(d.dst[1023], 0xee);
    ck_assert_uint_eq(d.dst[1024 + 128], 0xee);
    kt_dma_close(&d);
}
END_TEST

START_TEST(loops_with_strides)
{
    struct kt_dop_s op;
    unsigned loops;

    kt_dma_open(&d, &env, _i, 4096, NULL);
    loops = kt_dma_count(&d, 20);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 10);
    op.rq.loops = loops;
    op.rq.src_loop_stride = 10;
    op.rq.dst_loop_stride = 20;
    kt_dop_run(&op, &d);
    ck_assert_uint_eq(op.moved, loops * 10);
    ck_assert_uint_eq(dev_dma_periods(&op.rq), loops);
    for (unsigned i = 0; i < loops; i++) {
        ck_assert_mem_eq(d.dst + i * 20, d.src + i * 10, 10);
        ck_assert_uint_eq(d.dst[i * 20 + 10], 0xee);
    }
    kt_dma_close(&d);
}
END_TEST

/* As memmove: in both directions, near and far. */
START_TEST(overlapping_as_memmove)
{
    static uint8_t want[300000];
    struct kt_dop_s op;
    size_t size;

    kt_dma_open(&d, &env, _i, sizeof want, NULL);
    if (!(d.info.cap & DEV_DMA_CAP_OVERLAP)) {
        kt_dma_close(&d);
        kt_skip("this engine does not do overlapping rows");
    }
    size = kt_dma_bytes(&d, 200000);
    for (unsigned i = 0; i < 6; i++) {
        int far = (int)(size / 5), distance = (const int[]){1, -1, 100, -100, far, -far}[i];

        memcpy(want, d.src, sizeof want);
        memmove(want + 50000 + distance, want + 50000, size);
        kt_dop_init(&op, &d, KROUTINE_DEFERRED, size);
        op.desc[0].src = d.src + 50000;
        op.desc[0].dst = d.src + 50000 + distance;
        kt_dop_run(&op, &d);
        ck_assert_msg(!memcmp(d.src, want, sizeof want), "distance %d", distance);
    }
    kt_dma_close(&d);
}
END_TEST

/* --- refused --- */

static struct kt_dop_s bad;

static void refused(error_t want, const char *what)
{
    error_t err = kt_dop_submit(&bad, &d);

    ck_assert_msg(err == want, "%s: %d, not %d", what, err, want);
}

#define REFUSED(error, size, ...)                                                                  \
    do {                                                                                           \
        kt_dop_init(&bad, &d, KROUTINE_DEFERRED, (size));                                          \
        __VA_ARGS__;                                                                               \
        refused((error), #__VA_ARGS__);                                                            \
    } while (0)

static bool can(uint32_t cap)
{
    return d.info.cap & cap;
}

START_TEST(refused_with_nothing_moved)
{
    kt_dma_open(&d, &env, _i, 8192, NULL);
    REFUSED(-EINVAL, 0, (void)0);
    REFUSED(-EINVAL, 16, bad.rq.count = 0);
    REFUSED(-EINVAL, 16, bad.rq.loops = 0);
    REFUSED(-EINVAL, 16, bad.rq.type = DEV_DMA_TYPES);
    REFUSED(-EINVAL, 16, bad.rq.width = 3);
    REFUSED(-EINVAL, 16, bad.rq.width = 4);
    REFUSED(-EINVAL, 16, bad.rq.period_count = 2);
    REFUSED(-E2BIG, 16, bad.rq.count = DEV_DMA_LIST_MAX + 1);
    REFUSED(SIZE_MAX > d.info.size_max ? -E2BIG : -EFAULT, SIZE_MAX, (void)0);
    REFUSED(-ENOENT, 16, bad.rq.chan_mask = (uint32_t)1 << d.info.channels);
    if (can(DEV_DMA_CAP_STRIDE)) {
        /* More than 64 bits count; on a 32-bit processor it takes both rows and loops. */
        if (sizeof(size_t) > 4)
            REFUSED(-E2BIG, 4096, bad.desc[0].rows = SIZE_MAX / 8);
        REFUSED(-E2BIG, 4096, (bad.rq.loops = UINT32_MAX - 1, bad.desc[0].rows = UINT32_MAX >> 8));
        REFUSED(-EFAULT, 16,
                (bad.desc[0].rows = 2, bad.desc[0].src_stride = PTRDIFF_MAX,
                 bad.desc[0].dst_stride = 16));
        REFUSED(-EFAULT, 16, (bad.desc[0].rows = 3, bad.desc[0].dst_stride = -1));
        REFUSED(-EFAULT, 16, (bad.rq.loops = 3, bad.rq.src_loop_stride = 4089));
        REFUSED(-EFAULT, 16, (bad.rq.loops = 2, bad.rq.dst_loop_stride = PTRDIFF_MIN));
    }
    if (can(DEV_DMA_CAP_CONTINUOUS))
        REFUSED(-EINVAL, 16, (bad.rq.loops = DEV_DMA_CONTINUOUS, bad.rq.src_loop_stride = 1));
    if (!(d.info.types & 1u << DEV_DMA_MEM_REG))
        REFUSED(-ENOTSUP, 16, bad.rq.type = DEV_DMA_MEM_REG);
    ck_assert_uint_eq(kt_get(&bad.done), 0);
    kt_dma_expect_copied(&d, 0);
    kt_dma_close(&d);
}
END_TEST

START_TEST(one_byte_beyond)
{
    uint8_t *own = malloc(64);

    kt_dma_open(&d, &env, _i, 8192, NULL);
    REFUSED(-EFAULT, 8193, (void)0);
    REFUSED(-EFAULT, 4096, bad.desc[0].src = d.src + 4097);
    REFUSED(-EFAULT, 4096, bad.desc[0].dst = d.dst + 4097);
    REFUSED(-EFAULT, 16, bad.desc[0].src = d.src - 1);
    REFUSED(-EFAULT, 16, bad.desc[0].src = own);
    REFUSED(-EFAULT, 16, bad.desc[0].dst = own);
    REFUSED(-EFAULT, 16, bad.desc[0].dst = NULL);
    /* The last of a list, so that what is before it has been looked at, and nothing was done. */
    REFUSED(-EFAULT, 4096,
            (bad.rq.count = 2, bad.desc[1] = bad.desc[0], bad.desc[1].src = d.src + 4097));
    kt_idle(&env, 5);
    kt_dma_expect_copied(&d, 0);
    kt_dop_init(&bad, &d, KROUTINE_DEFERRED, 4096);
    bad.desc[0].src = d.src + 4096;
    bad.desc[0].dst = d.dst + 4096;
    kt_dop_run(&bad, &d);
    ck_assert_mem_eq(d.dst + 4096, d.src + 4096, 4096);
    ck_assert_uint_eq(d.dst[4095], 0xee);
    kt_dma_close(&d); /* nothing is pinned */
    free(own);
}
END_TEST

START_TEST(submitted_twice)
{
    struct kt_dop_s op;

    setenv("KROUTINE_CHECK", "0", 1);
    kt_dma_open(&d, &env, _i, 4096, NULL);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 64);
    op.rq.loops = DEV_DMA_CONTINUOUS;
    ck_assert_int_eq(DEVICE_OP(&d.dev, request, &op.rq), 0);
    ck_assert_int_eq(DEVICE_OP(&d.dev, request, &op.rq), -EBUSY);
    if (kt_dop_cancel(&op, &d))
        kt_dop_expect(&op, &env, -ECANCELED);
    kt_dma_close(&d);
}
END_TEST

START_TEST(waiting_for_it)
{
    struct kt_dop_s op;

    kt_dma_open(&d, &env, _i, 4096, NULL);
    kt_dop_init(&op, &d, KROUTINE_DEFERRED, 4096);
    if (env.embedded) {
        ck_assert_int_eq(dev_dma_wait_rq(&d.dev, &op.rq), -EDEADLK);
    } else {
        ck_assert_int_eq(dev_dma_wait_rq(&d.dev, &op.rq), 0);
        kt_dma_expect_copied(&d, 4096);
        op.desc[0].size++;
        ck_assert_int_eq(dev_dma_wait_rq(&d.dev, &op.rq), -EFAULT);
        ck_assert_int_eq(op.rq.error, -EFAULT);
    }
    kt_dma_close(&d);
}
END_TEST

/* The accessor names the class, and the wild card finds the software engine. */
START_TEST(found_in_every_tree)
{
    struct device_dma_s acc;

    kt_env_open(&env, (enum kt_mode_e)_i);
    ck_assert_int_eq(device_get_accessor_by_path(&acc.base, kroutine_runtime_devices(env.rt),
                                                 "dma*", DRIVER_CLASS_DMA),
                     0);
    ck_assert_str_eq(device_name(acc.dev), "dma0");
    ck_assert_str_eq(device_class_name(DRIVER_CLASS_DMA), "dma");
    ck_assert(DEVICE_HAS_OP(&acc, cancel));
    device_put_accessor(&acc.base);
    ck_assert_int_eq(device_get_accessor_by_path(&acc.base, kroutine_runtime_devices(env.rt),
                                                 "memdma:x?channels=33", DRIVER_CLASS_DMA),
                     -ERANGE);
    kt_env_close(&env);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("dma");
    int rounds = kt_dma_rounds();

    kt_add_loop(s, a_copy, rounds, kt_dma_label, 20);
    kt_add_loop(s, a_list_in_its_order, rounds, kt_dma_label, 20);
    kt_add_loop(s, rows_with_strides, rounds, kt_dma_label, 20);
    kt_add_loop(s, loops_with_strides, rounds, kt_dma_label, 20);
    kt_add_loop(s, overlapping_as_memmove, rounds, kt_dma_label, 20);
    kt_add_loop(s, refused_with_nothing_moved, rounds, kt_dma_label, 20);
    kt_add_loop(s, one_byte_beyond, rounds, kt_dma_label, 20);
    kt_add_loop(s, submitted_twice, rounds, kt_dma_label, 20);
    kt_add_loop(s, waiting_for_it, rounds, kt_dma_label, 20);
    kt_add_loop(s, found_in_every_tree, KT_MODES, kt_mode_label, 20);
    return s;
}

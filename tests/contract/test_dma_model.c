/* SPDX-License-Identifier: MIT */
/*
 * Random requests against a model: the same bytes, moved one row after the other by memmove. Some
 * of the requests reach beyond the memory; the model says which, and those are refused with nothing
 * moved. The seed is the number of the round; KT_SEED in the environment adds to it.
 */
#include "kt_dma.h"

#define SIZE 8192

static struct kt_env_s env;
static struct kt_dma_s d;
static uint64_t state;

static unsigned dice(unsigned n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

static struct {
    uint8_t src[SIZE];
    uint8_t dst[SIZE];
    uint64_t moved;
} model;

/* Is every row inside? False: the request is refused. */
static bool inside(const struct kt_dop_s *op, bool source)
{
    for (uint32_t i = 0; i < op->rq.count; i++) {
        const struct dev_dma_desc_s *desc = &op->desc[i];
        int64_t at = source ? (int64_t)((const uint8_t *)desc->src - d.src)
                            : (int64_t)((uint8_t *)desc->dst - d.dst);
        int64_t stride = source ? desc->src_stride : desc->dst_stride;
        int64_t loop_stride = source ? op->rq.src_loop_stride : op->rq.dst_loop_stride;

        for (int64_t loop = 0; loop < op->rq.loops; loop++) {
            for (int64_t row = 0; row < (desc->rows ? (int64_t)desc->rows : 1); row++) {
                int64_t first = at + loop * loop_stride + row * stride;

                if (first < 0 || first + (int64_t)desc->size > SIZE)
                    return false;
            }
        }
    }
    return true;
}

static void move(const struct kt_dop_s *op)
{
    model.moved = 0;
    for (int64_t loop = 0; loop < op->rq.loops; loop++) {
        for (uint32_t i = 0; i < op->rq.count; i++) {
            const struct dev_dma_desc_s *desc = &op->desc[i];

            for (int64_t row = 0; row < (desc->rows ? (int64_t)desc->rows : 1); row++) {
                int64_t from = (const uint8_t *)desc->src - d.src + loop * op->rq.src_loop_stride +
                               row * desc->src_stride;
                int64_t to = (uint8_t *)desc->dst - d.dst + loop * op->rq.dst_loop_stride +
                             row * desc->dst_stride;

                memmove(model.dst + to, model.src + from, desc->size);
                model.moved += desc->size;
            }
        }
    }
}

static ptrdiff_t stride(size_t size)
{
    static const int kinds[] = {0, 1, -1, 2, 3};

    return (ptrdiff_t)size * kinds[dice(5)] + (ptrdiff_t)dice(3) - 1;
}

static void invent(struct kt_dop_s *op)
{
    bool rich = d.info.cap & DEV_DMA_CAP_STRIDE;

    kt_dop_init(op, &d, dice(2) ? KROUTINE_IMMEDIATE : KROUTINE_DEFERRED, 0);
    op->rq.count = 1 + dice(4);
    op->rq.loops = rich && !dice(3) ? 1 + dice(5) : 1;
    op->rq.src_loop_stride = stride(64);
    op->rq.dst_loop_stride = stride(64);
    for (uint32_t i = 0; i < op->rq.count; i++) {
        struct dev_dma_desc_s *desc = &op->desc[i];

        desc->size = 1 + dice(dice(2) ? 64 : 2000);
        desc->rows = rich ? dice(6) : 0;
        desc->src = d.src + dice(SIZE - 1);
        desc->dst = d.dst + dice(SIZE - 1);
        desc->src_stride = stride(desc->size);
        desc->dst_stride = stride(desc->size);
    }
}

START_TEST(as_the_model)
{
    unsigned accepted = 0, refused = 0, rounds = kt_count(2000);
    struct kt_dop_s op;

    state = (uint64_t)_i + (getenv("KT_SEED") ? strtoull(getenv("KT_SEED"), NULL, 0) * 1000 : 0);
    kt_dma_open(&d, &env, _i, SIZE, "latency=0&rate=0");
    memcpy(model.src, d.src, SIZE);
    memcpy(model.dst, d.dst, SIZE);
    for (unsigned i = 0; i < rounds; i++) {
        invent(&op);
        if (inside(&op, true) && inside(&op, false)) {
            move(&op);
            kt_dop_run(&op, &d);
            ck_assert_uint_eq(op.moved, model.moved);
            accepted++;
        } else {
            ck_assert_int_eq(kt_dop_submit(&op, &d), -EFAULT);
            refused++;
        }
        ck_assert_msg(!memcmp(d.dst, model.dst, SIZE), "request %u of seed %d", i, _i);
    }
    ck_assert(rounds < 20 || (accepted > rounds / 10 && refused > rounds / 10));
    kt_dma_close(&d);
}
END_TEST

Suite *kt_suite(void)
{
    Suite *s = suite_create("dma_model");

    kt_add_loop(s, as_the_model, kt_dma_rounds(), kt_dma_label, 60);
    return s;
}

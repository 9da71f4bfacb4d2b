/* SPDX-License-Identifier: MIT */
#include "kt_dma.h"

#include <stdio.h>

static const char *const kinds[] = {"memdma", "sim-dma", "KT_DMA_SPEC"};

int kt_dma_rounds(void)
{
    return (getenv("KT_DMA_SPEC") ? KT_ENGINES : KT_ENGINE_OTHER) * KT_MODES;
}

const char *kt_dma_label(int round)
{
    static char text[64];

    snprintf(text, sizeof text, "%s %s", kinds[round / KT_MODES], kt_mode_label(round % KT_MODES));
    return text;
}

uint8_t kt_dma_pattern(size_t at)
{
    return (uint8_t)(at * 167 + (at >> 8) * 59 + 1);
}

void kt_dma_open(struct kt_dma_s *d, struct kt_env_s *env, int round, size_t size,
                 const char *options)
{
    char spec[256] = "dma0";

    memset(d, 0, sizeof *d);
    d->env = env;
    d->kind = (enum kt_engine_e)(round / KT_MODES);
    kt_env_open(env, (enum kt_mode_e)(round % KT_MODES));
    if (d->kind == KT_ENGINE_SIM)
        snprintf(spec, sizeof spec, "sim-dma:kt%s%s", options ? "?" : "", options ? options : "");
    else if (d->kind == KT_ENGINE_OTHER)
        snprintf(spec, sizeof spec, "%s", getenv("KT_DMA_SPEC"));
    ck_assert_msg(device_get_accessor_by_path(&d->dev.base, kroutine_runtime_devices(env->rt), spec,
                                              DRIVER_CLASS_DMA) == 0,
                  "%s: %s", spec, kroutine_error_text());
    ck_assert_int_eq(DEVICE_OP(&d->dev, info, &d->info), 0);
    d->size = size;
    if (!size)
        return;
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(dev_dma_alloc(&d->dev, &d->mem[i], size, 0), 0);
    d->src = d->mem[0].base;
    d->dst = d->mem[1].base;
    for (size_t i = 0; i < size; i++)
        d->src[i] = kt_dma_pattern(i);
    memset(d->dst, 0xee, size);
}

void kt_dma_close(struct kt_dma_s *d)
{
    for (int i = 0; i < 2; i++) {
        if (d->mem[i].base)
            ck_assert_int_eq(dev_dma_unmap(&d->mem[i]), 0);
    }
    device_put_accessor(&d->dev.base);
    kt_env_close(d->env);
}

void kt_dma_expect_copied(const struct kt_dma_s *d, size_t size)
{
    for (size_t i = 0; i < d->size; i++) {
        uint8_t want = i < size ? kt_dma_pattern(i) : 0xee;

        if (d->dst[i] != want)
            ck_abort_msg("byte %zu is %#x, not %#x; %zu were to be copied", i, d->dst[i], want,
                         size);
    }
}

static KROUTINE_EXEC(over)
{
    struct kt_dop_s *op = KROUTINE_CONTAINER(dev_dma_rq_from_kr(kr), struct kt_dop_s, rq);

    op->error = op->rq.error;
    op->moved = op->rq.done;
    op->stamp = kt_stamp();
    op->thread = pthread_self();
    if (op->then)
        op->then(op);
    kt_inc(&op->done);
}

void kt_dop_init(struct kt_dop_s *op, const struct kt_dma_s *d, enum kroutine_policy_e policy,
                 size_t size)
{
    memset(op, 0, sizeof *op);
    if (policy == KROUTINE_IMMEDIATE)
        dev_dma_rq_init_immediate(&op->rq, over);
    else
        dev_dma_rq_init(&op->rq, over);
    op->rq.list = op->desc;
    op->rq.count = 1;
    op->rq.loops = 1;
    op->desc[0].src = d->src;
    op->desc[0].dst = d->dst;
    op->desc[0].size = size;
}

error_t kt_dop_submit(struct kt_dop_s *op, const struct kt_dma_s *d)
{
    kt_set(&op->done, 0);
    return DEVICE_OP(&d->dev, request, &op->rq);
}

error_t kt_dop_cancel(struct kt_dop_s *op, const struct kt_dma_s *d)
{
    return DEVICE_OP(&d->dev, cancel, &op->rq);
}

void kt_dop_expect(struct kt_dop_s *op, struct kt_env_s *env, int error)
{
    kt_await(env, kt_get(&op->done) >= 1);
    ck_assert_uint_eq(kt_get(&op->done), 1);
    ck_assert_msg(op->error == error, "error %d (%s), not %d", op->error, strerror(-op->error),
                  error);
}

void kt_dop_run(struct kt_dop_s *op, struct kt_dma_s *d)
{
    ck_assert_int_eq(kt_dop_submit(op, d), 0);
    kt_dop_expect(op, d->env, 0);
}

uint64_t kt_dma_pace(struct kt_dma_s *d)
{
    uint8_t before = d->size ? d->dst[0] : 0;
    struct kt_dop_s op;
    uint64_t begin;

    if (d->kind != KT_ENGINE_OTHER || d->pace || !d->size)
        return d->pace;
    kt_dop_init(&op, d, KROUTINE_IMMEDIATE, 1);
    begin = kt_now();
    kt_dop_run(&op, d);
    d->pace = kt_now() - begin;
    d->dst[0] = before;
    return d->pace;
}

static bool is_slow(struct kt_dma_s *d)
{
    return kt_dma_pace(d) > KROUTINE_MSEC(10);
}

size_t kt_dma_bytes(struct kt_dma_s *d, size_t n)
{
    return n > 10000 && is_slow(d) ? 10000 : n;
}

unsigned kt_dma_count(struct kt_dma_s *d, unsigned n)
{
    return n > 4 && is_slow(d) ? 4 : n;
}

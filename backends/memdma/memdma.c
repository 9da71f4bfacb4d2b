/* SPDX-License-Identifier: MIT */
/*
 * The driver memdma: an engine in software. Each channel copies in the worker pool of its runtime,
 * a slice at a time: others of the pool have their turns in between, and a cancel or a time-out has
 * to wait for one slice at most. Without workers the reactor does it, in small slices: a pass of
 * the reactor, which makes KR_INLINE_MAX turns of the pool at most, copies 1 MiB.
 */
#include <errno.h>
#include <string.h>

#include "dma_engine.h"
#include "kroutine/sim.h"

#define SLICE        (512u << 10) /* some 50 us */
#define SLICE_INLINE (16u << 10)
#define PIECES       1024 /* of a slice: rows may be small */

#define CHANNELS     4

struct memdma_pv_s {
    struct kr_dma_engine_s *engine;
    size_t slice;
    bool simulated;
};

static const struct driver_param_s params[] = {
    {"channels", "requests that run side by side, 1 to 32; 4", NULL, 1, 32, DRIVER_PARAM_UINT},
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

/* Pieces of a row that overlaps itself come in the order in which memmove would take them. */
static void memdma_turn(struct kr_dma_chan_s *chan, bool first, struct kr_dma_turn_s *turn)
{
    const struct memdma_pv_s *pv = device_pv(chan->engine->dev);
    struct dev_dma_rq_s *rq = chan->current;
    struct dev_dma_piece_s piece;
    size_t rest = pv->slice;
    unsigned pieces = 0;

    (void)first;
    do {
        bool period;

        dev_dma_walk_piece(&piece, rq, &chan->pos, rest);
        memmove((void *)(uintptr_t)piece.dst, (const void *)(uintptr_t)piece.src, piece.size);
        dev_dma_walk_advance(rq, &chan->pos, piece.size, &period);
        kr_dma_moved(rq, piece.size);
        rest -= piece.size;
        turn->periods += period;
        if (dev_dma_walk_over(rq, &chan->pos)) {
            turn->state = KR_DMA_OVER;
            return;
        }
    } while (rest && ++pieces < PIECES && !(turn->periods && rq->period));
    if (pv->simulated) {
        turn->state = KR_DMA_WAIT;
        turn->at = kr_dma_engine_now(chan->engine) + (pv->slice - rest) / 10 + 1;
    }
}

static const struct kr_dma_ops_s memdma_ops = {
    .policy = KROUTINE_DEFERRED,
    .turn = memdma_turn,
};

/* --- opening and closing --- */

static error_t memdma_open(struct device_s *dev, const struct device_spec_s *spec)
{
    struct memdma_pv_s *pv = device_pv(dev);

    pv->simulated = kroutine_sim_now(device_runtime(dev)) != 0;
    pv->slice = kr_pool_size(device_runtime(dev)->pool) ? SLICE : SLICE_INLINE;
    return kr_dma_engine_create(&pv->engine, dev, &memdma_ops,
                                (unsigned)device_spec_uint(spec, "channels", CHANNELS));
}

static void memdma_close(struct device_s *dev)
{
    struct memdma_pv_s *pv = device_pv(dev);

    kr_dma_engine_close(pv->engine, -ECANCELED);
}

static void memdma_free(struct device_s *dev)
{
    struct memdma_pv_s *pv = device_pv(dev);

    kr_dma_engine_free(pv->engine);
}

/* --- class --- */

static DEV_DMA_REQUEST(memdma_request)
{
    struct memdma_pv_s *pv = device_pv(acc->dev);

    return kr_dma_engine_request(pv->engine, rq);
}

static DEV_DMA_CANCEL(memdma_cancel)
{
    struct memdma_pv_s *pv = device_pv(acc->dev);

    return kr_dma_engine_cancel(pv->engine, rq);
}

static DEV_DMA_INFO(memdma_info)
{
    struct memdma_pv_s *pv = device_pv(acc->dev);

    *info = (struct dev_dma_info_s){
        .name = "memdma",
        .channels = pv->engine->channels,
        .types = 1u << DEV_DMA_MEM_MEM,
        .cap = DEV_DMA_CAP_CANCEL | DEV_DMA_CAP_CONTINUOUS | DEV_DMA_CAP_STRIDE |
               DEV_DMA_CAP_OVERLAP | DEV_DMA_CAP_VIRTUAL,
        .align = 1,
        .size_max = INT64_MAX,
        .mask = UINTPTR_MAX,
    };
    return 0;
}

#define memdma_map   NULL
#define memdma_unmap NULL
static const struct driver_dma_s memdma_methods = DRIVER_DMA_METHODS(memdma);

const struct driver_s kr_driver_memdma = {
    .name = "memdma",
    .desc = "copies of memory to memory, in software",
    .params = params,
    .pv_size = sizeof(struct memdma_pv_s),
    .f_open = memdma_open,
    .f_close = memdma_close,
    .f_use = kr_dma_engine_use,
    .f_free = memdma_free,
    .classes = {(const struct driver_class_table_s *)&memdma_methods},
};

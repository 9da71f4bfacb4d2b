/* SPDX-License-Identifier: MIT */
/*
 * The front of the dma class: nested submission. What reaches a driver is a request that its engine
 * can do, on memory that is pinned until dev_dma_rq_done or a successful cancel.
 */
#include "dma_engine.h"
#include "dma_memory.h"

/* --- may the engine do it? --- */

static bool aligned(uint64_t value, uint64_t unit)
{
    return !(value & (unit - 1));
}

/* One side, `unit` a power of two. */
static bool side_aligned(const struct dev_dma_rq_s *rq, const struct dev_dma_desc_s *desc,
                         bool source, bool reg, uint64_t unit)
{
    uint64_t address = source ? (reg ? desc->src_reg : (uintptr_t)desc->src)
                              : (reg ? desc->dst_reg : (uintptr_t)desc->dst);
    ptrdiff_t stride = source ? desc->src_stride : desc->dst_stride;
    ptrdiff_t loop_stride = source ? rq->src_loop_stride : rq->dst_loop_stride;

    return aligned(address, unit) && aligned(desc->size, unit) &&
           (desc->rows <= 1 || aligned((uint64_t)stride, unit)) &&
           (rq->loops == 1 || aligned((uint64_t)loop_stride, unit));
}

/* Conservative: the ranges that all rows of all loops cover. */
static bool overlaps(const struct dev_dma_rq_s *rq, const struct dev_dma_desc_s *desc)
{
    int64_t low[2], high[2];
    int64_t distance = (int64_t)((uint64_t)(uintptr_t)desc->dst - (uintptr_t)desc->src);

    return kr_dma_extent(rq, desc, true, &low[0], &high[0]) &&
           kr_dma_extent(rq, desc, false, &low[1], &high[1]) && low[0] - high[1] < distance &&
           distance < high[0] - low[1];
}

static error_t validate_desc(const struct dev_dma_info_s *info, const struct dev_dma_rq_s *rq,
                             const struct dev_dma_desc_s *desc, uint64_t *sum)
{
    uint64_t bytes;

    if (!desc->size)
        return -EINVAL;
    if (desc->size > info->size_max)
        return -E2BIG;
    if (__builtin_mul_overflow((uint64_t)desc->size, (uint64_t)(desc->rows ? desc->rows : 1),
                               &bytes) ||
        __builtin_add_overflow(*sum, bytes, sum))
        return -E2BIG;
    if (desc->rows > 1 && !(info->cap & DEV_DMA_CAP_STRIDE))
        return -ENOTSUP;
    for (int source = 0; source < 2; source++) {
        bool reg = rq->type == (source ? DEV_DMA_REG_MEM : DEV_DMA_MEM_REG);
        uint64_t unit = reg ? rq->width : info->align;

        if (unit > 1 && !side_aligned(rq, desc, source, reg, unit))
            return -EINVAL;
    }
    if (rq->type == DEV_DMA_MEM_MEM && !(info->cap & DEV_DMA_CAP_OVERLAP) && overlaps(rq, desc))
        return -ENOTSUP;
    return 0;
}

static error_t validate_kind(const struct dev_dma_info_s *info, const struct dev_dma_rq_s *rq)
{
    bool strides = rq->src_loop_stride || rq->dst_loop_stride;

    if (rq->type >= DEV_DMA_TYPES || !rq->count || !rq->list || !rq->loops ||
        rq->period_count > rq->count || rq->width > 8 || (rq->width & (rq->width - 1)))
        return -EINVAL;
    if (rq->type == DEV_DMA_MEM_MEM && (rq->width || rq->reg_fixed))
        return -EINVAL;
    if (rq->loops == DEV_DMA_CONTINUOUS && strides)
        return -EINVAL;
    if (rq->count > DEV_DMA_LIST_MAX)
        return -E2BIG;
    if (rq->chan_mask && !(rq->chan_mask & UINT32_MAX >> (32 - info->channels)))
        return -ENOENT;
    if (!(info->types & 1u << rq->type) || (rq->width & ~info->widths) ||
        (rq->reg_fixed && !(info->cap & DEV_DMA_CAP_FIXED)) ||
        (rq->loops == DEV_DMA_CONTINUOUS && !(info->cap & DEV_DMA_CAP_CONTINUOUS)) ||
        (strides && rq->loops > 1 && !(info->cap & DEV_DMA_CAP_STRIDE)))
        return -ENOTSUP;
    return 0;
}

static error_t validate(const struct dev_dma_info_s *info, const struct dev_dma_rq_s *rq)
{
    uint64_t sum = 0;
    error_t err = validate_kind(info, rq);

    for (uint32_t i = 0; !err && i < rq->count; i++)
        err = validate_desc(info, rq, &rq->list[i], &sum);
    if (!err && rq->loops != DEV_DMA_CONTINUOUS &&
        __builtin_mul_overflow(sum, (uint64_t)rq->loops, &sum))
        err = -E2BIG;
    return err;
}

/* --- requests --- */

/* Inside the device. */
static error_t hand_over(struct device_s *dev, const struct device_dma_s *acc,
                         struct dev_dma_rq_s *rq)
{
    struct dev_dma_info_s info;
    error_t err = acc->drv->f_info(acc, &info);

    if (!err)
        err = validate(&info, rq);
    if (err)
        return err;
    rq->memory = kr_load_acquire(&dev->dma);
    err = kr_dma_pin(rq->memory, rq);
    if (err)
        return err;
    rq->error = 0;
    rq->rq_progress = 0;
    kr_store_relaxed(&rq->done, 0);
    kr_store_relaxed(&rq->periods, 0);
    kr_class_hand_over(dev, &rq->base);
    if (rq->period) /* -EBUSY: the last one of before is pending still, bound as it should be */
        kroutine_bind(rq->period, rq->kr.runtime);
    rq->expires = kr_unlikely(rq->timeout) ? kr_class_expiry(dev, rq->timeout) : 0;
    err = acc->drv->f_request(acc, rq);
    if (err)
        kr_dma_unpin(rq->memory, rq);
    return err;
}

static DEV_DMA_REQUEST(dma_request)
{
    return KR_CLASS_SUBMIT(acc, rq, DRIVER_CLASS_DMA, acc->drv->f_request && acc->drv->f_info,
                           hand_over);
}

static DEV_DMA_CANCEL(dma_cancel)
{
    error_t err = KR_CLASS_CANCEL(acc, rq);

    if (!err)
        kr_dma_unpin(rq->memory, rq);
    return err;
}

void dev_dma_rq_done(struct dev_dma_rq_s *rq)
{
    kr_dma_unpin(rq->memory, rq);
    dev_request_done(&rq->base);
}

static DEV_DMA_INFO(dma_info)
{
    struct device_s *dev = kr_load_relaxed(&acc->dev);
    error_t err;

    if (!dev)
        return -ECANCELED;
    err = kr_class_enter(dev);
    if (!err)
        err = acc->drv->f_info ? acc->drv->f_info(acc, info) : -ENOTSUP;
    kr_device_leave(dev);
    return err;
}

const struct driver_dma_s kr_dma_front = {
    DRIVER_CLASS_DMA, dma_request, dma_cancel, dma_info, kr_dma_map, kr_dma_unmap, NULL, NULL,
};

/* SPDX-License-Identifier: MIT */
/* Walking through a request of the dma class: loops, descriptors, rows. */
#include "dma_engine.h"

/* The front has made sure that none of this passes the ends of the address space. */
void dev_dma_walk_piece(struct dev_dma_piece_s *piece, const struct dev_dma_rq_s *rq,
                        const struct dev_dma_walk_s *pos, size_t max)
{
    const struct dev_dma_desc_s *desc = &rq->list[pos->index];
    bool from_reg = rq->type == DEV_DMA_REG_MEM, to_reg = rq->type == DEV_DMA_MEM_REG;
    uint64_t src = from_reg ? desc->src_reg : (uintptr_t)desc->src;
    uint64_t dst = to_reg ? desc->dst_reg : (uintptr_t)desc->dst;
    uint64_t rest = desc->size - pos->offset, offset;

    src += (uint64_t)desc->src_stride * pos->row + (uint64_t)rq->src_loop_stride * pos->loop;
    dst += (uint64_t)desc->dst_stride * pos->row + (uint64_t)rq->dst_loop_stride * pos->loop;
    piece->size = rest < max ? (size_t)rest : max;
    piece->backwards = !from_reg && !to_reg && dst > src && dst - src < desc->size;
    offset = piece->backwards ? rest - piece->size : pos->offset;
    piece->src = src + (from_reg && rq->reg_fixed ? 0 : offset);
    piece->dst = dst + (to_reg && rq->reg_fixed ? 0 : offset);
}

void dev_dma_walk_advance(const struct dev_dma_rq_s *rq, struct dev_dma_walk_s *pos, size_t size,
                          bool *period)
{
    const struct dev_dma_desc_s *desc = &rq->list[pos->index];

    *period = false;
    pos->offset += size;
    if (pos->offset < desc->size)
        return;
    pos->offset = 0;
    if (++pos->row < desc->rows)
        return;
    pos->row = 0;
    pos->index++;
    pos->in_period++;
    if (pos->index == rq->count) {
        pos->index = 0;
        pos->loop += rq->loops != DEV_DMA_CONTINUOUS;
        *period = true;
    }
    *period |= rq->period_count && pos->in_period == rq->period_count;
    if (*period)
        pos->in_period = 0;
}

/* Grows *low or *high by what the `count`-th step of `stride` adds to the first. */
static bool stretch(int64_t *low, int64_t *high, ptrdiff_t stride, size_t count)
{
    int64_t last;

    if (count <= 1 || !stride)
        return true;
    if (__builtin_mul_overflow(stride, count - 1, &last))
        return false;
    return !__builtin_add_overflow(last < 0 ? *low : *high, last, last < 0 ? low : high);
}

bool kr_dma_extent(const struct dev_dma_rq_s *rq, const struct dev_dma_desc_s *desc, bool source,
                   int64_t *low, int64_t *high)
{
    *low = 0;
    *high = 0;
    if (__builtin_add_overflow(*high, desc->size, high))
        return false;
    return stretch(low, high, source ? desc->src_stride : desc->dst_stride, desc->rows) &&
           (rq->loops == DEV_DMA_CONTINUOUS ||
            stretch(low, high, source ? rq->src_loop_stride : rq->dst_loop_stride, rq->loops)) &&
           *low != INT64_MIN;
}

bool dev_dma_registers_inside(const struct dev_dma_rq_s *rq, uint64_t base, uint64_t size)
{
    bool source = rq->type == DEV_DMA_REG_MEM;

    for (uint32_t i = 0; rq->type != DEV_DMA_MEM_MEM && i < rq->count; i++) {
        const struct dev_dma_desc_s *desc = &rq->list[i];
        uint64_t first = (source ? desc->src_reg : desc->dst_reg) - base;
        int64_t low, high;

        if (first >= size || !kr_dma_extent(rq, desc, source, &low, &high))
            return false;
        if (rq->reg_fixed)
            high -= (int64_t)desc->size - (rq->width ? rq->width : 1);
        if ((uint64_t)-low > first || high < 0 || (uint64_t)high > size - first)
            return false;
    }
    return true;
}

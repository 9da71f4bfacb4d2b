/* SPDX-License-Identifier: MIT */
/* The memory that a device may touch: the front of the dma class pins what requests use. */
#ifndef KR_DMA_MEMORY_H
#define KR_DMA_MEMORY_H

#include "device.h"

struct kr_dma_memory_s;

/* Pins the mappings of all memory that a valid request touches. -EFAULT, -EACCES: none is pinned.
 */
error_t kr_dma_pin(struct kr_dma_memory_s *memory, struct dev_dma_rq_s *rq);
void kr_dma_unpin(struct kr_dma_memory_s *memory, const struct dev_dma_rq_s *rq);

/* f_map and f_unmap of the front. */
DEV_DMA_MAP(kr_dma_map);
DEV_DMA_UNMAP(kr_dma_unmap);

/* dma_alloc.c: the bytes that dev_dma_alloc() has made. */
void kr_dma_give_back(const struct device_dma_s *acc, struct dev_dma_mem_s *mem);

/* With its device; nothing is mapped. NULL: nothing was. */
void kr_dma_memory_free(struct kr_dma_memory_s *memory);

#endif

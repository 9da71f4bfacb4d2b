/* SPDX-License-Identifier: MIT */
#ifndef KRCTL_DMA_H
#define KRCTL_DMA_H

#include "krctl.h"
#include "output.h"
#include "session.h"

extern const struct krctl_command_s krctl_dma_bench;
extern const struct krctl_command_s krctl_dma_copy;

/* An engine and two pieces of memory for it. */
struct engine_s {
    struct session_s session; /* with two workers, for engines in software */
    struct device_dma_s dev;
    struct dev_dma_info_s info;
    struct dev_dma_mem_s src; /* by dev_dma_write and dev_dma_read: it may be no ordinary memory */
    struct dev_dma_mem_s dst;
    size_t size; /* bytes of each */
};

/* With twice `size` bytes, or half of that, and so on: memory that is reserved for an engine may be
   small. KRCTL_OK, or says what is wrong. engine_close is needed in either case. */
int engine_open(struct engine_s *e, enum kroutine_backend_e backend, const char *spec, size_t size);
void engine_close(struct engine_s *e);

/* The first `size` bytes of both. */
bool engine_has_moved(const struct engine_s *e, size_t size);

/* Why a transfer has failed, in words. */
const char *engine_error(error_t err);

#endif

/* SPDX-License-Identifier: MIT */
/* QEMU's edu as an engine of the dma class, for the test programs of this folder. */
#ifndef EDU_ENGINE_H
#define EDU_ENGINE_H

#include "pci_guest.h"

#define PIECE 4095 /* what the driver gives to the engine at once */

/* How it is reached. KT_EDU=uio in the environment: by UIO; else both ways of VFIO. */
enum engine_way_e { ENGINE_MSI, ENGINE_INTX, ENGINE_UIO };
/* For kt_add_loop. */
int engine_rounds(void);
const char *engine_label(int round);
enum engine_way_e engine_way(int round);

struct engine_s {
    struct kt_env_s *env;
    enum engine_way_e way;
    char below[48]; /* spec of the device */
    struct device_dma_s dma;
    struct device_mmio_s mmio; /* the same device: the test looks over the driver's shoulder */
    struct dev_mmio_s bar;
    struct dev_dma_mem_s src_mem;
    struct dev_dma_mem_s dst_mem;
    uint8_t *src; /* ENGINE_BYTES of a pattern */
    uint8_t *dst; /* as many of 0xee */
};

#define ENGINE_BYTES 16384

/* Binds the index-th edu of the machine, opens it, and gives it memory. `size` 0: none. */
void engine_open(struct engine_s *e, struct kt_env_s *env, enum engine_way_e way, unsigned index,
                 size_t size);
void engine_close(struct engine_s *e);
/* The engine alone, after it was put. */
void engine_open_again(struct engine_s *e);

uint8_t engine_pattern(size_t at);
/* The first `size` bytes of dst are those of src, the rest is as it was. */
void engine_expect(const struct engine_s *e, size_t size);
/* Waits until it is at work, by the command register. */
void engine_await_start(const struct engine_s *e);

struct engine_rq_s {
    struct dev_dma_rq_s rq;
    struct dev_dma_desc_s desc[4];
    unsigned runs; /* atomic */
    unsigned stamp;
};

/* Memory to memory: the first `size` bytes of src to dst. */
void engine_rq_init(struct engine_rq_s *op, const struct engine_s *e, size_t size);
void engine_submit(struct engine_rq_s *op, const struct engine_s *e);
/* Waits for the handler; then it has run once, with that. */
void engine_await(struct engine_rq_s *op, const struct engine_s *e, error_t error);
/* Both, successfully. */
void engine_run(struct engine_rq_s *op, const struct engine_s *e);

#endif

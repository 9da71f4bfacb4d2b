/* SPDX-License-Identifier: MIT */
/*
 * For the contract tests of the dma class: an engine of every kind that there is here, memory for
 * it, and requests that note what happened to them. KT_DMA_SPEC in the environment adds the engine
 * that it names to the rounds.
 */
#ifndef KT_DMA_H
#define KT_DMA_H

#include "kt.h"

enum kt_engine_e {
    KT_ENGINE_MEMDMA, /* dma0 of the tree */
    KT_ENGINE_SIM,    /* sim-dma */
    KT_ENGINE_OTHER,  /* KT_DMA_SPEC */
    KT_ENGINES,
};

struct kt_dma_s {
    struct kt_env_s *env;
    enum kt_engine_e kind;
    struct device_dma_s dev;
    struct dev_dma_info_s info;
    struct dev_dma_mem_s mem[2];
    uint8_t *src; /* memory of the engine, filled with a pattern */
    uint8_t *dst; /* likewise, filled with 0xee */
    size_t size;  /* of each */
    uint64_t pace;
};

/* A loop test runs over engine and mode of the runtime. */
int kt_dma_rounds(void);
const char *kt_dma_label(int round);

/* Opens the runtime and the engine; `options`: keys of sim-dma, or NULL. `size` 0: no memory. */
void kt_dma_open(struct kt_dma_s *d, struct kt_env_s *env, int round, size_t size,
                 const char *options);
void kt_dma_close(struct kt_dma_s *d);
/* ns that one byte takes, of an engine that is not this project's software: measured with the first
   call, in the memory of the test, which is then as it was. 0: as good as none. */
uint64_t kt_dma_pace(struct kt_dma_s *d);
/* `n`, or fewer where that would take an engine minutes: bytes; requests. */
size_t kt_dma_bytes(struct kt_dma_s *d, size_t n);
unsigned kt_dma_count(struct kt_dma_s *d, unsigned n);
uint8_t kt_dma_pattern(size_t at);
/* The first `size` bytes of dst are those of src, the rest untouched. */
void kt_dma_expect_copied(const struct kt_dma_s *d, size_t size);

struct kt_dop_s {
    struct dev_dma_rq_s rq;
    struct dev_dma_desc_s desc[4];
    unsigned done; /* atomic: runs of the handler */
    int error;
    uint64_t moved;
    unsigned stamp;
    pthread_t thread;
    void (*then)(struct kt_dop_s *op); /* end of the handler; may be NULL */
    void *arg;
};

/* One descriptor, from src to dst, of `size` bytes. */
void kt_dop_init(struct kt_dop_s *op, const struct kt_dma_s *d, enum kroutine_policy_e policy,
                 size_t size);
error_t kt_dop_submit(struct kt_dop_s *op, const struct kt_dma_s *d);
error_t kt_dop_cancel(struct kt_dop_s *op, const struct kt_dma_s *d);
/* Waits for its handler; fails the case if that ran twice, or with another error. */
void kt_dop_expect(struct kt_dop_s *op, struct kt_env_s *env, int error);
/* Submits and waits for success. */
void kt_dop_run(struct kt_dop_s *op, struct kt_dma_s *d);

#endif

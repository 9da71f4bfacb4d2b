/* SPDX-License-Identifier: MIT */
/*
 * The dma class: engines that move memory by themselves. Nested submission (kroutine-nesting(7)).
 * kroutine-dma(3).
 *
 * An engine touches only memory that was given to it: dev_dma_alloc() makes some, dev_dma_map()
 * takes what is there. A request with an address outside is refused before the driver sees it.
 */
#ifndef KROUTINE_DMA_H
#define KROUTINE_DMA_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

DEVICE_ACCESSOR_DECLARE(dma);

enum dev_dma_rq_type_e {
    DEV_DMA_MEM_MEM = 0, /* memory to memory */
    DEV_DMA_MEM_REG,     /* memory to registers */
    DEV_DMA_REG_MEM,     /* registers to memory */
    DEV_DMA_TYPES,
};

/* A piece of a list: `rows` times `size` bytes, each row beginning src_stride and dst_stride bytes
   after the one before. Memory is meant by pointers, registers by addresses as the engine counts
   them. All rows, of all loops, of one side are inside one mapping. */
struct dev_dma_desc_s {
    union {
        const void *src;
        uint64_t src_reg; /* DEV_DMA_REG_MEM */
    };
    union {
        void *dst;
        uint64_t dst_reg; /* DEV_DMA_MEM_REG */
    };
    size_t size;          /* bytes of a row, not 0 */
    size_t rows;          /* 0 counts as 1 */
    ptrdiff_t src_stride; /* not looked at when there is one row */
    ptrdiff_t dst_stride;
};

#define DEV_DMA_CONTINUOUS UINT32_MAX /* loops: until it is cancelled */
#define DEV_DMA_LIST_MAX   65536      /* descriptors of a request */

/* The list and the kroutine of the periods are the library's until the request is over.
   error: 0; -ECANCELED; -ETIMEDOUT; -ENODEV the device is gone; -EIO the engine has reported an
   error, or what it reported as done was not. */
struct dev_dma_rq_s {
    DEV_REQUEST_INHERIT;
    const struct dev_dma_desc_s *list;
    uint32_t count;            /* of `list`: 1 to DEV_DMA_LIST_MAX */
    uint32_t loops;            /* runs through the list: not 0; DEV_DMA_CONTINUOUS */
    ptrdiff_t src_loop_stride; /* what addresses grow by from one loop to the next */
    ptrdiff_t dst_loop_stride;
    struct kroutine_s *period; /* executed at the end of each period; NULL: nothing is */
    uint32_t period_count;     /* descriptors that make a period, 0: the list */
    uint32_t chan_mask;        /* channels that may take it, bit n is channel n; 0: any */
    uint8_t width;             /* bytes of an access to a register: 1, 2, 4, 8; 0: as it likes */
    bool reg_fixed;            /* every access to the same register, as of a FIFO */
    uint32_t chan;             /* out, from submit on: the channel that took it */
    uint64_t done;             /* out: bytes moved, whatever the ending; see dev_dma_progress */
    uint64_t periods;          /* out: periods that have ended; see dev_dma_periods */
    void *memory;              /* private: where `pinned` counts */
    uint64_t pinned;           /* private: mappings that it uses */
};

DEV_REQUEST_DECLARE(dma);

/* Bytes moved so far by a request that is under way. Any thread. */
static inline uint64_t dev_dma_progress(const struct dev_dma_rq_s *rq)
{
    return __atomic_load_n(&rq->done, __ATOMIC_RELAXED);
}

/* Periods ended so far. Executed again while it is pending, the kroutine runs once for several
   periods: it counts what it has seen, and this number tells what it has not. Any thread. */
static inline uint64_t dev_dma_periods(const struct dev_dma_rq_s *rq)
{
    return __atomic_load_n(&rq->periods, __ATOMIC_ACQUIRE);
}

enum dev_dma_capability_e {
    DEV_DMA_CAP_CANCEL = 1,     /* what is under way can be stopped */
    DEV_DMA_CAP_CONTINUOUS = 2, /* DEV_DMA_CONTINUOUS */
    DEV_DMA_CAP_STRIDE = 4,     /* rows, and loops with a stride */
    DEV_DMA_CAP_OVERLAP = 8,    /* source and destination may overlap */
    DEV_DMA_CAP_FIXED = 16,     /* reg_fixed */
    DEV_DMA_CAP_PROTECTED = 32, /* an IOMMU keeps the engine to what is mapped */
    DEV_DMA_CAP_VIRTUAL = 64,   /* simulated */
};

struct dev_dma_info_s {
    char name[32];     /* of the engine */
    uint32_t channels; /* 1 to 32 */
    uint32_t types;    /* bit n: enum dev_dma_rq_type_e n */
    uint32_t widths;   /* of register accesses, or-ed: 1, 2, 4, 8 */
    uint32_t cap;      /* enum dev_dma_capability_e, or-ed */
    uint32_t align;    /* of addresses and sizes in memory: a power of two */
    uint32_t spare;
    uint64_t size_max; /* bytes of a row */
    uint64_t mask;     /* highest address that the engine can give */
};

/* --- memory --- */

enum dev_dma_mem_flags_e {
    DEV_DMA_MEM_READ = 1,  /* the engine may read it */
    DEV_DMA_MEM_WRITE = 2, /* the engine may write it; neither: both */
    DEV_DMA_MEM_HUGE = 4,  /* dev_dma_alloc: of the pool of huge pages, if there are enough */
};

/* Memory that a device may touch. The caller's, as the memory itself when it is mapped; both stay
   where they are until they are unmapped. */
struct dev_dma_mem_s {
    void *base;
    size_t size;    /* bytes */
    uint64_t bus;   /* what the engine calls `base` */
    uint32_t flags; /* enum dev_dma_mem_flags_e */
    uint16_t state; /* private */
    uint16_t slot;  /* private */
    uint32_t pins;  /* private: by requests under way */
    void *drvdata;  /* of the driver */
    size_t pages;   /* private: bytes that dev_dma_alloc has taken; 0: the memory is the caller's */
    void *memory;   /* private; NULL: not mapped */
};

/* Makes `size` bytes of zeroed memory for this device: whole pages, present before the call
   returns; with two huge pages and more aligned so that the kernel can use such. Never in the
   reactor of a program with deadlines: takes as long as clearing the memory.
   Of an engine that has memory of its own, a piece of that (kroutine-bcm2835(7)).
   -EINVAL: size 0 or flags unknown. -ENOMEM: not so much, or not so much may be locked (the text
   says the limit). -ENOSPC: the device takes no further mapping. -ECANCELED, -ENODEV; -EPERM forked
   child; others of the driver. `mem` is untouched on failure. */
KROUTINE_API error_t dev_dma_alloc(const struct device_dma_s *acc, struct dev_dma_mem_s *mem,
                                   size_t size, uint32_t flags);

/* Lets the device touch memory of the caller. Where the device works in pages, the rest of the
   first and last page comes with it: requests are held to `size` bytes, an engine that runs wild is
   not. -EEXIST: a part of it is mapped for this device already. -EFAULT: it cannot be reached.
   Others as above. */
KROUTINE_API error_t dev_dma_map(const struct device_dma_s *acc, struct dev_dma_mem_s *mem,
                                 void *base, size_t size, uint32_t flags);

/* Copies `size` bytes between memory that is mapped for a device, from byte `offset` of it on, and
   memory of the program. As memcpy(3), but with aligned accesses only on the side of the device:
   the memory of some engines bears no others (kroutine-bcm2835(7)). Any thread; nobody waits for a
   request that is at it. -EINVAL: beyond the end, nothing copied. */
KROUTINE_API error_t dev_dma_write(const struct dev_dma_mem_s *mem, size_t offset, const void *from,
                                   size_t size);
KROUTINE_API error_t dev_dma_read(const struct dev_dma_mem_s *mem, size_t offset, void *to,
                                  size_t size);

/* Takes memory of either kind back, and frees what dev_dma_alloc made. Also after the device was
   closed, and from a handler of the request that used it last. -EBUSY: a request uses it. -EINVAL:
   it is not mapped. -EPERM: forked child. */
KROUTINE_API error_t dev_dma_unmap(struct dev_dma_mem_s *mem);

/* --- operations --- */

/* By DEVICE_OP, and what a driver fills in (driver.h). */
struct driver_dma_s {
    enum driver_class_e cl;
    /* 0: accepted, the handler will run, never before this returns. Otherwise refused, the handler
       never runs, nothing was moved: -EINVAL type, count, loops, width, a size of 0, an alignment
       that the engine does not have, or a contradiction. -E2BIG: more descriptors, or more bytes
       of a row, than can be; the sum of all passes 2^64. -EFAULT: memory that is not mapped for
       this device, or a register that it does not have. -EACCES: mapped, but not for this
       direction. -ENOENT: no such channel. -ENOTSUP: a type, a width or a feature that the engine
       does not have. -EBUSY: submitted already. -ENODEV, -ECANCELED: gone, closed. -EPERM: forked
       child. */
    error_t (*f_request)(const struct device_dma_s *acc, struct dev_dma_rq_s *rq);
    /* 0: cancelled, the engine has stopped, rq->done tells how far it got, neither the handler nor
       the kroutine of the periods is executed any more. -EBUSY: over, or ending as soon as the
       engine can be stopped, with -ECANCELED. -ENOTSUP: the engine cannot stop. */
    error_t (*f_cancel)(const struct device_dma_s *acc, struct dev_dma_rq_s *rq);
    /* What the engine is. -ENODEV, -ECANCELED. */
    error_t (*f_info)(const struct device_dma_s *acc, struct dev_dma_info_s *info);
    /* dev_dma_map() and dev_dma_unmap(), which see to everything that is the same for all. `base`,
       `size` and `flags` are set; a driver sets `bus`, and may use `drvdata`. NULL in a driver:
       engines that know memory by the addresses of the process. */
    error_t (*f_map)(const struct device_dma_s *acc, struct dev_dma_mem_s *mem);
    error_t (*f_unmap)(const struct device_dma_s *acc, struct dev_dma_mem_s *mem);
    /* Of engines that have memory of their own, and reach no other: dev_dma_alloc() takes it here
       instead of from the system, and then calls f_map; dev_dma_unmap() gives it back. f_alloc gets
       `size` and `flags`, sets `base` to zeroed bytes; -ENOMEM: there is no such piece left.
       f_free comes after f_unmap, also after f_close: until then the bytes stay, unless the runtime
       has ended. Both or neither; not for programs, to which the class has them NULL. */
    error_t (*f_alloc)(const struct device_dma_s *acc, struct dev_dma_mem_s *mem);
    void (*f_free)(const struct device_dma_s *acc, struct dev_dma_mem_s *mem);
};

#ifdef __cplusplus
}
#endif
#endif

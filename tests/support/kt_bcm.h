/* SPDX-License-Identifier: MIT */
/*
 * A channel of the BCM2835's DMA controller behind the registers of a sim-mmio device, and its
 * system timer. Each is a thread of the test that looks at the registers all the time, and does
 * what the datasheet (BCM2835 ARM Peripherals, chapters 4 and 12) says. It has its own mapping of
 * them, as hardware has.
 *
 * A register here is memory: what the driver writes stands there until the model has seen it, as
 * with a write that is still under way on a bus. A register with bits that are written to be
 * cleared carries a mark, in a bit that the datasheet leaves open, which a write takes away.
 */
#ifndef KT_BCM_H
#define KT_BCM_H

#include "kt.h"

/* --- DMA --- */

#define KT_BCM_POOL   0x40000u
#define KT_BCM_MEMORY 0xf0000000u /* what the engine calls the beginning of the pool */
#define KT_BCM_BLOCKS 4096u       /* bytes of it */
#define KT_BCM_GPSET0 0x7e20001cu
#define KT_BCM_GPCLR0 0x7e200028u
#define KT_BCM_GPLEV0 0x7e200034u
#define KT_BCM_FIFO   0x7e203004u /* notes what is written; reads as 1000, 1001, 1002 … */

/* CONBLK_AD is there, the other registers are not loaded yet; its copy is done, and CONBLK_AD is
   there still. */
enum { KT_BCM_BEFORE = 1, KT_BCM_BEHIND };

#define KT_BCM_SPEC "sim-mmio:bcm?size=256&msi=0&memory=262144"

struct kt_bcm_s {
    struct device_mmio_s below; /* "sim-mmio:bcm?…" */
    volatile uint32_t *regs;
    uint8_t *pool;
    uint8_t *pages;
    pthread_t thread;
    unsigned end;    /* atomic, as what follows: the test's */
    uint64_t limit;  /* bytes that are moved from now on, then the channel waits for a DREQ */
    uint32_t fault;  /* an access to this address fails … */
    uint32_t errors; /* … with these bits of DEBUG */
    unsigned silent; /* interrupts do not come */
    unsigned stay;   /* it halts at the block that writes to blocks: KT_BCM_BEFORE, _BEHIND */
    /* what the model tells */
    unsigned active;
    unsigned halted;  /* as `stay` says, until it is reset */
    uint32_t ti;      /* of the block that was loaded last */
    uint32_t longest; /* block */
    uint64_t blocks;  /* that have ended */
    uint64_t starts;  /* chains that have begun */
    uint32_t level;   /* of the lines of GPIO */
    uint32_t noted;   /* words that were written to the FIFO */
    uint32_t notes[4096];

    /* the model's own */
    bool is_end, is_int, raised;
    uint32_t debug, block, source, dest, left, length, next;
    uint32_t fifo;
};

/* Opens the device with the keys of KT_BCM_SPEC, and starts the model; a `lite` channel or not. */
void kt_bcm_start(struct kt_bcm_s *m, const struct kt_env_s *env, bool lite);
void kt_bcm_stop(struct kt_bcm_s *m);

/* --- the system timer --- */

#define KT_SYSTEM_TIMER_SPEC "sim-mmio:st?size=4096&msi=0"

struct kt_system_timer_s {
    struct device_mmio_s below;
    volatile uint32_t *regs;
    pthread_t thread;
    unsigned end;     /* atomic, as what follows */
    uint64_t base;    /* us: the counter is that of CLOCK_MONOTONIC since the start, and this … */
    unsigned by_hand; /* … or this alone */
    unsigned matches;
    uint64_t rounds;

    uint64_t begin, last;
    bool matched, raised;
};

void kt_system_timer_start(struct kt_system_timer_s *m, const struct kt_env_s *env, uint64_t base);
/* From now on the counter is `value`, until the next call. */
void kt_system_timer_set(struct kt_system_timer_s *m, uint64_t value);
void kt_system_timer_stop(struct kt_system_timer_s *m);

#endif

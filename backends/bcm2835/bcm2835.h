/* SPDX-License-Identifier: MIT */
/*
 * The driver bcm2835-dma: one channel of the DMA controller of the Raspberry Pi 1 to 4, over any
 * driver of the mmio class: "bcm2835-dma:uio:kr-dma". kroutine-bcm2835(7).
 *
 * Sources: BCM2835 ARM Peripherals, chapter 4 ("DMA Controller"), called the datasheet below;
 * drivers/dma/bcm2835-dma.c of Linux for what that leaves open.
 *
 * dma.c has the life of a device and the operations of the class, channel.c what happens to the
 * hardware, pool.c the memory. timer.c is another driver.
 */
#ifndef KR_BCM2835_H
#define KR_BCM2835_H

#include <errno.h>
#include <pthread.h>

#include "dma_engine.h"
#include "kroutine/mmio.h"

/* --- the hardware: datasheet, 4.2.1 --- */

#define BCM_CS          0x00
#define BCM_ACTIVE      (1u << 0)
#define BCM_END         (1u << 1) /* write 1 to clear, as INT */
#define BCM_INT         (1u << 2)
#define BCM_PAUSED      (1u << 4)
#define BCM_WRITES_LEFT (1u << 6)  /* WAITING_FOR_OUTSTANDING_WRITES */
#define BCM_WAIT_WRITES (1u << 28) /* to be done only when all writes have been answered */
#define BCM_RESET       (1u << 31) /* clears itself */
#define BCM_CONBLK_AD   0x04       /* the block that is worked off; 0: idle */
#define BCM_SOURCE_AD   0x0c
#define BCM_DEST_AD     0x10
#define BCM_DEBUG       0x20
#define BCM_READ_LAST   (1u << 0) /* write 1 to clear, as the other two */
#define BCM_FIFO        (1u << 1)
#define BCM_READ        (1u << 2)
#define BCM_ERRORS      (BCM_READ_LAST | BCM_FIFO | BCM_READ)
#define BCM_LITE        (1u << 28)
#define BCM_REGISTERS   0x24

/* A control block: eight words, on a boundary of 32 bytes. */
#define BCM_BLOCK        32u
#define BCM_BLOCK_TI     0
#define BCM_BLOCK_SOURCE 4
#define BCM_BLOCK_DEST   8
#define BCM_BLOCK_LENGTH 12
#define BCM_BLOCK_STRIDE 16
#define BCM_BLOCK_NEXT   20

#define BCM_TI_INTEN     (1u << 0)
#define BCM_TI_WAIT_RESP                                                                           \
    (1u << 3) /* each write is answered before the next: none is left behind                       \
               */
#define BCM_TI_DEST_INC  (1u << 4)
#define BCM_TI_DEST_DREQ (1u << 6)
#define BCM_TI_SRC_INC   (1u << 8)
#define BCM_TI_SRC_DREQ  (1u << 10)
#define BCM_TI_PERMAP(n) ((uint32_t)(n) << 16)
#define BCM_TI_NO_WIDE   (1u << 26)

#define BCM_LAPS         1024u /* words of the table that counts */

/* Whole words of 32 bits. Linux keeps lite channels, whose length has 16 bits, below 64 KiB by a
   word; the others it gives 1 GiB. */
#define BCM_WORD     4u
#define BCM_MAX_LITE (65536u - BCM_WORD)
#define BCM_MAX      ((1u << 30) - BCM_WORD)

/* Channels 11 to 14 of BCM2711 ("BCM2711 ARM Peripherals", 4.2 and 4.5) have addresses of 40 bits,
   and other registers and blocks: CS + 0x20 is no DEBUG, bit 31 of CS no reset. The processor sees
   the controller at one of two places there. */
#define BCM2711_DMA       UINT64_C(0xfe007000)
#define BCM2711_DMA_HIGH  UINT64_C(0x47e007000)
#define BCM_CHANNEL       0x100u /* bytes of registers */
#define BCM_CHANNEL_40    11
#define BCM_CHANNEL_40_TO 14

/* What the engine calls the peripherals: datasheet, 1.2.4. */
#define BCM_PERIPHERALS      0x7e000000u
#define BCM_PERIPHERALS_SIZE 0x1000000u

/* --- memory: pool.c --- */

struct bcm_piece_s;

/* The reserved memory behind a channel: control blocks first, then what programs have allocated. */
struct bcm_pool_s {
    pthread_mutex_t lock;       /* guards `pieces` and `shut` */
    bool shut;                  /* the device is closed: nothing more is taken */
    struct bcm_piece_s *pieces; /* taken, by offset */
    struct dev_mmio_s window;
    size_t laps;  /* offset of the table that counts the runs of a ring: channel.c */
    size_t begin; /* … and of the first byte behind it, which programs may have */
    uint32_t bus; /* what the engine calls the beginning of the window */
    /* One pool for a device below, also when this one is closed, and memory of it is still out. */
    const struct device_s *below;
    struct bcm_pool_s *next;
};

/* Of region `index`, with `blocks` control blocks; `alias` is or-ed to physical addresses. */
error_t kr_bcm_pool_open(struct bcm_pool_s *pool, const struct device_mmio_s *below, uint32_t index,
                         unsigned blocks, uint32_t alias);
/* With f_close: nothing is taken any more. When nothing is out, the memory may be another device's
   at once, though this one is not freed yet. */
void kr_bcm_pool_shut(struct bcm_pool_s *pool);
/* With f_free, or when the device does not open. */
void kr_bcm_pool_close(struct bcm_pool_s *pool, const struct device_mmio_s *below);
/* *base: zeroed, on a boundary of 4 KiB. */
error_t kr_bcm_pool_take(struct bcm_pool_s *pool, void **base, size_t size);
void kr_bcm_pool_give(struct bcm_pool_s *pool, const void *base);
/* Of memory that was taken. */
error_t kr_bcm_pool_bus(struct bcm_pool_s *pool, const void *base, size_t size, uint64_t *bus);

/* --- a channel --- */

struct bcm_dma_s {
    struct device_s *dev;
    struct device_mmio_s below;
    struct dev_mmio_s regs;
    struct dev_irq_s irq;
    struct bcm_pool_s pool;
    struct kr_dma_engine_s *engine; /* its lock guards the register CS against the interrupt */
    size_t max;                     /* bytes of a block */
    unsigned blocks;                /* that there is room for */
    unsigned dreq;                  /* the peripheral that sets the pace; 0: none */
    bool rings;                     /* a continuous transfer is a ring of blocks */
    bool virtual;

    /* Of the batch that the engine was given: of whoever is inside, or has the lock of the engine.
     */
    unsigned filled; /* its blocks, without the one that counts laps */
    unsigned seen;   /* of which so many are counted, in this lap */
    unsigned lap;    /* modulo BCM_LAPS */
    bool ring;       /* the last one leads to the first */
    bool told;       /* atomic: there was an interrupt since the last look */
};

/* Blocks that a run through the list takes; more than UINT32_MAX: that. */
uint32_t kr_bcm_list_blocks(const struct bcm_dma_s *bcm, const struct dev_dma_rq_s *rq);

/* --- channel.c --- */

extern const struct kr_dma_ops_s kr_bcm_dma_ops;

KROUTINE_EXEC(kr_bcm_interrupt);
/* Stops whatever is under way, of this program or of one that was killed. -EIO: it does not. */
error_t kr_bcm_reset(struct bcm_dma_s *bcm);

#endif

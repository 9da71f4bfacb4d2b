/* SPDX-License-Identifier: MIT */
/*
 * The driver edu: QEMU's PCI teaching device as an engine of the dma class, over any driver of the
 * mmio class: "edu:vfio:0000:00:03.0", "edu:uio:uio0?physical=yes". It uses the public headers
 * alone, as a driver outside of this tree would: kroutine-drivers(7) walks through it.
 *
 * The device (docs/specs/edu.rst of QEMU; hw/misc/edu.c for the rest) moves bytes between memory
 * and a buffer of its own, takes 100 ms each time, then interrupts. It cannot be stopped.
 *
 * edu.c has the life of a device and the operations of the class, engine.c what happens to the
 * hardware.
 */
#ifndef KR_EDU_H
#define KR_EDU_H

#include <errno.h>
#include <pthread.h>

#include "kroutine.h"
#include "kroutine/driver.h"

/* --- the hardware --- */

/* Registers of BAR 0; those of the engine are 64 bits wide. */
#define EDU_ID          0x00
#define EDU_ID_MASK     0xffffu
#define EDU_ID_VALUE    0x00edu
#define EDU_IRQ_STATUS  0x24
#define EDU_IRQ_ACK     0x64
#define EDU_DMA_SOURCE  0x80
#define EDU_DMA_TARGET  0x88
#define EDU_DMA_COUNT   0x90
#define EDU_DMA_COMMAND 0x98
#define EDU_RUN         1u /* of the command: reads as 1 until the transfer is over */
#define EDU_TO_MEMORY   2u
#define EDU_INTERRUPT   4u
#define EDU_GONE        UINT32_MAX /* what a device that is not there reads as */

/* Its buffer, as the engine addresses it. QEMU 7.2 takes the last byte for one beyond the end, and
   aborts: edu_check_range(). */
#define EDU_BUFFER      0x40000u
#define EDU_BUFFER_SIZE 4095u

/* A transfer that takes longer than ten times as long as it should has failed. */
#define PIECE_LIMIT KROUTINE_SEC(1)

/* --- the driver --- */

struct edu_s {
    struct device_s *dev;
    struct device_mmio_s below;
    struct device_timer_s timer;
    struct dev_mmio_s regs;
    struct dev_irq_s irq;
    uint64_t mask;        /* highest address of memory */
    pthread_mutex_t maps; /* guards `below` from being put while it maps memory */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t quiet; /* the pump has come out */
    struct dev_request_queue_root_s queue;
    struct dev_dma_rq_s *current; /* what the engine is at; NULL: nothing */
    error_t stop;                 /* `current` ends with it after this piece; 0: it goes on */
    error_t over;                 /* closed, or gone: what later requests end with; 0: open */
    bool lost;                    /* the interrupt says that the device is gone */

    struct kroutine_s pump;
    bool pumping; /* it is pending or running, and holds the device */
    bool again;   /* something has happened since it began */
    bool inside;  /* it is running, on `thread` */
    pthread_t thread;

    /* of the pump, and of the close when that is out */
    struct dev_dma_walk_s walk; /* where in `current` */
    size_t piece;               /* bytes that the engine was given; 0: it has not been started */
    bool buffered;              /* memory to memory: the piece is in the buffer */
    bool stuck;                 /* the engine has not ended, and is kept from memory */
    uint64_t limit;             /* when it must have ended */
    struct dev_timer_rq_s alarm;
    uint64_t alarm_at; /* 0: not set; while it is, it holds the device */
};

/* --- engine.c --- */

KROUTINE_EXEC(kr_edu_interrupt);
KROUTINE_EXEC(kr_edu_alarm);
KROUTINE_EXEC(kr_edu_pump);

/* Something has happened. Without the lock, any thread. */
void kr_edu_kick(struct edu_s *edu);
/* `current` ends with `error` when its piece is over. With the lock. */
void kr_edu_abort(struct edu_s *edu, error_t error);
/* Everything ends with edu->over: the engine has stopped, or cannot reach memory any more. With the
   lock, which is released for handlers; by the pump, or when it is out. */
void kr_edu_end_all(struct edu_s *edu);
/* On the monotonic clock, ns. */
uint64_t kr_edu_now(const struct edu_s *edu);

#endif

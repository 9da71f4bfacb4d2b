/* SPDX-License-Identifier: MIT */
/* The simulated mmio device, shared by sim_mmio.c and sim_mmio_irq.c. */
#ifndef KR_SIM_MMIO_H
#define KR_SIM_MMIO_H

#include "device.h"
#include "irq.h"
#include "mmio.h"

#define KR_SIM_VECTORS     32
#define KR_SIM_CONFIG_SIZE 256

struct kr_sim_vector_s {
    struct kr_sim_mmio_s *sim;
    bool taken;                 /* requested, or being released */
    struct kr_irq_line_s *line; /* NULL: not requested */
    int fd;                     /* eventfd=yes: of the line */
    uint64_t fired;             /* not taken yet */
    bool raised;
    bool masked;
};

struct kr_sim_mmio_s {
    struct device_s *dev;
    int memory;           /* memfd: the regions, one after the other, each from a page on */
    size_t size[2];       /* bytes of registers; of the pool, 0: there is none */
    size_t offset[2];     /* in `memory` */
    uint64_t physical[2]; /* addresses that they tell; 0: none */
    bool eventfd;
    unsigned count[DEV_IRQ_KINDS];

    pthread_mutex_t lock; /* guards what follows */
    bool gone;
    bool closed;
    struct kr_mmio_region_s region[2];
    struct kr_sim_vector_s vector[DEV_IRQ_KINDS][KR_SIM_VECTORS];
    uint8_t config[KR_SIM_CONFIG_SIZE];
    uint64_t every; /* ns between messages of vector 0; 0: none */
    uint64_t next;  /* when the next one is due; 0: the timer is not armed */
    struct dev_timer_rq_s timer;
};

static inline struct kr_sim_mmio_s *kr_sim_mmio(const struct device_s *dev)
{
    return device_pv(dev);
}

/* --- sim_mmio_irq.c --- */

void kr_sim_timer_start(struct kr_sim_mmio_s *sim);
/* Releases every interrupt, and stops the timer; `closed` is set. */
void kr_sim_irq_end(struct kr_sim_mmio_s *sim);
DEV_MMIO_IRQ_REQUEST(kr_sim_irq_request);
DEV_MMIO_IRQ_RELEASE(kr_sim_irq_release);
DEV_MMIO_IRQ_MASK(kr_sim_irq_mask);
DEV_MMIO_IRQ_UNMASK(kr_sim_irq_unmask);

#endif

/* SPDX-License-Identifier: MIT */
/* A device of UIO that is open: shared by uio.c (life, registers, memory) and irqs.c. */
#ifndef KR_UIO_OPEN_H
#define KR_UIO_OPEN_H

#include <pthread.h>

#include "device.h"
#include "irq.h"
#include "mmio.h"
#include "uio.h"

struct uio_s {
    struct kr_uio_found_s found;
    bool physical;  /* physical=yes */
    bool by_config; /* the interrupt is unmasked through configuration space */
    bool has_irq;
    int config; /* PCI, else -1 */
    /* /dev/uioN. There is one, of which the others are duplicates, and it stays open as long as the
       device: at the end of each that was opened uio_pci_generic puts the bus master off. */
    int file;

    pthread_mutex_t lock; /* guards what follows */
    bool closed;
    struct kr_mmio_region_s region[KR_UIO_MAPS];
    bool taken;                 /* the interrupt is requested, or about to be */
    struct kr_irq_line_s *line; /* NULL: it is not, or is being released */
    int irq_fd;                 /* of `line` */
    uint32_t seen;              /* the kernel's count; the reactor's while `line` is open */
};

static inline struct uio_s *uio_of(const struct device_s *dev)
{
    return device_pv(dev);
}

static inline bool uio_is_pci(const struct uio_s *uio)
{
    return uio->config >= 0;
}

/* --- irqs.c --- */

/* Reads the count, if it has changed. False: the device has no interrupt. */
bool uio_has_irq(int fd);
/* What f_irq_release and f_close do; the line is of whoever comes first. */
void uio_end_irq(struct uio_s *uio);

DEV_MMIO_IRQ_REQUEST(uio_irq_request);
DEV_MMIO_IRQ_RELEASE(uio_irq_release);
DEV_MMIO_IRQ_MASK(uio_irq_mask);
DEV_MMIO_IRQ_UNMASK(uio_irq_unmask);
DEV_MMIO_IRQ_NUMBER(uio_irq_number);

#endif

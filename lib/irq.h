/* SPDX-License-Identifier: MIT */
/*
 * Interrupts, between the drivers of the mmio class and irq.c, which does what they have in common:
 * it looks at a descriptor in the reactor, counts, executes the kroutine, masks by not looking, and
 * releases.
 *
 * f_irq_request:  find the vector (-ENOTSUP, -ENXIO, -EBUSY when its slot is taken), kr_irq_open(),
 *                 tell the hardware or the kernel to signal the descriptor; when that fails,
 *                 kr_irq_close(). Set irq->kind before it can fire: the handler looks at it, and
 *               so do mask and unmask. The caller puts back what it was when the request fails.
 * f_irq_release:  make the descriptor fall silent, kr_irq_close(), free the slot. Called once for a
 *                 request, but f_close may have done it already, or be doing it on another thread.
 * f_close:        the same with every slot that is not empty.
 */
#ifndef KR_IRQ_H
#define KR_IRQ_H

#include "kroutine/mmio.h"

struct kr_irq_line_s; /* one from request to release; opaque */

struct kr_irq_config_s {
    struct device_s *dev; /* held until the line is gone */
    int fd;               /* readable when it has fired; -1: the driver calls kr_irq_look() */
    /* Reactor, non-blocking: how often it has fired since the call before; 0: it has not; -ENODEV:
       the device is gone (once; not called again). Not called any more, nor being called, when
       kr_irq_close() has returned: then the slot may be given to another. */
    int64_t (*take)(void *pv, int fd);
    void *pv; /* in the memory of the device, device_pv() */
};

/* Starts looking. `fd` is taken over, and closed by the reactor some time after kr_irq_close(); on
   failure it stays the caller's. -ENOMEM, -ENOSPC. */
error_t kr_irq_open(struct kr_irq_line_s **ret, struct dev_irq_s *irq,
                    const struct kr_irq_config_s *config);
/* Exactly once for each open. No lock of the driver may be held that a handler could want. */
void kr_irq_close(struct kr_irq_line_s *line);
/* Any thread: `take` is called soon, on the reactor. */
void kr_irq_look(struct kr_irq_line_s *line);

/* `take` of an eventfd: reads and clears its counter. */
int64_t kr_irq_take_eventfd(void *pv, int fd);

#endif

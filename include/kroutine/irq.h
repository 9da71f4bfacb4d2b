/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of devices whose registers are mapped (mmio.h), each an object with a kroutine:
 * kroutine-irq(3).
 *
 * What the driver of the hardware does, in this order: map the registers, initialise a struct
 * dev_irq_s, dev_irq_request(), let the hardware interrupt. The kroutine is executed by the reactor
 * of the device's runtime whenever the interrupt has fired, and its policy says where the handler
 * runs; an IMMEDIATE one runs right in the dispatch. It may submit requests of any class.
 *
 * When it fires several times before the handler starts, the handler runs once: dev_irq_counts()
 * has how often that was. So the handler looks at the hardware until there is nothing left to do.
 */
#ifndef KROUTINE_IRQ_H
#define KROUTINE_IRQ_H

#include "kroutine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct device_mmio_s; /* mmio.h */

enum dev_irq_kind_e {
    DEV_IRQ_ANY = 0, /* the first that the device has of MSIX, MSI, INTX, LINE */
    DEV_IRQ_LINE,    /* of a device on no bus, or shared by UIO; level */
    DEV_IRQ_INTX,    /* the pin of a PCI device; level */
    DEV_IRQ_MSI,     /* a message of a PCI device: edge */
    DEV_IRQ_MSIX,
    DEV_IRQ_KINDS,
};

struct dev_irq_counts_s {
    uint64_t fired;   /* as often as the kernel has seen it since the request */
    uint64_t handled; /* runs of the kroutine that this led to (policy NONE: looks of the reactor)
                       */
    uint64_t missed;  /* fired - handled: merged into a run that was to come anyway */
};

struct kr_irq_line_s; /* of the library */

/* An interrupt. The memory is the caller's, but the library's from dev_irq_request() until
   dev_irq_release() has returned 0. Set `vector` and, if it matters, `kind` before the request. */
struct dev_irq_s {
    struct kroutine_s kr;
    union {
        void *pvdata; /* the caller's */
        uintptr_t pvuint;
    };
    enum dev_irq_kind_e kind; /* the request replaces DEV_IRQ_ANY by what was taken */
    uint16_t vector;          /* of that kind, from 0 */
    int16_t error; /* 0; -ENODEV: the device is gone, this run of the kroutine is the last */
    /* private */
    uint32_t forks;
    struct kr_irq_line_s *line;
    struct dev_irq_counts_s last;
};

/* Initialisers: every field; vector 0, kind ANY. After dev_irq_init_none() any kroutine_init_*() on
   `kr` gives it another policy. Not while it is requested. */
static inline void dev_irq_init_none(struct dev_irq_s *irq) /* no handler: dev_irq_wait() */
{
    __builtin_memset(irq, 0, sizeof(*irq));
    kroutine_init_none(&irq->kr);
}

static inline void dev_irq_init(struct dev_irq_s *irq, kroutine_exec_t *exec) /* DEFERRED */
{
    dev_irq_init_none(irq);
    kroutine_init_deferred(&irq->kr, exec);
}

static inline void dev_irq_init_immediate(struct dev_irq_s *irq, kroutine_exec_t *exec)
{
    dev_irq_init_none(irq);
    kroutine_init_immediate(&irq->kr, exec);
}

static inline void dev_irq_init_sched_switch(struct dev_irq_s *irq, kroutine_exec_t *exec)
{
    dev_irq_init_none(irq);
    kroutine_init_sched_switch(&irq->kr, exec);
}

static inline void dev_irq_init_seq(struct dev_irq_s *irq, kroutine_exec_t *exec,
                                    struct kroutine_sequence_s *seq)
{
    dev_irq_init_none(irq);
    kroutine_init_deferred_seq(&irq->kr, exec, seq);
}

static inline void dev_irq_init_queue(struct dev_irq_s *irq, kroutine_exec_t *exec,
                                      struct kroutine_queue_s *queue)
{
    dev_irq_init_none(irq);
    kroutine_init_queue(&irq->kr, exec, queue);
}

static inline struct dev_irq_s *dev_irq_from_kr(struct kroutine_s *kr)
{
    return KROUTINE_CONTAINER(kr, struct dev_irq_s, kr);
}

/* Takes the interrupt: from now on it fires, and is not masked. Binds the kroutine to the runtime
   of the device. Any thread; may take as long as open(2). kroutine_error_text() has the cause.
   -EBUSY: this vector is taken, or `irq` is requested already, or pending. -ENOTSUP: the device has
   no interrupt of this kind. -ENXIO: it has not that many vectors. -EINVAL: no such kind.
   -ENODEV: the device is gone. -ECANCELED: it is closed. -EPERM: forked child. -ENOMEM, -EMFILE;
   others of the driver. */
KROUTINE_API error_t dev_irq_request(const struct device_mmio_s *acc, struct dev_irq_s *irq);

/* Gives it back: it is masked, a pending run of the kroutine is taken back, and a handler that is
   running is waited for. The closing of the device does the same with all interrupts that it has;
   then, and when it was not requested, this only waits. Any thread, the handler included.
   0: no handler of it is running, except perhaps the one that makes this call; the memory is the
   caller's. -EBUSY: it will not run again, but is running right now on another thread that this
   call may not wait for, as it comes from the reactor, from the handler itself or from a context
   that is not interruptible: the memory is the caller's when that handler has returned, which a
   later call can wait for. -EPERM: forked child, nothing done. */
KROUTINE_API error_t dev_irq_release(struct dev_irq_s *irq);

/* Keeps the interrupt from being delivered, and lets it come again; both may be repeated, they do
   not nest. Any thread, any context. A run that is pending or under way stays so. Nothing is lost
   by masking: what fires meanwhile is delivered by unmask, in one run. LINE and INTX: the kernel
   masks the interrupt as it fires, as its line stays active until the handler has quieted the
   device; then the handler calls unmask, or nothing fires any more. MSI, MSIX: the library stops
   looking, no unmask is needed in the handler.
   -ECANCELED: not requested (any more), or the device is closed. -ENODEV: the device is gone.
   -EPERM: forked child. Others of the driver. */
KROUTINE_API error_t dev_irq_mask(struct dev_irq_s *irq);
KROUTINE_API error_t dev_irq_unmask(struct dev_irq_s *irq);

/* Counts since the request; after the release, those up to it. Any thread, any context. */
KROUTINE_API void dev_irq_counts(const struct dev_irq_s *irq, struct dev_irq_counts_s *counts);

/* Blocking, for threads: until it has fired since the request, or since the wait before that
   returned 0. Beside the kroutine, whose handler may be still to run when this returns, or instead
   of it (dev_irq_init_none()). LINE and INTX: the
   caller quiets the device and calls unmask, if the handler does not. timeout_ns 0: none; it is
   counted on the runtime's monotonic clock.
   -ETIMEDOUT; -EDEADLK: called from the reactor; -ECANCELED: not requested, or released or closed
   meanwhile; -ENODEV: the device is gone; -EPERM: forked child. */
KROUTINE_API error_t dev_irq_wait(struct dev_irq_s *irq, uint64_t timeout_ns);

/* Number of the interrupt in the kernel, as in /proc/interrupts. -ENOTSUP: it has none, or the
   kernel does not tell. -ECANCELED, -EPERM as above. */
KROUTINE_API error_t dev_irq_number(struct dev_irq_s *irq, unsigned *number);

/* Which CPU the kernel's half of the interrupt runs on: /proc/irq/N/smp_affinity_list. That of the
   handler is a matter of its policy: CPU_*. -ENOTSUP: its number is not known. -EPERM, -EACCES:
   that takes root. -EINVAL: no such CPU. -EIO: this interrupt cannot be moved. Others as above. */
KROUTINE_API error_t dev_irq_set_affinity(struct dev_irq_s *irq, unsigned cpu);

#ifdef __cplusplus
}
#endif
#endif

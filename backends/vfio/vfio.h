/* SPDX-License-Identifier: MIT */
/* A PCI device behind VFIO: shared by vfio.c (life, configuration space, memory), regions.c,
 * irqs.c.
 */
#ifndef KR_VFIO_H
#define KR_VFIO_H

#include "device.h"
#include "iommu.h"
#include "irq.h"
#include "mmio.h"

#define VFIO_BARS 6

struct vfio_region_s {
    struct kr_mmio_region_s map;
    uint64_t size;   /* 0: there is none */
    uint64_t offset; /* in the file of the device */
    uint32_t flags;  /* enum dev_mmio_region_flags_e */
};

/* An interrupt that is requested. */
struct vfio_slot_s {
    struct vfio_slot_s *next;
    enum dev_irq_kind_e kind;
    uint16_t vector;
    struct kr_irq_line_s *line;
};

/* Memory that the device was given. */
struct vfio_memory_s {
    struct vfio_memory_s *next;
    uint64_t iova;
    size_t size;
};

/*
 * Whoever uses the file of the device has entered; `calls` counts them, and starts with one for the
 * device itself. That one leaves when the device is closed or gone, nobody enters any more, and the
 * last to leave gives the device back to the kernel:
 *
 *     open ──▶ calls ≥ 1 ──SHUT: close, gone──▶ … ──calls = 0──▶ given back
 *
 * So a device that is pulled out, or that root wants back, goes at once, although the program has
 * not closed it yet: its windows stay where they are, and read as all ones, as a bus without a
 * device does. The kernel would wait for the program otherwise, and root with it.
 */
struct vfio_s {
    struct device_s *dev; /* held by the watch */
    uint32_t calls;       /* atomic, VFIO_SHUT: nobody enters */
    uint32_t gone;        /* atomic: not closed, but gone */
    struct pci_s pci;
    struct space_s *space;
    int fd;
    uint32_t device_flags; /* VFIO_DEVICE_FLAGS_* */
    uint64_t config_size;
    uint64_t config_offset;
    uint32_t irqs[DEV_IRQ_KINDS]; /* vectors */
    enum dev_irq_kind_e preferred;
    struct kr_watch_s watch; /* an eventfd: the device is wanted back, or has failed */

    /* Guards what follows. It is held while the kernel is asked, as nothing here is on the path of
       a request or of an interrupt; not while a handler runs. */
    pthread_mutex_t lock;
    bool closed; /* no more slots */
    struct vfio_region_s region[VFIO_BARS];
    struct vfio_slot_s *slots;
    enum dev_irq_kind_e active; /* that the kernel has enabled; ANY: none */
    uint32_t enabled;           /* its vectors */
    int unmask_fd;              /* INTx: an eventfd that unmasks; -1: by ioctl */
    struct vfio_memory_s *memory;
};

struct vfio_pv_s {
    struct vfio_s *v;
};

#define VFIO_SHUT 0x80000000

static inline struct vfio_s *vfio_of(const struct device_s *dev)
{
    const struct vfio_pv_s *pv = device_pv(dev);

    return pv->v;
}

/* 0, or -ENODEV gone, -ECANCELED closed. vfio_leave() only after 0. */
error_t vfio_enter(struct vfio_s *v);
void vfio_leave(struct vfio_s *v);

/* --- regions.c --- */

/* Reads what the kernel tells about BARs and configuration space. */
error_t vfio_find_regions(struct vfio_s *v);
/* Puts memory that reads as all ones where the windows are. */
void vfio_bury_regions(struct vfio_s *v);
void vfio_drop_regions(struct vfio_s *v);

DEV_MMIO_REGION(vfio_region);
DEV_MMIO_MAP(vfio_map);
DEV_MMIO_UNMAP(vfio_unmap);

/* --- irqs.c --- */

error_t vfio_find_irqs(struct vfio_s *v, enum dev_irq_kind_e wanted);
/* Lets the kernel signal `fd` when it wants the device back, or when the device has failed. */
error_t vfio_watch_removal(struct vfio_s *v, int fd);
/* All of them, in the kernel. */
void vfio_disable_irqs(struct vfio_s *v);
/* Tells those who have requested them that the device is gone. */
void vfio_tell_irqs(struct vfio_s *v);
void vfio_close_irqs(struct vfio_s *v);

DEV_MMIO_IRQ_REQUEST(vfio_irq_request);
DEV_MMIO_IRQ_RELEASE(vfio_irq_release);
DEV_MMIO_IRQ_MASK(vfio_irq_mask);
DEV_MMIO_IRQ_UNMASK(vfio_irq_unmask);
DEV_MMIO_IRQ_NUMBER(vfio_irq_number);

#endif

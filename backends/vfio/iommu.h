/* SPDX-License-Identifier: MIT */
/*
 * The address space that a device sees memory through, and the kernel's interfaces to it: type1
 * (containers and groups, any kernel), iommufd (Linux 6.6 on), none.
 *
 * Devices of one group cannot be kept apart by the IOMMU, so they share a space; others have their
 * own. The kernel lets a process have a group once, hence one list of spaces for the process.
 */
#ifndef KR_VFIO_IOMMU_H
#define KR_VFIO_IOMMU_H

#include <pthread.h>

#include "iova.h"
#include "pci.h"

enum iommu_map_e {
    IOMMU_READ = 1,  /* the device may read */
    IOMMU_WRITE = 2, /* it may write */
};

struct space_s;

struct iommu_ops_s {
    const char *name; /* as the key iommu= has it */
    bool protects;    /* false: the device reaches all memory, map cannot be */
    /* All: one call at a time for a space, except map and unmap. Negative errno with a text. */
    error_t (*open)(struct space_s *s, const struct pci_s *pci); /* after a failure: close */
    error_t (*attach)(struct space_s *s, const struct pci_s *pci, int *device_fd);
    void (*close)(struct space_s *s);
    /* Valid ranges with the devices that are attached, malloc'ed; and the size of a page. */
    error_t (*ranges)(struct space_s *s, struct iova_range_s **list, size_t *count);
    /* Any thread. `base`, `iova` and `size` in whole pages; the kernel pins the memory. Without a
       text: bare errno. */
    error_t (*map)(struct space_s *s, void *base, size_t size, uint64_t iova, unsigned flags);
    error_t (*unmap)(struct space_s *s, size_t size, uint64_t iova);
};

extern const struct iommu_ops_s iommu_type1;
extern const struct iommu_ops_s iommu_iommufd;
extern const struct iommu_ops_s iommu_none;

/*
 * Life of a space, under the lock of the list. One thread at a time opens it, attaches to it or
 * closes it: `busy`; the others wait.
 *
 *     space_join ──▶ busy ──opened, attached──▶ users > 0, not busy ◀──▶ busy (another joins)
 *                     │ failed                       │ last space_leave
 *                     └──────────────▶ closed, freed ◀──────── busy
 */
struct space_s {
    const struct iommu_ops_s *ops;
    struct space_s *next;
    int group;
    bool no_iommu;
    bool busy;
    unsigned users;
    uint64_t page; /* bytes */

    pthread_mutex_t lock; /* guards iova */
    struct iova_s iova;

    int container; /* type1, none: /dev/vfio/vfio; iommufd: /dev/iommu */
    int group_fd;  /* type1, none */
    uint32_t ioas; /* iommufd */
};

/* Opens a device in the space of its group. `ops` NULL: type1, or iommufd where there is none.
   Negative errno with a text. */
error_t space_join(struct space_s **ret, const struct pci_s *pci, const struct iommu_ops_s *ops,
                   int *device_fd);
/* After the descriptor of the device is closed. */
void space_leave(struct space_s *s);

/* Lets the device reach `base`, in whole pages; *iova is where, all of it at or below `mask`.
   -ENOSPC, -ENOMEM, -EINVAL, -EFAULT with a text. */
error_t space_map(struct space_s *s, void *base, size_t size, uint64_t mask, unsigned flags,
                  uint64_t *iova);
error_t space_unmap(struct space_s *s, size_t size, uint64_t iova);

/* type1.c, also for none: text for a file of /dev that could not be opened. */
error_t iommu_open_error(const char *path, const struct pci_s *pci);

#endif

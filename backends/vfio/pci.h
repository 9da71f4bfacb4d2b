/* SPDX-License-Identifier: MIT */
/* PCI devices, their drivers and IOMMU groups, as sysfs tells. */
#ifndef KR_VFIO_PCI_H
#define KR_VFIO_PCI_H

#include <stdint.h>

#include "kroutine/driver.h"

struct pci_s {
    char name[24];   /* 0000:00:03.0 */
    char driver[32]; /* "": none */
    int group;       /* of the IOMMU; -1: none */
    bool no_iommu;   /* the group is made up by the kernel's no-IOMMU mode */
};

/* "0000:00:03.0", "00:03.0" (domain 0), upper or lower case: to the form that sysfs has. -EINVAL.
 */
error_t pci_name(char name[24], const char *text);
/* What sysfs tells about `text`. Negative errno with a text. */
error_t pci_find(struct pci_s *pci, const char *text);
/* Whether it can be opened through VFIO; says what to do when not. `no_iommu`: asked for by name.
 */
error_t pci_check(const struct pci_s *pci, bool no_iommu);
/* For a group that the kernel calls not viable: names the device that is in the way. */
error_t pci_blame(const struct pci_s *pci);

/* /sys/bus/pci/devices/NAME/FILE, "" when there is none. Size of `path`: PCI_PATH. */
#define PCI_PATH 128
void pci_path(char path[PCI_PATH], const char *name, const char *file);

#endif

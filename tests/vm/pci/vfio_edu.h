/* SPDX-License-Identifier: MIT */
/* QEMU's edu through the driver vfio, for the test programs of this folder. */
#ifndef VFIO_EDU_H
#define VFIO_EDU_H

#include "pci_guest.h"

struct edu_s {
    struct kt_env_s *env;
    char name[16];
    struct device_mmio_s mmio;
    struct dev_mmio_s bar;
};

/* Where the machine of the suite has it: on the root complex; behind a port; two behind a bridge,
   and so in one IOMMU group. */
enum edu_place_e { EDU_ROOT, EDU_PORT, EDU_BRIDGE_1, EDU_BRIDGE_2, EDU_PLACES };

/* The second way to the IOMMU is there from Linux 6.6 on: rounds of kt_add_loop. */
enum { IOMMU_TYPE1, IOMMU_IOMMUFD, IOMMU_WAYS };
const char *iommu_label(int way);
bool iommu_available(int way);

/* Its address; the case fails without it. */
void edu_find(char name[16], enum edu_place_e place);
/* Binds it to vfio-pci and opens it with these keys ("", "?irq=msi"); returns the error. */
error_t edu_try(struct edu_s *edu, struct kt_env_s *env, enum edu_place_e place, const char *keys);
/* The same, which has to work, and its registers. */
void edu_open(struct edu_s *edu, struct kt_env_s *env, enum edu_place_e place, const char *keys);
void edu_close(struct edu_s *edu);

uint32_t edu_read(const struct edu_s *edu, size_t offset);
void edu_write(const struct edu_s *edu, size_t offset, uint32_t value);

/* An interrupt that quiets the device in its handler, and unmasks itself when it is INTx. */
struct edu_irq_s {
    struct dev_irq_s irq;
    struct edu_s *edu;
    unsigned runs;   /* atomic */
    uint32_t status; /* atomic: all that EDU_IRQ_STATUS has had */
    int error;       /* atomic: of the last run */
};

void edu_irq_init(struct edu_irq_s *irq, struct edu_s *edu, enum dev_irq_kind_e kind);
void edu_irq_request(struct edu_irq_s *irq);

/* The text of the last error has `part`. */
void says(const char *part);

#endif

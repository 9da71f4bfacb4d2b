/* SPDX-License-Identifier: MIT */
/* PCI devices of a guest: found by their numbers, bound to the driver that a test needs. */
#ifndef PCI_GUEST_H
#define PCI_GUEST_H

#include "kt.h"

/* QEMU's docs/specs/edu.rst (docs/specs/edu.txt before 8.0). */
#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8

enum edu_register_e {
    EDU_ID = 0x00,       /* 0x010000ed */
    EDU_LIVENESS = 0x04, /* reads as the inverse of what was written */
    EDU_FACTORIAL = 0x08,
    EDU_STATUS = 0x20, /* bit 0 computing, bit 7 interrupt when done */
    EDU_IRQ_STATUS = 0x24,
    EDU_IRQ_RAISE = 0x60,
    EDU_IRQ_ACK = 0x64,
    EDU_DMA_SRC = 0x80, /* 64 bits, as the next two */
    EDU_DMA_DST = 0x88,
    EDU_DMA_COUNT = 0x90,
    EDU_DMA_COMMAND = 0x98, /* bit 0 start, bit 1 to memory, bit 2 interrupt */
};

#define EDU_IDENTITY    0x010000ed
#define EDU_BUFFER      0x40000 /* of 4096 bytes, as its engine counts */
#define EDU_IRQ_ON_DONE 0x80    /* in EDU_STATUS */

/* "0000:00:05.0": the index-th device with these numbers, in the order of addresses. False: there
   is none. */
bool guest_find(char name[16], unsigned vendor, unsigned device, unsigned index);
/* Makes `driver` serve it; NULL: none. Fails the case when it does not. */
void guest_bind(const char *name, const char *driver);
/* The same without driver_override: as unplugging does, waits until nobody has it open. */
error_t guest_unbind(const char *name);
/* The driver that serves it, "" none. */
void guest_driver(char driver[32], const char *name);
/* Writes a file of /sys, and fails the case when that fails. */
void guest_write(const char *path, const char *text);

#endif

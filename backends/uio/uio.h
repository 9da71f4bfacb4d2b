/* SPDX-License-Identifier: MIT */
/*
 * UIO: what the files of this folder share. The kernel's side is Documentation/driver-api/
 * uio-howto.rst, drivers/uio/uio.c, uio_pci_generic.c and uio_pdrv_genirq.c.
 */
#ifndef KR_UIO_H
#define KR_UIO_H

#include "kroutine/mmio.h"

#define KR_UIO_MAPS 8 /* regions of a device: MAX_UIO_MAPS is 5, BARs are 6 */

/* A region: a map of UIO, or a BAR of PCI. */
struct kr_uio_map_s {
    uint64_t size; /* of the registers; 0: there is no such region */
    uint64_t physical;
    size_t skip; /* bytes between the beginning of the page and the registers */
    bool mappable;
    char name[32];
};

/* What sysfs says about a device. */
struct kr_uio_found_s {
    unsigned number;  /* N of uioN */
    char name[64];    /* content of its `name` */
    char parent[64];  /* "0000:00:03.0", "3f007500.dma"; "": none */
    char bus[16];     /* "pci", "platform"; "": not known */
    char driver[32];  /* "uio_pci_generic", …; "": not known */
    char device[192]; /* path of the parent in sysfs; "": none */
    bool by_bar;      /* maps are BARs: UIO itself has none of this device */
    unsigned maps;
    struct kr_uio_map_s map[KR_UIO_MAPS];
};

/* --- find.c; `sysfs` is "/sys" but in tests --- */

/* The device called `name`: uioN, its name, or that of what is behind it. With device_error(). */
error_t kr_uio_find(struct kr_uio_found_s *found, const char *sysfs, const char *name);
/* A number in a file, decimal or 0x. */
error_t kr_uio_read_number(uint64_t *number, const char *folder, const char *file);
/* The interrupt that a driver has requested under this name, by /proc/irq. -ENOTSUP: none, or more
   than one. */
error_t kr_uio_irq_by_name(unsigned *number, const char *name);

/* --- pci.c: configuration space and resets of `device`, a folder of sysfs --- */

int kr_uio_pci_open(const char *device); /* its `config`; negative errno */
error_t kr_uio_pci_access(int config, uint32_t offset, void *data, size_t size, bool write);
/* Bit 10 of the command register, "interrupt disable", which uio_pci_generic sets as it fires. */
error_t kr_uio_pci_intx(int config, bool on);
error_t kr_uio_pci_bus_master(int config, bool on);
error_t kr_uio_pci_reset(const char *device);
bool kr_uio_pci_has_reset(const char *device);

/* --- physical.c --- */

/* -EPERM, -ENOTSUP, -ENOSPC, -ENOMEM, -EFAULT with device_error(). */
error_t kr_uio_physical_map(struct dev_dma_map_s *map, const char *device);
void kr_uio_physical_unmap(struct dev_dma_map_s *map);

#endif

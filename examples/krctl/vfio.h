/* SPDX-License-Identifier: MIT */
/* What the commands of `krctl vfio` share: PCI devices as /sys shows them. */
#ifndef KRCTL_VFIO_H
#define KRCTL_VFIO_H

#include "krctl.h"

extern const struct krctl_command_s krctl_vfio_bind;
extern const struct krctl_command_s krctl_vfio_show;
extern const struct krctl_command_s krctl_vfio_unbind;

struct vfio_device_s {
    char name[24];   /* 0000:00:03.0 */
    char driver[32]; /* "": none */
    char wanted[32]; /* driver_override, "": none */
    char group[16];  /* number of the IOMMU group, "": none */
    bool no_iommu;   /* the group stands for none */
    unsigned vendor, device, class_code;
};

/* The address as /sys writes it; says what is wrong with `text`: false. */
bool vfio_address(char name[24], const char *text);
/* False, and says so: there is no such device. */
bool vfio_find(struct vfio_device_s *d, const char *text);
void vfio_look(struct vfio_device_s *d, const char *name);

/* VFIO serves functions, and bridges only as part of what is behind them. */
bool vfio_is_bridge(const struct vfio_device_s *d);
/* vfio-pci, or the variant of a maker. */
bool vfio_is_bound(const struct vfio_device_s *d);
bool vfio_has_iommu(void); /* the machine, and it is on */
/* The file that opens the group; false: there is none. */
bool vfio_node(const struct vfio_device_s *d, char path[48]);

/* Calls `fn` for each device, in order; of `group`, or NULL: all. Stops when `fn` says so. */
typedef bool vfio_each_t(const struct vfio_device_s *d, void *arg);
int vfio_each(const char *group, vfio_each_t *fn, void *arg);

/* Writes to a file of /sys: 0 or a negative errno. */
error_t vfio_write(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

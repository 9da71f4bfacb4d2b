/* SPDX-License-Identifier: MIT */
/* krctl vfio: which driver serves a PCI device. The commands are in vfio_*.c. */
#include "vfio.h"

static const struct krctl_command_s *const members[] = {
    &krctl_vfio_show,
    &krctl_vfio_bind,
    &krctl_vfio_unbind,
    NULL,
};

const struct krctl_command_s krctl_vfio = {
    .name = "vfio",
    .summary = "hands PCI devices to programs, and back to the kernel",
    .help = "usage: krctl vfio show [DEVICE] [OPTION]...\n"
            "       krctl vfio bind DEVICE [OPTION]...\n"
            "       krctl vfio unbind DEVICE\n"
            "       krctl vfio COMMAND --help\n"
            "\n"
            "  show     PCI devices, their drivers and IOMMU groups, and who can open them\n"
            "  bind     takes a device from its driver, so that vfio:DEVICE can be opened\n"
            "  unbind   gives it back\n"
            "\n"
            "DEVICE is an address such as 0000:00:03.0 or 00:03.0. man kroutine-vfio starts\n"
            "from a PC that has never used VFIO.\n"
            "\n"
            "exit status: 0 all went well, 1 an error, 2 wrong usage\n",
    .members = members,
};

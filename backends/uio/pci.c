/* SPDX-License-Identifier: MIT */
/* Configuration space and reset of a PCI device, through sysfs: Documentation/PCI/sysfs-pci.rst. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "kroutine/driver.h"
#include "uio.h"

/* linux/pci_regs.h: the command register has 16 bits at 4. */
#define COMMAND      4
#define MASTER       0x04
#define INTX_DISABLE 0x400

int kr_uio_pci_open(const char *device)
{
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "%.200s/config", device);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    return device_error(-errno, "%s: cannot be opened: it takes root, or the rights to write it",
                        path);
}

error_t kr_uio_pci_access(int config, uint32_t offset, void *data, size_t size, bool write)
{
    ssize_t n = write ? pwrite(config, data, size, offset) : pread(config, data, size, offset);

    if (n == (ssize_t)size)
        return 0;
    if (n < 0)
        return -errno;
    /* Without CAP_SYS_ADMIN only the first 64 bytes are shown. */
    return device_error(-EINVAL,
                        "configuration space ends before 0x%zx (without "
                        "CAP_SYS_ADMIN, at 0x40)",
                        (size_t)offset + size);
}

/* Both bytes: QEMU 7.2 looks at the line of the interrupt when the lower one is written. Nothing
   but the interrupt handler of the kernel writes here meanwhile, which sets the bit that this
   clears. */
error_t kr_uio_pci_intx(int config, bool on)
{
    uint8_t command[2];
    error_t err = kr_uio_pci_access(config, COMMAND, command, 2, false);

    if (err)
        return err;
    command[1] &= (uint8_t) ~(INTX_DISABLE >> 8);
    if (!on)
        command[1] |= INTX_DISABLE >> 8;
    return kr_uio_pci_access(config, COMMAND, command, 2, true);
}

/* The lower byte only, so that it cannot undo what the kernel does to "interrupt disable". */
error_t kr_uio_pci_bus_master(int config, bool on)
{
    uint8_t command;
    error_t err = kr_uio_pci_access(config, COMMAND, &command, 1, false);

    if (err)
        return err;
    command &= (uint8_t)~MASTER;
    if (on)
        command |= MASTER;
    return kr_uio_pci_access(config, COMMAND, &command, 1, true);
}

static void reset_path(char *path, size_t size, const char *device)
{
    snprintf(path, size, "%.200s/reset", device);
}

bool kr_uio_pci_has_reset(const char *device)
{
    char path[256];

    reset_path(path, sizeof(path), device);
    return access(path, W_OK) == 0;
}

error_t kr_uio_pci_reset(const char *device)
{
    char path[256];
    error_t err = 0;
    int fd;

    reset_path(path, sizeof(path), device);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? device_error(-ENOTSUP, "this device has no reset of its own")
                               : device_error(-errno, "%s: cannot be opened", path);
    if (write(fd, "1", 1) != 1)
        err = -errno;
    close(fd);
    return err;
}

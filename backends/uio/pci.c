/* SPDX-License-Identifier: MIT */
/* Configuration space and reset of a PCI device, through sysfs: Documentation/PCI/sysfs-pci.rst. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "kroutine/driver.h"
#include "uio.h"

/* linux/pci_regs.h: the command register has 16 bits at 4. */
#define COMMAND_LOW  4
#define COMMAND_HIGH 5
#define MASTER       0x04 /* bit 2 */
#define INTX_DISABLE 0x04 /* bit 10: bit 2 of the high byte */

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

static error_t change(int config, uint32_t offset, uint8_t bit, bool set)
{
    uint8_t old, new;
    error_t err = kr_uio_pci_access(config, offset, &old, 1, false);

    if (err)
        return err;
    new = set ? old | bit : old &(uint8_t)~bit;
    return new == old ? 0 : kr_uio_pci_access(config, offset, &new, 1, true);
}

error_t kr_uio_pci_intx(int config, bool on)
{
    return change(config, COMMAND_HIGH, INTX_DISABLE, !on);
}

error_t kr_uio_pci_bus_master(int config, bool on)
{
    return change(config, COMMAND_LOW, MASTER, on);
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

/* SPDX-License-Identifier: MIT */
/*
 * Who has a chip select: /sys/bus/spi/devices/spiBUS.SELECT is there when the device tree or the
 * firmware tells of a chip; its link `driver` says which driver of the kernel is bound to it, and
 * only that of spidev makes a device file. Documentation/spi/spidev.rst.
 */
#include "find.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEVICES "/sys/bus/spi/devices"

size_t find_bufsiz(void)
{
    char text[32];

    if (kr_platform_attribute(text, sizeof(text), "/sys/module/spidev/parameters", "bufsiz") <= 0)
        return 4096; /* drivers/spi/spidev.c */
    return strtoul(text, NULL, 10);
}

static error_t absent(const struct find_s *f, bool by_number)
{
    char folder[64], driver[64];

    if (!by_number)
        return device_error(-ENOENT, "%s: no such file", f->path);
    snprintf(folder, sizeof(folder), "/sys/class/spi_master/spi%u", f->bus);
    if (access(folder, F_OK))
        return device_error(-ENOENT,
                            "there is no SPI bus %u: is it enabled in the device tree? On a "
                            "Raspberry Pi: dtparam=spi=on in config.txt",
                            f->bus);
    snprintf(folder, sizeof(folder), DEVICES "/spi%u.%u", f->bus, f->select);
    if (access(folder, F_OK))
        return device_error(-ENOENT, "SPI bus %u has no chip select %u in the device tree", f->bus,
                            f->select);
    kr_platform_link_name(driver, sizeof(driver), folder, "driver");
    if (strcmp(driver, "spidev") == 0)
        return device_error(-ENOENT,
                            "%s: bound to spidev, but the file is not there: is udev "
                            "running?",
                            f->path);
    if (*driver)
        return device_error(-EBUSY,
                            "chip select %u of SPI bus %u is held by driver '%s' of the "
                            "kernel: write spi%u.%u to %s/driver/unbind",
                            f->select, f->bus, driver, f->bus, f->select, folder);
    return device_error(-ENOENT,
                        "no driver is bound to spi%u.%u: write spidev to "
                        "%s/driver_override, and spi%u.%u to /sys/bus/spi/drivers/spidev/"
                        "bind",
                        f->bus, f->select, folder, f->bus, f->select);
}

/* Numbers of an open device file, by what sysfs calls it: "spidev0.1". */
static error_t identify(struct find_s *f, int fd)
{
    char numbers[32], name[64];
    struct stat st;

    if (fstat(fd, &st) || !S_ISCHR(st.st_mode))
        return device_error(-ENOTTY, "%s: no device file of spidev", f->path);
    snprintf(numbers, sizeof(numbers), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
    kr_platform_link_name(name, sizeof(name), "/sys/dev/char", numbers);
    if (sscanf(name, "spidev%u.%u", &f->bus, &f->select) != 2)
        return device_error(-ENOTTY, "%s: '%s' of the kernel, not one of spidev", f->path, name);
    return 0;
}

int find_open(struct find_s *f, const char *address)
{
    char rest;
    bool by_number = sscanf(address, "%u.%u%c", &f->bus, &f->select, &rest) == 2 ||
                     sscanf(address, "/dev/spidev%u.%u%c", &f->bus, &f->select, &rest) == 2;
    error_t err;
    int fd;

    if (!by_number && *address != '/')
        return device_error(-EINVAL, "'%s': use spi:BUS.SELECT, as in spi:0.0", address);
    if (snprintf(f->path, sizeof(f->path), *address == '/' ? "%s" : "/dev/spidev%s", address) >=
        (int)sizeof(f->path))
        return device_error(-ENAMETOOLONG, "'%s': too long", address);
    fd = open(f->path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV))
        return absent(f, by_number);
    if (fd < 0)
        return device_error(-errno, "%s: %s%s", f->path, strerror(errno),
                            errno == EACCES ? ": be in the group of the file, mostly spi" : "");
    err = identify(f, fd);
    if (!err)
        return fd;
    close(fd);
    return err;
}

/* SPDX-License-Identifier: MIT */
/*
 * Which chip this machine has, its registers, and who holds a line.
 *
 * Nobody in the kernel knows who uses a line by its register. Devices of this library tell one
 * another, in one process or in several, by locks of the file that they map (F_OFD_SETLK): a byte
 * for each line, and one for the registers that lines share, while they are changed. A process that
 * dies gives its locks back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gpiomem.h"

#define MODES     0x1000 /* the byte of the shared registers */
#define PATIENCE  1000   /* ms that another one may take for a change of modes */
#define LIST_SIZE 512

/* --- chips --- */

static const struct gpiomem_layout_s *const layouts[] = {&gpiomem_bcm2835, &gpiomem_bcm2711,
                                                         &gpiomem_rp1};

/* As the device trees of Linux name the processors. */
static const struct {
    const char *compatible;
    const struct gpiomem_layout_s *layout;
} processors[] = {
    {"brcm,bcm2835", &gpiomem_bcm2835}, {"brcm,bcm2836", &gpiomem_bcm2835},
    {"brcm,bcm2837", &gpiomem_bcm2835}, {"brcm,bcm2711", &gpiomem_bcm2711},
    {"brcm,bcm2712", &gpiomem_rp1},
};

/* `compatible` is a list of strings, each with its zero byte. */
static error_t guess(const struct gpiomem_layout_s **ret, const char *compatible)
{
    char list[LIST_SIZE];
    int fd = open(compatible, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, list, sizeof(list) - 1);

    if (fd >= 0)
        close(fd);
    if (size <= 0)
        return device_error(-ENODEV,
                            "%s is not there, so this is no Raspberry Pi: name the chip, "
                            "bcm2835, bcm2711 or rp1",
                            compatible);
    list[size] = 0;
    for (const char *at = list; at < list + size; at += strlen(at) + 1) {
        for (unsigned i = 0; i < sizeof(processors) / sizeof(processors[0]); i++) {
            if (strcmp(at, processors[i].compatible) == 0) {
                *ret = processors[i].layout;
                return 0;
            }
        }
    }
    return device_error(-ENODEV,
                        "'%s' is no Raspberry Pi that is known here: use gpiod, or name the chip, "
                        "bcm2835, bcm2711 or rp1",
                        list);
}

error_t gpiomem_find(const struct gpiomem_layout_s **ret, const char *name, const char *compatible)
{
    if (strcmp(name, "auto") == 0)
        return guess(ret, compatible);
    for (unsigned i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (strcmp(name, layouts[i]->name) == 0 || strcmp(name, layouts[i]->label) == 0) {
            *ret = layouts[i];
            return 0;
        }
    }
    return device_error(-ENOENT,
                        "there is no chip '%s' here: auto, bcm2835, bcm2711 or rp1, and the file "
                        "with its registers as device=",
                        name);
}

int gpiomem_find_line(const struct kr_lines_finder_s *finder, const char *name)
{
    unsigned long n;
    char *end;

    if (strncmp(name, "GPIO", 4) != 0 || name[4] < '0' || name[4] > '9')
        return -ENOENT;
    n = strtoul(name + 4, &end, 10);
    return *end || n >= finder->count ? -ENOENT : (int)n;
}

/* --- registers --- */

static error_t open_error(const char *path)
{
    if (errno == EACCES || errno == EPERM)
        return device_error(-errno,
                            "%s: permission denied; run as root, or join the group of the file, "
                            "'gpio' on Raspberry Pi OS",
                            path);
    if (errno == ENOENT)
        return device_error(-ENOENT,
                            "%s is not there, which the kernel of Raspberry Pi OS has: use gpiod, "
                            "or device= with a file that can be mapped",
                            path);
    return device_error(-errno, "%s: %s", path, strerror(errno));
}

/* Behind the end of a file there is nothing to map; other kinds have no size. */
static error_t check_size(const struct gpiomem_s *g, const char *path, uint64_t offset)
{
    struct stat st;

    if (offset > (uint64_t)INT64_MAX - g->layout->size)
        return device_error(-EINVAL, "offset: beyond the end of any file");
    if (fstat(g->fd, &st))
        return -errno;
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < offset + g->layout->size)
        return device_error(-EINVAL, "%s is too short for the registers of %s: %#zx bytes", path,
                            g->layout->name, g->layout->size);
    return 0;
}

error_t gpiomem_map(struct gpiomem_s *g, const char *path, uint64_t offset)
{
    uint64_t skip = offset & ((uint64_t)sysconf(_SC_PAGESIZE) - 1);
    error_t err;

    g->fd = open(path, O_RDWR | O_SYNC | O_NOCTTY | O_CLOEXEC);
    if (g->fd < 0)
        return open_error(path);
    err = check_size(g, path, offset);
    if (err)
        return err;
    snprintf(g->region.name, sizeof(g->region.name), "gpiomem %s", g->layout->name);
    err = kr_mmio_map(&g->region, &g->regs, 0, g->fd, (off_t)(offset - skip), (size_t)skip,
                      g->layout->size, DEV_MMIO_REGION_READ | DEV_MMIO_REGION_WRITE);
    return err ? device_error(err, "%s: the registers of %s cannot be mapped: %s", path,
                              g->layout->name, strerror(-err))
               : 0;
}

void gpiomem_unmap(struct gpiomem_s *g)
{
    kr_mmio_drop(&g->region);
    if (g->fd >= 0)
        close(g->fd);
}

/* --- locks --- */

static error_t lock(const struct gpiomem_s *g, short type, off_t at)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    if (fcntl(g->fd, F_OFD_SETLK, &range) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES
               ? -EBUSY
               : device_error(-errno, "the file of the registers cannot be locked: %s",
                              strerror(errno));
}

error_t gpiomem_hold(struct gpiomem_s *g)
{
    for (unsigned i = 0; i < g->count; i++) {
        error_t err = lock(g, F_WRLCK, g->offset[i]);

        if (err == -EBUSY)
            device_error(err, "line %u is held by another device gpiomem, here or elsewhere",
                         g->offset[i]);
        if (err)
            return err;
    }
    return 0;
}

bool gpiomem_held(const struct gpiomem_s *g, unsigned line)
{
    struct flock range = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)line, .l_len = 1};

    return fcntl(g->fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

error_t gpiomem_modes_lock(struct gpiomem_s *g)
{
    static const struct timespec millisecond = {.tv_nsec = 1000000};
    error_t err = lock(g, F_WRLCK, MODES);

    for (int ms = 0; err == -EBUSY && ms < PATIENCE; ms++) {
        nanosleep(&millisecond, NULL);
        err = lock(g, F_WRLCK, MODES);
    }
    if (err == -EBUSY)
        device_error(err, "another process does not come to an end of changing modes");
    return err;
}

void gpiomem_modes_unlock(struct gpiomem_s *g)
{
    lock(g, F_UNLCK, MODES);
}

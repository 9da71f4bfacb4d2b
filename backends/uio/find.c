/* SPDX-License-Identifier: MIT */
/* From a name in a spec to a device of UIO, and what sysfs says about it. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kroutine/driver.h"
#include "platform.h"
#include "uio.h"

/* --- files --- */

error_t kr_uio_read_number(uint64_t *number, const char *folder, const char *file)
{
    char text[32], *end;
    int length = kr_platform_attribute(text, sizeof(text), folder, file);

    if (length <= 0)
        return length ? length : -EIO;
    *number = strtoull(text, &end, 0);
    return *end ? -EIO : 0;
}

/* --- regions --- */

static void read_map(struct kr_uio_map_s *map, const char *folder, unsigned index)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t addr = 0, size = 0, offset = 0;
    char at[PATH_MAX];

    snprintf(at, sizeof(at), "%.4000s/map%u", folder, index);
    if (kr_uio_read_number(&size, at, "size") || kr_uio_read_number(&addr, at, "addr"))
        return;
    kr_uio_read_number(&offset, at, "offset"); /* Linux 2.6.31 and later */
    if (kr_platform_attribute(map->name, sizeof(map->name), at, "name") < 0)
        map->name[0] = 0;
    map->skip = (size_t)offset;
    map->physical = addr + offset;
    /* uio_pdrv_genirq counts whole pages, those in front of the registers included. */
    map->size = size % page == 0 && size > offset ? size - offset : size;
    map->mappable = size > 0;
}

static void read_maps(struct kr_uio_found_s *found, const char *folder)
{
    char maps[PATH_MAX];

    snprintf(maps, sizeof(maps), "%.4000s/maps", folder);
    for (unsigned i = 0; i < KR_UIO_MAPS; i++) {
        read_map(&found->map[i], maps, i);
        if (found->map[i].size)
            found->maps = i + 1;
    }
}

#define IORESOURCE_MEM 0x200 /* linux/ioport.h */

/* `resource`: a line with begin, end and flags for each BAR. */
static void read_bars(struct kr_uio_found_s *found)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char path[256], line[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/resource", found->device);
    file = fopen(path, "re");
    if (!file)
        return;
    found->by_bar = true;
    for (unsigned i = 0; i < 6 && fgets(line, sizeof(line), file); i++) {
        struct kr_uio_map_s *map = &found->map[i];
        uint64_t from, to, flags;

        if (sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64, &from, &to, &flags) != 3 || !flags)
            continue;
        map->size = to - from + 1;
        map->physical = from;
        map->skip = (size_t)(from % page);
        map->mappable = flags & IORESOURCE_MEM;
        snprintf(map->name, sizeof(map->name), "BAR %u", i);
        found->maps = i + 1;
    }
    fclose(file);
}

/* --- devices --- */

static void read_device(struct kr_uio_found_s *found, const char *sysfs, unsigned number)
{
    char folder[160], link[PATH_MAX], target[PATH_MAX];

    memset(found, 0, sizeof(*found));
    found->number = number;
    snprintf(folder, sizeof(folder), "%.120s/class/uio/uio%u", sysfs, number);
    if (kr_platform_attribute(found->name, sizeof(found->name), folder, "name") < 0)
        found->name[0] = 0;
    read_maps(found, folder);
    snprintf(link, sizeof(link), "%s/device", folder);
    if (!realpath(link, target) || strlen(target) >= sizeof(found->device))
        return;
    strcpy(found->device, target);
    snprintf(found->parent, sizeof(found->parent), "%.63s", strrchr(target, '/') + 1);
    kr_platform_link_name(found->bus, sizeof(found->bus), target, "subsystem");
    kr_platform_link_name(found->driver, sizeof(found->driver), target, "driver");
    if (!found->maps && strcmp(found->bus, "pci") == 0)
        read_bars(found);
}

/* N of "uioN"; -1: it is something else. */
static int number_of(const char *name)
{
    char *end;
    unsigned long n;

    if (strncmp(name, "uio", 3) != 0 || name[3] < '0' || name[3] > '9')
        return -1;
    n = strtoul(name + 3, &end, 10);
    return *end || n > INT_MAX ? -1 : (int)n;
}

static bool matches(const struct kr_uio_found_s *found, const char *name)
{
    char own[16];

    snprintf(own, sizeof(own), "uio%u", found->number);
    return strcmp(own, name) == 0 || strcmp(found->name, name) == 0 ||
           strcmp(found->parent, name) == 0;
}

/* --- why there is none --- */

static error_t not_bound(const char *sysfs, const char *name)
{
    char folder[PATH_MAX], driver[64];

    snprintf(folder, sizeof(folder), "%.2000s/bus/pci/devices/%.200s", sysfs, name);
    if (access(folder, F_OK) < 0)
        return 0;
    kr_platform_link_name(driver, sizeof(driver), folder, "driver");
    if (driver[0])
        return device_error(-ENOENT,
                            "%s is bound to the driver %s, which is not of UIO; bind it to "
                            "uio_pci_generic, see kroutine-spec(7)",
                            name, driver);
    return device_error(-ENOENT,
                        "%s is bound to no driver; bind it to uio_pci_generic, see "
                        "kroutine-spec(7)",
                        name);
}

static error_t none(const char *sysfs, const char *name, const char *seen)
{
    error_t err = not_bound(sysfs, name);

    if (err)
        return err;
    return device_error(-ENOENT, "there is no UIO device '%s'; there are: %s", name,
                        seen[0] ? seen
                                : "none. Bind the hardware to uio_pci_generic or "
                                  "uio_pdrv_genirq, see kroutine-spec(7)");
}

error_t kr_uio_find(struct kr_uio_found_s *found, const char *sysfs, const char *name)
{
    char folder[160], seen[160] = "";
    struct kr_uio_found_s one;
    unsigned count = 0;
    struct dirent *entry;
    DIR *dir;

    snprintf(folder, sizeof(folder), "%.120s/class/uio", sysfs);
    dir = opendir(folder);
    if (!dir) {
        error_t err = not_bound(sysfs, name);

        return err ? err
                   : device_error(-ENOENT, "UIO is not in this kernel, or not loaded; try "
                                           "'modprobe uio_pci_generic'");
    }
    while ((entry = readdir(dir))) {
        int number = number_of(entry->d_name);
        size_t used = strlen(seen);

        if (number < 0)
            continue;
        read_device(&one, sysfs, (unsigned)number);
        snprintf(seen + used, sizeof(seen) - used, "%suio%d (%.30s, %.30s)", used ? ", " : "",
                 number, one.name, one.parent);
        if (matches(&one, name)) {
            count++;
            *found = one;
        }
    }
    closedir(dir);
    if (count == 0)
        return none(sysfs, name, seen);
    if (count > 1)
        return device_error(-EINVAL, "%u UIO devices are called '%s': %s", count, name, seen);
    return 0;
}

error_t kr_uio_irq_by_name(unsigned *number, const char *name)
{
    struct dirent *entry;
    DIR *dir = opendir("/proc/irq");
    unsigned count = 0, n;

    if (!dir)
        return -ENOTSUP;
    while ((entry = readdir(dir))) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "/proc/irq/%.32s/%.200s", entry->d_name, name);
        if (sscanf(entry->d_name, "%u", &n) == 1 && name[0] && access(path, F_OK) == 0 &&
            ++count == 1)
            *number = n;
    }
    closedir(dir);
    return count == 1 ? 0 : -ENOTSUP;
}

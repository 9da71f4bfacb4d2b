/* SPDX-License-Identifier: MIT */
/*
 * Numbers of adapters depend on the order in which their drivers came up, so a spec may name one by
 * what belongs to the hardware: Documentation/i2c/i2c-sysfs.rst.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "i2c.h"
#include "platform.h"

#define BASE "/firmware/devicetree/base"

/* N of "i2c-N" or "N"; -1: it is something else. */
static int number_of(const char *name)
{
    char *end;
    unsigned long n;

    if (strncmp(name, "i2c-", 4) == 0)
        name += 4;
    if (*name < '0' || *name > '9')
        return -1;
    n = strtoul(name, &end, 10);
    return *end || n > INT_MAX ? -1 : (int)n;
}

static void read_adapter(struct kr_i2c_found_s *found, const char *sysfs, unsigned number)
{
    char folder[160], link[PATH_MAX], target[PATH_MAX];
    const char *node;

    memset(found, 0, sizeof(*found));
    found->number = number;
    snprintf(folder, sizeof(folder), "%.120s/class/i2c-dev/i2c-%u", sysfs, number);
    if (kr_platform_attribute(found->name, sizeof(found->name), folder, "name") < 0)
        found->name[0] = 0;
    snprintf(link, sizeof(link), "%s/device/..", folder);
    if (realpath(link, target))
        snprintf(found->parent, sizeof(found->parent), "%.63s", strrchr(target, '/') + 1);
    snprintf(link, sizeof(link), "%s/device/of_node", folder);
    if (!realpath(link, target))
        return;
    node = strstr(target, BASE "/");
    if (node)
        snprintf(found->node, sizeof(found->node), "%.127s", node + strlen(BASE));
}

/* A label of the device tree: its symbols, which are there if it was compiled with -@, and its
   aliases have the path. */
static bool has_label(const struct kr_i2c_found_s *found, const char *sysfs, const char *text)
{
    static const char *const folders[] = {"__symbols__", "aliases"};
    char folder[200], path[128];

    if (!found->node[0] || strchr(text, '/'))
        return false;
    for (unsigned i = 0; i < 2; i++) {
        snprintf(folder, sizeof(folder), "%.120s" BASE "/%s", sysfs, folders[i]);
        if (kr_platform_attribute(path, sizeof(path), folder, text) > 0 &&
            strcmp(path, found->node) == 0)
            return true;
    }
    return false;
}

static bool is_called(const struct kr_i2c_found_s *found, const char *sysfs, const char *text)
{
    const char *last = strrchr(found->node, '/');

    return strcmp(found->name, text) == 0 || strcmp(found->parent, text) == 0 ||
           strcmp(found->node, text) == 0 || (last && strcmp(last + 1, text) == 0) ||
           has_label(found, sysfs, text);
}

struct search_s {
    struct kr_i2c_found_s found;
    unsigned matches;
    unsigned seen;
    unsigned other;  /* number of the second match */
    char names[180]; /* what there is */
};

static void search(struct search_s *s, const char *sysfs, const char *text)
{
    int wanted = number_of(text);
    const struct dirent *entry;
    char path[160];
    DIR *dir;

    snprintf(path, sizeof(path), "%.120s/class/i2c-dev", sysfs);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        struct kr_i2c_found_s at;
        int number = strncmp(entry->d_name, "i2c-", 4) == 0 ? number_of(entry->d_name) : -1;
        size_t used = strlen(s->names);

        if (number < 0)
            continue;
        read_adapter(&at, sysfs, (unsigned)number);
        snprintf(s->names + used, sizeof(s->names) - used, "%si2c-%d (%s)", used ? ", " : "",
                 number, at.name);
        s->seen++;
        if (wanted >= 0 ? number != wanted : !is_called(&at, sysfs, text))
            continue;
        if (s->matches++)
            s->other = at.number;
        else
            s->found = at;
    }
    if (dir)
        closedir(dir);
}

error_t kr_i2c_find(struct kr_i2c_found_s *found, const char *sysfs, const char *text)
{
    struct search_s s = {.matches = 0};

    if (strncmp(text, "/dev/", 5) == 0)
        text += 5;
    if (!*text)
        return device_error(-EINVAL, "i2c:ADAPTER: its number, name or device-tree label");
    search(&s, sysfs, text);
    if (!s.seen)
        return device_error(-ENOENT,
                            "no adapter '%s': there is none that programs can use "
                            "(modprobe i2c-dev; on a Raspberry Pi also "
                            "dtparam=i2c_arm=on in config.txt)",
                            text);
    if (!s.matches)
        return device_error(-ENOENT, "no adapter is called '%s'; there are: %s", text, s.names);
    if (s.matches > 1)
        return device_error(-EINVAL,
                            "two adapters are called '%s': use the number, i2c-%u or "
                            "i2c-%u",
                            text, s.found.number, s.other);
    *found = s.found;
    return 0;
}

/* --- what sysfs says later --- */

void kr_i2c_holder(char *text, size_t size, unsigned number, uint16_t addr, bool ten)
{
    char folder[64];

    snprintf(folder, sizeof(folder),
             ten ? "/sys/bus/i2c/devices/%u-a%03x" : "/sys/bus/i2c/devices/%u-%04x", number, addr);
    kr_platform_link_name(text, size, folder, "driver");
}

bool kr_i2c_is_gone(unsigned number)
{
    char path[64];

    snprintf(path, sizeof(path), "/sys/class/i2c-dev/i2c-%u", number);
    return access(path, F_OK) && errno == ENOENT;
}

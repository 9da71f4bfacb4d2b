/* SPDX-License-Identifier: MIT */
#include "pci_guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define DEVICES "/sys/bus/pci/devices"

static error_t put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    error_t err = 0;

    if (fd < 0)
        return -errno;
    if (write(fd, text, strlen(text)) < 0)
        err = -errno;
    close(fd);
    return err;
}

void guest_write(const char *path, const char *text)
{
    error_t err = put(path, text);

    ck_assert_msg(err == 0, "%s to %s: %s", text, path, strerror(-err));
}

static unsigned number(const char *name, const char *file)
{
    char path[96];
    unsigned value = 0;
    FILE *f;

    snprintf(path, sizeof path, DEVICES "/%.16s/%s", name, file);
    f = fopen(path, "re");
    if (f) {
        ck_assert_int_eq(fscanf(f, "%x", &value), 1);
        fclose(f);
    }
    return value;
}

bool guest_find(char name[16], unsigned vendor, unsigned device, unsigned index)
{
    struct dirent **list;
    int count = scandir(DEVICES, &list, NULL, alphasort);
    bool found = false;

    for (int i = 0; i < count; i++) {
        const char *at = list[i]->d_name;

        if (!found && at[0] != '.' && number(at, "vendor") == vendor &&
            number(at, "device") == device && index-- == 0) {
            found = true;
            snprintf(name, 16, "%.15s", at);
        }
        free(list[i]);
    }
    if (count >= 0)
        free(list);
    return found;
}

void guest_driver(char driver[32], const char *name)
{
    char path[96], target[256] = "";
    ssize_t n;

    snprintf(path, sizeof path, DEVICES "/%.16s/driver", name);
    n = readlink(path, target, sizeof target - 1);
    snprintf(driver, 32, "%.31s", n > 0 ? strrchr(target, '/') + 1 : "");
}

error_t guest_unbind(const char *name)
{
    char path[96];

    snprintf(path, sizeof path, DEVICES "/%.16s/driver/unbind", name);
    return put(path, name);
}

void guest_bind(const char *name, const char *driver)
{
    char path[96], now[32], text[40];

    snprintf(text, sizeof text, "%s\n", driver ? driver : "");
    snprintf(path, sizeof path, DEVICES "/%.16s/driver_override", name);
    guest_write(path, text);
    guest_driver(now, name);
    if (now[0] && (!driver || strcmp(now, driver) != 0))
        ck_assert_int_eq(guest_unbind(name), 0);
    if (!driver)
        return;
    put("/sys/bus/pci/drivers_probe", name);
    guest_driver(now, name);
    ck_assert_msg(strcmp(now, driver) == 0, "%s: driver '%s', not %s", name, now, driver);
}

/* SPDX-License-Identifier: MIT */
#include "ports.h"
#include "host.h"
#include "krctl.h"

#include <errno.h>
#include <glob.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORTS_MAX 12

/* Of the ttyS* that a PC kernel has names for, most have no chip behind them: type 0. */
static bool has_chip(const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    char file[64];
    int type = 1;

    if (strncmp(name, "ttyS", 4) != 0)
        return true;
    snprintf(file, sizeof(file), "/sys/class/tty/%.16s/type", name);
    FILE *f = fopen(file, "re");
    if (f == NULL)
        return true;
    if (fscanf(f, "%d", &type) != 1)
        type = 1;
    fclose(f);
    return type != 0;
}

static void hint_ports(void)
{
    static const char *const patterns[] = {
        "/dev/ttyUSB*", "/dev/ttyACM*", "/dev/ttyAMA*", "/dev/ttyS[0-9]*", "/dev/serial/by-id/*",
    };
    unsigned found = 0;
    glob_t list = {0};

    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        glob(patterns[i], i > 0 ? GLOB_APPEND : 0, NULL, &list);
    for (size_t i = 0; i < list.gl_pathc && found < PORTS_MAX; i++) {
        if (!has_chip(list.gl_pathv[i]))
            continue;
        if (found++ == 0)
            krctl_hint("one of the serial ports of this machine:");
        fprintf(stderr, "         %s\n", list.gl_pathv[i]);
    }
    globfree(&list);
    if (found == 0)
        krctl_hint("plug one in: there is no serial port on this machine");
}

static void hint_permission(const char *path)
{
    struct stat st;
    struct group *group = stat(path, &st) == 0 ? getgrgid(st.st_gid) : NULL;

    if (group != NULL && (st.st_mode & 060) == 060 && st.st_gid != 0)
        krctl_hint("sudo usermod -aG %s $USER, then log in again", group->gr_name);
    else
        krctl_hint("sudo, or a udev rule that gives the port to the group dialout");
}

static void hint_holder(const char *name, long pid, void *arg)
{
    unsigned *found = arg;

    if (++*found <= PORTS_MAX)
        krctl_hint("ending process %ld, %s, which has it open", pid, name);
}

/* Names who has the port open. Without privileges only the processes of the same user are seen. */
static bool hint_holders(const char *path)
{
    struct host_s host = {.root = ""};
    unsigned found = 0;

    host_scan_open(&host);
    host_openers(&host, path, hint_holder, &found);
    host_free(&host);
    return found > 0;
}

void ports_hint(const char *path, error_t err)
{
    switch (err) {
    case -EACCES:
    case -EPERM:
        hint_permission(path);
        break;
    case -EBUSY:
        if (!hint_holders(path))
            krctl_hint("sudo fuser -v %s, which names the program that has it open", path);
        break;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM: /* nothing that another port would change */
        break;
    default:
        hint_ports();
        break;
    }
}

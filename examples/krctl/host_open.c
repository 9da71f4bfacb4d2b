/* SPDX-License-Identifier: MIT */
/* Who has a device open: /proc/PID/fd, as far as its owner lets others see it. */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct host_open_s {
    long pid;
    dev_t device; /* 0: not known */
    char path[64];
};

static void add(struct host_s *h, long pid, const char *path, dev_t device)
{
    if (h->opens == h->open_room) {
        unsigned room = h->open_room > 0 ? 2 * h->open_room : 64;
        struct host_open_s *open = realloc(h->open, room * sizeof(*open));
        if (open == NULL)
            return;
        h->open = open;
        h->open_room = room;
    }
    h->open[h->opens] = (struct host_open_s){.pid = pid, .device = device};
    snprintf(h->open[h->opens++].path, sizeof(h->open->path), "%.63s", path);
}

/* Only what is called /dev/… is looked at more closely: a stat of a file on a server that does not
   answer would wait for it. */
static void scan_process(struct host_s *h, const char *pid, void *arg)
{
    char path[PATH_MAX], target[PATH_MAX];
    const struct dirent *entry;
    struct stat st;

    (void)arg;
    if (pid[strspn(pid, "0123456789")] != '\0')
        return;
    snprintf(path, sizeof(path), "%.2000s/proc/%.20s/fd", h->root, pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        h->hidden = h->hidden || errno == EACCES || errno == EPERM;
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = '\0';
        if (strncmp(target, "/dev/", 5) != 0)
            continue;
        bool known = fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISCHR(st.st_mode);
        add(h, atol(pid), target, known ? st.st_rdev : 0);
    }
    closedir(dir);
}

void host_scan_open(struct host_s *h)
{
    host_each(h, "/proc", scan_process, NULL);
}

void host_openers(struct host_s *h, const char *path,
                  void (*fn)(const char *name, long pid, void *arg), void *arg)
{
    char full[PATH_MAX], name[40];
    struct stat st;
    long last = 0;

    snprintf(full, sizeof(full), "%.2000s%.2000s", h->root, path);
    bool known = stat(full, &st) == 0 && S_ISCHR(st.st_mode);
    for (unsigned i = 0; i < h->opens; i++) {
        const struct host_open_s *open = &h->open[i];

        if (open->pid == last || open->pid == getpid() ||
            !(strcmp(open->path, path) == 0 || (known && open->device == st.st_rdev)))
            continue;
        last = open->pid;
        host_text(h, name, sizeof(name), "/proc/%ld/comm", open->pid);
        fn(name[0] != '\0' ? name : "?", open->pid, arg);
    }
}

/* --- a row --- */

static void hold(const char *name, long pid, void *arg)
{
    host_hold(arg, pid, "%s", name);
}

/* Lock files of serial ports, which old programs make before they open one (Filesystem Hierarchy
   Standard 3.0, 5.9): a PID in ten columns. */
static void locked(const struct host_s *h, struct host_row_s *row, const char *path)
{
    char text[32], name[40];
    const char *last = strrchr(path, '/') + 1;

    host_text(h, text, sizeof(text), "/var/lock/LCK..%s", last);
    if (text[0] == '\0')
        host_text(h, text, sizeof(text), "/run/lock/LCK..%s", last);
    long pid = atol(text);
    if (pid <= 0)
        return;
    host_text(h, name, sizeof(name), "/proc/%ld/comm", pid);
    if (name[0] != '\0') /* or the lock is a left-over */
        host_hold(row, pid, "%s", name);
}

void host_held(struct host_s *h, struct host_row_s *row, const char *format, ...)
{
    char path[PATH_MAX] = "/dev/";
    va_list args;

    va_start(args, format);
    vsnprintf(path + 5, sizeof(path) - 5, format, args);
    va_end(args);
    host_openers(h, path, hold, row);
    if (row->holders == 0 && row->cl == DRIVER_CLASS_UART)
        locked(h, row, path);
    row->hidden = h->hidden;
}

/* SPDX-License-Identifier: MIT */
/* Rows of krctl list, and files of /sys. */
#include "host.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- rows --- */

/* The classes that a spec gives, or none when its driver is not in this library. */
static bool classes_of(struct host_row_s *row)
{
    size_t len = strcspn(row->spec, ":");
    const struct driver_s *driver;

    for (unsigned i = 0; (driver = driver_get(i)) != NULL; i++) {
        if (strlen(driver->name) != len || strncmp(driver->name, row->spec, len) != 0)
            continue;
        for (unsigned n = 0; n < DRIVER_CLASSES_MAX && driver->classes[n] != NULL; n++) {
            size_t end = strlen(row->classes);
            snprintf(row->classes + end, sizeof(row->classes) - end, "%s%s", n > 0 ? ", " : "",
                     device_class_name(driver->classes[n]->cl));
        }
        return true;
    }
    return false;
}

struct host_row_s *host_add(struct host_s *h, enum driver_class_e cl, const char *spec, ...)
{
    va_list args;

    if (h->rows == h->room) {
        unsigned room = h->room > 0 ? 2 * h->room : 32;
        struct host_row_s *row = realloc(h->row, room * sizeof(*row));
        if (row == NULL)
            return NULL;
        h->row = row;
        h->room = room;
    }
    struct host_row_s *row = &h->row[h->rows++];
    memset(row, 0, sizeof(*row));
    row->cl = cl;
    if (spec != NULL) {
        va_start(args, spec);
        vsnprintf(row->spec, sizeof(row->spec), spec, args);
        va_end(args);
        if (strchr(row->spec, ':') != NULL && !classes_of(row))
            row->spec[0] = '\0';
    }
    if (row->classes[0] == '\0')
        snprintf(row->classes, sizeof(row->classes), "%s", device_class_name(cl));
    return row;
}

void host_say(struct host_row_s *row, const char *format, ...)
{
    size_t len = strlen(row->what);
    va_list args;

    if (len > 0 && len + 2 < sizeof(row->what))
        len = (size_t)(stpcpy(row->what + len, ", ") - row->what);
    va_start(args, format);
    vsnprintf(row->what + len, sizeof(row->what) - len, format, args);
    va_end(args);
}

void host_hold(struct host_row_s *row, long pid, const char *format, ...)
{
    struct host_holder_s *holder = &row->holder[row->holders];
    va_list args;

    if (row->holders++ >= HOST_HOLDERS)
        return;
    holder->pid = pid;
    va_start(args, format);
    vsnprintf(holder->name, sizeof(holder->name), format, args);
    va_end(args);
}

void host_free(struct host_s *h)
{
    free(h->row);
    free(h->open);
}

/* --- files --- */

static void make_path(const struct host_s *h, char path[PATH_MAX], const char *format, va_list args)
{
    int len = snprintf(path, PATH_MAX, "%.2000s", h->root);

    vsnprintf(path + len, (size_t)(PATH_MAX - len), format, args);
}

void host_text(const struct host_s *h, char *to, size_t size, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;

    va_start(args, format);
    make_path(h, path, format, args);
    va_end(args);
    FILE *f = fopen(path, "re");
    if (f == NULL || fgets(to, (int)size, f) == NULL)
        to[0] = '\0';
    to[strcspn(to, "\n")] = '\0';
    if (f != NULL)
        fclose(f);
}

void host_link(const struct host_s *h, char *to, size_t size, const char *format, ...)
{
    char path[PATH_MAX], target[PATH_MAX];
    va_list args;

    va_start(args, format);
    make_path(h, path, format, args);
    va_end(args);
    ssize_t len = readlink(path, target, sizeof(target) - 1);
    target[len > 0 ? len : 0] = '\0';
    const char *last = strrchr(target, '/');
    snprintf(to, size, "%.*s", (int)size - 1, last != NULL ? last + 1 : target);
}

bool host_has(const struct host_s *h, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;

    va_start(args, format);
    make_path(h, path, format, args);
    va_end(args);
    return access(path, F_OK) == 0;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

void host_each(struct host_s *h, const char *folder, host_each_t *fn, void *arg)
{
    char path[PATH_MAX];
    struct dirent **list;

    snprintf(path, sizeof(path), "%.2000s%.2000s", h->root, folder);
    int count = scandir(path, &list, visible, versionsort);
    for (int i = 0; i < count; i++) {
        fn(h, list[i]->d_name, arg);
        free(list[i]);
    }
    if (count >= 0)
        free(list);
}

/* SPDX-License-Identifier: MIT */
/*
 * What krctl list finds on a machine: devices that a spec opens, and those next to them that
 * somebody has already. Everything comes from /sys, /dev and /proc; but for GPIO chips, which do
 * not mind, no device is opened: a tty raises DTR when it is.
 */
#ifndef KRCTL_HOST_H
#define KRCTL_HOST_H

#include <limits.h>
#include <kroutine/driver.h>

#define HOST_HOLDERS 4 /* that are named */

struct host_holder_s {
    char name[40]; /* of the process, or "driver rtc-ds1307", "kernel console" */
    long pid;      /* 0: no process */
};

struct host_row_s {
    enum driver_class_e cl; /* what it was looked for as */
    char spec[160];         /* "": no spec opens it */
    char classes[64];       /* "char, uart" */
    char what[320];
    struct host_holder_s holder[HOST_HOLDERS];
    unsigned holders; /* all of them, also those without a name */
    bool hidden;      /* there may be others, who cannot be seen */
};

struct host_open_s; /* a device file that a process has open */

struct host_s {
    const char *root; /* in front of /sys, /dev and /proc: "", or a copy of them */
    struct host_row_s *row;
    unsigned rows, room;
    struct host_open_s *open;
    unsigned opens, open_room;
    bool hidden; /* there are processes whose files cannot be seen */
};

/* --- host.c --- */

/* A new row, with `spec` (made by its format; NULL: none), if its driver is there; NULL: no memory.
 */
struct host_row_s *host_add(struct host_s *h, enum driver_class_e cl, const char *spec, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds to row->what, after a comma if there is something. */
void host_say(struct host_row_s *row, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void host_hold(struct host_row_s *row, long pid, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void host_free(struct host_s *h);

/* Below the root: the first line of a file, the last name of a link ("" when there is none), and
   whether something is there. */
void host_text(const struct host_s *h, char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void host_link(const struct host_s *h, char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool host_has(const struct host_s *h, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Calls `fn` with the names in a folder, in the order of their numbers. */
typedef void host_each_t(struct host_s *h, const char *name, void *arg);
void host_each(struct host_s *h, const char *folder, host_each_t *fn, void *arg);

/* --- host_open.c --- */

/* Looks through all processes. */
void host_scan_open(struct host_s *h);
/* Who has "/dev/NAME" open, made by the format, is a holder of the row. */
void host_held(struct host_s *h, struct host_row_s *row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Calls `fn` for each process but this one that has the character device `path` open. */
void host_openers(struct host_s *h, const char *path,
                  void (*fn)(const char *name, long pid, void *arg), void *arg);

/* --- what there is, each of its class --- */

void host_ttys(struct host_s *h);
void host_tree(struct host_s *h); /* timers, dma0 */
void host_gpios(struct host_s *h);
void host_i2c(struct host_s *h);
void host_spi(struct host_s *h);
void host_pwm(struct host_s *h);
void host_nvmem(struct host_s *h);
void host_uio(struct host_s *h);
void host_vfio(struct host_s *h);

#endif

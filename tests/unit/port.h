/* SPDX-License-Identifier: MIT */
/*
 * A serial port that this machine does not have: the tty driver of the library, over an ioctl of
 * the test. The bytes are those of a real pseudo-terminal; modem lines, counters, breaks, RS-485
 * and the unsent bytes are made up, and can be set by the test. What real hardware does is for the
 * tests in a virtual machine; this is for the order of things.
 */
#ifndef PORT_H
#define PORT_H

#include "kt.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <linux/tty_flags.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* The linker puts the first of each two in the place of the call (--wrap in ld(1)). */
int __wrap_ioctl(int fd, unsigned long request, ...);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st); /* its name with _FILE_OFFSET_BITS=64 */

/* Atomic: the driver asks on a worker. */
static struct port_s {
    int lines;              /* TIOCM_… */
    int queued;             /* TIOCOUTQ */
    int cts, dsr, dcd, rng; /* edges */
    int parity, frame, overrun, brk;
    int fail;       /* errno of every call; 0: none */
    unsigned asked; /* calls for the lines */
    unsigned breaks_begun;
    unsigned breaks_ended;
    int flags;       /* of struct serial_struct */
    int stuck_flags; /* that cannot be changed */
    struct serial_rs485 rs485;
    unsigned delay_max; /* RS-485: more becomes this */
    bool no_counters;
    bool marks; /* PARMRK is set */
} port;

static struct kt_env_s env;
static int master, slave;
static char path[KT_PTY_PATH];
static struct device_uart_s uart;
static struct device_char_s chr;

static int port_counts(struct serial_icounter_struct *c)
{
    if (port.no_counters) {
        errno = ENOTTY;
        return -1;
    }
    memset(c, 0, sizeof *c);
    c->cts = kt_get(&port.cts);
    c->dsr = kt_get(&port.dsr);
    c->dcd = kt_get(&port.dcd);
    c->rng = kt_get(&port.rng);
    c->parity = kt_get(&port.parity);
    c->frame = kt_get(&port.frame);
    c->overrun = kt_get(&port.overrun);
    c->brk = kt_get(&port.brk);
    return 0;
}

/* The marks are written by the test: a pseudo-terminal would double each 377 of them. */
static int port_settings(int fd, unsigned long request, struct termios2 *line)
{
    struct termios2 real;
    int r;

    if (request == TCSETS2) {
        real = *line;
        port.marks = line->c_iflag & PARMRK;
        real.c_iflag &= ~(tcflag_t)PARMRK;
        return __real_ioctl(fd, request, &real);
    }
    r = __real_ioctl(fd, request, line);
    if (r == 0 && port.marks)
        line->c_iflag |= PARMRK;
    return r;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    struct serial_struct *serial;
    va_list args;
    void *arg;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    if (kt_get(&port.fail)) {
        errno = kt_get(&port.fail);
        return -1;
    }
    switch (request) {
    case TIOCMGET:
        kt_inc(&port.asked);
        *(int *)arg = kt_get(&port.lines);
        return 0;
    case TIOCMBIS:
        __atomic_fetch_or(&port.lines, *(int *)arg, __ATOMIC_SEQ_CST);
        return 0;
    case TIOCMBIC:
        __atomic_fetch_and(&port.lines, ~*(int *)arg, __ATOMIC_SEQ_CST);
        return 0;
    case TIOCGICOUNT:
        return port_counts(arg);
    case TIOCOUTQ:
        *(int *)arg = kt_get(&port.queued);
        return 0;
    case TIOCSBRK:
        kt_inc(&port.breaks_begun);
        return 0;
    case TIOCCBRK:
        kt_inc(&port.breaks_ended);
        return 0;
    case TIOCSERGETLSR:
    case TIOCGPTN:
        errno = ENOTTY;
        return -1;
    case TIOCGRS485:
        *(struct serial_rs485 *)arg = port.rs485;
        return 0;
    case TIOCSRS485:
        port.rs485 = *(struct serial_rs485 *)arg;
        if (port.rs485.delay_rts_before_send > port.delay_max)
            port.rs485.delay_rts_before_send = port.delay_max;
        return 0;
    case TIOCGSERIAL:
        ((struct serial_struct *)arg)->flags = port.flags;
        return 0;
    case TIOCSSERIAL:
        serial = arg;
        port.flags = (port.flags & port.stuck_flags) | (serial->flags & ~port.stuck_flags);
        return 0;
    case TCGETS2:
    case TCSETS2:
        return port_settings(fd, request, arg);
    default:
        return __real_ioctl(fd, request, arg);
    }
}

/* A pseudo-terminal is known by its number. */
int __wrap_fstat(int fd, struct stat *st)
{
    int r = fstatat(fd, "", st, AT_EMPTY_PATH);

    if (r == 0 && S_ISCHR(st->st_mode))
        st->st_rdev = makedev(4, 64); /* ttyS0 */
    return r;
}

int __wrap_fstat64(int fd, struct stat *st)
{
    return __wrap_fstat(fd, st);
}

/* --- opening it --- */

static void port_set_up(enum kt_mode_e mode)
{
    memset(&port, 0, sizeof port);
    port.delay_max = 100;
    kt_env_open(&env, mode);
    master = kt_open_pty(0, path, &slave);
}

static void port_close(void)
{
    device_put_accessor(&uart.base);
    device_put_accessor(&chr.base);
}

static void port_tear_down(void)
{
    port_close();
    close(slave);
    close(master);
    kt_env_close(&env);
}

static inline error_t port_try(const char *keys)
{
    char spec[160];

    snprintf(spec, sizeof spec, "tty:%s%s", path, keys);
    return kt_open_uart(&env, spec, &uart, &chr);
}

static inline void port_open(const char *keys)
{
    ck_assert_msg(port_try(keys) == 0, "%s", kroutine_error_text());
}

#endif

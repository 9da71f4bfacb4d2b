/* SPDX-License-Identifier: MIT */
/* Modem lines and counters: ioctl_tty(2), TIOCMGET and TIOCGICOUNT; linux/serial.h. */
#include "modem.h"

#include <errno.h>
#include <linux/major.h>
#include <linux/serial.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "line.h"

static const struct {
    uint32_t line;
    int bit;
} lines_of[] = {
    {DEV_UART_DTR, TIOCM_DTR}, {DEV_UART_RTS, TIOCM_RTS}, {DEV_UART_CTS, TIOCM_CTS},
    {DEV_UART_DSR, TIOCM_DSR}, {DEV_UART_DCD, TIOCM_CAR}, {DEV_UART_RI, TIOCM_RNG},
};

#define LINES (sizeof(lines_of) / sizeof(*lines_of))

static int to_bits(uint32_t lines)
{
    int bits = 0;

    for (unsigned i = 0; i < LINES; i++)
        bits |= lines & lines_of[i].line ? lines_of[i].bit : 0;
    return bits;
}

error_t tty_lines_get(int fd, uint32_t *lines)
{
    uint32_t result = 0;
    int bits = 0;

    if (ioctl(fd, TIOCMGET, &bits))
        return tty_errno(errno);
    for (unsigned i = 0; i < LINES; i++)
        result |= bits & lines_of[i].bit ? lines_of[i].line : 0;
    *lines = result;
    return 0;
}

error_t tty_lines_put(int fd, uint32_t set, uint32_t clear)
{
    int on = to_bits(set), off = to_bits(clear);

    if (on && ioctl(fd, TIOCMBIS, &on))
        return tty_errno(errno);
    if (off && ioctl(fd, TIOCMBIC, &off))
        return tty_errno(errno);
    return 0;
}

error_t tty_count(int fd, struct tty_count_s *count)
{
    struct serial_icounter_struct c = {0};

    if (ioctl(fd, TIOCGICOUNT, &c))
        return tty_errno(errno);
    *count = (struct tty_count_s){
        .edges = {(uint32_t)c.cts, (uint32_t)c.dsr, (uint32_t)c.dcd, (uint32_t)c.rng},
        .parity = (uint32_t)c.parity,
        .framing = (uint32_t)c.frame,
        .overrun = (uint32_t)c.overrun,
        .buffer_overrun = (uint32_t)c.buf_overrun,
        .breaks = (uint32_t)c.brk,
    };
    return 0;
}

error_t tty_break(int fd, bool on)
{
    return ioctl(fd, on ? TIOCSBRK : TIOCCBRK) ? tty_errno(errno) : 0;
}

/* Pseudo-terminals take many settings and do nothing about them; the kernel even says that they
   have sent a break. Their slaves have majors of their own (Documentation/admin-guide/devices.txt),
   and masters know the number of their slave. */
bool tty_is_pty(int fd)
{
    struct stat st;
    unsigned number, kind;

    if (ioctl(fd, TIOCGPTN, &number) == 0)
        return true;
    if (fstat(fd, &st) || !S_ISCHR(st.st_mode))
        return false;
    kind = major(st.st_rdev);
    return kind == PTY_MASTER_MAJOR || kind == PTY_SLAVE_MAJOR ||
           (kind >= UNIX98_PTY_MASTER_MAJOR &&
            kind < UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT);
}

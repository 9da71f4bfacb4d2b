/* SPDX-License-Identifier: MIT */
/* The end of a tty device, which comes in bounded time whatever the other side does. */
#include <errno.h>
#include <sys/ioctl.h>
#include <time.h>

#include "tty.h"

#define STEP_NS     KROUTINE_MSEC(5)
#define PATIENCE_NS KROUTINE_MSEC(100) /* without progress: nobody takes the bytes */
#define SLOW_CHARS  3                  /* … nor this many characters' time, at 50 baud */

static bool unsent(int fd, int *queued)
{
    return ioctl(fd, TIOCOUTQ, queued) == 0 && *queued > 0;
}

/* Bytes that were written and are not on the line yet go out first, if they move. What is left is
   thrown away: the kernel's own close would wait for it for up to 30 s (closing_wait in
   tty_port_close_start(), drivers/tty/tty_port.c). On the reactor there is no waiting at all. */
static void drain(const struct tty_s *tty)
{
    static const struct timespec step = {.tv_nsec = STEP_NS};
    uint64_t patience = SLOW_CHARS * kr_load_relaxed(&tty->char_ns), waited = 0, still = 0;
    int queued = 0, before = 0;

    if (patience < PATIENCE_NS)
        patience = PATIENCE_NS;
    while (unsent(tty->fd, &queued)) {
        still = queued == before ? still + STEP_NS : 0;
        before = queued;
        if (waited >= tty->close_wait || still >= patience || !kroutine_is_interruptible()) {
            ioctl(tty->fd, TCFLSH, TCOFLUSH);
            return;
        }
        nanosleep(&step, NULL);
        waited += STEP_NS;
    }
}

void tty_close(struct device_s *dev)
{
    struct tty_s *tty = device_pv(dev);

    kr_stream_close(tty->stream, -ECANCELED);
    kr_uart_requests_close(&tty->requests, -ECANCELED);
    drain(tty);
    if (tty->exclusive)
        ioctl(tty->fd, TIOCNXCL);
    if (tty->restore)
        tty_restore(tty);
    kr_fd_stream_close(tty->fs, -ECANCELED);
}

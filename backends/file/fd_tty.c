/* SPDX-License-Identifier: MIT */
/* Streams over terminals: flushes that end when the line is quiet, and readers in between. */
#include <sys/ioctl.h>
#include <termios.h>

#include "fd_ops.h"

/* What the driver still holds, by TIOCOUTQ (tty_ioctl(4)); whether the hardware's shift register
   is empty too, by TIOCSERGETLSR where the port has it. */
int64_t kr_fd_tty_drain(int fd, uint64_t char_ns)
{
    int queued = 0, status = 0;
    uint64_t ns;

    if (ioctl(fd, TIOCOUTQ, &queued))
        return errno == EIO ? KR_STREAM_GONE : -errno;
    if (queued == 0) {
        if (ioctl(fd, TIOCSERGETLSR, &status) || status & TIOCSER_TEMT)
            return 0;
        return (int64_t)char_ns;
    }
    ns = (uint64_t)queued * char_ns;
    return (int64_t)(ns < KROUTINE_USEC(200)  ? KROUTINE_USEC(200)
                     : ns > KROUTINE_MSEC(50) ? KROUTINE_MSEC(50)
                                              : ns);
}

static int64_t drain(struct kr_stream_s *s)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);

    return kr_fd_tty_drain(fs->fd, kr_load_relaxed(&fs->char_ns));
}

static uint64_t char_time(struct kr_stream_s *s)
{
    return kr_load_relaxed(&kr_fd_from_stream(s)->char_ns);
}

const struct kr_stream_ops_s kr_fd_tty_ops = {
    .readv = kr_fd_readv,
    .writev = kr_fd_writev,
    .poll = kr_fd_poll,
    .arm = kr_fd_arm,
    .disarm = kr_fd_disarm,
    .drain = drain,
    .char_time = char_time,
    .read_result = kr_fd_read_result,
};

/* --- with a reader --- */

static ssize_t reader_readv(struct kr_stream_s *s, struct iovec *iov, int count)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);

    return kr_fd_read_result(s, fs->reader->readv(fs->reader, iov, count));
}

static int reader_poll(struct kr_stream_s *s, enum kr_dir_e dir)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);

    if (dir == KR_DIR_READ && fs->reader->pending(fs->reader))
        return 1;
    return kr_fd_poll(s, dir);
}

const struct kr_stream_ops_s kr_fd_reader_ops = {
    .readv = reader_readv,
    .writev = kr_fd_writev,
    .poll = reader_poll,
    .arm = kr_fd_arm,
    .disarm = kr_fd_disarm,
    .drain = drain,
    .char_time = char_time,
};

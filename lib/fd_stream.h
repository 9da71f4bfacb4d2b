/* SPDX-License-Identifier: MIT */
/*
 * A stream over a file descriptor: ttys, ptys, pipes, FIFOs, sockets, files, character devices.
 * Shared by the drivers file, fd and tty; implemented in backends/file/fd_stream.c.
 */
#ifndef KR_FD_STREAM_H
#define KR_FD_STREAM_H

#include "stream.h"

struct kr_fd_stream_s;

#define KR_FD_READABLE 1u
#define KR_FD_WRITABLE 2u

/* What a driver may put between the descriptor of a tty and its stream. */
struct kr_fd_reader_s {
    /* As readv(2) on the descriptor, but bytes or -errno: 0 and -EAGAIN mean what they mean there.
       One thread at a time. */
    ssize_t (*readv)(struct kr_fd_reader_s *r, struct iovec *iov, int count);
    /* True: the next readv gives something without the descriptor. Any thread. */
    bool (*pending)(struct kr_fd_reader_s *r);
};

/* Takes `fd` over on success; it must be O_NONBLOCK, sockets excepted. `reader`: of a tty, stays
   the caller's until the stream is gone; NULL: none. -ENOTSUP on a simulated runtime, -EISDIR,
   others of fstat(2); device_error() is set. */
error_t kr_fd_stream_create(struct kr_fd_stream_s **ret, struct device_s *dev, int fd,
                            const struct kr_framing_s *framing, unsigned flags,
                            struct kr_fd_reader_s *reader);

/* Ends every request with `error`, closes the descriptor, frees `fs`. When it returns the kernel
   has let go of the descriptor, unless the reactor is the program's own loop and this is another
   thread. */
void kr_fd_stream_close(struct kr_fd_stream_s *fs, error_t error);

int kr_fd_stream_fd(const struct kr_fd_stream_s *fs);
struct kr_stream_s *kr_fd_stream_stream(struct kr_fd_stream_s *fs);
/* Time that one character takes on the line, for flushes. */
void kr_fd_stream_set_char_time(struct kr_fd_stream_s *fs, uint64_t ns);

/* Of a tty: ns until it makes sense to ask again whether all that was written has left, 0: it has,
   or -errno. `char_ns`: time of one character on the line. */
int64_t kr_fd_tty_drain(int fd, uint64_t char_ns);

extern const struct driver_s kr_driver_file;
extern const struct driver_s kr_driver_fd;

#endif

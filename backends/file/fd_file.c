/* SPDX-License-Identifier: MIT */
/* Streams over files and block devices: tried without waiting for the medium, then left to the
   backend. */
#include "fd_ops.h"

static void io_done(struct kr_io_s *io)
{
    enum kr_dir_e dir = io->op == KR_IO_READ ? KR_DIR_READ : KR_DIR_WRITE;
    struct kr_fd_stream_s *fs =
        KROUTINE_CONTAINER(io - (dir == KR_DIR_WRITE), struct kr_fd_stream_s, io);
    ssize_t n = io->result;

    if (io->op == KR_IO_READ)
        n = kr_fd_read_result(fs->stream, n);
    else if (io->op == KR_IO_WRITE)
        n = kr_fd_write_result(fs, n);
    /* A file that has nothing even for a call that may wait (trace_pipe): nobody can say when. */
    if (n == -EAGAIN)
        n = -ENOTSUP;
    kr_stream_complete(fs->stream, dir, n);
}

static ssize_t start_io(struct kr_fd_stream_s *fs, enum kr_io_op_e op, struct iovec *iov, int count)
{
    struct kr_io_s *io = &fs->io[op == KR_IO_READ ? KR_DIR_READ : KR_DIR_WRITE];

    io->op = op;
    io->fd = fs->fd;
    io->iov = iov;
    io->iov_count = count;
    io->done = io_done;
    kr_io_submit(fs->watch.rt, io);
    return -EINPROGRESS;
}

static bool needs_backend(ssize_t n)
{
    return n == -EAGAIN || n == -EOPNOTSUPP || n == -EINVAL;
}

static ssize_t file_readv(struct kr_stream_s *s, struct iovec *iov, int count)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);
    ssize_t n = kr_fd_negative(preadv2(fs->fd, iov, count, -1, RWF_NOWAIT));

    return needs_backend(n) ? start_io(fs, KR_IO_READ, iov, count) : kr_fd_read_result(s, n);
}

static ssize_t file_writev(struct kr_stream_s *s, struct iovec *iov, int count)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);
    ssize_t n = kr_fd_negative(pwritev2(fs->fd, iov, count, -1, RWF_NOWAIT));

    return needs_backend(n) ? start_io(fs, KR_IO_WRITE, iov, count) : kr_fd_write_result(fs, n);
}

static int64_t file_drain(struct kr_stream_s *s)
{
    return start_io(kr_fd_from_stream(s), KR_IO_SYNC, NULL, 0);
}

/* Operations on files end by themselves; but on the reactor nobody else would hear of it, and
   nobody at all of one that a runtime without a reactor has not begun. */
static void file_abort(struct kr_stream_s *s, enum kr_dir_e dir)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);
    struct kroutine_runtime_s *rt = fs->watch.rt;
    struct kr_io_s *io = &fs->io[dir];

    if (kr_io_take_back(rt, io)) {
        io->result = -ECANCELED;
        io->done(io);
    } else if (kr_on_reactor(rt)) {
        rt->backend->loop->io_reap(rt->loop, io);
    }
}

const struct kr_stream_ops_s kr_fd_file_ops = {
    .readv = file_readv,
    .writev = file_writev,
    .poll = kr_fd_always_poll,
    .arm = kr_fd_always_arm,
    .drain = file_drain,
    .abort = file_abort,
};

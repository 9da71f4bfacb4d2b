/* SPDX-License-Identifier: MIT */
/*
 * Streams over descriptors. Three kinds: those that poll(2) can wait for; those that are always
 * ready (/dev/zero: no poll operation in the driver); and files and block devices, where a call
 * that would have to wait for the medium goes to the backend (kr_io_s) instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "fd_stream.h"
#include "internal.h"

enum kind_e { KIND_POLL, KIND_ALWAYS, KIND_FILE };

struct kr_fd_stream_s {
    struct kr_watch_s watch;
    struct kr_stream_s *stream;
    int fd;
    enum kind_e kind;
    bool tty;
    bool socket;
    bool pipe;
    uint64_t char_ns;
    struct kr_io_s io[KR_DIRS];
    sem_t *released; /* of the thread that closes and waits */
};

static struct kr_fd_stream_s *from_stream(const struct kr_stream_s *s)
{
    return kr_stream_pv(s);
}

/* --- results --- */

static bool hung_up(int fd)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLNVAL);
}

/* A tty gives 0 when its other side has hung up, and also, with VMIN 0, when there is just nothing
   now; EIO when it is gone. Everything else gives 0 at its end. */
static ssize_t read_result(struct kr_stream_s *s, ssize_t n)
{
    struct kr_fd_stream_s *fs = from_stream(s);

    if (n > 0)
        return n;
    if (n == -EINTR || n == -EWOULDBLOCK)
        return -EAGAIN;
    if (!fs->tty)
        return n == 0 ? KR_STREAM_END : n;
    if (n == 0)
        return hung_up(fs->fd) ? KR_STREAM_GONE : -EAGAIN;
    return n == -EIO || n == -ENXIO ? KR_STREAM_GONE : n;
}

static ssize_t write_result(struct kr_fd_stream_s *fs, ssize_t n)
{
    if (n > 0)
        return n;
    if (n == 0 || n == -EINTR || n == -EWOULDBLOCK)
        return -EAGAIN;
    return fs->tty && (n == -EIO || n == -ENXIO) ? KR_STREAM_GONE : n;
}

static ssize_t negative(ssize_t n)
{
    return n < 0 ? -errno : n;
}

/* --- files: try without waiting for the medium, then leave it to the backend --- */

static void io_done(struct kr_io_s *io)
{
    enum kr_dir_e dir = io->op == KR_IO_READ ? KR_DIR_READ : KR_DIR_WRITE;
    struct kr_fd_stream_s *fs =
        KROUTINE_CONTAINER(io - (dir == KR_DIR_WRITE), struct kr_fd_stream_s, io);
    ssize_t n = io->result;

    if (io->op == KR_IO_READ)
        n = read_result(fs->stream, n);
    else if (io->op == KR_IO_WRITE)
        n = write_result(fs, n);
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
    struct kr_fd_stream_s *fs = from_stream(s);
    ssize_t n = negative(preadv2(fs->fd, iov, count, -1, RWF_NOWAIT));

    return needs_backend(n) ? start_io(fs, KR_IO_READ, iov, count) : read_result(s, n);
}

static ssize_t file_writev(struct kr_stream_s *s, struct iovec *iov, int count)
{
    struct kr_fd_stream_s *fs = from_stream(s);
    ssize_t n = negative(pwritev2(fs->fd, iov, count, -1, RWF_NOWAIT));

    return needs_backend(n) ? start_io(fs, KR_IO_WRITE, iov, count) : write_result(fs, n);
}

static int64_t file_drain(struct kr_stream_s *s)
{
    return start_io(from_stream(s), KR_IO_SYNC, NULL, 0);
}

/* Operations on files end by themselves; but on the reactor nobody else would hear of it, and
   nobody at all of one that a runtime without a reactor has not begun. */
static void file_abort(struct kr_stream_s *s, enum kr_dir_e dir)
{
    struct kr_fd_stream_s *fs = from_stream(s);
    struct kroutine_runtime_s *rt = fs->watch.rt;
    struct kr_io_s *io = &fs->io[dir];

    if (kr_io_take_back(rt, io)) {
        io->result = -ECANCELED;
        io->done(io);
    } else if (kr_on_reactor(rt)) {
        rt->backend->loop->io_reap(rt->loop, io);
    }
}

static int file_poll(struct kr_stream_s *s, enum kr_dir_e dir)
{
    (void)s;
    (void)dir;
    return 1;
}

static void file_arm(struct kr_stream_s *s, enum kr_dir_e dir)
{
    /* Only after a cancelled operation: the next try is never in vain. */
    kr_stream_ready(s, dir);
}

static const struct kr_stream_ops_s file_ops = {
    .readv = file_readv,
    .writev = file_writev,
    .poll = file_poll,
    .arm = file_arm,
    .drain = file_drain,
    .abort = file_abort,
};

/* --- everything that poll(2) knows, and what is always ready --- */

/* One buffer is the common case, and the kernel has less to do for the calls that take one. */
static ssize_t fd_readv(struct kr_stream_s *s, struct iovec *iov, int count)
{
    struct kr_fd_stream_s *fs = from_stream(s);
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    ssize_t n;

    if (fs->socket && count == 1)
        n = recv(fs->fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT);
    else if (fs->socket)
        n = recvmsg(fs->fd, &msg, MSG_DONTWAIT);
    else if (count == 1)
        n = read(fs->fd, iov->iov_base, iov->iov_len);
    else
        n = readv(fs->fd, iov, count);
    return read_result(s, negative(n));
}

/* A write to a pipe that nobody reads raises SIGPIPE in the calling thread: on a thread of the
   program the signal is held back and taken, unless the program has one pending of its own. */
static ssize_t pipe_writev(int fd, struct iovec *iov, int count)
{
    static const struct timespec now = {0};
    sigset_t sigpipe, old, pending;
    ssize_t n;

    if (kr_self.signals_blocked)
        return negative(writev(fd, iov, count));
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &old);
    n = negative(writev(fd, iov, count));
    if (n == -EPIPE && !sigismember(&old, SIGPIPE)) {
        sigpending(&pending);
        if (sigismember(&pending, SIGPIPE))
            while (sigtimedwait(&sigpipe, NULL, &now) < 0 && errno == EINTR)
                ;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return n;
}

static ssize_t write_once(const struct kr_fd_stream_s *fs, struct iovec *iov, int count)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

    if (fs->socket && count == 1)
        return negative(send(fs->fd, iov->iov_base, iov->iov_len, flags));
    if (fs->socket)
        return negative(sendmsg(fs->fd, &msg, flags));
    if (fs->pipe)
        return pipe_writev(fs->fd, iov, count);
    if (count == 1)
        return negative(write(fs->fd, iov->iov_base, iov->iov_len));
    return negative(writev(fs->fd, iov, count));
}

/* A tty looks for signals before it looks for room, O_NONBLOCK or not. */
static ssize_t fd_writev(struct kr_stream_s *s, struct iovec *iov, int count)
{
    struct kr_fd_stream_s *fs = from_stream(s);
    ssize_t n;

    do
        n = write_once(fs, iov, count);
    while (n == -EINTR);
    return write_result(fs, n);
}

static int fd_poll(struct kr_stream_s *s, enum kr_dir_e dir)
{
    struct kr_fd_stream_s *fs = from_stream(s);
    struct pollfd p = {.fd = fs->fd, .events = dir == KR_DIR_READ ? POLLIN : POLLOUT};
    int left = 0, r = poll(&p, 1, 0);

    if (r < 0)
        return errno == EINTR ? 0 : -errno;
    if (r == 0)
        return 0;
    if (fs->tty && p.revents & POLLHUP) {
        bool readable = dir == KR_DIR_READ && ioctl(fs->fd, FIONREAD, &left) == 0 && left > 0;

        return readable ? 1 : KR_STREAM_GONE;
    }
    return 1;
}

static void fd_arm(struct kr_stream_s *s, enum kr_dir_e dir)
{
    kr_watch_arm(&from_stream(s)->watch, dir == KR_DIR_READ ? KR_EV_IN : KR_EV_OUT);
}

static void fd_disarm(struct kr_stream_s *s, enum kr_dir_e dir)
{
    kr_watch_disarm(&from_stream(s)->watch, dir == KR_DIR_READ ? KR_EV_IN : KR_EV_OUT);
}

/* What the driver still holds, by TIOCOUTQ (tty_ioctl(4)); whether the hardware's shift register
   is empty too, by TIOCSERGETLSR where the port has it. */
static int64_t tty_drain(struct kr_stream_s *s)
{
    struct kr_fd_stream_s *fs = from_stream(s);
    int queued = 0, status = 0;
    uint64_t ns;

    if (ioctl(fs->fd, TIOCOUTQ, &queued))
        return errno == EIO ? KR_STREAM_GONE : -errno;
    if (queued == 0) {
        if (ioctl(fs->fd, TIOCSERGETLSR, &status) || status & TIOCSER_TEMT)
            return 0;
        return (int64_t)fs->char_ns;
    }
    ns = (uint64_t)queued * fs->char_ns;
    return (int64_t)(ns < KROUTINE_USEC(200)  ? KROUTINE_USEC(200)
                     : ns > KROUTINE_MSEC(50) ? KROUTINE_MSEC(50)
                                              : ns);
}

static uint64_t tty_char_time(struct kr_stream_s *s)
{
    return kr_load_relaxed(&from_stream(s)->char_ns);
}

static const struct kr_stream_ops_s fd_ops = {
    .readv = fd_readv,
    .writev = fd_writev,
    .poll = fd_poll,
    .arm = fd_arm,
    .disarm = fd_disarm,
    .read_result = read_result,
};

static const struct kr_stream_ops_s tty_ops = {
    .readv = fd_readv,
    .writev = fd_writev,
    .poll = fd_poll,
    .arm = fd_arm,
    .disarm = fd_disarm,
    .drain = tty_drain,
    .char_time = tty_char_time,
    .read_result = read_result,
};

/* --- always ready. A driver without poll that says EAGAIN all the same (/dev/hwrng) cannot be
   waited for by any means, so the request is told. --- */

static ssize_t always_readv(struct kr_stream_s *s, struct iovec *iov, int count)
{
    ssize_t n = fd_readv(s, iov, count);

    return n == -EAGAIN ? -ENOTSUP : n;
}

static ssize_t always_writev(struct kr_stream_s *s, struct iovec *iov, int count)
{
    ssize_t n = fd_writev(s, iov, count);

    return n == -EAGAIN ? -ENOTSUP : n;
}

static const struct kr_stream_ops_s always_ops = {
    .readv = always_readv,
    .writev = always_writev,
    .poll = file_poll,
    .arm = file_arm,
};

/* --- records: datagram and seqpacket sockets --- */

/* A record of no bytes was read: was it the end? It is when the peer of a seqpacket writes no more
   (POLLRDHUP) and nothing is behind it. */
static bool at_end(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    char byte;

    return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLRDHUP) &&
           recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static ssize_t recv_frame(struct kr_stream_s *s, void *data, size_t size)
{
    struct kr_fd_stream_s *fs = from_stream(s);
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n = negative(recvmsg(fs->fd, &msg, MSG_DONTWAIT));

    if (n > 0 && msg.msg_flags & MSG_TRUNC)
        return -EMSGSIZE;
    if (n == 0)
        return at_end(fs->fd) ? KR_STREAM_END : 0;
    return n == -EINTR ? -EAGAIN : n;
}

static ssize_t send_frame(struct kr_stream_s *s, const void *data, size_t size)
{
    struct kr_fd_stream_s *fs = from_stream(s);
    ssize_t n = negative(send(fs->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL));

    return n == -EINTR ? -EAGAIN : n;
}

static const struct kr_stream_ops_s record_ops = {
    .readv = fd_readv,
    .writev = fd_writev,
    .recv_frame = recv_frame,
    .send_frame = send_frame,
    .poll = fd_poll,
    .arm = fd_arm,
    .disarm = fd_disarm,
};

/* --- events --- */

static void ready(struct kr_watch_s *w, unsigned events)
{
    struct kr_fd_stream_s *fs = KROUTINE_CONTAINER(w, struct kr_fd_stream_s, watch);
    struct kr_stream_s *s = fs->stream;

    if (events & (KR_EV_IN | KR_EV_HUP))
        kr_stream_ready(s, KR_DIR_READ);
    if (events & (KR_EV_OUT | KR_EV_HUP))
        kr_stream_ready(s, KR_DIR_WRITE);
}

static void released(struct kr_watch_s *w)
{
    struct kr_fd_stream_s *fs = KROUTINE_CONTAINER(w, struct kr_fd_stream_s, watch);
    sem_t *waiting = fs->released;

    kr_stream_put(fs->stream);
    free(fs);
    if (waiting)
        sem_post(waiting);
}

/* --- life --- */

static error_t classify(struct kr_fd_stream_s *fs, struct kroutine_runtime_s *rt, bool *records)
{
    struct stat st;
    int type;
    socklen_t size = sizeof(type);
    error_t err;

    if (fstat(fs->fd, &st))
        return device_error(-errno, "fstat: %s", strerror(errno));
    if (S_ISDIR(st.st_mode))
        return device_error(-EISDIR, "this is a directory");
    fs->tty = isatty(fs->fd);
    fs->pipe = S_ISFIFO(st.st_mode);
    fs->socket = S_ISSOCK(st.st_mode);
    *records = fs->socket && getsockopt(fs->fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
               type != SOCK_STREAM;
    if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
        fs->kind = KIND_FILE;
        return 0;
    }
    err = rt->backend->loop->pollable(rt->loop, fs->fd);
    /* -EPERM: it has no poll. Others say nothing about it (-EMFILE: epoll needs a descriptor). */
    if (err && err != -EPERM)
        return device_error(err, "cannot find out how to wait for it: %s", strerror(-err));
    fs->kind = err ? KIND_ALWAYS : KIND_POLL;
    return 0;
}

static const struct kr_stream_ops_s *choose_ops(const struct kr_fd_stream_s *fs, bool records)
{
    if (fs->kind == KIND_FILE)
        return &file_ops;
    if (fs->kind == KIND_ALWAYS)
        return &always_ops;
    return records ? &record_ops : fs->tty ? &tty_ops : &fd_ops;
}

error_t kr_fd_stream_create(struct kr_fd_stream_s **ret, struct device_s *dev, int fd,
                            const struct kr_framing_s *framing, unsigned flags)
{
    struct kroutine_runtime_s *rt = device_runtime(dev);
    struct kr_stream_config_s config = {.dev = dev, .framing = *framing, .fd = -1};
    struct kr_fd_stream_s *fs;
    bool records = false;
    error_t err;

    if (rt->backend == &kr_backend_sim)
        return device_error(-ENOTSUP, "a simulated runtime has simulated devices only");
    fs = calloc(1, sizeof(*fs));
    if (!fs)
        return -ENOMEM;
    fs->fd = fd;
    fs->char_ns = KROUTINE_USEC(100);
    fs->watch.rt = rt;
    fs->watch.ready = ready;
    fs->watch.released = released;
    err = classify(fs, rt, &records);
    if (err)
        goto fail;
    if (records && framing->kind != KR_FRAMING_NONE) {
        err = device_error(-EINVAL, "frame=…: this socket keeps records apart by itself");
        goto fail;
    }
    config.ops = choose_ops(fs, records);
    config.readable = flags & KR_FD_READABLE;
    config.writable = flags & KR_FD_WRITABLE;
    /* A blocking socket must not be read by the ring: it would wait there. */
    if (fs->kind == KIND_POLL && !records && fcntl(fd, F_GETFL) & O_NONBLOCK)
        config.fd = fd;
    err = kr_stream_create(&fs->stream, &config, fs);
    if (err)
        goto fail;
    if (fs->kind == KIND_POLL) {
        err = kr_watch_open(rt, &fs->watch, fd);
        if (err) {
            kr_stream_put(fs->stream);
            goto fail;
        }
    }
    *ret = fs;
    return 0;
fail:
    free(fs);
    return err;
}

void kr_fd_stream_close(struct kr_fd_stream_s *fs, error_t error)
{
    struct kroutine_runtime_s *rt = fs->watch.rt;
    sem_t sem;

    kr_stream_close(fs->stream, error);
    if (fs->kind != KIND_POLL) {
        close(fs->fd);
        kr_stream_put(fs->stream);
        free(fs);
        return;
    }
    if (rt->embedded || kr_on_reactor(rt)) {
        kr_watch_close(&fs->watch);
        return;
    }
    /* The program may open the port again at once: wait until the kernel has let go of it. */
    sem_init(&sem, 0, 0);
    fs->released = &sem;
    kr_watch_close(&fs->watch);
    while (sem_wait(&sem) && errno == EINTR)
        ;
    sem_destroy(&sem);
}

int kr_fd_stream_fd(const struct kr_fd_stream_s *fs)
{
    return fs->fd;
}

struct kr_stream_s *kr_fd_stream_stream(struct kr_fd_stream_s *fs)
{
    return fs->stream;
}

void kr_fd_stream_set_char_time(struct kr_fd_stream_s *fs, uint64_t ns)
{
    kr_store_relaxed(&fs->char_ns, ns);
}

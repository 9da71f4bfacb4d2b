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

#include "fd_ops.h"

/* --- results --- */

static bool hung_up(int fd)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLNVAL);
}

/* A tty gives 0 when its other side has hung up, and also, with VMIN 0, when there is just nothing
   now; EIO when it is gone. Everything else gives 0 at its end. */
ssize_t kr_fd_read_result(struct kr_stream_s *s, ssize_t n)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);

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

ssize_t kr_fd_write_result(struct kr_fd_stream_s *fs, ssize_t n)
{
    if (n > 0)
        return n;
    if (n == 0 || n == -EINTR || n == -EWOULDBLOCK)
        return -EAGAIN;
    return fs->tty && (n == -EIO || n == -ENXIO) ? KR_STREAM_GONE : n;
}

/* --- everything that poll(2) knows, and what is always ready --- */

/* One buffer is the common case, and the kernel has less to do for the calls that take one. */
ssize_t kr_fd_readv(struct kr_stream_s *s, struct iovec *iov, int count)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);
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
    return kr_fd_read_result(s, kr_fd_negative(n));
}

/* A write to a pipe that nobody reads raises SIGPIPE in the calling thread: on a thread of the
   program the signal is held back and taken, unless the program has one pending of its own. */
static ssize_t pipe_writev(int fd, struct iovec *iov, int count)
{
    static const struct timespec now = {0};
    sigset_t sigpipe, old, pending;
    ssize_t n;

    if (kr_self.signals_blocked)
        return kr_fd_negative(writev(fd, iov, count));
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &old);
    n = kr_fd_negative(writev(fd, iov, count));
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
        return kr_fd_negative(send(fs->fd, iov->iov_base, iov->iov_len, flags));
    if (fs->socket)
        return kr_fd_negative(sendmsg(fs->fd, &msg, flags));
    if (fs->pipe)
        return pipe_writev(fs->fd, iov, count);
    if (count == 1)
        return kr_fd_negative(write(fs->fd, iov->iov_base, iov->iov_len));
    return kr_fd_negative(writev(fs->fd, iov, count));
}

/* A tty looks for signals before it looks for room, O_NONBLOCK or not. */
ssize_t kr_fd_writev(struct kr_stream_s *s, struct iovec *iov, int count)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);
    ssize_t n;

    do
        n = write_once(fs, iov, count);
    while (n == -EINTR);
    return kr_fd_write_result(fs, n);
}

int kr_fd_poll(struct kr_stream_s *s, enum kr_dir_e dir)
{
    struct kr_fd_stream_s *fs = kr_fd_from_stream(s);
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

void kr_fd_arm(struct kr_stream_s *s, enum kr_dir_e dir)
{
    kr_watch_arm(&kr_fd_from_stream(s)->watch, dir == KR_DIR_READ ? KR_EV_IN : KR_EV_OUT);
}

void kr_fd_disarm(struct kr_stream_s *s, enum kr_dir_e dir)
{
    kr_watch_disarm(&kr_fd_from_stream(s)->watch, dir == KR_DIR_READ ? KR_EV_IN : KR_EV_OUT);
}

static const struct kr_stream_ops_s fd_ops = {
    .readv = kr_fd_readv,
    .writev = kr_fd_writev,
    .poll = kr_fd_poll,
    .arm = kr_fd_arm,
    .disarm = kr_fd_disarm,
    .read_result = kr_fd_read_result,
};

/* --- always ready. A driver without poll that says EAGAIN all the same (/dev/hwrng) cannot be
   waited for by any means, so the request is told. --- */

int kr_fd_always_poll(struct kr_stream_s *s, enum kr_dir_e dir)
{
    (void)s;
    (void)dir;
    return 1;
}

void kr_fd_always_arm(struct kr_stream_s *s, enum kr_dir_e dir)
{
    /* Only after a cancelled operation: the next try is never in vain. */
    kr_stream_ready(s, dir);
}

static ssize_t always_readv(struct kr_stream_s *s, struct iovec *iov, int count)
{
    ssize_t n = kr_fd_readv(s, iov, count);

    return n == -EAGAIN ? -ENOTSUP : n;
}

static ssize_t always_writev(struct kr_stream_s *s, struct iovec *iov, int count)
{
    ssize_t n = kr_fd_writev(s, iov, count);

    return n == -EAGAIN ? -ENOTSUP : n;
}

static const struct kr_stream_ops_s always_ops = {
    .readv = always_readv,
    .writev = always_writev,
    .poll = kr_fd_always_poll,
    .arm = kr_fd_always_arm,
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
        fs->kind = KR_FD_KIND_FILE;
        return 0;
    }
    err = rt->backend->loop->pollable(rt->loop, fs->fd);
    /* -EPERM: it has no poll. Others say nothing about it (-EMFILE: epoll needs a descriptor). */
    if (err && err != -EPERM)
        return device_error(err, "cannot find out how to wait for it: %s", strerror(-err));
    fs->kind = err ? KR_FD_KIND_ALWAYS : KR_FD_KIND_POLL;
    return 0;
}

static const struct kr_stream_ops_s *choose_ops(const struct kr_fd_stream_s *fs, bool records)
{
    if (fs->kind == KR_FD_KIND_FILE)
        return &kr_fd_file_ops;
    if (fs->kind == KR_FD_KIND_ALWAYS)
        return &always_ops;
    if (fs->reader)
        return &kr_fd_reader_ops;
    return records ? &kr_fd_record_ops : fs->tty ? &kr_fd_tty_ops : &fd_ops;
}

error_t kr_fd_stream_create(struct kr_fd_stream_s **ret, struct device_s *dev, int fd,
                            const struct kr_framing_s *framing, unsigned flags,
                            struct kr_fd_reader_s *reader)
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
    fs->reader = reader;
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
    if (fs->kind == KR_FD_KIND_POLL && !records && !reader && fcntl(fd, F_GETFL) & O_NONBLOCK)
        config.fd = fd;
    err = kr_stream_create(&fs->stream, &config, fs);
    if (err)
        goto fail;
    if (fs->kind == KR_FD_KIND_POLL) {
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
    if (fs->kind != KR_FD_KIND_POLL) {
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

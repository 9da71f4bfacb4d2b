/* SPDX-License-Identifier: MIT */
/* The drivers `file` (a path: file, FIFO, /dev/…) and `fd` (a descriptor that the program has). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <stdio.h>

#include "fd_stream.h"

struct file_pv_s {
    struct kr_fd_stream_s *fs;  /* until the close */
    struct kr_stream_s *stream; /* longer: for calls that are under way then */
};

static DEV_CHAR_REQUEST(file_char_request)
{
    struct file_pv_s *pv = device_pv(acc->dev);

    kr_stream_request(pv->stream, rq);
}

static DEV_CHAR_CANCEL(file_char_cancel)
{
    struct file_pv_s *pv = device_pv(acc->dev);

    return kr_stream_cancel(pv->stream, rq);
}

static const struct driver_char_s file_char = DRIVER_CHAR_METHODS(file_char);

static void file_close(struct device_s *dev)
{
    struct file_pv_s *pv = device_pv(dev);

    kr_fd_stream_close(pv->fs, -ECANCELED);
}

static void file_free(struct device_s *dev)
{
    struct file_pv_s *pv = device_pv(dev);

    kr_stream_put(pv->stream);
}

/* `fd` is closed on failure. */
static error_t finish_open(struct device_s *dev, const struct device_spec_s *spec, int fd)
{
    struct file_pv_s *pv = device_pv(dev);
    struct kr_framing_s framing;
    error_t err = kr_framing_from_spec(&framing, spec);
    int access = fcntl(fd, F_GETFL) & O_ACCMODE;
    unsigned flags = 0;

    if (access != O_WRONLY)
        flags |= KR_FD_READABLE;
    if (access != O_RDONLY)
        flags |= KR_FD_WRITABLE;
    if (!err)
        err = kr_fd_stream_create(&pv->fs, dev, fd, &framing, flags, NULL);
    if (err) {
        close(fd);
        return err;
    }
    pv->stream = kr_fd_stream_stream(pv->fs);
    kr_stream_keep(pv->stream);
    return 0;
}

/* --- file --- */

enum mode_e { MODE_AUTO, MODE_READ, MODE_WRITE, MODE_BOTH };

static const struct driver_param_s file_params[] = {
    {"mode", "how to open: auto takes rw where it is allowed, else r", "auto|r|w|rw", 0, 0,
     DRIVER_PARAM_ENUM},
    {"create", "make the file when it is missing, mode 0666 less the umask", NULL, 0, 0,
     DRIVER_PARAM_BOOL},
    {"append", "every write goes to the end", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"truncate", "start with an empty file", NULL, 0, 0, DRIVER_PARAM_BOOL},
    KR_FRAMING_PARAMS,
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

static int open_path(const char *path, const struct device_spec_s *spec)
{
    static const int access[] = {O_RDWR, O_RDONLY, O_WRONLY, O_RDWR};
    uint64_t mode = device_spec_uint(spec, "mode", MODE_AUTO);
    int flags = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    struct stat st;
    int fd;

    if (device_spec_uint(spec, "create", 0))
        flags |= O_CREAT;
    if (device_spec_uint(spec, "append", 0))
        flags |= O_APPEND;
    if (device_spec_uint(spec, "truncate", 0))
        flags |= O_TRUNC;
    /* A FIFO is opened for both, or its end would come whenever the last writer leaves
       (fifo(7)), and a writer could not open it before a reader. */
    if (mode != MODE_BOTH && stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
        return open(path, O_RDWR | flags);
    fd = open(path, access[mode] | flags, 0666);
    if (fd < 0 && mode == MODE_AUTO && !(flags & (O_CREAT | O_APPEND | O_TRUNC)) &&
        (errno == EACCES || errno == EROFS || errno == EPERM || errno == EISDIR || errno == EINVAL))
        fd = open(path, O_RDONLY | flags);
    return fd;
}

static error_t file_open(struct device_s *dev, const struct device_spec_s *spec)
{
    const char *path = device_spec_address(spec);
    int fd;

    if (!*path)
        return device_error(-EINVAL, "a path is missing: file:/path");
    fd = open_path(path, spec);
    if (fd < 0)
        return device_error(-errno, "cannot open %s: %s%s", path, strerror(errno),
                            errno == ENXIO ? " (a socket: connect it, and give it as fd:N)" : "");
    return finish_open(dev, spec, fd);
}

const struct driver_s kr_driver_file = {
    .name = "file",
    .desc = "file, FIFO or character device by its path",
    .params = file_params,
    .pv_size = sizeof(struct file_pv_s),
    .f_open = file_open,
    .f_close = file_close,
    .f_free = file_free,
    .classes = {(const struct driver_class_table_s *)&file_char},
};

/* --- fd --- */

static const struct driver_param_s fd_params[] = {
    KR_FRAMING_PARAMS,
    {NULL, NULL, NULL, 0, 0, DRIVER_PARAM_UINT},
};

/* A descriptor of our own for what `fd` refers to. O_NONBLOCK belongs to the open file, which a
   duplicate shares with the program (and with other processes, if it is a terminal): so ttys and
   pipes are opened anew. Not a pty's master, where that would make a new pty, nor another device
   (a tun interface would be a new one, /dev/kmsg start anew); not a file, which
   would lose its position; sockets cannot be, and need no flag (MSG_DONTWAIT). */
static int own_descriptor(int fd)
{
    int flags = fcntl(fd, F_GETFL), copy, n;
    char path[32];
    struct stat st;

    if (flags < 0 || fstat(fd, &st))
        return -1;
    if (!(flags & O_NONBLOCK) && (S_ISFIFO(st.st_mode) || isatty(fd)) &&
        ioctl(fd, TIOCGPTN, &n) != 0) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        copy = open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (copy >= 0)
            return copy;
    }
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0 && !S_ISSOCK(st.st_mode) && fcntl(copy, F_SETFL, flags | O_NONBLOCK)) {
        close(copy);
        return -1;
    }
    return copy;
}

static error_t fd_open(struct device_s *dev, const struct device_spec_s *spec)
{
    const char *text = device_spec_address(spec);
    char *end;
    long n;
    int fd;

    errno = 0;
    n = strtol(text, &end, 10);
    if (errno || end == text || *end || n < 0 || n > 0x7fffffff)
        return device_error(-EINVAL, "'%s' is not the number of a descriptor", text);
    fd = own_descriptor((int)n);
    if (fd < 0)
        return device_error(-errno, "%s", strerror(errno));
    return finish_open(dev, spec, fd);
}

const struct driver_s kr_driver_fd = {
    .name = "fd",
    .desc = "open descriptor of the program, duplicated: pipe, socket, pty, file",
    .params = fd_params,
    .pv_size = sizeof(struct file_pv_s),
    .f_open = fd_open,
    .f_close = file_close,
    .f_free = file_free,
    .classes = {(const struct driver_class_table_s *)&file_char},
};

/* SPDX-License-Identifier: MIT */
/*
 * Driver `tty`: serial ports and other terminals, "tty:/dev/ttyUSB0?baud=115200". The char class is
 * a stream over the descriptor; the uart class changes the line settings while it is open.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "atomic.h"
#include "fd_stream.h"
#include "line.h"

struct tty_s {
    struct kr_fd_stream_s *fs;
    struct kr_stream_s *stream;
    int fd;               /* of `fs` */
    bool exclusive;       /* by this driver */
    uint32_t configuring; /* atomic: a thread is in set_config */
    struct termios2 saved;
};

static const struct driver_param_s params[] = {
    {"baud", "bits a second; as it is", NULL, 1, UINT32_MAX, DRIVER_PARAM_UINT},
    {"data", "data bits a character; 8", NULL, 5, 8, DRIVER_PARAM_UINT},
    {"parity", "parity bit; none", TTY_PARITIES, 0, 0, DRIVER_PARAM_ENUM},
    {"stop", "stop bits; 1", NULL, 1, 2, DRIVER_PARAM_UINT},
    {"flow", "flow control; none", TTY_FLOWS, 0, 0, DRIVER_PARAM_ENUM},
    {"exclusive", "nobody else may open it meanwhile; no", NULL, 0, 0, DRIVER_PARAM_BOOL},
    KR_FRAMING_PARAMS,
    {.key = NULL},
};

/* --- opening --- */

static const char *open_hint(int error)
{
    switch (error) {
    case EACCES:
        return " (the group of the port is often 'dialout')";
    case EBUSY:
        return " (another program has it for exclusive use)";
    case EIO:
        return " (no hardware behind it)";
    default:
        return "";
    }
}

static error_t open_port(int *ret, const char *path)
{
    int fd;

    if (!*path)
        return device_error(-EINVAL, "no path: use tty:/dev/ttyUSB0");
    /* Without O_NONBLOCK, open waits for the carrier and the reactor for each call. */
    fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        int error = errno;

        return device_error(-error, "cannot open %s: %s%s", path, strerror(error),
                            open_hint(error));
    }
    *ret = fd;
    return 0;
}

static void config_from_spec(struct dev_uart_config_s *config, const struct device_spec_s *spec)
{
    *config = (struct dev_uart_config_s){
        .baudrate = (uint32_t)device_spec_uint(spec, "baud", 0),
        .data_bits = (uint8_t)device_spec_uint(spec, "data", 8),
        .stop_bits = (uint8_t)device_spec_uint(spec, "stop", 1),
        .parity = (uint8_t)device_spec_uint(spec, "parity", DEV_UART_PARITY_NONE),
        .flow_ctrl = (uint8_t)device_spec_uint(spec, "flow", DEV_UART_FLOW_NONE),
    };
}

static void update_char_time(struct tty_s *tty)
{
    struct dev_uart_config_s config;
    struct termios2 line;

    if (tty_line_get(tty->fd, &line))
        return;
    tty_line_describe(&line, &config);
    kr_fd_stream_set_char_time(tty->fs, tty_line_char_ns(&config));
}

static error_t set_up(struct tty_s *tty, struct device_s *dev, const struct device_spec_s *spec)
{
    struct dev_uart_config_s config;
    struct kr_framing_s framing;
    error_t err = kr_framing_from_spec(&framing, spec);

    if (err)
        return err;
    config_from_spec(&config, spec);
    err = tty_line_apply(tty->fd, &config);
    if (!err && tty->exclusive && ioctl(tty->fd, TIOCEXCL))
        err = device_error(-errno, "exclusive=yes: %s", strerror(errno));
    if (!err)
        err =
            kr_fd_stream_create(&tty->fs, dev, tty->fd, &framing, KR_FD_READABLE | KR_FD_WRITABLE);
    if (err) {
        if (tty->exclusive)
            ioctl(tty->fd, TIOCNXCL);
        tty_line_put(tty->fd, &tty->saved);
    }
    return err;
}

static error_t tty_open(struct device_s *dev, const struct device_spec_s *spec)
{
    const char *path = device_spec_address(spec);
    struct tty_s *tty = device_pv(dev);
    error_t err = open_port(&tty->fd, path);

    if (err)
        return err;
    err = tty_line_get(tty->fd, &tty->saved);
    if (err == -ENOTTY || err == -EINVAL)
        err = device_error(err, "%s is not a tty: use file:%s", path, path);
    else if (err)
        err = device_error(err, "cannot read the settings of %s: %s", path, strerror(-err));
    tty->exclusive = device_spec_uint(spec, "exclusive", false);
    if (!err)
        err = set_up(tty, dev, spec);
    if (err) {
        close(tty->fd);
        return err;
    }
    tty->stream = kr_fd_stream_stream(tty->fs);
    kr_stream_keep(tty->stream); /* for calls that are under way at the close */
    update_char_time(tty);
    return 0;
}

/* --- closing --- */

#define DRAIN_STEP_NS   KROUTINE_MSEC(5)
#define DRAIN_PATIENCE  20 /* steps without progress: nobody takes the bytes */
#define DRAIN_STEPS_MAX 400

/* Bytes that were written and are not on the line yet go out first, if they move. What is left is
   thrown away: the kernel's own close would wait for it for up to 30 s (closing_wait). On the
   reactor there is no waiting at all. */
static void drain(int fd)
{
    static const struct timespec step = {.tv_nsec = DRAIN_STEP_NS};
    int queued = 0, before = 0, still = 0;

    for (int i = 0; i < DRAIN_STEPS_MAX && kroutine_is_interruptible(); i++) {
        if (ioctl(fd, TIOCOUTQ, &queued) || queued == 0)
            return;
        still = queued == before ? still + 1 : 0;
        if (still == DRAIN_PATIENCE)
            break;
        before = queued;
        nanosleep(&step, NULL);
    }
    if (ioctl(fd, TIOCOUTQ, &queued) == 0 && queued)
        ioctl(fd, TCFLSH, TCOFLUSH);
}

static void tty_close(struct device_s *dev)
{
    struct tty_s *tty = device_pv(dev);

    kr_stream_close(tty->stream, -ECANCELED);
    drain(tty->fd);
    if (tty->exclusive)
        ioctl(tty->fd, TIOCNXCL);
    tty_line_put(tty->fd, &tty->saved);
    kr_fd_stream_close(tty->fs, -ECANCELED);
}

static void tty_free(struct device_s *dev)
{
    struct tty_s *tty = device_pv(dev);

    kr_stream_put(tty->stream);
}

/* --- classes --- */

static DEV_CHAR_REQUEST(tty_request)
{
    struct tty_s *tty = device_pv(acc->dev);

    kr_stream_request(tty->stream, rq);
}

static DEV_CHAR_CANCEL(tty_cancel)
{
    struct tty_s *tty = device_pv(acc->dev);

    return kr_stream_cancel(tty->stream, rq);
}

/* A port that was unplugged or hung up answers with EIO. */
static error_t gone(error_t err)
{
    return err == -EIO || err == -ENXIO ? -ENODEV : err;
}

static DEV_UART_GET_CONFIG(tty_get_config)
{
    struct tty_s *tty = device_pv(acc->dev);
    struct termios2 line;
    error_t err = tty_line_get(tty->fd, &line);

    if (!err)
        tty_line_describe(&line, cfg);
    return gone(err);
}

static error_t change_config(struct tty_s *tty, const struct dev_uart_config_s *cfg)
{
    struct termios2 old;
    error_t err = tty_line_get(tty->fd, &old);

    if (err)
        return device_error(gone(err), "cannot read the line settings: %s", strerror(-err));
    err = tty_line_apply(tty->fd, cfg);
    if (err)
        tty_line_put(tty->fd, &old);
    else
        update_char_time(tty);
    return gone(err);
}

static DEV_UART_SET_CONFIG(tty_set_config)
{
    struct tty_s *tty = device_pv(acc->dev);
    error_t err = tty_line_validate(cfg);

    if (!err && cfg->baudrate == 0)
        err = device_error(-EINVAL, "baud=0: must be 1 or more");
    if (err)
        return err;
    if (kr_xchg(&tty->configuring, 1))
        return device_error(-EBUSY, "another thread is changing the settings");
    err = change_config(tty, cfg);
    kr_store(&tty->configuring, 0);
    return err;
}

static const struct driver_char_s tty_char = DRIVER_CHAR_METHODS(tty);
static const struct driver_uart_s tty_uart = DRIVER_UART_METHODS(tty);

const struct driver_s kr_driver_tty = {
    .name = "tty",
    .desc = "serial ports and other terminals",
    .params = params,
    .pv_size = sizeof(struct tty_s),
    .f_open = tty_open,
    .f_close = tty_close,
    .f_free = tty_free,
    .classes = {(const struct driver_class_table_s *)&tty_char,
                (const struct driver_class_table_s *)&tty_uart},
};

/* SPDX-License-Identifier: MIT */
/*
 * Driver `tty`: serial ports and other terminals, "tty:/dev/ttyUSB0?baud=115200". The char class is
 * a stream over the descriptor; the uart class is in settings.c; its requests are
 * lib/uart_requests.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tty.h"

/* --- spec --- */

#define ERRORS "auto|no|report|mark"

static const struct driver_param_s params[] = {
    {"baud", "bits a second; as it is", NULL, 1, UINT32_MAX, DRIVER_PARAM_UINT},
    {"data", "data bits a character; 8", NULL, 5, 8, DRIVER_PARAM_UINT},
    {"parity", "parity bit; none", TTY_PARITIES, 0, 0, DRIVER_PARAM_ENUM},
    {"stop", "stop bits; 1", NULL, 1, 2, DRIVER_PARAM_UINT},
    {"flow", "flow control; none", TTY_FLOWS, 0, 0, DRIVER_PARAM_ENUM},
    {"exclusive", "nobody else may open it meanwhile; no", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"errors", "damaged bytes: end a read, be zero bytes, or be marked; auto", ERRORS, 0, 0,
     DRIVER_PARAM_ENUM},
    {"rs485", "switch a transceiver with RTS; as it is", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"rs485-rts", "RTS while sending; high", "low|high", 0, 0, DRIVER_PARAM_ENUM},
    {"rs485-before", "ms from RTS to the first bit; 0", NULL, 0, 10000, DRIVER_PARAM_UINT},
    {"rs485-after", "ms from the last bit to RTS; 0", NULL, 0, 10000, DRIVER_PARAM_UINT},
    {"rs485-rx", "receive what is sent; no", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"rs485-term", "the port's terminating resistor; no", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"low-latency", "hand bytes over one by one; as it is", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"dtr", "DTR after opening; as the kernel sets it, active", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"rts", "RTS after opening; as the kernel sets it, active", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"hupcl", "drop DTR and RTS at the last close; as it is", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"restore", "put the settings of before back at the close; yes", NULL, 0, 0, DRIVER_PARAM_BOOL},
    {"close-wait", "ms for bytes that are being sent, at the close; 2000", NULL, 0, 600000,
     DRIVER_PARAM_UINT},
    KR_FRAMING_PARAMS,
    {.key = NULL},
};

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

static error_t rs485_from_spec(struct dev_uart_rs485_s *rs485, const struct device_spec_s *spec)
{
    static const char *const keys[] = {"rs485-rts", "rs485-before", "rs485-after", "rs485-rx",
                                       "rs485-term"};
    bool high = device_spec_uint(spec, "rs485-rts", true);

    *rs485 = (struct dev_uart_rs485_s){.enable = device_spec_uint(spec, "rs485", false)};
    for (unsigned i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (!rs485->enable && device_spec_has(spec, keys[i]))
            return device_error(-EINVAL, "%s needs rs485=yes", keys[i]);
    if (!rs485->enable)
        return 0;
    rs485->rts_on_send = high;
    rs485->rts_after_send = !high;
    rs485->delay_before_ms = (uint32_t)device_spec_uint(spec, "rs485-before", 0);
    rs485->delay_after_ms = (uint32_t)device_spec_uint(spec, "rs485-after", 0);
    rs485->rx_during_tx = device_spec_uint(spec, "rs485-rx", false);
    rs485->terminate_bus = device_spec_uint(spec, "rs485-term", false);
    return 0;
}

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

/* Levels of DTR and RTS that the spec asks for. */
static error_t set_lines(struct tty_s *tty, const struct device_spec_s *spec)
{
    uint32_t set = 0, clear = 0;
    error_t err;

    if (device_spec_has(spec, "dtr"))
        *(device_spec_uint(spec, "dtr", 0) ? &set : &clear) |= DEV_UART_DTR;
    if (device_spec_has(spec, "rts"))
        *(device_spec_uint(spec, "rts", 0) ? &set : &clear) |= DEV_UART_RTS;
    if (!(set | clear))
        return 0;
    err = tty_lines_put(tty->fd, set, clear);
    if (err)
        return device_error(err, "%s: %s",
                            clear & DEV_UART_DTR || set & DEV_UART_DTR ? "dtr" : "rts",
                            err == -ENOTSUP ? "the port has no modem lines (pseudo-terminals have "
                                              "none), leave it away"
                                            : strerror(-err));
    tty->saved.lines_changed = set | clear;
    return 0;
}

/* What the kernel keeps beside the line settings. */
static error_t set_extras(struct tty_s *tty, const struct device_spec_s *spec)
{
    struct dev_uart_rs485_s rs485;
    error_t err = rs485_from_spec(&rs485, spec);

    if (!err && device_spec_has(spec, "rs485")) {
        err = tty_rs485_set(tty->fd, &rs485);
        tty->saved.rs485_changed = !err;
    }
    if (!err && device_spec_has(spec, "low-latency")) {
        err = tty_low_latency_set(tty->fd, device_spec_uint(spec, "low-latency", false));
        tty->saved.low_latency_changed = !err;
    }
    if (!err)
        err = set_lines(tty, spec);
    if (!err && device_spec_has(spec, "hupcl")) {
        bool on = device_spec_uint(spec, "hupcl", true);

        err = tty_line_set_hupcl(tty->fd, on);
        if (err)
            return device_error(err, "hupcl: %s", strerror(-err));
        /* It is about the close, and stays. */
        tty->saved.line.c_cflag &= ~(tcflag_t)HUPCL;
        tty->saved.line.c_cflag |= on ? (tcflag_t)HUPCL : 0;
    }
    if (!err && tty->exclusive && ioctl(tty->fd, TIOCEXCL))
        err = device_error(-errno, "exclusive=yes: %s", strerror(errno));
    return err;
}

/* Hardware makes errors, pseudo-terminals none: no need to look for them. */
static enum tty_errors_e errors_of(const struct tty_s *tty, const struct device_spec_s *spec)
{
    uint64_t errors = device_spec_uint(spec, "errors", TTY_ERRORS_AUTO);

    if (errors != TTY_ERRORS_AUTO)
        return (enum tty_errors_e)errors;
    return !tty->pty && (tty->counted || tty->saved.have_lines) ? TTY_ERRORS_REPORT : TTY_ERRORS_NO;
}

static error_t make_stream(struct tty_s *tty, struct device_s *dev,
                           const struct device_spec_s *spec)
{
    struct kr_framing_s framing;
    error_t err = kr_framing_from_spec(&framing, spec);

    if (!err && tty->errors == TTY_ERRORS_REPORT)
        err = tty_reader_create(&tty->reader, tty->fd);
    if (!err)
        err = kr_uart_requests_init(&tty->requests, dev, &tty_port_ops, tty);
    if (err)
        return err;
    err = kr_fd_stream_create(&tty->fs, dev, tty->fd, &framing, KR_FD_READABLE | KR_FD_WRITABLE,
                              tty->reader ? &tty->reader->base : NULL);
    if (err)
        kr_uart_requests_destroy(&tty->requests);
    return err;
}

static error_t set_up(struct tty_s *tty, struct device_s *dev, const struct device_spec_s *spec)
{
    struct dev_uart_config_s config;
    error_t err;

    config_from_spec(&config, spec);
    tty->errors = errors_of(tty, spec);
    err = tty_line_validate(&config);
    if (!err)
        err = tty_line_apply(tty->fd, &config, tty->errors);
    if (!err)
        err = set_extras(tty, spec);
    if (!err)
        err = make_stream(tty, dev, spec);
    if (err) {
        if (tty->exclusive)
            ioctl(tty->fd, TIOCNXCL);
        tty_restore(tty);
        tty_reader_destroy(tty->reader);
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
    tty->pty = tty_is_pty(tty->fd);
    err = tty_save(tty);
    if (err == -ENOTTY || err == -EINVAL)
        err = device_error(err, "%s is not a tty: use file:%s", path, path);
    else if (err)
        err = device_error(err, "cannot read the settings of %s: %s", path, strerror(-err));
    tty->exclusive = device_spec_uint(spec, "exclusive", false);
    tty->restore = device_spec_uint(spec, "restore", true);
    tty->close_wait = KROUTINE_MSEC(device_spec_uint(spec, "close-wait", 2000));
    if (!err)
        err = set_up(tty, dev, spec);
    if (err) {
        close(tty->fd);
        return err;
    }
    tty->stream = kr_fd_stream_stream(tty->fs);
    kr_stream_keep(tty->stream); /* for calls that are under way at the close */
    tty_update_char_time(tty);
    return 0;
}

/* --- driver --- */

static void tty_free(struct device_s *dev)
{
    struct tty_s *tty = device_pv(dev);

    kr_stream_put(tty->stream);
    kr_uart_requests_destroy(&tty->requests);
    tty_reader_destroy(tty->reader);
}

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

static const struct driver_char_s tty_char = DRIVER_CHAR_METHODS(tty);

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

/* SPDX-License-Identifier: MIT */
/* The uart class of a tty: checks, texts, and what has to be put back at the close. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tty.h"
#include "uart_line.h"

static struct tty_s *tty_of(const struct device_uart_s *acc)
{
    return device_pv(acc->dev);
}

/* --- before and after --- */

error_t tty_save(struct tty_s *tty)
{
    struct tty_saved_s *saved = &tty->saved;
    error_t err = tty_line_get(tty->fd, &saved->line);

    if (err)
        return err;
    saved->have_rs485 = tty_rs485_get(tty->fd, &saved->rs485) == 0;
    saved->have_lines = tty_lines_get(tty->fd, &saved->lines) == 0;
    saved->have_low_latency = tty_low_latency_get(tty->fd, &saved->low_latency) == 0;
    tty->counted = tty_count(tty->fd, &tty->counts) == 0;
    return 0;
}

void tty_restore(struct tty_s *tty)
{
    struct tty_saved_s *saved = &tty->saved;
    uint32_t changed = kr_load(&saved->lines_changed);

    if (saved->rs485_changed && saved->have_rs485)
        tty_rs485_set(tty->fd, &saved->rs485);
    if (saved->low_latency_changed && saved->have_low_latency)
        tty_low_latency_set(tty->fd, saved->low_latency);
    tty_line_put(tty->fd, &saved->line);
    if (changed && saved->have_lines)
        tty_lines_put(tty->fd, saved->lines & changed, ~saved->lines & changed);
}

void tty_update_char_time(struct tty_s *tty)
{
    struct dev_uart_config_s config;
    struct termios2 line;

    if (tty_line_get(tty->fd, &line))
        return;
    tty_line_describe(&line, &config);
    kr_store_relaxed(&tty->char_ns, kr_uart_char_ns(&config));
    kr_fd_stream_set_char_time(tty->fs, kr_uart_char_ns(&config));
}

/* --- one thread at a time --- */

static error_t begin(struct tty_s *tty)
{
    if (kr_xchg(&tty->configuring, 1))
        return device_error(-EBUSY, "another thread is changing the settings: try again");
    return 0;
}

static void end(struct tty_s *tty)
{
    kr_store(&tty->configuring, 0);
}

/* --- line settings --- */

static DEV_UART_GET_CONFIG(tty_get_config)
{
    struct termios2 line;
    error_t err = tty_line_get(tty_of(acc)->fd, &line);

    if (err)
        return device_error(tty_errno(-err), "cannot read the line settings: %s", strerror(-err));
    tty_line_describe(&line, cfg);
    cfg->baudrate = tty_line_achieved(tty_of(acc)->fd, cfg->baudrate);
    return 0;
}

static error_t change_config(struct tty_s *tty, const struct dev_uart_config_s *cfg)
{
    struct termios2 old;
    error_t err = tty_line_get(tty->fd, &old);

    if (err)
        return device_error(tty_errno(-err), "cannot read the line settings: %s", strerror(-err));
    err = tty_line_apply(tty->fd, cfg, tty->errors);
    if (err)
        tty_line_put(tty->fd, &old);
    else
        tty_update_char_time(tty);
    return err == -EIO ? -ENODEV : err;
}

static DEV_UART_SET_CONFIG(tty_set_config)
{
    struct tty_s *tty = tty_of(acc);
    error_t err = tty_line_validate(cfg);

    if (!err && cfg->baudrate == 0)
        err = device_error(-EINVAL, "baud=0: must be 1 or more");
    if (!err)
        err = begin(tty);
    if (err)
        return err;
    err = change_config(tty, cfg);
    end(tty);
    return err;
}

/* --- RS-485, latency --- */

static DEV_UART_GET_RS485(tty_get_rs485)
{
    return tty_rs485_get(tty_of(acc)->fd, rs485);
}

static DEV_UART_SET_RS485(tty_set_rs485)
{
    struct tty_s *tty = tty_of(acc);
    error_t err = begin(tty);

    if (err)
        return err;
    err = tty_rs485_set(tty->fd, rs485);
    tty->saved.rs485_changed |= !err;
    end(tty);
    return err;
}

static DEV_UART_GET_LOW_LATENCY(tty_get_low_latency)
{
    return tty_low_latency_get(tty_of(acc)->fd, on);
}

static DEV_UART_SET_LOW_LATENCY(tty_set_low_latency)
{
    struct tty_s *tty = tty_of(acc);
    error_t err = begin(tty);

    if (err)
        return err;
    err = tty_low_latency_set(tty->fd, on);
    tty->saved.low_latency_changed |= !err;
    end(tty);
    return err;
}

/* --- modem lines, break --- */

static error_t no_lines(error_t err)
{
    if (err == -ENOTSUP)
        return device_error(err, "the port has no modem lines (pseudo-terminals have none): leave "
                                 "dtr, rts and waiting for lines away");
    return err ? device_error(err, "modem lines: %s", strerror(-err)) : 0;
}

static DEV_UART_GET_LINES(tty_get_lines)
{
    return no_lines(kr_uart_requests_get_lines(&tty_of(acc)->requests, lines));
}

static DEV_UART_SET_LINES(tty_set_lines)
{
    struct tty_s *tty = tty_of(acc);
    error_t err = no_lines(tty_lines_put(tty->fd, set, clear));

    if (!err)
        kr_or(&tty->saved.lines_changed, set | clear);
    return err;
}

static DEV_UART_SET_BREAK(tty_set_break)
{
    error_t err = kr_uart_requests_set_break(&tty_of(acc)->requests, on);

    switch (err) {
    case 0:
        return 0;
    case -ENOTSUP:
        return device_error(err, "the port cannot send a break (pseudo-terminals cannot)");
    case -EBUSY:
        return device_error(err, "break: a request for one is under way, cancel it or wait");
    case -EAGAIN:
        return device_error(-EBUSY, "break: bytes wait to be sent before it, drain or flush first");
    default:
        return device_error(err, "break: %s", strerror(-err));
    }
}

/* --- counters, flush --- */

static void found_by_reader(struct tty_s *tty, struct dev_uart_counts_s *counts)
{
    *counts = (struct dev_uart_counts_s){0};
    if (tty->reader)
        tty_reader_found(tty->reader, &counts->framing, &counts->breaks);
}

static DEV_UART_GET_COUNTS(tty_get_counts)
{
    struct tty_s *tty = tty_of(acc);
    const struct tty_count_s *old = &tty->counts;
    struct tty_count_s now;
    error_t err = tty->counted ? tty_count(tty->fd, &now) : -ENOTSUP;

    if (err == -ENOTSUP) {
        if (!tty->reader)
            return device_error(err, "the port does not count errors: open it with errors=report, "
                                     "and those that are seen in the stream are counted");
        found_by_reader(tty, counts);
        return 0;
    }
    if (err)
        return device_error(err, "counters: %s", strerror(-err));
    *counts = (struct dev_uart_counts_s){
        .parity = now.parity - old->parity,
        .framing = now.framing - old->framing,
        .overrun = now.overrun - old->overrun,
        .buffer_overrun = now.buffer_overrun - old->buffer_overrun,
        .breaks = now.breaks - old->breaks,
    };
    return 0;
}

static DEV_UART_FLUSH(tty_flush)
{
    static const unsigned long queues[] = {
        [DEV_UART_FLUSH_IN] = TCIFLUSH,
        [DEV_UART_FLUSH_OUT] = TCOFLUSH,
        [DEV_UART_FLUSH_BOTH] = TCIOFLUSH,
    };
    struct tty_s *tty = tty_of(acc);

    if (ioctl(tty->fd, TCFLSH, queues[which])) {
        int error = errno;

        return device_error(tty_errno(error), "flush: %s", strerror(error));
    }
    if (which & DEV_UART_FLUSH_IN) {
        if (tty->reader)
            tty_reader_flush(tty->reader);
        kr_stream_drop_input(tty->stream);
    }
    return 0;
}

/* --- requests --- */

static bool port_gone(void *port)
{
    struct tty_s *tty = port;
    int queued;

    return ioctl(tty->fd, TIOCOUTQ, &queued) && tty_errno(errno) == -ENODEV;
}

static int64_t port_left(void *port)
{
    struct tty_s *tty = port;

    return kr_fd_tty_drain(tty->fd, kr_load_relaxed(&tty->char_ns));
}

static error_t port_levels(void *port, uint32_t *lines)
{
    return tty_lines_get(((struct tty_s *)port)->fd, lines);
}

static error_t port_edges(void *port, struct kr_uart_edges_s *edges)
{
    struct tty_count_s count;
    error_t err = tty_count(((struct tty_s *)port)->fd, &count);

    if (!err)
        *edges = count.edges;
    return err;
}

/* On a pseudo-terminal the call would succeed, and do nothing. */
static error_t port_break(void *port, bool on)
{
    struct tty_s *tty = port;

    return tty->pty ? -ENOTSUP : tty_break(tty->fd, on);
}

static void port_drop_output(void *port)
{
    ioctl(((struct tty_s *)port)->fd, TCFLSH, TCOFLUSH);
}

const struct kr_uart_port_ops_s tty_port_ops = {
    .gone = port_gone,
    .left = port_left,
    .levels = port_levels,
    .edges = port_edges,
    .set_break = port_break,
    .drop_output = port_drop_output,
};

static DEV_UART_REQUEST(tty_request)
{
    kr_uart_requests_submit(&tty_of(acc)->requests, rq);
}

static DEV_UART_CANCEL(tty_cancel)
{
    return kr_uart_requests_cancel(&tty_of(acc)->requests, rq);
}

const struct driver_uart_s tty_uart = DRIVER_UART_METHODS(tty);

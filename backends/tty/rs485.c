/* SPDX-License-Identifier: MIT */
/*
 * RS-485 (Documentation/driver-api/serial/serial-rs485.rst) and ASYNC_LOW_LATENCY
 * (linux/tty_flags.h). Both calls may succeed and change what was asked for, so all is read back.
 */
#include <errno.h>
#include <linux/serial.h>
#include <linux/tty_flags.h>
#include <string.h>
#include <sys/ioctl.h>

#include "line.h"
#include "modem.h"

/* --- RS-485 --- */

#define NO_RS485                                                                                   \
    "rs485: the port cannot switch a transceiver; use an adapter that does it by itself, and "     \
    "leave this off"

static error_t no_rs485(error_t err)
{
    if (err == -ENOTSUP)
        return device_error(err, NO_RS485);
    return device_error(err, "rs485: %s", strerror(-err));
}

static error_t rs485_get(int fd, struct serial_rs485 *raw)
{
    memset(raw, 0, sizeof(*raw));
    return ioctl(fd, TIOCGRS485, raw) ? tty_errno(errno) : 0;
}

static void describe(const struct serial_rs485 *raw, struct dev_uart_rs485_s *rs485)
{
    *rs485 = (struct dev_uart_rs485_s){
        .enable = raw->flags & SER_RS485_ENABLED,
        .rts_on_send = raw->flags & SER_RS485_RTS_ON_SEND,
        .rts_after_send = raw->flags & SER_RS485_RTS_AFTER_SEND,
        .rx_during_tx = raw->flags & SER_RS485_RX_DURING_TX,
        .terminate_bus = raw->flags & SER_RS485_TERMINATE_BUS,
        .delay_before_ms = raw->delay_rts_before_send,
        .delay_after_ms = raw->delay_rts_after_send,
    };
}

static uint32_t flag(bool on, uint32_t bit)
{
    return on ? bit : 0;
}

static void compose(const struct dev_uart_rs485_s *rs485, struct serial_rs485 *raw)
{
    memset(raw, 0, sizeof(*raw));
    if (!rs485->enable)
        return;
    raw->flags = SER_RS485_ENABLED | flag(rs485->rts_on_send, SER_RS485_RTS_ON_SEND) |
                 flag(rs485->rts_after_send, SER_RS485_RTS_AFTER_SEND) |
                 flag(rs485->rx_during_tx, SER_RS485_RX_DURING_TX) |
                 flag(rs485->terminate_bus, SER_RS485_TERMINATE_BUS);
    raw->delay_rts_before_send = rs485->delay_before_ms;
    raw->delay_rts_after_send = rs485->delay_after_ms;
}

error_t tty_rs485_get(int fd, struct dev_uart_rs485_s *rs485)
{
    struct serial_rs485 raw;
    error_t err = rs485_get(fd, &raw);

    if (err)
        return no_rs485(err);
    describe(&raw, rs485);
    return 0;
}

static error_t changed(const char *key, unsigned asked, unsigned got, const char *advice)
{
    return device_error(-ENOTSUP, "the port refused %s=%u: it keeps %u (%s)", key, asked, got,
                        advice);
}

static error_t compare(const struct dev_uart_rs485_s *asked, const struct dev_uart_rs485_s *got)
{
    if (asked->enable != got->enable)
        return changed("rs485", asked->enable, got->enable, "its transceiver may need firmware");
    if (!asked->enable)
        return 0;
    if (asked->rts_on_send != got->rts_on_send)
        return changed("rs485 RTS while sending", asked->rts_on_send, got->rts_on_send,
                       "try the other level, and turn the transceiver's input");
    if (asked->rts_after_send != got->rts_after_send)
        return changed("rs485 RTS after sending", asked->rts_after_send, got->rts_after_send,
                       "most ports want the opposite of the level while sending");
    if (asked->delay_before_ms != got->delay_before_ms)
        return changed("rs485-before", asked->delay_before_ms, got->delay_before_ms,
                       "ask for what it keeps: 0, or at most 100 ms");
    if (asked->delay_after_ms != got->delay_after_ms)
        return changed("rs485-after", asked->delay_after_ms, got->delay_after_ms,
                       "ask for what it keeps: 0, or at most 100 ms");
    if (asked->rx_during_tx != got->rx_during_tx)
        return changed("rs485-rx", asked->rx_during_tx, got->rx_during_tx,
                       "the wiring decides on this port");
    if (asked->terminate_bus != got->terminate_bus)
        return changed("rs485-term", asked->terminate_bus, got->terminate_bus,
                       "the port has no resistor to switch: use one on the cable");
    return 0;
}

error_t tty_rs485_set(int fd, const struct dev_uart_rs485_s *rs485)
{
    struct serial_rs485 raw, before;
    struct dev_uart_rs485_s got;
    error_t err = rs485_get(fd, &before);

    if (err)
        return no_rs485(err);
    compose(rs485, &raw);
    if (ioctl(fd, TIOCSRS485, &raw))
        return no_rs485(tty_errno(errno));
    err = rs485_get(fd, &raw);
    if (err)
        return no_rs485(err);
    describe(&raw, &got);
    err = compare(rs485, &got);
    if (err)
        ioctl(fd, TIOCSRS485, &before);
    return err;
}

/* --- latency --- */

static error_t no_latency(error_t err)
{
    if (err == -ENOTSUP)
        return device_error(err, "low-latency: the port has no such setting, leave it away");
    return device_error(err, "low-latency: %s", strerror(-err));
}

static error_t serial_get(int fd, struct serial_struct *serial)
{
    memset(serial, 0, sizeof(*serial));
    return ioctl(fd, TIOCGSERIAL, serial) ? tty_errno(errno) : 0;
}

error_t tty_low_latency_get(int fd, bool *on)
{
    struct serial_struct serial;
    error_t err = serial_get(fd, &serial);

    if (err)
        return no_latency(err);
    *on = serial.flags & ASYNC_LOW_LATENCY;
    return 0;
}

error_t tty_low_latency_set(int fd, bool on)
{
    const int latency = (int)ASYNC_LOW_LATENCY;
    struct serial_struct serial;
    error_t err = serial_get(fd, &serial);
    bool got;

    if (!err && !(serial.flags & ASYNC_LOW_LATENCY) == !on)
        return 0;
    if (!err) {
        serial.flags = on ? serial.flags | latency : serial.flags & ~latency;
        if (ioctl(fd, TIOCSSERIAL, &serial))
            err = tty_errno(errno);
    }
    if (!err)
        err = serial_get(fd, &serial);
    if (err)
        return no_latency(err);
    got = serial.flags & ASYNC_LOW_LATENCY;
    return got == on ? 0
                     : device_error(-ENOTSUP,
                                    "the port refused low-latency=%s: it hands bytes over "
                                    "as it did before (nothing else to try here)",
                                    on ? "yes" : "no");
}

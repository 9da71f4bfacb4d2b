/* SPDX-License-Identifier: MIT */
/*
 * What DEVICE_OP calls for the uart class: see class.c. Requests complete nested; the other
 * operations return at once.
 */
#include "device.h"

/* --- operations --- */

static DEV_UART_GET_CONFIG(uart_get_config)
{
    return KR_CLASS_CALL(acc, f_get_config, cfg);
}

static DEV_UART_SET_CONFIG(uart_set_config)
{
    return KR_CLASS_CALL(acc, f_set_config, cfg);
}

static DEV_UART_GET_RS485(uart_get_rs485)
{
    return KR_CLASS_CALL(acc, f_get_rs485, rs485);
}

static DEV_UART_SET_RS485(uart_set_rs485)
{
    return KR_CLASS_CALL(acc, f_set_rs485, rs485);
}

static DEV_UART_GET_LINES(uart_get_lines)
{
    return KR_CLASS_CALL(acc, f_get_lines, lines);
}

static DEV_UART_SET_LINES(uart_set_lines)
{
    if (((set | clear) & ~DEV_UART_OUTPUTS) || (set & clear))
        return device_error(-EINVAL, "lines: DTR and RTS can be set or cleared, not both at once");
    return KR_CLASS_CALL(acc, f_set_lines, set, clear);
}

static DEV_UART_GET_LOW_LATENCY(uart_get_low_latency)
{
    return KR_CLASS_CALL(acc, f_get_low_latency, on);
}

static DEV_UART_SET_LOW_LATENCY(uart_set_low_latency)
{
    return KR_CLASS_CALL(acc, f_set_low_latency, on);
}

static DEV_UART_GET_COUNTS(uart_get_counts)
{
    return KR_CLASS_CALL(acc, f_get_counts, counts);
}

static DEV_UART_SET_BREAK(uart_set_break)
{
    return KR_CLASS_CALL(acc, f_set_break, on);
}

static DEV_UART_FLUSH(uart_flush)
{
    if (which < DEV_UART_FLUSH_IN || which > DEV_UART_FLUSH_BOTH)
        return device_error(-EINVAL, "flush: in, out or both");
    return KR_CLASS_CALL(acc, f_flush, which);
}

/* --- requests --- */

static error_t validate(const struct driver_uart_s *drv, const struct dev_uart_rq_s *rq)
{
    if (!drv->f_request)
        return -ENOTSUP;
    switch (rq->type) {
    case DEV_UART_DRAIN:
        return 0;
    case DEV_UART_BREAK:
        return rq->duration && rq->duration <= INT64_MAX ? 0 : -EINVAL;
    case DEV_UART_WAIT_LINES:
        return rq->mask && !(rq->mask & ~DEV_UART_INPUTS) ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

static DEV_UART_REQUEST(uart_request)
{
    KR_CLASS_REQUEST(acc, rq, DRIVER_CLASS_UART, validate);
}

static DEV_UART_CANCEL(uart_cancel)
{
    return KR_CLASS_CANCEL(acc, rq);
}

const struct driver_uart_s kr_uart_front = DRIVER_UART_METHODS(uart);

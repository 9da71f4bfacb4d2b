/* SPDX-License-Identifier: MIT */
/*
 * The uart class: what a serial port is beside its bytes. Nested completion (kroutine-nesting(7)).
 * kroutine-uart(3). The facts are those of the kernel: Documentation/driver-api/serial,
 * drivers/tty/n_tty.c, include/uapi/linux/serial.h, and ioctl_tty(2).
 *
 * Operations take effect at once and may be called from any thread, handlers included; each is a
 * few system calls, which a USB adapter may make last for a millisecond. All return 0 or
 *     -ENOTSUP  the port, or its driver, does not have it, or has changed what was asked for
 *     -EINVAL   an argument that is never right
 *     -EBUSY    set_…: another thread is changing the settings
 *     -ENODEV   the port is gone
 *     -ECANCELED  the device is closed; -EPERM: forked child
 * and others as ioctl(2). Outputs are untouched then, settings as before, and
 * kroutine_error_text() names the setting and what to do.
 */
#ifndef KROUTINE_UART_H
#define KROUTINE_UART_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

enum dev_uart_parity_e {
    DEV_UART_PARITY_NONE = 0,
    DEV_UART_PARITY_ODD,
    DEV_UART_PARITY_EVEN,
    DEV_UART_PARITY_MARK,  /* always 1 */
    DEV_UART_PARITY_SPACE, /* always 0 */
};

enum dev_uart_flow_e {
    DEV_UART_FLOW_NONE = 0,
    DEV_UART_FLOW_RTSCTS,
    DEV_UART_FLOW_XONXOFF,
    DEV_UART_FLOW_DTRDSR, /* -ENOTSUP: Linux has none */
};

struct dev_uart_config_s {
    uint32_t baudrate; /* bits a second; any value the hardware accepts */
    uint8_t data_bits; /* 5 to 8 */
    uint8_t stop_bits; /* 1 or 2 */
    uint8_t parity;    /* enum dev_uart_parity_e */
    uint8_t flow_ctrl; /* enum dev_uart_flow_e */
};

/* Half duplex on two wires: the port switches the transceiver with RTS. serial-rs485.rst. */
struct dev_uart_rs485_s {
    bool enable;              /* false: the other fields say nothing */
    bool rts_on_send;         /* level of RTS while sending: true is the active one */
    bool rts_after_send;      /* level of RTS otherwise: the opposite, for most ports */
    bool rx_during_tx;        /* what is sent is received too */
    bool terminate_bus;       /* the port's own terminating resistor */
    uint32_t delay_before_ms; /* from RTS to the first bit */
    uint32_t delay_after_ms;  /* from the last bit to RTS */
};

/* Modem lines; a set bit is an active line. DTR and RTS are ours, the rest the other side's. */
enum dev_uart_line_e {
    DEV_UART_DTR = 1,
    DEV_UART_RTS = 2,
    DEV_UART_CTS = 4,
    DEV_UART_DSR = 8,
    DEV_UART_DCD = 16, /* carrier */
    DEV_UART_RI = 32,  /* ring */
};

#define DEV_UART_OUTPUTS ((uint32_t)(DEV_UART_DTR | DEV_UART_RTS))
#define DEV_UART_INPUTS  ((uint32_t)(DEV_UART_CTS | DEV_UART_DSR | DEV_UART_DCD | DEV_UART_RI))

enum dev_uart_flush_e {
    DEV_UART_FLUSH_IN = 1,  /* what has arrived and was not read */
    DEV_UART_FLUSH_OUT = 2, /* what was written and not sent */
    DEV_UART_FLUSH_BOTH = 3,
};

/* Since the device was opened. */
struct dev_uart_counts_s {
    uint64_t parity;
    uint64_t framing;
    uint64_t overrun;        /* of the hardware: the processor was late */
    uint64_t buffer_overrun; /* of the kernel: the program was late */
    uint64_t breaks;
};

enum dev_uart_rq_type_e {
    DEV_UART_DRAIN = 0,  /* until what has been handed to the port has left it */
    DEV_UART_BREAK,      /* sends a break of `duration` ns, after those submitted before */
    DEV_UART_WAIT_LINES, /* until a line of `mask` changes from what `lines` says */
    DEV_UART_TYPES,
};

DEVICE_ACCESSOR_DECLARE(uart);

/* Set `type` and the fields that it uses before each submit.
   error: 0; -ECANCELED the device was closed; -ETIMEDOUT the time-out of the request came first;
   -ENODEV the port is gone; -EINVAL unknown type, duration 0, no line in `mask` or one that is no
   input; -ENOTSUP the port has no break, or no modem lines; others as ioctl(2). A break that is
   cancelled, timed out or closed ends there and then.
   The lines are looked at every 1 to 10 ms while somebody waits for them, by a worker; nothing runs
   when nobody does. A pulse between two looks is reported where the port counts edges. Edges are
   counted from the last get_lines, or the last WAIT_LINES that has ended with 0. */
struct dev_uart_rq_s {
    DEV_REQUEST_INHERIT;
    uint64_t duration; /* BREAK */
    uint32_t mask;     /* WAIT_LINES: DEV_UART_CTS, DSR, DCD, RI, or-ed */
    uint32_t lines;    /* WAIT_LINES: in: levels that the caller knows; out, error 0: those now */
    uint32_t changed;  /* WAIT_LINES: out, error 0: which of `mask` have changed */
};

DEV_REQUEST_DECLARE(uart);

/* Operations of the class, by DEVICE_OP. A driver fills the same table in; NULL: -ENOTSUP. */
struct driver_uart_s {
    enum driver_class_e cl;
    /* What the hardware really does, the achieved baud rate included. */
    error_t (*f_get_config)(const struct device_uart_s *acc, struct dev_uart_config_s *cfg);
    /* Applies all of `cfg` at once, also to bytes that wait to be sent. -ENOTSUP also: the port
       makes a baud rate more than 3 % off. */
    error_t (*f_set_config)(const struct device_uart_s *acc, const struct dev_uart_config_s *cfg);
    error_t (*f_get_rs485)(const struct device_uart_s *acc, struct dev_uart_rs485_s *rs485);
    error_t (*f_set_rs485)(const struct device_uart_s *acc, const struct dev_uart_rs485_s *rs485);
    /* Levels of all lines, enum dev_uart_line_e or-ed. */
    error_t (*f_get_lines)(const struct device_uart_s *acc, uint32_t *lines);
    /* DEV_UART_DTR and DEV_UART_RTS, or-ed, in one of the two or in neither. */
    error_t (*f_set_lines)(const struct device_uart_s *acc, uint32_t set, uint32_t clear);
    /* Does the port hand bytes over at once, rather than a few together? */
    error_t (*f_get_low_latency)(const struct device_uart_s *acc, bool *on);
    error_t (*f_set_low_latency)(const struct device_uart_s *acc, bool on);
    error_t (*f_get_counts)(const struct device_uart_s *acc, struct dev_uart_counts_s *counts);
    /* The line is at break until it is switched off. -EBUSY also: a BREAK request is under way. */
    error_t (*f_set_break)(const struct device_uart_s *acc, bool on);
    /* Throws away what the kernel and the library hold; requests stay. Data that is in the buffers
       of requests already is kept. */
    error_t (*f_flush)(const struct device_uart_s *acc, enum dev_uart_flush_e which);
    /* Never fails: every error arrives through the handler. May complete before it returns. */
    void (*f_request)(const struct device_uart_s *acc, struct dev_uart_rq_s *rq);
    /* 0: cancelled, the handler never runs. -EBUSY: it runs, or has run. -ENOTSUP. */
    error_t (*f_cancel)(const struct device_uart_s *acc, struct dev_uart_rq_s *rq);
};

/* Blocking, for threads: the error of the request; -EDEADLK in the reactor. Time-outs in ns, 0:
   none. `*lines`: in and out, as in the request. */
KROUTINE_API error_t dev_uart_wait_drain(const struct device_uart_s *acc, uint64_t timeout_ns);
KROUTINE_API error_t dev_uart_wait_break(const struct device_uart_s *acc, uint64_t duration_ns);
KROUTINE_API error_t dev_uart_wait_lines(const struct device_uart_s *acc, uint32_t mask,
                                         uint32_t *lines, uint64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif

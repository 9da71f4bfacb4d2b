/* SPDX-License-Identifier: MIT */
/* Modem lines, counters, RS-485 and the latency of a port: plain calls on its descriptor. */
#ifndef KR_TTY_MODEM_H
#define KR_TTY_MODEM_H

#include "uart_requests.h"

/* --- modem.c. Negative errno: -ENODEV gone, -ENOTSUP the port has none. No error text. --- */

error_t tty_lines_get(int fd, uint32_t *lines);
error_t tty_lines_put(int fd, uint32_t set, uint32_t clear);

/* Counters of the port since it was made. The kernel's are 32 bits wide and wrap. */
struct tty_count_s {
    struct kr_uart_edges_s edges;
    uint32_t parity, framing, overrun, buffer_overrun, breaks;
};

error_t tty_count(int fd, struct tty_count_s *count);
/* Starts or ends a break. The kernel waits until all is sent before it starts one, for ever if need
   be (tty_ioctl() in drivers/tty/tty_io.c): ask first whether anything is left. */
error_t tty_break(int fd, bool on);
bool tty_is_pty(int fd);

/* --- rs485.c: with device_error() --- */

error_t tty_rs485_get(int fd, struct dev_uart_rs485_s *rs485);
/* -ENOTSUP: the port has none, or has changed something, and then what was before is back. */
error_t tty_rs485_set(int fd, const struct dev_uart_rs485_s *rs485);
error_t tty_low_latency_get(int fd, bool *on);
error_t tty_low_latency_set(int fd, bool on);

#endif

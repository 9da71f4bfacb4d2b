/* SPDX-License-Identifier: MIT */
/* Line settings of a tty: struct termios2, the form that takes any baud rate. */
#ifndef KR_TTY_LINE_H
#define KR_TTY_LINE_H

#include <asm/termbits.h>

#include "kroutine/driver.h"

/* The words of the spec keys, in the order of the enums of uart.h. */
#define TTY_PARITIES "none|odd|even"
#define TTY_FLOWS    "none|rtscts|xonxoff"

/* Negative errno: no tty, or gone. */
error_t tty_line_get(int fd, struct termios2 *line);
error_t tty_line_put(int fd, const struct termios2 *line);

void tty_line_describe(const struct termios2 *line, struct dev_uart_config_s *config);

/* -EINVAL, with device_error(). A baud rate of 0: as it is. */
error_t tty_line_validate(const struct dev_uart_config_s *config);

/* Raw mode and all of `config`, then reads back what the port made of it. -ENOTSUP: it refused a
   setting, which device_error() names; the caller puts the old settings back. */
error_t tty_line_apply(int fd, const struct dev_uart_config_s *config);

/* Time of one character, start and stop bits included. */
uint64_t tty_line_char_ns(const struct dev_uart_config_s *config);

#endif

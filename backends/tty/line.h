/* SPDX-License-Identifier: MIT */
/* Line settings of a tty: struct termios2, the form that takes any baud rate. */
#ifndef KR_TTY_LINE_H
#define KR_TTY_LINE_H

#include <asm/termbits.h>

#include "kroutine/driver.h"

/* The words of the spec keys, in the order of the enums of uart.h. */
#define TTY_PARITIES "none|odd|even|mark|space"
#define TTY_FLOWS    "none|rtscts|xonxoff|dtrdsr"

/* What becomes of bytes that arrived damaged, and of breaks. */
enum tty_errors_e {
    TTY_ERRORS_AUTO, /* of the spec only */
    TTY_ERRORS_NO,   /* read as zero bytes */
    TTY_ERRORS_REPORT,
    TTY_ERRORS_MARK, /* the kernel's marks are in the stream, PARMRK in termios(3) */
};

/* Negative errno: no tty, or gone. */
error_t tty_line_get(int fd, struct termios2 *line);
error_t tty_line_put(int fd, const struct termios2 *line);

/* The rate that the hardware makes of the one in the settings. */
uint32_t tty_line_achieved(int fd, uint32_t baud);
void tty_line_describe(const struct termios2 *line, struct dev_uart_config_s *config);

/* -EINVAL, -ENOTSUP, with device_error(). A baud rate of 0: as it is. */
error_t tty_line_validate(const struct dev_uart_config_s *config);

/* Raw mode and all of `config`, then reads back what the port made of it. -ENOTSUP: it refused a
   setting, which device_error() names; the caller puts the old settings back. */
error_t tty_line_apply(int fd, const struct dev_uart_config_s *config, enum tty_errors_e errors);

/* Shall the last close drop DTR and RTS? */
error_t tty_line_set_hupcl(int fd, bool on);

/* A port that was unplugged or hung up answers with EIO (drivers/tty/tty_io.c, hung_up_tty_fops);
   one that lacks something with ENOTTY, or EINVAL. What the caller gets is ENODEV, ENOTSUP. */
error_t tty_errno(int error);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * termios2 by ioctl: glibc's termios.h has no way to ask for any baud rate before 2.42, and its
 * struct termios cannot be used together with <asm/termbits.h>. See ioctl_tty(2).
 */
#include "line.h"

#include <errno.h>
#include <linux/serial.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* The kernel's own, which a few drivers let through. */
#define ENOIOCTLCMD 515

/* Per cent: at 10 bits a character the last sample moves by a third of a bit. */
#define BAUD_TOLERANCE 3

error_t tty_errno(int error)
{
    switch (error) {
    case EIO:
    case ENXIO:
    case ENODEV:
        return -ENODEV;
    case ENOTTY:
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOIOCTLCMD:
        return -ENOTSUP;
    default:
        return -error;
    }
}

error_t tty_line_get(int fd, struct termios2 *line)
{
    return ioctl(fd, TCGETS2, line) ? -errno : 0;
}

error_t tty_line_put(int fd, const struct termios2 *line)
{
    return ioctl(fd, TCSETS2, line) ? -errno : 0;
}

/* --- between termios and struct dev_uart_config_s --- */

static uint8_t data_bits(const struct termios2 *line)
{
    switch (line->c_cflag & CSIZE) {
    case CS5:
        return 5;
    case CS6:
        return 6;
    case CS7:
        return 7;
    default:
        return 8;
    }
}

static enum dev_uart_parity_e parity(const struct termios2 *line)
{
    if (!(line->c_cflag & PARENB))
        return DEV_UART_PARITY_NONE;
    if (line->c_cflag & CMSPAR)
        return line->c_cflag & PARODD ? DEV_UART_PARITY_MARK : DEV_UART_PARITY_SPACE;
    return line->c_cflag & PARODD ? DEV_UART_PARITY_ODD : DEV_UART_PARITY_EVEN;
}

static enum dev_uart_flow_e flow(const struct termios2 *line)
{
    if (line->c_cflag & CRTSCTS)
        return DEV_UART_FLOW_RTSCTS;
    return line->c_iflag & IXOFF ? DEV_UART_FLOW_XONXOFF : DEV_UART_FLOW_NONE;
}

void tty_line_describe(const struct termios2 *line, struct dev_uart_config_s *config)
{
    *config = (struct dev_uart_config_s){
        .baudrate = line->c_ospeed,
        .data_bits = data_bits(line),
        .stop_bits = line->c_cflag & CSTOPB ? 2 : 1,
        .parity = (uint8_t)parity(line),
        .flow_ctrl = (uint8_t)flow(line),
    };
}

error_t tty_line_validate(const struct dev_uart_config_s *config)
{
    if (config->data_bits < 5 || config->data_bits > 8)
        return device_error(-EINVAL, "data=%u: must be 5 to 8", config->data_bits);
    if (config->stop_bits < 1 || config->stop_bits > 2)
        return device_error(-EINVAL, "stop=%u: must be 1 or 2", config->stop_bits);
    if (config->parity > DEV_UART_PARITY_SPACE)
        return device_error(-EINVAL, "parity=%u: must be %u to %u", config->parity,
                            DEV_UART_PARITY_NONE, DEV_UART_PARITY_SPACE);
    if (config->flow_ctrl > DEV_UART_FLOW_DTRDSR)
        return device_error(-EINVAL, "flow=%u: must be %u to %u", config->flow_ctrl,
                            DEV_UART_FLOW_NONE, DEV_UART_FLOW_DTRDSR);
    if (config->flow_ctrl == DEV_UART_FLOW_DTRDSR)
        return device_error(-ENOTSUP, "flow=dtrdsr: Linux has no handshake on DTR and DSR; use "
                                      "flow=rtscts and a cable that puts the peer's DTR on CTS");
    return 0;
}

/* No line editing, no translation, no signals. Without marks, received breaks and bytes with a
   wrong parity are read as zero bytes; INPCK is what makes the ports tell of framing errors too. */
static void make_raw(struct termios2 *line, enum tty_errors_e errors)
{
    line->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | IGNPAR | PARMRK | INPCK | ISTRIP | INLCR |
                                 IGNCR | ICRNL | IUCLC | IXON | IXANY | IXOFF | IMAXBEL);
    line->c_oflag &= ~(tcflag_t)OPOST;
    line->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    line->c_cflag &= ~(tcflag_t)(CSIZE | PARENB | PARODD | CMSPAR | CSTOPB | CRTSCTS);
    line->c_cflag |= CREAD | CLOCAL;
    line->c_cc[VMIN] = 1;
    line->c_cc[VTIME] = 0;
    if (errors == TTY_ERRORS_REPORT || errors == TTY_ERRORS_MARK)
        line->c_iflag |= PARMRK | INPCK;
}

static void set_config(struct termios2 *line, const struct dev_uart_config_s *config)
{
    static const tcflag_t sizes[] = {CS5, CS6, CS7, CS8};

    line->c_cflag |= sizes[config->data_bits - 5];
    if (config->stop_bits == 2)
        line->c_cflag |= CSTOPB;
    if (config->parity != DEV_UART_PARITY_NONE) {
        line->c_cflag |= PARENB;
        if (config->parity == DEV_UART_PARITY_ODD || config->parity == DEV_UART_PARITY_MARK)
            line->c_cflag |= PARODD;
        if (config->parity >= DEV_UART_PARITY_MARK)
            line->c_cflag |= CMSPAR;
        line->c_iflag |= INPCK;
    }
    if (config->flow_ctrl == DEV_UART_FLOW_RTSCTS)
        line->c_cflag |= CRTSCTS;
    if (config->flow_ctrl == DEV_UART_FLOW_XONXOFF) {
        line->c_iflag |= IXON | IXOFF;
        line->c_cc[VSTART] = 0x11;
        line->c_cc[VSTOP] = 0x13;
    }
    if (config->baudrate) {
        line->c_cflag &= ~(tcflag_t)(CBAUD | CBAUD << IBSHIFT); /* input: as output */
        line->c_cflag |= BOTHER;
        line->c_ospeed = line->c_ispeed = config->baudrate;
    }
}

/* --- what the port makes of a baud rate --- */

/* A 16550 divides its clock, 16 times `baud_base`, by a whole number, while its driver gives back
   the rate that was asked for (serial8250_do_set_termios in drivers/tty/serial/8250/8250_port.c).
   Only of those on I/O ports is it sure that they have no better divisor; that of a USB adapter is
   a number of its own. */
uint32_t tty_line_achieved(int fd, uint32_t baud)
{
    struct serial_struct serial = {0};
    uint32_t base, divisor;

    if (!baud || ioctl(fd, TIOCGSERIAL, &serial) || serial.baud_base <= 0)
        return baud;
    base = (uint32_t)serial.baud_base;
    if (serial.type < PORT_8250 || serial.type > PORT_16550A || baud > base ||
        serial.io_type != SERIAL_IO_PORT || serial.port < 0x100)
        return baud;
    divisor = (base + baud / 2) / baud;
    return base / divisor;
}

/* --- applying --- */

static const char *word(const char *words, unsigned index, char *text, size_t size)
{
    size_t length;

    while (index-- && strchr(words, '|'))
        words = strchr(words, '|') + 1;
    length = strcspn(words, "|");
    length = length < size ? length : size - 1;
    memcpy(text, words, length);
    text[length] = 0;
    return text;
}

#define ASK_FOR_THAT " (ask for that, or use another port)"

static error_t refused_number(const char *key, unsigned asked, unsigned got)
{
    return device_error(-ENOTSUP, "the port refused %s=%u: it keeps %u" ASK_FOR_THAT, key, asked,
                        got);
}

static error_t refused_word(const char *key, const char *words, unsigned asked, unsigned got)
{
    char a[16], g[16];

    return device_error(-ENOTSUP, "the port refused %s=%s: it keeps %s" ASK_FOR_THAT, key,
                        word(words, asked, a, sizeof(a)), word(words, got, g, sizeof(g)));
}

static error_t compare(const struct dev_uart_config_s *asked, const struct dev_uart_config_s *got)
{
    uint64_t off = asked->baudrate > got->baudrate ? asked->baudrate - got->baudrate
                                                   : got->baudrate - asked->baudrate;

    if (asked->baudrate && off * 100 > (uint64_t)asked->baudrate * BAUD_TOLERANCE)
        return device_error(-ENOTSUP,
                            "baud=%u: the port makes %u, more than %u %% off (its clock has no "
                            "better divisor: choose another rate at both ends)",
                            asked->baudrate, got->baudrate, BAUD_TOLERANCE);
    if (asked->data_bits != got->data_bits)
        return refused_number("data", asked->data_bits, got->data_bits);
    if (asked->parity != got->parity)
        return refused_word("parity", TTY_PARITIES, asked->parity, got->parity);
    if (asked->stop_bits != got->stop_bits)
        return refused_number("stop", asked->stop_bits, got->stop_bits);
    if (asked->flow_ctrl != got->flow_ctrl)
        return refused_word("flow", TTY_FLOWS, asked->flow_ctrl, got->flow_ctrl);
    return 0;
}

error_t tty_line_apply(int fd, const struct dev_uart_config_s *config, enum tty_errors_e errors)
{
    struct dev_uart_config_s got;
    struct termios2 line;
    error_t err = tty_line_get(fd, &line);

    if (err)
        return device_error(err, "cannot read the line settings: %s", strerror(-err));
    make_raw(&line, errors);
    set_config(&line, config);
    err = tty_line_put(fd, &line);
    if (!err)
        err = tty_line_get(fd, &line); /* the call succeeds when any of it could be done */
    if (err)
        return device_error(err, "cannot change the line settings: %s", strerror(-err));
    tty_line_describe(&line, &got);
    got.baudrate = tty_line_achieved(fd, got.baudrate);
    return compare(config, &got);
}

error_t tty_line_set_hupcl(int fd, bool on)
{
    struct termios2 line;
    error_t err = tty_line_get(fd, &line);

    if (err)
        return err;
    line.c_cflag = on ? line.c_cflag | HUPCL : line.c_cflag & ~(tcflag_t)HUPCL;
    return tty_line_put(fd, &line);
}

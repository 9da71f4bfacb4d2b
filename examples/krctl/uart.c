/* SPDX-License-Identifier: MIT */
/* krctl uart: the uart class of a port. The commands are in uart_*.c. */
#include "uart.h"

static const struct krctl_command_s *const members[] = {
    &krctl_uart_show, &krctl_uart_set, &krctl_uart_lines, &krctl_uart_break, NULL,
};

const struct krctl_command_s krctl_uart = {
    .name = "uart",
    .summary = "settings, modem lines and breaks of a serial port",
    .help = "usage: krctl uart show SPEC [OPTION]...\n"
            "       krctl uart set SPEC KEY=VALUE... [OPTION]...\n"
            "       krctl uart lines SPEC [dtr=on|off] [rts=on|off] [OPTION]...\n"
            "       krctl uart break SPEC [TIME]\n"
            "       krctl uart COMMAND --help\n"
            "\n"
            "  show     speed, format, flow control, RS-485, modem lines, error counters\n"
            "  set      changes settings, and leaves them so\n"
            "  lines    shows, sets and watches the modem lines\n"
            "  break    sends a break\n"
            "\n"
            "SPEC is a path such as /dev/ttyUSB0, or a spec such as tty:/dev/ttyUSB0.\n"
            "krctl drivers tty has the keys. A port is raw while it is open, and stays so\n"
            "after set.\n"
            "\n"
            "exit status: 0 all went well, 1 an error, 2 wrong usage, 3 --timeout came first,\n"
            "128 and its number after a signal\n",
    .members = members,
};

/* SPDX-License-Identifier: MIT */
#ifndef KRCTL_UART_H
#define KRCTL_UART_H

#include "krctl.h"
#include "output.h"
#include "session.h"

extern const struct krctl_command_s krctl_uart_break;
extern const struct krctl_command_s krctl_uart_lines;
extern const struct krctl_command_s krctl_uart_set;
extern const struct krctl_command_s krctl_uart_show;

/* What the commands have in common that print the settings of a port. */
struct uart_options_s {
    const char *port;
    bool json;
    enum kroutine_backend_e backend;
};

/* Takes the options and the port; optind is then that of the next word. False: *status is what the
   command is to end with. */
bool uart_options(struct uart_options_s *o, const struct krctl_command_s *command, int argc,
                  char **argv, int *status);

/* Opens a port for its settings: those that neither `port` nor `keys`, "key=value&key=value", name
   stay as they are, although a spec has defaults for them. `defaults`:
   keys of a tty that hold unless they are given otherwise. KRCTL_OK, or says what is wrong. */
int uart_open(struct session_s *s, struct device_uart_s *uart, const char *port, const char *keys,
              const char *const *defaults);

/* Keys so that what was set outlasts the close. */
extern const char *const uart_restore[]; /* none */
extern const char *const uart_keep[];
extern const char *const uart_keep_lines[];

/* Prints all about a port that is open, as a table or as a line of JSON. */
int uart_print(const struct device_uart_s *uart, const char *port, bool json);

/* "DTR", … in the order of the bits; NULL after the last one. */
extern const char *const uart_line_names[];

/* "DTR on   RTS off …", or {"dtr":true,…}. */
void uart_add_lines(struct bytes_s *to, uint32_t lines, bool json);

#endif

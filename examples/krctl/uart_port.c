/* SPDX-License-Identifier: MIT */
/* What the uart commands share: their options, and opening a port without changing it, for which
   what the kernel has now becomes keys of the spec. */
#include "uart.h"
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

const char *const uart_restore[] = {NULL};
const char *const uart_keep[] = {"restore=no", NULL};
const char *const uart_keep_lines[] = {"restore=no", "hupcl=no", NULL}; /* the kernel drops them */

/* The address of a spec as a path, %XX decoded. */
static void address(char path[PATH_MAX], const char *spec)
{
    size_t len = 0;

    spec = strchr(spec, ':') + 1;
    while (*spec != '\0' && *spec != '?' && len < PATH_MAX - 1) {
        char hex[3] = {0};
        if (*spec == '%' && strlen(spec) >= 3) {
            memcpy(hex, spec + 1, 2);
            path[len++] = (char)strtol(hex, NULL, 16);
            spec += 3;
        } else {
            path[len++] = *spec++;
        }
    }
    path[len] = '\0';
}

static const char *parity_key(tcflag_t flags)
{
    if (!(flags & PARENB))
        return "parity=none";
    if (flags & CMSPAR)
        return flags & PARODD ? "parity=mark" : "parity=space";
    return flags & PARODD ? "parity=odd" : "parity=even";
}

static void add_present(char spec[PORT_SPEC_MAX], const struct termios *now)
{
    static const char *const data[] = {"data=5", "data=6", "data=7", "data=8"};
    tcflag_t size = now->c_cflag & CSIZE;

    port_add_key(spec, data[size == CS5 ? 0 : size == CS6 ? 1 : size == CS7 ? 2 : 3]);
    port_add_key(spec, parity_key(now->c_cflag));
    port_add_key(spec, now->c_cflag & CSTOPB ? "stop=2" : "stop=1");
    port_add_key(spec, now->c_cflag & CRTSCTS ? "flow=rtscts"
                       : now->c_iflag & IXON  ? "flow=xonxoff"
                                              : "flow=none");
}

int uart_open(struct session_s *s, struct device_uart_s *uart, const char *port, const char *keys,
              const char *const *defaults)
{
    char spec[PORT_SPEC_MAX], path[PATH_MAX];
    struct termios now;
    int fd = -1;

    if (!port_spec(spec, port, DRIVER_CLASS_UART) ||
        strlen(spec) + strlen(keys) + 64 > sizeof(spec))
        return krctl_fail("%.40s...: %s", port, strerror(ENAMETOOLONG));
    if (keys[0] != '\0' && strchr(spec, ':') == NULL) {
        krctl_fail("'%s' is a name in the device tree, which has no keys", port);
        krctl_hint("the path of a uart, or its spec");
        return KRCTL_FAILED;
    }
    if (keys[0] != '\0') {
        size_t len = strlen(spec);
        snprintf(spec + len, sizeof(spec) - len, "%c%s", strchr(spec, '?') != NULL ? '&' : '?',
                 keys);
    }
    if (strncmp(spec, "tty:", 4) == 0) {
        for (; *defaults != NULL; defaults++)
            port_add_key(spec, *defaults);
        address(path, spec);
        fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0 && tcgetattr(fd, &now) == 0)
            add_present(spec, &now);
    }
    int status = session_open_spec(s, &uart->base, spec, port, DRIVER_CLASS_UART);
    if (fd >= 0)
        close(fd); /* not earlier: the last close drops DTR, which resets some boards */
    return status;
}

bool uart_options(struct uart_options_s *o, const struct krctl_command_s *command, int argc,
                  char **argv, int *status)
{
    const struct option_s table[] = {
        {.name = "backend", .letter = 'B', .kind = OPTION_BACKEND, .to = &o->backend},
        {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .to = &o->json},
        {0},
    };
    bool done;

    *o = (struct uart_options_s){.backend = KROUTINE_BACKEND_AUTO};
    *status = options_take(command, table, argc, argv, &done);
    if (done)
        return false;
    o->port = krctl_operand(command, argc, argv, "SPEC", status);
    return o->port != NULL;
}

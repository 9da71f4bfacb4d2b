/* SPDX-License-Identifier: MIT */
/*
 * krctl uart lines: shows, sets and watches the modem lines of a port.
 *
 * Watching is one request that goes round: it completes when a line is no longer as it is known to
 * be, its handler prints what has changed, and submits it again with what is known now.
 */
#include "uart.h"
#include "view.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct watch_s {
    struct session_s session;
    struct device_uart_s uart;
    struct dev_uart_rq_s rq;
    uint32_t known;

    const char *port;
    uint32_t set, clear;
    uint64_t count; /* of changes; 0: no limit */
    uint64_t timeout;
    bool wait;
    bool json;
};

static void print(struct watch_s *w, uint32_t lines, uint32_t changed)
{
    struct output_s *out = &w->session.out;
    uint64_t now = session_time(&w->session);

    if (w->json) {
        bytes_printf(&out->next, "{\"time\":%.6f,\"changed\":[", (double)now / 1e9);
        for (unsigned i = 0, n = 0; uart_line_names[i] != NULL; i++)
            if (changed & (1u << i))
                bytes_printf(&out->next, "%s\"%s\"", n++ > 0 ? "," : "", uart_line_names[i]);
        bytes_printf(&out->next, "],\"lines\":");
        uart_add_lines(&out->next, lines, true);
        bytes_printf(&out->next, "}\n");
    } else {
        view_time(&out->next, now);
        uart_add_lines(&out->next, lines, false);
        /* A line that is as before was different in between. */
        for (unsigned i = 0; uart_line_names[i] != NULL; i++)
            if (changed & (1u << i))
                bytes_printf(&out->next, "  %s %s", uart_line_names[i],
                             (lines ^ w->known) & (1u << i) ? "changed" : "pulsed");
        bytes_printf(&out->next, "\n");
    }
    output_flush(out);
}

static void submit(struct watch_s *w)
{
    w->rq.type = DEV_UART_WAIT_LINES;
    w->rq.mask = DEV_UART_INPUTS;
    w->rq.lines = w->known;
    DEVICE_OP(&w->uart, request, &w->rq);
}

static KROUTINE_EXEC(lines_changed)
{
    struct watch_s *w = dev_uart_rq_from_kr(kr)->pvdata;
    struct session_s *s = &w->session;

    if (s->over)
        return;
    if (w->rq.error != 0) {
        session_end(s, krctl_fail("%s: %s", w->port,
                                  w->rq.error == -ENODEV ? "unplugged" : strerror(-w->rq.error)));
        return;
    }
    print(w, w->rq.lines, w->rq.changed);
    w->known = w->rq.lines;
    if (w->count != 0 && --w->count == 0)
        session_end(s, KRCTL_OK);
    else
        submit(w);
}

static int start(struct watch_s *w)
{
    error_t err = 0;

    if ((w->set | w->clear) != 0)
        err = DEVICE_OP(&w->uart, set_lines, w->set, w->clear);
    if (err == 0)
        err = DEVICE_OP(&w->uart, get_lines, &w->known);
    if (err != 0)
        return krctl_fail("%s: %s", w->port, krctl_error(err));
    print(w, w->known, 0);
    if (!w->wait) {
        session_end(&w->session, KRCTL_OK);
        return KRCTL_OK;
    }
    dev_uart_rq_init_sched_switch(&w->rq, lines_changed);
    w->rq.pvdata = w;
    submit(w);
    session_limit(&w->session, w->timeout);
    return KRCTL_OK;
}

static int lines(struct watch_s *w, enum kroutine_backend_e backend)
{
    struct session_s *s = &w->session;
    /* Levels that are set are to stay, against the driver and the kernel, which drop them. */
    bool keep = (w->set | w->clear) != 0 && !w->wait;
    int status = session_open(s, backend);

    if (status != KRCTL_OK)
        return status;
    status = uart_open(s, &w->uart, w->port, "", keep ? uart_keep_lines : uart_restore);
    if (status == KRCTL_OK)
        status = start(w);
    if (status == KRCTL_OK)
        status = session_run(s);
    device_put_accessor(&w->uart.base);
    session_close(s);
    return status;
}

/* "dtr=on", "rts=off". */
static int take_level(struct watch_s *w, const char *word)
{
    uint32_t line = strncmp(word, "dtr=", 4) == 0   ? DEV_UART_DTR
                    : strncmp(word, "rts=", 4) == 0 ? DEV_UART_RTS
                                                    : 0;
    bool on = line != 0 && (strcmp(word + 4, "on") == 0 || strcmp(word + 4, "yes") == 0);
    bool off = line != 0 && (strcmp(word + 4, "off") == 0 || strcmp(word + 4, "no") == 0);

    if ((!on && !off) || ((w->set | w->clear) & line) != 0)
        return krctl_usage(&krctl_uart_lines, "'%s' is not dtr=on|off or rts=on|off, once each",
                           word);
    *(on ? &w->set : &w->clear) |= line;
    return KRCTL_OK;
}

static int take_option(struct watch_s *w, int option)
{
    switch (option) {
    case 'j':
        w->json = true;
        return KRCTL_OK;
    case 'w':
        w->wait = true;
        return KRCTL_OK;
    case 'n':
        return krctl_size_option(&krctl_uart_lines, "count", &w->count);
    case 't':
        return krctl_time_option(&krctl_uart_lines, "timeout", &w->timeout);
    default:
        return krctl_usage(&krctl_uart_lines, NULL);
    }
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'B'},
        {"count", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {"json", no_argument, NULL, 'j'},
        {"timeout", required_argument, NULL, 't'},
        {"wait", no_argument, NULL, 'w'},
        {0},
    };
    static struct watch_s w;
    enum kroutine_backend_e backend = KROUTINE_BACKEND_AUTO;
    int option, status = KRCTL_OK;

    while ((option = getopt_long(argc, argv, "B:hjn:t:w", options, NULL)) != -1) {
        if (option == 'h')
            return krctl_help(&krctl_uart_lines);
        status = option == 'B' ? krctl_backend_option(&krctl_uart_lines, &backend)
                               : take_option(&w, option);
        if (status != KRCTL_OK)
            return status;
    }
    w.port = krctl_operand(&krctl_uart_lines, argc, argv, "SPEC", &status);
    if (w.port == NULL)
        return status;
    for (; optind < argc; optind++)
        if ((status = take_level(&w, argv[optind])) != KRCTL_OK)
            return status;
    if (!w.wait && (w.count != 0 || w.timeout != 0))
        return krctl_usage(&krctl_uart_lines, "--count and --timeout go with --wait");
    return lines(&w, backend);
}

const struct krctl_command_s krctl_uart_lines = {
    .name = "uart lines",
    .summary = "shows, sets and watches the modem lines of a port",
    .help = "usage: krctl uart lines SPEC [dtr=on|off] [rts=on|off] [OPTION]...\n"
            "\n"
            "Sets DTR and RTS as asked, and prints all modem lines with the time. Levels that\n"
            "were set stay after the end, unless --wait holds them until then. Opening a port\n"
            "raises DTR and RTS: that is the kernel's doing, and resets some boards.\n"
            "\n"
            "  -w, --wait          print CTS, DSR, DCD and RI whenever one changes: until\n"
            "                      Ctrl-C\n"
            "  -n, --count N       ... or until N changes\n"
            "  -t, --timeout TIME  ... or until TIME has passed, with exit status 3\n"
            "  -j, --json          lines of JSON; the time is in seconds since 1970\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n",
    .run = run,
};

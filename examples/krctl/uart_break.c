/* SPDX-License-Identifier: MIT */
/* krctl uart break: sends a break, which is a request with a duration. */
#include "parse.h"
#include "uart.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define BREAK     KROUTINE_MSEC(250)
#define BREAK_MAX KROUTINE_SEC(60)

struct breaker_s {
    struct session_s session;
    struct device_uart_s uart;
    struct dev_uart_rq_s rq;
    const char *port;
    uint64_t duration;
};

static KROUTINE_EXEC(sent)
{
    struct breaker_s *b = dev_uart_rq_from_kr(kr)->pvdata;
    error_t err = b->rq.error;

    if (b->session.over)
        return;
    if (err == 0)
        session_end(&b->session, KRCTL_OK);
    else
        session_end(&b->session,
                    krctl_fail("cannot send a break on %s: %s", b->port,
                               err == -ENOTSUP  ? "the port has none (pseudo-terminals have not)"
                               : err == -ENODEV ? "unplugged"
                                                : strerror(-err)));
}

static int send_break(struct breaker_s *b, enum kroutine_backend_e backend)
{
    struct session_s *s = &b->session;
    int status = session_open(s, backend);

    if (status != KRCTL_OK)
        return status;
    status = uart_open(s, &b->uart, b->port, "", uart_restore);
    if (status == KRCTL_OK) {
        dev_uart_rq_init_sched_switch(&b->rq, sent);
        b->rq.pvdata = b;
        b->rq.type = DEV_UART_BREAK;
        b->rq.duration = b->duration;
        DEVICE_OP(&b->uart, request, &b->rq);
        status = session_run(s);
    }
    device_put_accessor(&b->uart.base);
    session_close(s);
    return status;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'B'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    static struct breaker_s b = {.duration = BREAK};
    enum kroutine_backend_e backend = KROUTINE_BACKEND_AUTO;
    int option, status = KRCTL_OK;

    while ((option = getopt_long(argc, argv, "B:h", options, NULL)) != -1) {
        if (option == 'h')
            return krctl_help(&krctl_uart_break);
        status = option == 'B' ? krctl_backend_option(&krctl_uart_break, &backend)
                               : krctl_usage(&krctl_uart_break, NULL);
        if (status != KRCTL_OK)
            return status;
    }
    b.port = krctl_operand(&krctl_uart_break, argc, argv, "SPEC", &status);
    if (b.port == NULL)
        return status;
    if (optind < argc &&
        (!parse_time(argv[optind], &b.duration) || b.duration == 0 || b.duration > BREAK_MAX))
        return krctl_usage(&krctl_uart_break, "'%s' is not a time such as 250ms, of 60s at most",
                           argv[optind]);
    if (optind + 1 < argc)
        return krctl_usage(&krctl_uart_break, "'%s' is one word too many", argv[optind + 1]);
    return send_break(&b, backend);
}

const struct krctl_command_s krctl_uart_break = {
    .name = "uart break",
    .summary = "sends a break",
    .help = "usage: krctl uart break SPEC [TIME]\n"
            "\n"
            "Holds the line at break for TIME, 250ms by default. Ctrl-C ends it early.\n"
            "\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n",
    .run = run,
};

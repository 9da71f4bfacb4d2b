/* SPDX-License-Identifier: MIT */
/*
 * krctl char monitor: a terminal session with a device.
 *
 * Three chains of requests: keys, from the terminal to the output of the port, which keeps what the
 * port does not take yet, so that Ctrl-] is seen also when flow control holds the port; the port to
 * the screen; and, with --reconnect, a timer that tries to open a port that has gone.
 */
#include "char.h"
#include "input.h"
#include "screen.h"
#include "terminal.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LEAVE    0x1d /* Ctrl-] */
#define RETRY    KROUTINE_MSEC(200)
#define KEYS_MAX 65536 /* bytes that wait for a port that takes none */
#define BELL     "\a"

struct monitor_s {
    struct session_s session;
    struct screen_s screen;
    struct input_s keys;
    struct output_s port;
    struct dev_char_rq_s rq; /* reads the port */
    bool reading;
    bool gone; /* and being tried again */
    struct dev_timer_rq_s retry;

    const char *name;
    bool crlf;
    bool echo;
    bool reconnect;
    uint8_t buffer[16384];
};

/* --- words to the user, which are not part of the session: standard error, in lines of their own
   --- */

static void say(struct monitor_s *m, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "%s%s-- %s --%s\r\n", m->screen.view.in_line ? "\r\n" : "",
            krctl_style(KRCTL_DIM), text, krctl_style(KRCTL_PLAIN));
    m->screen.view.in_line = false;
}

/* "115200 8N1, rtscts"; "" when the device has no such settings. */
static void describe(struct monitor_s *m, char *text, size_t size)
{
    static const char parity[] = "NOEMS";
    struct device_uart_s uart = DEVICE_ACCESSOR_INIT;
    struct dev_uart_config_s config;

    text[0] = '\0';
    if (!device_has_class(m->port.dev.dev, DRIVER_CLASS_UART) ||
        device_get_accessor(&uart.base, m->port.dev.dev, DRIVER_CLASS_UART) != 0)
        return;
    if (DEVICE_OP(&uart, get_config, &config) == 0)
        snprintf(text, size, ", %u %u%c%u%s", config.baudrate, config.data_bits,
                 parity[config.parity % (sizeof(parity) - 1)], config.stop_bits,
                 config.flow_ctrl == DEV_UART_FLOW_RTSCTS    ? ", RTS/CTS"
                 : config.flow_ctrl == DEV_UART_FLOW_XONXOFF ? ", XON/XOFF"
                                                             : "");
    device_put_accessor(&uart.base);
}

static void greet(struct monitor_s *m, const char *what)
{
    char settings[64];

    describe(m, settings, sizeof(settings));
    say(m, "%s %s%s: Ctrl-] leaves", what, m->name, settings);
}

/* --- the end --- */

static void leave(struct monitor_s *m, int status)
{
    if (m->session.over)
        return;
    say(m, "left");
    terminal_restore();
    session_end(&m->session, status);
}

/* The error of a port that is no longer there, or will not do. */
static void lost(struct monitor_s *m, const char *doing, error_t err)
{
    struct session_s *s = &m->session;

    if (s->over || m->gone || err == -ECANCELED)
        return;
    if (!m->reconnect || (err != -ENODEV && err != -ENODATA && err != -EIO)) {
        terminal_restore();
        if (m->screen.view.in_line)
            fputc('\n', stderr);
        session_end(s, char_fail(m->name, doing, err));
        return;
    }
    m->gone = true;
    say(m, "%s is gone: waiting for its return", m->name);
    device_put_accessor(&m->port.dev.base); /* what is pending completes with -ECANCELED */
    session_after(s, &m->retry, RETRY);
}

static bool on_signal(struct session_s *s, int number)
{
    struct monitor_s *m = KROUTINE_CONTAINER(s, struct monitor_s, session);

    if (number != SIGTSTP) {
        leave(m, KRCTL_SIGNAL + number);
        return true;
    }
    /* The terminal belongs to somebody else until SIGCONT. */
    terminal_restore();
    kill(getpid(), SIGSTOP);
    terminal_raw();
    return true;
}

/* --- the port --- */

static void read_port(struct output_s *out)
{
    struct monitor_s *m = out->pvdata;

    if (m->reading || m->gone || m->session.over)
        return;
    m->reading = true;
    m->rq.type = DEV_CHAR_READ_PARTIAL;
    m->rq.data = m->buffer;
    m->rq.size = sizeof(m->buffer);
    DEVICE_OP(&m->port.dev, request, &m->rq);
}

static KROUTINE_EXEC(port_read)
{
    struct monitor_s *m = dev_char_rq_from_kr(kr)->pvdata;
    error_t err = m->rq.error;

    m->reading = false;
    if (m->session.over)
        return;
    screen_put(&m->screen, m->buffer, (size_t)(m->rq.data - m->buffer));
    if (err == -EPIPE)
        say(m, "bytes were lost to an overrun");
    else if (err == -EBADMSG)
        say(m, "a byte came damaged, or a break");
    else if (err != 0)
        lost(m, "read", err);
    output_flush(&m->session.out); /* which reads again, when it has written all */
}

static void write_failed(struct output_s *port, error_t err)
{
    lost(port->pvdata, "write", err);
}

static bool open_again(struct monitor_s *m)
{
    /* Requests of before are over when their handlers have run. */
    if (m->reading || m->port.busy)
        return false;
    return session_try_port(&m->session, &m->port.dev.base, m->name, DRIVER_CLASS_CHAR) == 0;
}

static KROUTINE_EXEC(retry)
{
    struct monitor_s *m = dev_timer_rq_from_kr(kr)->pvdata;

    if (m->retry.error != 0 || m->session.over)
        return;
    if (!open_again(m)) {
        session_after(&m->session, &m->retry, RETRY);
        return;
    }
    m->gone = false;
    m->port.next.size = 0; /* keys of before were for another session */
    output_init(&m->port, &m->session, write_failed);
    m->port.pvdata = m;
    greet(m, "again");
    output_flush(&m->session.out);
}

/* --- keys --- */

static void type(struct monitor_s *m, const uint8_t *data, size_t size)
{
    struct bytes_s *to = &m->port.next;
    size_t before = to->size;

    if (m->gone || to->size + size > KEYS_MAX) {
        fputs(BELL, stderr);
        return;
    }
    for (size_t i = 0; i < size; i++) {
        bytes_add(to, &data[i], 1);
        if (data[i] == '\r' && m->crlf)
            bytes_add(to, "\n", 1);
    }
    if (m->echo)
        screen_put(&m->screen, to->data + before, to->size - before);
    output_flush(&m->port);
}

static void keys_got(struct input_s *in, const uint8_t *data, size_t size)
{
    struct monitor_s *m = in->pvdata;
    const uint8_t *end = memchr(data, LEAVE, size);

    type(m, data, end != NULL ? (size_t)(end - data) : size);
    if (end != NULL)
        leave(m, KRCTL_OK);
    else if (in->ended) /* the terminal was closed */
        leave(m, KRCTL_SIGNAL + SIGHUP);
    else
        input_read(in);
}

/* --- the command --- */

static void start(struct monitor_s *m)
{
    struct session_s *s = &m->session;

    dev_char_rq_init_sched_switch(&m->rq, port_read);
    dev_timer_rq_init_sched_switch(&m->retry, retry);
    m->rq.pvdata = m->retry.pvdata = m;
    s->out.pvdata = m;
    s->out.idle = read_port;
    output_init(&m->port, s, write_failed);
    greet(m, "connected to");
    read_port(&s->out);
    input_read(&m->keys);
}

static int monitor(struct monitor_s *m, enum kroutine_backend_e backend)
{
    struct session_s *s = &m->session;
    int status;

    s->on_signal = on_signal;
    if ((status = session_open(s, backend)) != KRCTL_OK)
        return status;
    m->port.pvdata = m->keys.pvdata = m;
    m->keys.got = keys_got;
    m->screen.live = m->screen.view.raw_screen = true;
    screen_init(&m->screen, s);
    status = input_open(&m->keys, s);
    if (status == KRCTL_OK)
        status = session_open_port(s, &m->port.dev.base, m->name, DRIVER_CLASS_CHAR);
    if (status == KRCTL_OK && !terminal_raw())
        status = krctl_fail("cannot make the terminal raw: %s", strerror(errno));
    if (status == KRCTL_OK) {
        start(m);
        status = session_run(s);
        terminal_restore();
    }
    device_put_accessor(&m->keys.dev.base);
    device_put_accessor(&m->port.dev.base);
    session_close(s);
    output_free(&m->port);
    return status;
}

enum option_e { OPT_CRLF = 256, OPT_RECONNECT, OPT_TIMESTAMPS };

static int take_option(struct monitor_s *m, int option)
{
    switch (option) {
    case 'e':
        m->echo = true;
        return KRCTL_OK;
    case 'x':
        m->screen.view.mode = VIEW_HEX;
        return KRCTL_OK;
    case OPT_CRLF:
        m->crlf = m->screen.view.crlf = true;
        return KRCTL_OK;
    case OPT_RECONNECT:
        m->reconnect = true;
        return KRCTL_OK;
    case OPT_TIMESTAMPS:
        m->screen.view.timestamps = m->screen.view.crlf = true; /* times in one column */
        return KRCTL_OK;
    default:
        return krctl_usage(&krctl_char_monitor, NULL);
    }
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'B'},
        {"crlf", no_argument, NULL, OPT_CRLF},
        {"echo", no_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},
        {"hex", no_argument, NULL, 'x'},
        {"reconnect", no_argument, NULL, OPT_RECONNECT},
        {"timestamps", no_argument, NULL, OPT_TIMESTAMPS},
        {0},
    };
    static struct monitor_s m;
    enum kroutine_backend_e backend = KROUTINE_BACKEND_AUTO;
    int option, status = KRCTL_OK;

    while ((option = getopt_long(argc, argv, "B:ehx", options, NULL)) != -1) {
        if (option == 'h')
            return krctl_help(&krctl_char_monitor);
        status = option == 'B' ? krctl_backend_option(&krctl_char_monitor, &backend)
                               : take_option(&m, option);
        if (status != KRCTL_OK)
            return status;
    }
    m.name = krctl_operand(&krctl_char_monitor, argc, argv, "SPEC", &status);
    if (m.name == NULL)
        return status;
    if (optind < argc)
        return krctl_usage(&krctl_char_monitor, "'%s' is one word too many", argv[optind]);
    if (m.echo && m.screen.view.mode == VIEW_HEX)
        return krctl_usage(&krctl_char_monitor, "--hex shows what comes, and --echo what goes");
    if (!isatty(STDIN_FILENO)) {
        krctl_fail("standard input is not a terminal");
        krctl_hint("krctl char cat %s", m.name);
        return KRCTL_FAILED;
    }
    return monitor(&m, backend);
}

const struct krctl_command_s krctl_char_monitor = {
    .name = "char monitor",
    .summary = "a terminal session with a device",
    .help = "usage: krctl char monitor SPEC [OPTION]...\n"
            "\n"
            "A terminal session: every key goes to the device, Ctrl-C too, and what the\n"
            "device sends goes to the screen. Ctrl-] leaves.\n"
            "\n"
            "  -e, --echo          show what is typed: most devices do that themselves\n"
            "      --crlf          Enter sends CR LF, and a LF alone starts a line\n"
            "  -x, --hex           show what comes in hexadecimal\n"
            "      --timestamps    start each line with the time of its first byte\n"
            "      --reconnect     when the device goes away, wait for its return\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n",
    .run = run,
};

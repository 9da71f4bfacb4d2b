/* SPDX-License-Identifier: MIT */
/*
 * krctl char cat: standard input to a device, and the device to standard output.
 *
 * Two chains that do not know of each other. Forth: a read of standard input, whose handler hands
 * the bytes to the output of the port, which reads again when it is idle. Back: the same with the
 * port and standard output. At the end of standard input the port is drained, and --hold waits for
 * an answer.
 */
#include "char.h"
#include "input.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>

struct cat_s {
    struct session_s session;
    struct input_s input;
    struct output_s port;
    struct dev_char_rq_s rq; /* reads the port */
    bool reading;
    bool damaged;
    struct dev_timer_rq_s silence;
    uint64_t heard; /* session_now when the port brought something */

    const char *name;
    uint64_t timeout;
    uint64_t hold;
    uint8_t buffer[65536];
};

static void end(struct cat_s *c, int status)
{
    session_end(&c->session, status == KRCTL_OK && c->damaged ? KRCTL_FAILED : status);
}

/* --- back: from the port --- */

static void read_port(struct output_s *out)
{
    struct cat_s *c = out->pvdata;

    if (c->reading || c->session.over)
        return;
    c->reading = true;
    c->rq.type = DEV_CHAR_READ_PARTIAL;
    c->rq.data = c->buffer;
    c->rq.size = sizeof(c->buffer);
    DEVICE_OP(&c->port.dev, request, &c->rq);
}

static KROUTINE_EXEC(port_read)
{
    struct cat_s *c = dev_char_rq_from_kr(kr)->pvdata;
    struct output_s *out = &c->session.out;

    c->reading = false;
    bytes_add(&out->next, c->buffer, (size_t)(c->rq.data - c->buffer));
    c->heard = session_now(&c->session);
    if (c->session.over)
        return;
    switch (c->rq.error) {
    case 0:
        break;
    case -EPIPE:
    case -EBADMSG:
        krctl_fail("%s: bytes were lost or came damaged", c->name);
        c->damaged = true;
        break;
    case -ENODATA: /* the other side has closed */
        end(c, KRCTL_OK);
        return;
    default:
        end(c, char_fail(c->name, "read", c->rq.error));
        return;
    }
    output_flush(out);
}

/* --- forth: to the port --- */

static void read_input(struct output_s *port)
{
    struct cat_s *c = port->pvdata;

    if (c->input.ended)
        output_drain(port);
    else
        input_read(&c->input);
}

static void input_got(struct input_s *in, const uint8_t *data, size_t size)
{
    struct cat_s *c = in->pvdata;

    bytes_add(&c->port.next, data, size);
    output_flush(&c->port);
}

static KROUTINE_EXEC(silence)
{
    struct cat_s *c = dev_timer_rq_from_kr(kr)->pvdata;
    uint64_t quiet = session_now(&c->session) - c->heard;

    if (c->silence.error != 0 || c->session.over)
        return;
    if (quiet >= c->hold)
        end(c, KRCTL_OK);
    else
        session_after(&c->session, &c->silence, c->hold - quiet);
}

static void drained(struct output_s *port)
{
    struct cat_s *c = port->pvdata;

    if (c->hold == 0) {
        end(c, KRCTL_OK);
        return;
    }
    c->heard = session_now(&c->session);
    session_after(&c->session, &c->silence, c->hold);
}

static void write_failed(struct output_s *port, error_t err)
{
    struct cat_s *c = port->pvdata;

    if (err != -ECANCELED)
        end(c, char_fail(c->name, "write", err));
}

/* --- the command --- */

static void start(struct cat_s *c)
{
    struct session_s *s = &c->session;

    dev_char_rq_init_sched_switch(&c->rq, port_read);
    dev_timer_rq_init_sched_switch(&c->silence, silence);
    c->rq.pvdata = c->silence.pvdata = c;
    s->out.pvdata = c;
    s->out.idle = read_port;
    output_init(&c->port, s, write_failed);
    c->port.idle = read_input;
    c->port.drained = drained;
    read_port(&s->out);
    input_read(&c->input);
    session_limit(s, c->timeout);
}

static int cat(struct cat_s *c, enum kroutine_backend_e backend)
{
    struct session_s *s = &c->session;
    int status = session_open(s, backend);

    if (status != KRCTL_OK)
        return status;
    c->port.pvdata = c->input.pvdata = c;
    c->input.got = input_got;
    status = input_open(&c->input, s);
    if (status == KRCTL_OK)
        status = session_open_port(s, &c->port.dev.base, c->name, DRIVER_CLASS_CHAR);
    if (status == KRCTL_OK) {
        start(c);
        status = session_run(s);
    }
    device_put_accessor(&c->input.dev.base);
    device_put_accessor(&c->port.dev.base);
    session_close(s);
    output_free(&c->port);
    return status;
}

enum option_e { OPT_HOLD = 256 };

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'B'},
        {"help", no_argument, NULL, 'h'},
        {"hold", required_argument, NULL, OPT_HOLD},
        {"timeout", required_argument, NULL, 't'},
        {0},
    };
    static struct cat_s c;
    enum kroutine_backend_e backend = KROUTINE_BACKEND_AUTO;
    int option, status = KRCTL_OK;

    while ((option = getopt_long(argc, argv, "B:ht:", options, NULL)) != -1) {
        if (option == 'h')
            return krctl_help(&krctl_char_cat);
        if (option == 'B')
            status = krctl_backend_option(&krctl_char_cat, &backend);
        else if (option == 't')
            status = krctl_time_option(&krctl_char_cat, "timeout", &c.timeout);
        else if (option == OPT_HOLD)
            status = krctl_time_option(&krctl_char_cat, "hold", &c.hold);
        else
            status = krctl_usage(&krctl_char_cat, NULL);
        if (status != KRCTL_OK)
            return status;
    }
    c.name = krctl_operand(&krctl_char_cat, argc, argv, "SPEC", &status);
    if (c.name == NULL)
        return status;
    if (optind < argc)
        return krctl_usage(&krctl_char_cat, "'%s' is one word too many", argv[optind]);
    return cat(&c, backend);
}

const struct krctl_command_s krctl_char_cat = {
    .name = "char cat",
    .summary = "standard input to a device, and the device to standard output",
    .help = "usage: krctl char cat SPEC [OPTION]...\n"
            "\n"
            "Sends standard input to the device and prints what comes from it, both at once.\n"
            "At the end of the input, ends when all of it has left the device.\n"
            "\n"
            "      --hold TIME     then wait for answers, until none came for TIME\n"
            "  -t, --timeout TIME  stop after TIME, with exit status 3\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n",
    .run = run,
};

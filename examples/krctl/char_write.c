/* SPDX-License-Identifier: MIT */
/*
 * krctl char write: sends words, or standard input, to a device.
 *
 * The output to the port asks for more when it is idle: the next word, or a read of standard input,
 * whose handler fills the output again.
 */
#include "char.h"
#include "input.h"
#include "parse.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct writer_s {
    struct session_s session;
    struct output_s port;
    struct input_s input; /* used without words */
    const char *name;
    char **words;  /* of the command line, not sent yet, converted to bytes */
    size_t *sizes; /* of the words */
    int count;

    uint64_t timeout;
    bool hex;
    bool frames;
    bool flush;
};

static void done(struct output_s *port)
{
    session_end(port->session, KRCTL_OK);
}

static void failed(struct output_s *port, error_t err)
{
    struct writer_s *w = port->pvdata;

    if (err == -ECANCELED)
        return;
    if (port->written > 0)
        krctl_fail("%" PRIu64 " bytes were written, and then:", port->written);
    session_end(&w->session, char_fail(w->name, "write", err));
}

/* In frames each word is one; otherwise they go out together, with spaces between them, as echo(1)
   does. */
static void take_words(struct writer_s *w)
{
    do {
        bytes_add(&w->port.next, *w->words++, *w->sizes++);
        if (--w->count > 0 && !w->frames && !w->hex)
            bytes_add(&w->port.next, " ", 1);
    } while (w->count > 0 && !w->frames);
}

static void more(struct output_s *port)
{
    struct writer_s *w = port->pvdata;

    if (w->count > 0) {
        take_words(w);
        output_flush(port);
    } else if (device_check_accessor(&w->input.dev.base) && !w->input.ended) {
        input_read(&w->input);
    } else if (w->flush) {
        output_drain(port);
    } else {
        done(port);
    }
}

static void got(struct input_s *in, const uint8_t *data, size_t size)
{
    struct writer_s *w = in->pvdata;

    bytes_add(&w->port.next, data, size);
    output_flush(&w->port);
}

static int write_port(struct writer_s *w, enum kroutine_backend_e backend)
{
    struct session_s *s = &w->session;
    int status = session_open(s, backend);
    bool draining = false;

    if (status != KRCTL_OK)
        return status;
    w->port.pvdata = w->input.pvdata = w;
    w->input.got = got;
    w->input.lines = w->frames;
    if (w->count == 0)
        status = input_open(&w->input, s);
    if (status == KRCTL_OK)
        status = session_open_port(s, &w->port.dev.base, w->name, DRIVER_CLASS_CHAR);
    if (status == KRCTL_OK) {
        output_init(&w->port, s, failed);
        w->port.type = w->frames ? DEV_CHAR_WRITE_FRAME : DEV_CHAR_WRITE;
        w->port.idle = more;
        w->port.drained = done;
        more(&w->port);
        session_limit(s, w->timeout);
        status = session_run(s);
        draining = w->port.draining;
    }
    device_put_accessor(&w->input.dev.base);
    device_put_accessor(&w->port.dev.base);
    session_close(s); /* after which `written` counts what was under way, too */
    if (status == KRCTL_TIMEOUT)
        krctl_fail("%s: time is up after %" PRIu64 " bytes%s", w->name, w->port.written,
                   draining ? ", not all of which have left the port" : "");
    output_free(&w->port);
    return status;
}

/* Before the port is touched. In place: bytes take no more room than the text that names them. */
static int convert_words(struct writer_s *w)
{
    w->sizes = calloc((size_t)w->count + 1, sizeof(*w->sizes));
    if (w->sizes == NULL)
        return krctl_fail("no memory");
    for (int i = 0; i < w->count; i++) {
        uint8_t *bytes = (uint8_t *)w->words[i];
        const char *wrong = NULL;
        ptrdiff_t size = w->hex ? parse_hex(bytes, w->words[i], &wrong)
                                : parse_escapes(bytes, w->words[i], &wrong);

        if (size < 0)
            return krctl_usage(&krctl_char_write,
                               w->hex ? "'%s' is not a byte in hexadecimal"
                                      : "'%s' is no escape: use \\n \\r \\t \\0 \\\\ \\xNN",
                               wrong);
        w->sizes[i] = (size_t)size;
    }
    return KRCTL_OK;
}

static int take_option(struct writer_s *w, int option)
{
    switch (option) {
    case 't':
        return krctl_time_option(&krctl_char_write, "timeout", &w->timeout);
    case 'x':
        w->hex = true;
        return KRCTL_OK;
    case 'f':
        w->flush = true;
        return KRCTL_OK;
    case 'F':
        w->frames = true;
        return KRCTL_OK;
    default:
        return krctl_usage(&krctl_char_write, NULL);
    }
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'B'},
        {"flush", no_argument, NULL, 'f'},
        {"frames", no_argument, NULL, 'F'},
        {"help", no_argument, NULL, 'h'},
        {"hex", no_argument, NULL, 'x'},
        {"timeout", required_argument, NULL, 't'},
        {0},
    };
    static struct writer_s writer;
    enum kroutine_backend_e backend = KROUTINE_BACKEND_AUTO;
    int option, status = KRCTL_OK;

    while ((option = getopt_long(argc, argv, "B:fht:x", options, NULL)) != -1) {
        if (option == 'h')
            return krctl_help(&krctl_char_write);
        status = option == 'B' ? krctl_backend_option(&krctl_char_write, &backend)
                               : take_option(&writer, option);
        if (status != KRCTL_OK)
            return status;
    }
    writer.name = krctl_operand(&krctl_char_write, argc, argv, "SPEC", &status);
    if (writer.name == NULL)
        return status;
    writer.words = argv + optind;
    writer.count = argc - optind;
    if (writer.count == 1 && strcmp(writer.words[0], "-") == 0)
        writer.count = 0;
    if (writer.count == 0 && writer.hex)
        return krctl_usage(&krctl_char_write, "--hex is for words, not for standard input");
    status = convert_words(&writer);
    return status == KRCTL_OK ? write_port(&writer, backend) : status;
}

const struct krctl_command_s krctl_char_write = {
    .name = "char write",
    .summary = "sends words, or standard input",
    .help =
        "usage: krctl char write SPEC [OPTION]... [TEXT]...\n"
        "\n"
        "Sends the words, with a space between them, or standard input if there are none\n"
        "or '-'. In words, \\n \\r \\t \\0 \\e \\\\ and \\xNN stand for bytes. Nothing is added\n"
        "at the end: write 'AT\\r' if the other side needs it. A word that starts with -\n"
        "comes after --.\n"
        "\n"
        "  -x, --hex           the words are hexadecimal: 'de ad be ef', deadbeef\n"
        "      --frames        each word, or line of the input, is a frame; the spec says\n"
        "                      what a frame is, as in '/dev/ttyUSB0?frame=length:2be'\n"
        "  -f, --flush         wait until all has left the port\n"
        "  -t, --timeout TIME  stop after TIME, with exit status 3\n"
        "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
        "  -h, --help          this text\n",
    .run = run,
};

/* SPDX-License-Identifier: MIT */
/*
 * krctl char read: prints what comes from a device.
 *
 * One request goes round: it reads what there is, its handler hands that to the output, and the
 * output, when it has written all, submits the request again. A silence that ends the reading is
 * the time-out of this request.
 */
#include "char.h"
#include "parse.h"
#include "screen.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct reader_s {
    struct session_s session;
    struct screen_s screen;
    struct device_char_s dev;
    struct dev_char_rq_s rq;
    bool reading; /* `rq` is submitted */
    bool damaged; /* something was lost on the way */
    bool rest;    /* the stream has ended, perhaps inside a frame */

    const char *port;
    uint64_t count; /* bytes or frames that are wanted; 0: no limit */
    uint64_t bytes;
    uint64_t frames;
    uint64_t timeout;
    uint64_t gap;
    uint64_t min;
    bool in_frames;
    uint8_t buffer[65536];
};

static void submit(struct output_s *out)
{
    struct reader_s *r = out->pvdata;

    if (r->reading || out->session->over)
        return;
    r->reading = true;
    r->rq.type = r->in_frames && !r->rest ? DEV_CHAR_READ_FRAME : DEV_CHAR_READ_PARTIAL;
    r->rq.data = r->buffer;
    r->rq.size = sizeof(r->buffer);
    if (!r->in_frames && r->count != 0 && r->count - r->bytes < r->rq.size)
        r->rq.size = r->count - r->bytes;
    dev_request_set_timeout(&r->rq.base, r->bytes >= r->min ? r->gap : 0);
    DEVICE_OP(&r->dev, request, &r->rq);
}

/* Errors after which the stream goes on: they are told, and the status is not 0 in the end. */
static bool goes_on(struct reader_s *r, error_t err)
{
    const char *text;

    switch (err) {
    case -EPIPE:
        text = "bytes were lost to an overrun";
        break;
    case -EBADMSG:
        text = "a byte came damaged: parity or framing error, or a break";
        break;
    case -ENOSPC:
        text = "a frame was too large, and is dropped";
        break;
    default:
        return false;
    }
    krctl_fail("%s, after byte %" PRIu64, text, r->bytes);
    r->damaged = true;
    return true;
}

static void end(struct reader_s *r, int status)
{
    session_end(&r->session, status == KRCTL_OK && r->damaged ? KRCTL_FAILED : status);
}

/* What is left of a stream that ended inside a frame is not lost: bytes and frames are read from
   the same stream. */
static void end_of_stream(struct reader_s *r)
{
    if (r->in_frames && !r->rest) {
        r->rest = true;
        output_flush(&r->session.out);
        return;
    }
    if (r->count == 0)
        end(r, KRCTL_OK);
    else
        end(r, krctl_fail("the stream ended after %" PRIu64 " of %" PRIu64 " %s",
                          r->in_frames ? r->frames : r->bytes, r->count,
                          r->in_frames ? "frames" : "bytes"));
}

static KROUTINE_EXEC(read_done)
{
    struct reader_s *r = dev_char_rq_from_kr(kr)->pvdata;
    size_t size = (size_t)(r->rq.data - r->buffer);
    error_t err = r->rq.error;

    r->reading = false;
    r->bytes += size;
    if (r->rest && size > 0) {
        screen_put_frame(&r->screen, r->buffer, size);
        krctl_fail("the stream ended inside a frame");
        r->damaged = true;
    } else if (r->in_frames && err == 0) {
        r->frames++;
        screen_put_frame(&r->screen, r->buffer, size);
    } else if (!r->in_frames) {
        screen_put(&r->screen, r->buffer, size);
    }

    if (r->session.over)
        return;
    if (err == 0 || goes_on(r, err)) {
        /* The output submits again when it has written this. */
        if (r->count != 0 && (r->in_frames ? r->frames : r->bytes) == r->count)
            end(r, KRCTL_OK);
        else
            output_flush(&r->session.out);
    } else if (err == -ETIMEDOUT) {
        end(r, KRCTL_OK); /* the silence that was asked for */
    } else if (err == -ENODATA) {
        end_of_stream(r);
    } else {
        screen_end(&r->screen); /* above the message */
        end(r, char_fail(r->port, "read", err));
    }
}

static void show_rest(struct session_s *s)
{
    struct reader_s *r = KROUTINE_CONTAINER(s, struct reader_s, session);

    screen_end(&r->screen);
}

static int read_port(struct reader_s *r, enum kroutine_backend_e backend)
{
    struct session_s *s = &r->session;
    int status = session_open(s, backend);

    if (status != KRCTL_OK)
        return status;
    screen_init(&r->screen, s);
    status = session_open_port(s, &r->dev.base, r->port, DRIVER_CLASS_CHAR);
    if (status == KRCTL_OK) {
        dev_char_rq_init_sched_switch(&r->rq, read_done);
        r->rq.pvdata = r;
        s->out.pvdata = r;
        s->out.idle = submit;
        s->on_end = show_rest;
        submit(&s->out);
        session_limit(s, r->timeout);
        status = session_run(s);
    }
    device_put_accessor(&r->dev.base);
    session_close(s);
    return status;
}

enum option_e { OPT_FRAMES = 256, OPT_GAP, OPT_MIN, OPT_RAW, OPT_TEXT, OPT_TIMESTAMPS };

static int take_option(struct reader_s *r, int option)
{
    switch (option) {
    case 'n':
        return krctl_size_option(&krctl_char_read, "count", &r->count);
    case 't':
        return krctl_time_option(&krctl_char_read, "timeout", &r->timeout);
    case OPT_GAP:
        return krctl_time_option(&krctl_char_read, "gap", &r->gap);
    case OPT_MIN:
        return krctl_size_option(&krctl_char_read, "min", &r->min);
    case OPT_FRAMES:
        r->in_frames = r->screen.view.frames = true;
        return KRCTL_OK;
    case 'x':
        r->screen.view.mode = VIEW_HEX;
        return KRCTL_OK;
    case OPT_RAW:
        r->screen.view.mode = VIEW_RAW;
        return KRCTL_OK;
    case OPT_TEXT:
        r->screen.view.mode = VIEW_TEXT;
        return KRCTL_OK;
    case OPT_TIMESTAMPS:
        r->screen.view.timestamps = true;
        return KRCTL_OK;
    default:
        return krctl_usage(&krctl_char_read, NULL);
    }
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"backend", required_argument, NULL, 'B'},
        {"count", required_argument, NULL, 'n'},
        {"frames", no_argument, NULL, OPT_FRAMES},
        {"gap", required_argument, NULL, OPT_GAP},
        {"help", no_argument, NULL, 'h'},
        {"hex", no_argument, NULL, 'x'},
        {"min", required_argument, NULL, OPT_MIN},
        {"raw", no_argument, NULL, OPT_RAW},
        {"text", no_argument, NULL, OPT_TEXT},
        {"timeout", required_argument, NULL, 't'},
        {"timestamps", no_argument, NULL, OPT_TIMESTAMPS},
        {0},
    };
    static struct reader_s reader;
    enum kroutine_backend_e backend = KROUTINE_BACKEND_AUTO;
    int option, status = KRCTL_OK;

    reader.screen.live = isatty(STDOUT_FILENO);
    reader.screen.view.mode = reader.screen.live ? VIEW_TEXT : VIEW_RAW;
    while ((option = getopt_long(argc, argv, "B:hn:t:x", options, NULL)) != -1) {
        if (option == 'h')
            return krctl_help(&krctl_char_read);
        status = option == 'B' ? krctl_backend_option(&krctl_char_read, &backend)
                               : take_option(&reader, option);
        if (status != KRCTL_OK)
            return status;
    }
    reader.port = krctl_operand(&krctl_char_read, argc, argv, "SPEC", &status);
    if (reader.port == NULL)
        return status;
    if (optind < argc)
        return krctl_usage(&krctl_char_read, "'%s' is one word too many", argv[optind]);
    if (reader.min != 0 && reader.gap == 0)
        return krctl_usage(&krctl_char_read, "--min goes with --gap");
    if (reader.in_frames && reader.gap != 0)
        return krctl_usage(&krctl_char_read, "--gap is for bytes; for frames, use frame=gap:TIME");
    if (reader.min == 0)
        reader.min = 1;
    return read_port(&reader, backend);
}

const struct krctl_command_s krctl_char_read = {
    .name = "char read",
    .summary = "prints what comes from a device",
    .help = "usage: krctl char read SPEC [OPTION]...\n"
            "\n"
            "Prints what comes, until the end of the stream, a number of bytes, a silence, a\n"
            "time, or Ctrl-C: on a terminal as text with escapes, otherwise as it is.\n"
            "\n"
            "  -n, --count N       stop after N bytes, or frames; fewer are an error\n"
            "  -t, --timeout TIME  stop after TIME, with exit status 3\n"
            "      --gap TIME      stop when nothing came for TIME after a byte\n"
            "      --min N         ... and N bytes are there (default 1)\n"
            "      --frames        frame by frame, each on a line of its own; the spec says\n"
            "                      what a frame is, as in '/dev/ttyUSB0?frame=line'\n"
            "  -x, --hex           offset, hexadecimal, text\n"
            "      --text          text with \\n, \\r, \\t and \\xNN, as on a terminal\n"
            "      --raw           as it is, also on a terminal\n"
            "      --timestamps    start each line with the time of its first byte\n"
            "  -B, --backend NAME  auto, uring or epoll (default auto)\n"
            "  -h, --help          this text\n",
    .run = run,
};

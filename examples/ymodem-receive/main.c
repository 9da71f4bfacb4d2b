/* SPDX-License-Identifier: MIT */
/*
 * Receives files that a program such as sz of lrzsz sends with YMODEM over a serial line.
 *
 * Steps: 1. open the line and ask for the first block; 2. a read with a time-out gives the bytes,
 * or the silence, to the state machine of ymodem.c; 3. what it says goes out in a write; 4. a block
 * goes to the disk in another (file.c) while the line brings the next; 5. an answer that has to
 * wait for the disk makes the sender wait: that is all the flow control that is needed.
 * Everything is in one thread: daemon.h.
 */
#include "../daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "file.h"
#include "ymodem.h"

#define WRITE_TIMEOUT KROUTINE_SEC(10)
#define BAR           30  /* characters of the progress bar */
#define BAR_STEP_NS   1e8 /* between two of its states */

static struct {
    struct device_char_s in;
    struct device_char_s out;
    struct dev_char_rq_s read;
    struct dev_char_rq_s write;
    uint8_t data[2048];
    size_t fill, used; /* of `data` */
    uint8_t reply[64];
    size_t reply_size;   /* waiting for the write before */
    uint8_t sending[64]; /* under way */
    bool busy;           /* `write` is */
    bool over;           /* the session; ends the program when `write` is over */

    struct ymodem_s y;
    struct file_s file;
    enum ymodem_event_e due; /* waits for the disk before it is answered */
    bool quiet;
    bool bar;
    double began, shown; /* ns */
} rx;

/* --- what is shown --- */

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void show_bar(bool last)
{
    double t = now(), rate = (double)rx.y.received / (t - rx.began + 1) * 1e9;
    int filled = BAR;

    if (!rx.bar || (!last && t - rx.shown < BAR_STEP_NS))
        return;
    rx.shown = t;
    if (rx.y.length > 0)
        filled = (int)(rx.y.received * BAR / rx.y.length);
    fprintf(stderr, "\r%-24.24s [%.*s%*s] %3d %% %8.0f B/s%s", rx.file.name, filled,
            "==============================", BAR - filled, "", filled * 100 / BAR, rate,
            last ? "\n" : "");
}

/* --- the end --- */

static void end(int status)
{
    rx.over = true;
    file_discard(&rx.file);
    if (!rx.busy)
        daemon_stop(status);
    self.status = status;
}

static void end_failed(const char *what, const char *why)
{
    fprintf(stderr, "%symodem-receive: %s: %s\n", rx.bar && rx.file.fd >= 0 ? "\n" : "", what, why);
    end(1);
}

/* --- to the sender --- */

static void send_reply(void)
{
    if (rx.busy || rx.reply_size == 0)
        return;
    memcpy(rx.sending, rx.reply, rx.reply_size);
    rx.write.data = rx.sending;
    rx.write.size = rx.reply_size;
    rx.reply_size = 0;
    rx.busy = true;
    DEVICE_OP(&rx.out, request, &rx.write);
}

static KROUTINE_EXEC(reply_sent)
{
    (void)kr;
    (void)flags;
    rx.busy = false;
    if (rx.write.error != 0 && !rx.over)
        end_failed("cannot answer", strerror(-rx.write.error));
    send_reply();
    if (rx.over && !rx.busy)
        daemon_stop(self.status);
}

/* What the state machine has to say goes out behind what is waiting. */
static void take_reply(void)
{
    size_t room = sizeof(rx.reply) - rx.reply_size;
    size_t n = rx.y.reply_size < room ? rx.y.reply_size : room;

    memcpy(rx.reply + rx.reply_size, rx.y.reply, n);
    rx.reply_size += n;
    rx.y.reply_size = 0;
    send_reply();
}

static void give_up(const char *what, error_t err)
{
    ymodem_cancel(&rx.y);
    take_reply();
    end_failed(what, strerror(-err));
}

/* --- from the sender --- */

static bool begin_file(void)
{
    char name[FILE_NAME];
    error_t err = file_safe_name(name, rx.y.name) ? file_begin(&rx.file, name) : -EINVAL;

    if (err != 0) {
        give_up(err == -EINVAL ? "file name" : name, err);
        return false;
    }
    rx.began = now();
    rx.shown = 0;
    return true;
}

static bool finish_file(void)
{
    error_t err;

    show_bar(true);
    err = file_finish(&rx.file, rx.y.mtime);
    if (err != 0) {
        give_up(rx.file.name, err);
        return false;
    }
    if (!rx.quiet)
        printf("%s %" PRId64 "\n", rx.file.name, rx.y.received);
    return true;
}

/* Answers what is due when the disk is ready for it. */
static bool answer(void)
{
    enum ymodem_event_e due = rx.due;

    if (rx.file.error != 0) {
        give_up(rx.file.name, rx.file.error);
        return false;
    }
    if (due == YMODEM_DATA ? !file_has_room(&rx.file) : !file_is_written(&rx.file))
        return false;
    rx.due = YMODEM_NOTHING;
    if (due == YMODEM_FILE_END && !finish_file())
        return false;
    ymodem_accept(&rx.y);
    take_reply();
    return true;
}

/* True: go on with what comes next. */
static bool handle(enum ymodem_event_e event)
{
    switch (event) {
    case YMODEM_NOTHING:
        return true;
    case YMODEM_FILE:
        rx.due = event;
        return begin_file() && answer();
    case YMODEM_DATA:
        rx.due = event;
        file_write(&rx.file, rx.y.data, rx.y.data_size);
        show_bar(false);
        return answer();
    case YMODEM_FILE_END:
        rx.due = event;
        return answer();
    case YMODEM_BATCH_END:
        end(0);
        return false;
    default:
        end_failed("the transfer has failed", rx.y.reason);
        return false;
    }
}

static void go_on(void)
{
    enum ymodem_event_e event;

    while (rx.used < rx.fill) {
        rx.used += ymodem_feed(&rx.y, rx.data + rx.used, rx.fill - rx.used, &event);
        take_reply();
        if (!handle(event))
            return;
    }
    rx.read.data = rx.data;
    rx.read.size = sizeof(rx.data);
    dev_request_set_timeout(&rx.read.base, KROUTINE_MSEC(rx.y.timeout_ms));
    DEVICE_OP(&rx.in, request, &rx.read);
}

static KROUTINE_EXEC(bytes_came)
{
    (void)kr;
    (void)flags;
    if (rx.over)
        return;
    rx.used = 0;
    rx.fill = (size_t)(rx.read.data - rx.data);
    if (rx.read.error == -ETIMEDOUT && rx.fill == 0) {
        enum ymodem_event_e event = ymodem_timeout(&rx.y);

        take_reply();
        if (!handle(event))
            return;
    } else if (rx.read.error != 0 && rx.fill == 0) {
        end_failed("the line has ended", strerror(-rx.read.error));
        return;
    }
    go_on();
}

/* The disk has taken a block: an answer may be waiting for that. */
static void block_written(struct file_s *file)
{
    (void)file;
    if (rx.over || rx.due == YMODEM_NOTHING)
        return;
    if (answer())
        go_on();
}

/* --- the program --- */

static const char usage[] =
    "usage: ymodem-receive [-d FOLDER] [-o] [-q] [DEVICE]\n"
    "\n"
    "Receives files that are sent with YMODEM, as by `sz --ymodem FILE...`.\n"
    "\n"
    "  DEVICE           path of a port, or a spec: tty:/dev/ttyUSB0?baud=115200, fd:7;\n"
    "                   none, or -: standard input and output\n"
    "  -d, --folder F   put the files there, not here\n"
    "  -o, --overwrite  replace files that exist; without it they end the transfer\n"
    "  -q, --quiet      do not print names and lengths, nor progress\n"
    "  -h, --help       this text\n";

static bool open_line(const char *device)
{
    char spec[300];

    if (strcmp(device, "-") != 0) {
        snprintf(spec, sizeof(spec), "%s%s", *device == '/' ? "tty:" : "", device);
        device = spec;
    } else if (isatty(STDIN_FILENO)) {
        device = "tty:/proc/self/fd/0"; /* which puts it into raw mode, unlike fd:0 */
    } else {
        return daemon_get_char(&rx.in, "fd:0") && daemon_get_char(&rx.out, "fd:1");
    }
    return daemon_get_char(&rx.in, device) && device_copy_accessor(&rx.out.base, &rx.in.base) == 0;
}

static int run(const char *device, int dir, bool overwrite)
{
    int status = daemon_start();

    if (status != 0)
        return status;
    if (!open_line(device)) {
        fprintf(stderr, "ymodem-receive: %s\n", kroutine_error_text());
        daemon_stop(1);
    } else {
        file_init(&rx.file, dir, self.tree, overwrite, block_written);
        dev_char_rq_init(&rx.read, bytes_came);
        rx.read.type = DEV_CHAR_READ_PARTIAL;
        dev_char_rq_init(&rx.write, reply_sent);
        rx.write.type = DEV_CHAR_WRITE;
        dev_request_set_timeout(&rx.write.base, WRITE_TIMEOUT);
        ymodem_init(&rx.y);
        take_reply();
        go_on();
    }
    daemon_run();
    if (!rx.over && rx.in.dev) { /* a signal */
        self.done = false;
        ymodem_cancel(&rx.y);
        take_reply();
        end_failed("interrupted", "the sender was told");
        daemon_run();
    }
    rx.over = true;
    device_put_accessor(&rx.in.base);
    device_put_accessor(&rx.out.base);
    return daemon_end();
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"folder", required_argument, NULL, 'd'},
        {"overwrite", no_argument, NULL, 'o'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *folder = ".";
    bool overwrite = false;
    int c, dir;

    while ((c = getopt_long(argc, argv, "d:oqh", options, NULL)) != -1) {
        switch (c) {
        case 'd':
            folder = optarg;
            break;
        case 'o':
            overwrite = true;
            break;
        case 'q':
            rx.quiet = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (argc - optind > 1) {
        fputs(usage, stderr);
        return 2;
    }
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        fprintf(stderr, "ymodem-receive: %s: %s\n", folder, strerror(errno));
        return 1;
    }
    rx.bar = !rx.quiet && isatty(STDERR_FILENO);
    return run(optind < argc ? argv[optind] : "-", dir, overwrite);
}

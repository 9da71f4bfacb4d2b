/* SPDX-License-Identifier: MIT */
/*
 * krctl player: plays NMEA sentences on a pseudo terminal, as slowly as a serial line would bring
 * them.
 *
 * It is the other end of `krctl demo`, in a process of its own, and checks the library from
 * outside: so it uses poll(2) and write(2), nothing of libkroutine.
 */
#include "krctl.h"
#include "nmea.h"
#include "player.h"
#include "track.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS      4000000 /* a write every 4 ms: 15 bytes at 38400 baud */
#define CONTROL_FD   STDIN_FILENO
#define SETTLE_TICKS 25 /* a reader needs a moment between open and its settings */

struct player_s {
    FILE *file; /* NULL: the built-in track */
    struct track_s track;
    char *line; /* being sent */
    size_t room;
    size_t len;
    size_t sent; /* of `line` */
    bool damaged;
    bool over; /* the file has ended */

    int master;
    double bytes_per_ns;
    uint64_t start; /* of the schedule that `ahead` counts from */
    uint64_t ahead; /* bytes since then */

    bool control;
    bool stopping;
    uint64_t bytes, good, bad;     /* sent */
    struct nmea_assembler_s judge; /* of the lines of a file */
};

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The next line of the file or the track; false at the end of the file. */
static bool next_line(struct player_s *p)
{
    p->sent = 0;
    if (p->file == NULL) {
        p->len = track_next(&p->track, p->line, &p->damaged);
        return true;
    }

    ssize_t len = getline(&p->line, &p->room, p->file);
    p->len = len > 0 ? (size_t)len : 0;
    p->over = len <= 0;
    return !p->over;
}

/* Counts what a reader has to find: the track knows what it damaged, a file is looked at. */
static void count(struct player_s *p, const char *data, size_t len)
{
    p->bytes += len;
    if (p->file == NULL) {
        if (p->sent == p->len)
            *(p->damaged ? &p->bad : &p->good) += 1;
        return;
    }
    while (len > 0) {
        size_t used;
        enum nmea_status_e status = nmea_feed(&p->judge, (const uint8_t *)data, len, &used);
        p->good += status == NMEA_GOOD;
        p->bad += nmea_is_bad(status);
        data += used;
        len -= used;
    }
}

/* Between two lines, and not inside one that lost its end: a reader has counted all that was sent.
 */
static bool at_line_end(const struct player_s *p)
{
    return p->sent == p->len && (p->len == 0 || p->line[p->len - 1] == '\n');
}

/* Sends what is due by now. False: the terminal is gone. */
static bool send_due(struct player_s *p)
{
    uint64_t due = (uint64_t)((double)(now_ns() - p->start) * p->bytes_per_ns);

    while (p->ahead < due && !p->over) {
        if (p->stopping && at_line_end(p))
            return true;
        if (p->sent == p->len && !next_line(p))
            return true;

        size_t size = p->len - p->sent;
        if (size > due - p->ahead)
            size = due - p->ahead;
        ssize_t done = write(p->master, p->line + p->sent, size);
        if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
            /* Nobody reads: a pause, and no burst after it. */
            p->start = now_ns();
            p->ahead = 0;
            return true;
        }
        if (done < 0)
            return false;
        p->ahead += (uint64_t)done;
        p->sent += (size_t)done;
        count(p, p->line + p->sent - done, (size_t)done);
    }
    return true;
}

/* Opens a raw pseudo terminal; its path, or NULL. */
static const char *open_pty(struct player_s *p)
{
    struct termios settings;

    p->master = posix_openpt(O_RDWR | O_NOCTTY);
    if (p->master < 0 || grantpt(p->master) != 0 || unlockpt(p->master) != 0)
        return NULL;
    const char *path = ptsname(p->master);
    if (path == NULL || tcgetattr(p->master, &settings) != 0)
        return NULL;
    cfmakeraw(&settings); /* no echo of what comes before the reader's own settings */
    if (tcsetattr(p->master, TCSANOW, &settings) != 0 || fcntl(p->master, F_SETFL, O_NONBLOCK) != 0)
        return NULL;

    /* Opened and closed once, the master reports POLLHUP while nobody has the other side open. */
    int fd = open(path, O_RDWR | O_NOCTTY);
    if (fd < 0)
        return NULL;
    close(fd);
    return path;
}

/* Waits for a message for up to `ns`: its length, 0 for none, -1 when the other side is gone. */
static int receive(char message[PLAYER_MESSAGE_MAX], uint64_t ns)
{
    struct pollfd poll_control = {.fd = CONTROL_FD, .events = POLLIN};
    struct timespec limit = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

    if (ppoll(&poll_control, 1, &limit, NULL) <= 0)
        return 0;
    ssize_t len = recv(CONTROL_FD, message, PLAYER_MESSAGE_MAX - 1, 0);
    if (len <= 0)
        return len < 0 && errno == EINTR ? 0 : -1;
    message[len] = '\0';
    return (int)len;
}

static bool reply(const char *message)
{
    return send(CONTROL_FD, message, strlen(message), MSG_NOSIGNAL) >= 0;
}

/* Sleeps to the next tick, or reads the message that comes first. -1: the demo is gone. */
static int tick(struct player_s *p, uint64_t *next)
{
    char message[PLAYER_MESSAGE_MAX];
    uint64_t now = now_ns();

    *next = *next + TICK_NS > now ? *next + TICK_NS : now;
    if (!p->control) {
        uint64_t ns = *next - now;
        nanosleep(&(struct timespec){0, (long)ns}, NULL);
        return 0;
    }
    int len = receive(message, *next - now);
    if (len > 0 && strcmp(message, "stop") == 0)
        p->stopping = true;
    return len;
}

static int play_for_demo(struct player_s *p, const char *path)
{
    char message[PLAYER_MESSAGE_MAX];
    int len;

    snprintf(message, sizeof(message), "tty %s", path);
    if (!reply(message))
        return KRCTL_FAILED;
    while ((len = receive(message, UINT64_C(1000000000))) == 0)
        ;
    if (len < 0 || strcmp(message, "go") != 0)
        return KRCTL_FAILED;

    uint64_t next = p->start = now_ns();
    while (!(p->stopping && (p->over || at_line_end(p))))
        if (!send_due(p) || tick(p, &next) < 0)
            return KRCTL_FAILED;

    snprintf(message, sizeof(message), "sent %" PRIu64 " %" PRIu64 " %" PRIu64, p->bytes, p->good,
             p->bad);
    if (!reply(message))
        return KRCTL_FAILED;
    while (receive(message, UINT64_C(1000000000)) >= 0)
        ;
    return KRCTL_OK;
}

/* True while a program has the terminal open. */
static bool has_reader(const struct player_s *p)
{
    struct pollfd poll_master = {.fd = p->master};

    return poll(&poll_master, 1, 0) >= 0 && !(poll_master.revents & POLLHUP);
}

static int play_alone(struct player_s *p, const char *path, unsigned baud)
{
    uint64_t next = now_ns();
    unsigned settle = 0;

    printf("playing on %s at %u baud as soon as a program opens it:\n"
           "  krctl demo --tty %s --baud %u\n",
           path, baud, path, baud);
    fflush(stdout);
    while (!p->over) {
        settle = has_reader(p) ? settle + 1 : 0;
        if (settle <= SETTLE_TICKS) {
            p->start = now_ns();
            p->ahead = 0;
        } else if (!send_due(p)) {
            return krctl_fail("cannot write to %s: %s", path, strerror(errno));
        }
        tick(p, &next);
    }
    /* Closing the master throws away what the reader has not taken yet. */
    nanosleep(&(struct timespec){0, 500000000}, NULL);
    printf("sent %" PRIu64 " bytes, %" PRIu64 " lines good, %" PRIu64 " bad\n", p->bytes, p->good,
           p->bad);
    return KRCTL_OK;
}

static int print_track(double lines)
{
    struct track_s track = {0};
    char text[TRACK_LINE_MAX];
    bool damaged;

    for (unsigned i = 0; i < lines; i++)
        fwrite(text, 1, track_next(&track, text, &damaged), stdout);
    return KRCTL_OK;
}

static int play(struct player_s *p, const char *input, unsigned baud)
{
    p->bytes_per_ns = baud / 10.0 / 1e9; /* ten bits a byte: start, eight of data, stop */
    if (input == NULL) {
        p->line = malloc(TRACK_LINE_MAX);
        if (p->line == NULL)
            return krctl_fail("no memory");
    } else {
        p->file = fopen(input, "re");
        int c = p->file != NULL ? getc(p->file) : EOF;
        if (c == EOF) {
            krctl_fail("cannot play %s: %s", input,
                       p->file == NULL || ferror(p->file) ? strerror(errno) : "it is empty");
            krctl_hint("krctl player --print 300 >FILE, which makes a file to play");
            return KRCTL_FAILED;
        }
        ungetc(c, p->file);
    }

    const char *path = open_pty(p);
    if (path == NULL)
        return krctl_fail("cannot make a pseudo terminal: %s", strerror(errno));
    return p->control ? play_for_demo(p, path) : play_alone(p, path, baud);
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"baud", required_argument, NULL, 'b'},  {"input", required_argument, NULL, 'i'},
        {"print", required_argument, NULL, 'p'}, {"control", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},        {0},
    };
    struct player_s player = {.master = -1};
    const char *input = NULL;
    double baud = PLAYER_BAUD, lines = 0;
    int option;

    while ((option = getopt_long(argc, argv, "b:i:p:h", options, NULL)) != -1) {
        switch (option) {
        case 'b':
            if (!krctl_number(optarg, PLAYER_BAUD_MIN, PLAYER_BAUD_MAX, &baud))
                return krctl_usage(&krctl_player, "--baud is %d to %d, not '%s'", PLAYER_BAUD_MIN,
                                   PLAYER_BAUD_MAX, optarg);
            break;
        case 'i':
            input = optarg;
            break;
        case 'p':
            if (!krctl_number(optarg, 1, 1e9, &lines))
                return krctl_usage(&krctl_player, "--print is a number of lines, not '%s'", optarg);
            break;
        case 'c':
            player.control = true;
            break;
        case 'h':
            return krctl_help(&krctl_player);
        default:
            return krctl_usage(&krctl_player, NULL);
        }
    }
    if (optind < argc)
        return krctl_usage(&krctl_player, "'%s' is one word too many", argv[optind]);
    if (lines > 0)
        return print_track(lines);

    if (player.control) /* Ctrl-C is for the demo, which says "stop" */
        signal(SIGINT, SIG_IGN);
    int status = play(&player, input, (unsigned)baud);
    if (player.file != NULL)
        fclose(player.file);
    if (player.master >= 0)
        close(player.master);
    free(player.line);
    return status;
}

const struct krctl_command_s krctl_player = {
    .name = "player",
    .summary = "plays NMEA sentences on a pseudo terminal: a serial port to try",
    .help = "usage: krctl player [--baud N] [--input FILE]\n"
            "       krctl player --print LINES\n"
            "\n"
            "Makes a pseudo terminal, prints its name, and plays NMEA sentences on it at the\n"
            "pace of a serial line while a program has it open. A file is played once, the\n"
            "built-in track until Ctrl-C. One line in 23 of the track is damaged.\n"
            "\n"
            "  -b, --baud N        bits a second, ten of them a byte (default 38400)\n"
            "  -i, --input FILE    lines to play (default: the built-in track)\n"
            "  -p, --print LINES   print so many lines of the track instead\n"
            "  -h, --help          this text\n",
    .run = run,
};

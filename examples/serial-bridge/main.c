/* SPDX-License-Identifier: MIT */
/*
 * Serial ports on TCP: any number of pairs, in one thread.
 *
 * Steps: 1. read the pairs from the command line and from files; 2. open the ports, and listen or
 * connect (tcp.c); 3. move bytes between the two (pair.c; bridge.h says how); 4. end on a signal,
 * with the settings of the ports as they were (daemon.h).
 */
#include "../daemon.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>

#include "bridge.h"

struct bridge_s bridge;

/* --- what was asked for --- */

static struct pair_s *parse(const char *text)
{
    static const char *const words[] = {",listen:", ",connect:"};
    struct pair_s *pair;
    const char *comma = NULL;
    unsigned word = 0;

    for (unsigned i = 0; i < 2 && !comma; i++)
        comma = strstr(text, words[word = i]);
    if (!comma || comma == text) {
        fprintf(stderr,
                "serial-bridge: '%s' is no pair: it takes DEVICE,listen:[HOST:]PORT or "
                "DEVICE,connect:HOST:PORT\n",
                text);
        return NULL;
    }
    pair = calloc(1, sizeof(*pair));
    if (!pair || asprintf(&pair->tty_spec, "%s%.*s", *text == '/' ? "tty:" : "",
                          (int)(comma - text), text) < 0) {
        fprintf(stderr, "serial-bridge: out of memory\n");
        free(pair);
        return NULL;
    }
    pair->address = strdup(comma + 1);
    pair->connects = word == 1;
    if (pair->address && tcp_parse(pair, comma + strlen(words[word])))
        return pair;
    free(pair->address);
    free(pair->tty_spec);
    free(pair);
    return NULL;
}

bool bridge_add(const char *text)
{
    struct pair_s **end = &bridge.pairs, *pair = parse(text);

    if (!pair)
        return false;
    while (*end)
        end = &(*end)->next;
    *end = pair;
    pair_init(pair);
    return true;
}

/* One pair a line; empty lines and those that begin with # are skipped. */
static bool add_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[1024], *start;
    bool ok = file != NULL;

    if (!file)
        fprintf(stderr, "serial-bridge: %s: %s\n", path, strerror(errno));
    while (ok && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\r\n")] = '\0';
        start = line + strspn(line, " \t");
        if (*start && *start != '#')
            ok = bridge_add(start);
    }
    if (file)
        fclose(file);
    return ok;
}

/* --- start and end --- */

bool bridge_start(struct device_s *tree)
{
    bridge.tree = tree;
    if (device_get_accessor_by_path(&bridge.timer.base, tree, "timer0", DRIVER_CLASS_TIMER) != 0) {
        fprintf(stderr, "serial-bridge: timer0: %s\n", kroutine_error_text());
        return false;
    }
    for (struct pair_s *pair = bridge.pairs; pair; pair = pair->next) {
        if (!pair_open_tty(pair)) {
            pair_say(pair, "%s", kroutine_error_text());
            return false;
        }
        if (!tcp_start(pair))
            return false;
    }
    return true;
}

void bridge_stop(void)
{
    bridge.stopping = true;
    for (struct pair_s *pair = bridge.pairs; pair; pair = pair->next) {
        tcp_stop(pair);
        device_put_accessor(&pair->tty.base);
        if (!bridge.quiet)
            printf("%s,%s: %" PRIu64 " bytes to TCP, %" PRIu64 " to the port\n", pair->tty_spec,
                   pair->address, pair->to_tcp.bytes, pair->to_tty.bytes);
    }
    device_put_accessor(&bridge.timer.base);
}

void bridge_free(void)
{
    struct pair_s *next;

    for (struct pair_s *pair = bridge.pairs; pair; pair = next) {
        next = pair->next;
        free(pair->address);
        free(pair->tty_spec);
        free(pair);
    }
}

static const char usage[] =
    "usage: serial-bridge [-q] [-f FILE]... [PAIR]...\n"
    "\n"
    "Connects serial ports with TCP, each with one connection at a time.\n"
    "\n"
    "  PAIR             DEVICE,listen:[HOST:]PORT   waits for clients; HOST is 127.0.0.1\n"
    "                   DEVICE,connect:HOST:PORT    connects, and again when it is lost\n"
    "                   DEVICE is a path, or a spec: tty:/dev/ttyUSB0?baud=115200\n"
    "  -f, --file FILE  pairs, one a line; # begins a comment line\n"
    "  -q, --quiet      errors only\n"
    "  -h, --help       this text\n";

static int run(void)
{
    int status = daemon_start();

    if (status == 0) {
        if (!bridge_start(self.tree))
            daemon_stop(1);
        daemon_run();
        bridge_stop();
        status = daemon_end();
    }
    bridge_free();
    return status;
}

static int wrong_usage(void)
{
    fputs(usage, stderr);
    bridge_free();
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"file", required_argument, NULL, 'f'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "f:qh", options, NULL)) != -1) {
        switch (c) {
        case 'f':
            if (!add_file(optarg)) {
                bridge_free();
                return 2;
            }
            break;
        case 'q':
            bridge.quiet = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            return wrong_usage();
        }
    }
    for (; optind < argc; optind++)
        if (!bridge_add(argv[optind])) {
            bridge_free();
            return 2;
        }
    return bridge.pairs ? run() : wrong_usage();
}

/* SPDX-License-Identifier: MIT */
/* What the demo prints at its end, in 80 columns. */
#include "demo.h"
#include "krctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABEL 12
#define BAR   44 /* columns of the longest bar */

static void label(const char *name)
{
    printf("%s%-*s%s", krctl_style(KRCTL_BOLD), LABEL, name, krctl_style(KRCTL_PLAIN));
}

static void verdict(bool good, const char *text)
{
    printf("%s%s%s\n", krctl_style(good ? KRCTL_GREEN : KRCTL_RED), text, krctl_style(KRCTL_PLAIN));
}

/* "850 ns", "12.3 us", "1.2 ms" */
static const char *duration(char text[24], uint64_t ns)
{
    static const char *const unit[] = {"ns", "us", "ms", "s"};
    double value = (double)ns;
    int i = 0;

    for (; value >= 999.5 && i < 3; i++)
        value /= 1000;
    snprintf(text, 24, "%.3g %s", value, unit[i]);
    return text;
}

static uint64_t bad_lines(const struct reader_s *reader)
{
    uint64_t bad = 0;

    for (enum nmea_status_e status = 0; status < NMEA_STATUSES; status++)
        bad += nmea_is_bad(status) ? reader->count[status] : 0;
    return bad;
}

/* --- input --- */

static bool print_sent(const struct demo_s *demo)
{
    const struct feeder_s *feeder = &demo->feeder;
    bool same = feeder->reported && feeder->good == demo->reader.count[NMEA_GOOD] &&
                feeder->bad == bad_lines(&demo->reader);

    printf("%*s", LABEL, "");
    if (!feeder->reported) {
        verdict(false, "the player died before it could say what it sent");
        return false;
    }
    printf("player sent %" PRIu64 " good, %" PRIu64 " damaged: ", feeder->good, feeder->bad);
    verdict(same, same ? "all accounted for" : "they differ");
    return same;
}

static void print_types(const struct reader_s *reader)
{
    for (unsigned i = 0; i < READER_TYPES && reader->types[i].name[0] != '\0'; i++) {
        const struct reader_type_s *type = &reader->types[i];

        if (i % 2 == 0)
            printf("%*s", LABEL, "");
        printf("%-6s%6" PRIu64 " good%5" PRIu64 " bad", type->name, type->good, type->bad);
        fputs(i % 2 == 0 && i + 1 < READER_TYPES && reader->types[i + 1].name[0] != '\0' ? "      "
                                                                                         : "\n",
              stdout);
    }
}

static void print_reasons(const struct reader_s *reader)
{
    char text[256] = "bad:";
    size_t len = strlen(text);

    for (enum nmea_status_e status = 0; status < NMEA_STATUSES; status++) {
        if (!nmea_is_bad(status) || reader->count[status] == 0)
            continue;
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "%s %" PRIu64 " %s",
                             len > 4 ? "," : "", reader->count[status], nmea_status_text(status));
    }
    if (len > 4) {
        printf("%*s", LABEL, "");
        krctl_wrap(text, LABEL);
    }
}

static bool print_lines(const struct demo_s *demo)
{
    const struct reader_s *reader = &demo->reader;
    bool complete = true;

    label("lines");
    printf("%s%" PRIu64 " good%s, %" PRIu64 " bad, from %" PRIuFAST64 " bytes in %" PRIuFAST64
           " reads\n",
           krctl_style(KRCTL_GREEN), reader->count[NMEA_GOOD], krctl_style(KRCTL_PLAIN),
           bad_lines(reader), reader->bytes, demo->tally[KROUTINE_SCHED_SWITCH].requests);
    if (demo->feeder.pid != 0)
        complete = print_sent(demo);
    print_types(reader);
    print_reasons(reader);
    if (reader->count[NMEA_JOINED] > 0)
        printf("%*sjoined half way through a line, which counts as neither\n", LABEL, "");
    if (reader->overruns > 0 || reader->line_errors > 0)
        printf("%*sthe port reported %" PRIu64 " overruns, %" PRIu64 " parity or framing errors\n",
               LABEL, "", reader->overruns, reader->line_errors);
    if (reader->waits > 0)
        printf("%*swaited %" PRIu64 " times for one of %d jobs\n", LABEL, "", reader->waits,
               READER_JOBS);
    return complete;
}

static void print_work(const struct demo_s *demo)
{
    const struct work_s *work = &demo->work;
    uint64_t runs = demo->tally[KROUTINE_DEFERRED].kroutines;
    char mean[24];

    label("work");
    printf(
        "%.1f m over %" PRIuFAST64 " positions, top speed %.1f m/s, %" PRIuFAST64 " satellites\n",
        (double)work->distance / 1e6, work->fixes, (double)work->top_speed / 1e3, work->satellites);
    printf("%*s%" PRIu64 " deferred handlers on %u workers, %s each\n", LABEL, "", runs,
           demo->info.pool_size, duration(mean, runs > 0 ? work->time / runs : 0));
}

/* --- timer --- */

static void print_histogram(const struct hist_s *h)
{
    unsigned first = HIST_ROWS, last = 0;
    uint64_t most = 1;

    for (unsigned row = 0; row < HIST_ROWS; row++) {
        if (h->row[row] == 0)
            continue;
        most = h->row[row] > most ? h->row[row] : most;
        first = row < first ? row : first;
        last = row;
    }
    for (unsigned row = first; row <= last; row++) {
        /* Whatever is not nothing can be seen. */
        unsigned width = (unsigned)((h->row[row] * BAR + most - 1) / most);
        bool open = row == HIST_ROWS - 1;
        char text[24];

        printf("%*s%s %-7s %s", LABEL, "", open ? ">" : "<",
               duration(text, hist_top[open ? row - 1 : row]), krctl_style(KRCTL_BLUE));
        for (unsigned i = 0; i < width; i++)
            putchar('#');
        printf("%s%s%" PRIu64 "\n", krctl_style(KRCTL_PLAIN), width > 0 ? " " : "", h->row[row]);
    }
}

static void print_timer(const struct demo_s *demo)
{
    const struct ticker_s *ticker = &demo->ticker;
    const struct hist_s *h = &ticker->lateness;
    char p50[24], p99[24], max[24];

    label("timer");
    printf("%" PRIu64 " ticks at 1 kHz in %.2f s, %" PRIu64 " skipped", ticker->ticks,
           (double)(demo->stop - demo->start) / 1e9, ticker->skipped);
    if (ticker->early > 0)
        printf(", %" PRIu64 " too early", ticker->early);
    printf("\n%*slate by p50 %s, p99 %s, max %s\n", LABEL, "", duration(p50, hist_quantile(h, 0.5)),
           duration(p99, hist_quantile(h, 0.99)), duration(max, h->max));
    print_histogram(h);
}

/* --- the rest --- */

static void print_log(const struct demo_s *demo)
{
    const struct log_s *log = &demo->log;

    label("log");
    printf("%" PRIu64 " records, %" PRIu64 " bytes written in %" PRIu64 " requests\n", log->records,
           log->bytes, log->writes);
    if (log->dropped > 0)
        printf("%*s%" PRIu64 " records dropped, the file was too slow\n", LABEL, "", log->dropped);
    printf("%*s%s\n", LABEL, "", demo->log_path);
}

static void print_policies(const struct demo_s *demo)
{
    static const struct {
        enum kroutine_policy_e policy;
        const char *name;
        const char *what;
    } rows[] = {
        {KROUTINE_IMMEDIATE, "IMMEDIATE", "timer ticks, in the dispatch"},
        {KROUTINE_SCHED_SWITCH, "SCHED_SWITCH", "reads, after each batch"},
        {KROUTINE_DEFERRED, "DEFERRED", "work on a line, any worker"},
        {KROUTINE_SEQ_DEFERRED, "SEQ_DEFERRED", "log, one at a time, in order"},
        {KROUTINE_QUEUE, "QUEUE", "end and Ctrl-C, main thread"},
    };

    label("policies");
    printf("%-14s%8s %9s\n", "", "requests", "kroutines");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct tally_s *tally = &demo->tally[rows[i].policy];

        printf("%*s%-14s%8" PRIuFAST64 " %9" PRIuFAST64 "  %s%s%s\n", LABEL, "", rows[i].name,
               tally->requests, tally->kroutines, krctl_style(KRCTL_DIM), rows[i].what,
               krctl_style(KRCTL_PLAIN));
    }
}

/* Names what went wrong, and what to try. */
static bool print_failures(const struct demo_s *demo)
{
    const struct reader_s *reader = &demo->reader;
    bool good = true;

    if (reader->error != 0 && !demo->feeder.died) {
        krctl_fail("reading stopped: %s", reader->error == -ENODEV
                                              ? "the port was unplugged, or hung up"
                                          : reader->error == -ENODATA ? "the port has no more data"
                                                                      : strerror(-reader->error));
        good = false;
    }
    if (demo->ticker.error != 0) {
        krctl_fail("the timer stopped: %s", strerror(-demo->ticker.error));
        good = false;
    }
    if (demo->log.error != 0) {
        krctl_fail("the log is not complete: %s", strerror(-demo->log.error));
        good = false;
    }
    if (demo->options.tty != NULL && reader->error == 0 && reader->count[NMEA_GOOD] == 0 &&
        !demo->interrupted) {
        if (reader->bytes == 0) {
            krctl_fail("nothing came in from %s", demo->options.tty);
            krctl_hint("is the receiver on, and its TX wired to the RX of this port?");
        } else {
            krctl_fail("bytes came in from %s, but no good line", demo->options.tty);
            krctl_hint("another speed than %u: most receivers use 4800, 9600, 38400 or 115200",
                       demo->options.baud);
        }
        good = false;
    }
    return good;
}

int demo_report(const struct demo_s *demo)
{
    putchar('\n');
    if (demo->interrupted) {
        label("ended");
        puts("early, by a signal");
    }
    label("backend");
    printf("%s%s%s\n%*s", krctl_style(KRCTL_GREEN), demo->backend, krctl_style(KRCTL_PLAIN), LABEL,
           "");
    krctl_wrap(demo->reason, LABEL);
    printf("%*s%" PRIu64 " batches of events, %" PRIu64 " system calls to wait and submit\n", LABEL,
           "", demo->info.batches, demo->info.syscalls);
    bool complete = print_lines(demo);
    print_work(demo);
    print_timer(demo);
    print_log(demo);
    print_policies(demo);
    return print_failures(demo) && complete ? KRCTL_OK : KRCTL_FAILED;
}

/* SPDX-License-Identifier: MIT */
/*
 * Polls holding registers of a Modbus RTU server, and shows what changes.
 *
 * Steps: 1. a timer fires at the rate of the polls, from its own deadline: no drift; 2. it sends
 * the question as a frame; 3. the answer is read as a frame, with a time-out. Silence between
 * frames and checksums are the work of the device: modbus-rtu over a tty, kroutine-framing(7).
 * 4. A time-out or a bad frame costs one poll; a port that is gone is opened again until it is
 * there. Everything is in one thread: daemon.h.
 */
#include "daemon.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define READ_HOLDING  3    /* function: Modbus Application Protocol V1.1b3, 6.3 */
#define EXCEPTION     0x80 /* or-ed to the function of an answer */
#define REGISTERS_MAX 125
#define FRAME_MAX     256
#define RETRY_NS      KROUTINE_MSEC(250)
#define LATENCIES_MAX 4096

static struct {
    /* what was asked for */
    char spec[300];
    unsigned unit, first, count;
    uint64_t period, timeout, report; /* ns */
    uint64_t limit;                   /* polls; 0: until a signal */
    bool quiet;

    struct device_char_s line;
    struct device_timer_s timer;
    struct dev_timer_rq_s tick, report_tick;
    struct dev_char_rq_s rq; /* the question, then the answer */
    uint8_t question[6], answer[FRAME_MAX];
    bool busy;      /* `rq` is */
    bool answering; /* it is the answer that it waits for */
    bool stopping;
    uint64_t asked, retry; /* ns */

    uint16_t value[REGISTERS_MAX];
    bool known;

    uint64_t polls, good, timeouts, bad_crc, wrong, skipped, opened;
    uint64_t latency[LATENCIES_MAX]; /* of the last good polls */
} mb;

static uint64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return KROUTINE_SEC(ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

/* --- what is shown --- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void show_statistics(void)
{
    static uint64_t sorted[LATENCIES_MAX];
    size_t n = mb.good < LATENCIES_MAX ? mb.good : LATENCIES_MAX;
    double p50 = 0, p99 = 0;

    memcpy(sorted, mb.latency, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), compare);
    if (n > 0) {
        p50 = (double)sorted[n / 2] / 1e6;
        p99 = (double)sorted[n * 99 / 100] / 1e6;
    }
    printf("polls %" PRIu64 " good %" PRIu64 " timeouts %" PRIu64 " bad-crc %" PRIu64
           " wrong %" PRIu64 " skipped %" PRIu64 " opened %" PRIu64
           " latency p50 %.2f ms p99 %.2f ms\n",
           mb.polls, mb.good, mb.timeouts, mb.bad_crc, mb.wrong, mb.skipped, mb.opened, p50, p99);
    fflush(stdout);
}

static void show_changes(const uint8_t *data)
{
    bool first = true;

    for (unsigned i = 0; i < mb.count; i++) {
        uint16_t value = (uint16_t)(data[2 * i] << 8 | data[2 * i + 1]);

        if (mb.known && value == mb.value[i])
            continue;
        mb.value[i] = value;
        if (!mb.quiet)
            printf("%s%u=%u", first ? "" : " ", mb.first + i, value);
        first = false;
    }
    mb.known = true;
    if (!mb.quiet && !first)
        printf("\n");
}

/* --- the port --- */

static void open_line(void)
{
    mb.retry = now() + RETRY_NS;
    if (daemon_get_char(&mb.line, mb.spec)) {
        if (mb.opened++ && !mb.quiet)
            fprintf(stderr, "modbus-master: the port is back\n");
    }
}

static void close_line(error_t error)
{
    if (mb.line.dev && !mb.quiet)
        fprintf(stderr, "modbus-master: the port is gone: %s\n", strerror(-error));
    device_put_accessor(&mb.line.base);
    mb.retry = now() + RETRY_NS;
}

/* --- a poll --- */

static void submit(enum dev_char_rq_type_e type, uint8_t *data, size_t size)
{
    mb.busy = true;
    mb.answering = type == DEV_CHAR_READ_FRAME;
    mb.rq.type = type;
    mb.rq.data = data;
    mb.rq.size = size;
    dev_request_set_timeout(&mb.rq.base, mb.timeout);
    DEVICE_OP(&mb.line, request, &mb.rq);
}

static void ask(void)
{
    mb.question[0] = (uint8_t)mb.unit;
    mb.question[1] = READ_HOLDING;
    mb.question[2] = (uint8_t)(mb.first >> 8);
    mb.question[3] = (uint8_t)mb.first;
    mb.question[4] = (uint8_t)(mb.count >> 8);
    mb.question[5] = (uint8_t)mb.count;
    mb.polls++;
    mb.asked = now();
    submit(DEV_CHAR_WRITE_FRAME, mb.question, sizeof(mb.question));
}

static void take_answer(size_t size)
{
    const uint8_t *a = mb.answer;

    if (size == 3 + 2 * mb.count && a[0] == mb.unit && a[1] == READ_HOLDING &&
        a[2] == 2 * mb.count) {
        mb.latency[mb.good++ % LATENCIES_MAX] = now() - mb.asked;
        show_changes(a + 3);
        return;
    }
    if (size == 3 && a[0] == mb.unit && a[1] == (READ_HOLDING | EXCEPTION) && !mb.wrong)
        fprintf(stderr, "modbus-master: the server refuses: exception %u\n", a[2]);
    mb.wrong++;
}

static void end_poll(error_t error)
{
    if (error == 0)
        take_answer((size_t)(mb.rq.data - mb.answer));
    else if (error == -ETIMEDOUT)
        mb.timeouts++;
    else if (error == -EBADMSG)
        mb.bad_crc++;
    else if (error == -ENOSPC || error == -EPIPE)
        mb.wrong++; /* noise: too long for a frame, or with bytes lost */
    else
        close_line(error);
    if (mb.limit != 0 && mb.polls >= mb.limit)
        daemon_stop(0);
}

static KROUTINE_EXEC(frame_over)
{
    (void)kr;
    (void)flags;
    mb.busy = false;
    if (mb.stopping)
        return;
    if (mb.rq.error == 0 && !mb.answering)
        submit(DEV_CHAR_READ_FRAME, mb.answer, sizeof(mb.answer));
    else
        end_poll(mb.rq.error);
}

/* --- time --- */

static void again(struct dev_timer_rq_s *rq, uint64_t period)
{
    uint64_t late = now();

    rq->delay = 0;
    rq->deadline += period;
    if (rq->deadline <= late) /* the program was stopped, or is too slow: not all at once */
        rq->deadline = late + period;
    if (DEVICE_OP(&mb.timer, request, rq) != 0) {
        rq->delay = period;
        (void)DEVICE_OP(&mb.timer, request, rq);
    }
}

static KROUTINE_EXEC(time_to_ask)
{
    (void)kr;
    (void)flags;
    if (mb.stopping || mb.tick.error != 0)
        return;
    if (!mb.line.dev && !mb.busy && now() >= mb.retry)
        open_line();
    if (mb.busy)
        mb.skipped++; /* the answer to the last one takes longer than a period */
    else if (mb.line.dev)
        ask();
    again(&mb.tick, mb.period);
}

static KROUTINE_EXEC(time_to_report)
{
    (void)kr;
    (void)flags;
    if (mb.stopping || mb.report_tick.error != 0)
        return;
    show_statistics();
    again(&mb.report_tick, mb.report);
}

static bool start_timer(struct dev_timer_rq_s *rq, kroutine_exec_t *handler, uint64_t period)
{
    dev_timer_rq_init(rq, handler);
    rq->delay = period;
    return period == 0 || DEVICE_OP(&mb.timer, request, rq) == 0;
}

/* --- the program --- */

static const char usage[] =
    "usage: modbus-master [OPTION]... DEVICE\n"
    "\n"
    "Polls holding registers of a Modbus RTU server and prints those that change.\n"
    "\n"
    "  DEVICE             path of a port, or a spec: modbus-rtu:tty:/dev/ttyUSB0?baud=19200\n"
    "  -u, --unit N       address of the server, 1 to 247; 1\n"
    "  -a, --address N    first register; 0\n"
    "  -n, --count N      registers, 1 to 125; 16\n"
    "  -r, --rate N       polls a second, 1 to 1000; 100\n"
    "  -t, --timeout N    ms to wait for an answer; 200\n"
    "  -s, --statistics N seconds between two lines of statistics, 0: at the end only; 1\n"
    "  -p, --polls N      end after so many; 0: on SIGINT or SIGTERM\n"
    "  -q, --quiet        statistics only\n"
    "  -h, --help         this text\n";

static bool number(const char *text, unsigned least, unsigned most, unsigned *value)
{
    char *end;
    unsigned long n = strtoul(text, &end, 0);

    if (*text < '0' || *text > '9' || *end || n < least || n > most) {
        fprintf(stderr, "modbus-master: '%s': a number from %u to %u is wanted\n", text, least,
                most);
        return false;
    }
    *value = (unsigned)n;
    return true;
}

static bool parse(int argc, char **argv, int *status)
{
    static const struct option options[] = {
        {"unit", required_argument, NULL, 'u'},    {"address", required_argument, NULL, 'a'},
        {"count", required_argument, NULL, 'n'},   {"rate", required_argument, NULL, 'r'},
        {"timeout", required_argument, NULL, 't'}, {"statistics", required_argument, NULL, 's'},
        {"polls", required_argument, NULL, 'p'},   {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    unsigned rate = 100, timeout = 200, report = 1, limit = 0;
    bool ok = true;
    int c;

    mb.unit = 1;
    mb.count = 16;
    *status = 2;
    while (ok && (c = getopt_long(argc, argv, "u:a:n:r:t:s:p:qh", options, NULL)) != -1) {
        switch (c) {
        case 'u':
            ok = number(optarg, 1, 247, &mb.unit);
            break;
        case 'a':
            ok = number(optarg, 0, 65535, &mb.first);
            break;
        case 'n':
            ok = number(optarg, 1, REGISTERS_MAX, &mb.count);
            break;
        case 'r':
            ok = number(optarg, 1, 1000, &rate);
            break;
        case 't':
            ok = number(optarg, 1, 60000, &timeout);
            break;
        case 's':
            ok = number(optarg, 0, 86400, &report);
            break;
        case 'p':
            ok = number(optarg, 0, UINT32_MAX, &limit);
            break;
        case 'q':
            mb.quiet = true;
            break;
        case 'h':
            fputs(usage, stdout);
            *status = 0;
            return false;
        default:
            fputs(usage, stderr);
            return false;
        }
    }
    if (ok && argc - optind != 1)
        fputs(usage, stderr);
    if (!ok || argc - optind != 1)
        return false;
    mb.period = KROUTINE_SEC(1) / rate;
    mb.timeout = KROUTINE_MSEC(timeout);
    mb.report = KROUTINE_SEC(report);
    mb.limit = limit;
    snprintf(mb.spec, sizeof(mb.spec), "%s%s", *argv[optind] == '/' ? "modbus-rtu:tty:" : "",
             argv[optind]);
    return true;
}

int main(int argc, char **argv)
{
    int status;

    if (!parse(argc, argv, &status))
        return status;
    status = daemon_start();
    if (status != 0)
        return status;
    dev_char_rq_init(&mb.rq, frame_over);
    open_line();
    if (!mb.line.dev ||
        device_get_accessor_by_path(&mb.timer.base, self.tree, "timer0", DRIVER_CLASS_TIMER) != 0 ||
        !start_timer(&mb.tick, time_to_ask, mb.period) ||
        !start_timer(&mb.report_tick, time_to_report, mb.report)) {
        fprintf(stderr, "modbus-master: %s\n", kroutine_error_text());
        daemon_stop(1);
    }
    daemon_run();
    mb.stopping = true;
    if (mb.opened)
        show_statistics();
    device_put_accessor(&mb.line.base);
    device_put_accessor(&mb.timer.base);
    return daemon_end();
}
